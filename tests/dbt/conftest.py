from datetime import timedelta
from pathlib import Path

import pytest

from tests.dbt.rows import NOON, DbtHome, catalog, evaluation, incident_event, probe, tick


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One target folder for all tests of a session: dbt parses once, and warns of nothing."""
    home = DbtHome(tmp_path_factory.mktemp("parsed"), tmp_path_factory.mktemp("dbt-target"))
    done = home.dbt("parse", "--warn-error")
    assert done.returncode == 0, done.stdout[-4000:]
    return home.target


@pytest.fixture
def home(tmp_path: Path, dbt_target: Path) -> DbtHome:
    return DbtHome(tmp_path / "home", dbt_target).prepare()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, dbt_target: Path) -> DbtHome:
    """A home with four days of two endpoints, built with unit tests; tests only read it.

    acme/one answers well except for an outage today at 11:50; slow/two reasons before it answers, is rate limited
    once a day and was wrong once. The 8th and 9th are archived, the 10th is open, the 7th has expired.
    """
    home = DbtHome(tmp_path_factory.mktemp("built") / "it's [home]", dbt_target).prepare()
    home.archive("endpoint_catalog", [catalog(), catalog("slow/two", project="lab", owner=None)])
    for back in (2, 1, 0):
        noon = NOON - timedelta(days=back)
        rows = [probe(f"one-{back}-{n}", noon - timedelta(minutes=5 * n)) for n in range(3, 43)]
        rows += [
            probe(
                f"two-{back}-{n}",
                noon - timedelta(minutes=5 * n),
                endpoint="slow/two",
                project="lab",
                t_token_us=400_000 + 1_000 * n,
                t_output_us=900_000 + 1_000 * n,
                t_last_us=1_640_000,
                reasoning_tokens=16,
                cost_usd=None,
            )
            for n in range(3, 43)
        ]
        limited_at = noon - timedelta(minutes=10) + timedelta(milliseconds=1)  # no two attempts at one moment
        rows.append(probe(f"two-{back}-limited", limited_at, "rate_limited", endpoint="slow/two", project="lab"))
        sweeps = [tick(noon - timedelta(minutes=5 * n)) for n in range(43)]
        land = home.archive if back else lambda table, rows: home.land(table, "first", rows)
        land("probe_results", rows)
        land("probe_ticks", sweeps)
    bad = [probe(f"one-0-{n}", NOON - timedelta(minutes=5 * n), "timeout_first_token") for n in range(3)]
    wrong = probe("two-0-wrong", NOON, "wrong_answer", endpoint="slow/two", project="lab", answer_preview="390")
    home.land("probe_results", "second", [*bad, wrong])
    home.land(
        "incident_events",
        "events",
        [
            incident_event(1, "opened", NOON - timedelta(minutes=8)),
            incident_event(1, "opened", NOON - timedelta(minutes=60), "i-0", started_at=NOON - timedelta(minutes=70)),
            incident_event(2, "resolved", NOON - timedelta(minutes=50), "i-0", started_at=NOON - timedelta(minutes=70)),
        ],
    )
    home.land("evaluations", "e", [evaluation(NOON, "broken"), evaluation(NOON - timedelta(minutes=5), "kept")])
    done = home.dbt("build")
    assert done.returncode == 0, done.stdout[-6000:]
    return home
