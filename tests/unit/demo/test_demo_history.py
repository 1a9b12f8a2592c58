"""The simulated history keeps the landed tables' contracts and tells the personas' story."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from pipelines.demo.fleet import demo_fleet_yaml
from pipelines.demo.history import Day, backfill_rows, land_history
from pipelines.demo.incidents import DULLER, SLOWER
from pipelines.demo.personas import PERSONAS, outage_of_day
from pipelines.fleet import Endpoint, resolve
from pipelines.fleet.validate import load_text
from pipelines.home import Home
from pipelines.schemas import TABLES, polars_schema

START = datetime(2026, 11, 1, 7, 30, tzinfo=UTC)
END = START + timedelta(days=4)


def endpoints() -> tuple[Endpoint, ...]:
    fleet = load_text(demo_fleet_yaml(8123)).fleet
    listed = {
        name: [model for model, persona in PERSONAS.items() if name == f"sim-{persona.dialect}"]
        for name in fleet.providers
    }
    return resolve(fleet, listed)


@pytest.fixture(scope="module")
def days() -> list[Day]:
    return list(backfill_rows(endpoints(), start=START, end=END, seed=3))


@pytest.fixture(scope="module")
def results(days: list[Day]) -> pl.DataFrame:
    return pl.concat([day.probe_results for day in days])


def test_the_demo_fleet_is_valid_and_says_that_it_is_simulated() -> None:
    loaded = load_text(demo_fleet_yaml(8123), env={})
    assert loaded.problems == ()
    assert loaded.fleet.demo
    assert "SIMULATED" in demo_fleet_yaml(8123)
    found = endpoints()
    assert len(found) == 10
    assert all(endpoint.is_demo and endpoint.api_key_env is None for endpoint in found)


@pytest.mark.parametrize("name", Day._fields)
def test_every_frame_keeps_its_tables_contract(days: list[Day], name: str) -> None:
    frame = pl.concat([getattr(day, name) for day in days])
    assert frame.schema == polars_schema(TABLES[name])
    TABLES[name].schema.validate(frame)
    assert frame["is_demo"].all()
    assert not frame.is_empty()


def test_each_day_holds_its_own_rows_and_the_days_follow_each_other(days: list[Day]) -> None:
    assert len(days) == 5
    for day in days:
        assert day.probe_ticks["scheduled_at"].dt.date().n_unique() == 1
    firsts = [day.probe_ticks["scheduled_at"].min() for day in days]
    assert firsts == sorted(firsts, key=str)
    assert sum(day.probe_ticks.height for day in days) == 4 * 24 * 12


def test_the_same_seed_gives_the_same_rows_and_another_gives_others(days: list[Day]) -> None:
    again = next(backfill_rows(endpoints(), start=START, end=END, seed=3))
    other = next(backfill_rows(endpoints(), start=START, end=END, seed=4))
    assert again.probe_results.equals(days[0].probe_results)
    assert not other.probe_results.equals(days[0].probe_results)


def test_stamps_are_in_the_order_in_which_things_happen(results: pl.DataFrame) -> None:
    order = ["t_conn_us", "t_sent_us", "t_headers_us", "t_byte_us", "t_event_us", "t_token_us", "t_last_us", "t_end_us"]
    for earlier, later in pairwise(order):
        assert results.filter(pl.col(earlier) > pl.col(later)).is_empty(), (earlier, later)
    assert results.filter(pl.col("t_output_us") < pl.col("t_token_us")).is_empty()


def test_a_daily_outage_is_bad_throughout_and_its_incident_covers_it(days: list[Day], results: pl.DataFrame) -> None:
    persona = PERSONAS["daily-outage-1"]
    start, end = outage_of_day(persona, 3, START + timedelta(days=2))
    mine = results.filter(pl.col("model") == persona.model, pl.col("attempt") == 0)
    during = mine.filter(pl.col("started_at").is_between(start, end - timedelta(minutes=1)))
    assert during.height > 3
    assert set(during["outcome"]) == {"overloaded"}
    events = pl.concat([day.incident_events for day in days]).filter(pl.col("subject").str.ends_with(persona.model))
    opened = events.filter(pl.col("kind") == "opened", pl.col("at").is_between(start, end))
    resolved = events.filter(pl.col("incident_id") == opened["incident_id"].item(), pl.col("kind") == "resolved")
    assert resolved["at"].item() >= end - timedelta(minutes=5)


def test_the_two_regressions_show_for_a_while_and_are_over_before_the_end(results: pl.DataFrame) -> None:
    begins_at, ends_at = END - (END - START) / 5, END - (END - START) / 20
    assert END - ends_at > timedelta(hours=4)
    during = pl.col("started_at").is_between(begins_at, ends_at, closed="left")
    before, after = pl.col("started_at") < begins_at, pl.col("started_at") >= ends_at + timedelta(seconds=1)
    slower = results.filter(pl.col("model") == SLOWER)
    medians = [slower.filter(part)["t_token_us"].median() for part in (before, during, after)]
    assert medians[1] > 4 * medians[0]
    assert medians[2] < 1.2 * medians[0]
    duller = results.filter(pl.col("model") == DULLER, pl.col("is_answer_right").is_not_null())
    wrong = [1 - duller.filter(part)["is_answer_right"].mean() for part in (before, during, after)]
    assert wrong[1] > 0.25
    assert wrong[0] < 0.01
    assert wrong[2] == 0


def open_at_the_end(events: pl.DataFrame) -> list[str]:
    last = events.sort("at", maintain_order=True).group_by("incident_id").last()
    return last.filter(pl.col("kind") != "resolved")["incident_id"].to_list()


def test_each_regression_is_one_incident_that_is_resolved_hours_before_the_end(days: list[Day]) -> None:
    events = pl.concat([day.incident_events for day in days])
    for model, promise in ((SLOWER, "ttft_near_baseline"), (DULLER, "answers_right")):
        opened, resolved = events.filter(pl.col("promise") == promise).sort("at").to_dicts()
        assert (opened["kind"], opened["state_to"], resolved["kind"], resolved["state_to"]) == (
            "opened",
            "DEGRADED",
            "resolved",
            "UP",
        )
        assert opened["incident_id"] == resolved["incident_id"]
        assert opened["started_at"] == resolved["started_at"]
        assert opened["subject"].endswith(model)
        assert "well again after 14 h" in resolved["summary"]
        assert resolved["at"] < END - timedelta(hours=3)


@pytest.mark.parametrize("span", [timedelta(hours=3), timedelta(days=1), timedelta(days=2, hours=17)])
@pytest.mark.parametrize("seed", [0, 3])
def test_no_incident_of_the_history_is_open_when_the_live_fleet_takes_over(span: timedelta, seed: int) -> None:
    events = pl.concat(
        [day.incident_events for day in backfill_rows(endpoints(), start=END - span, end=END, seed=seed)]
    )
    assert {"ttft_near_baseline", "answers_right"} <= set(events["promise"])
    assert open_at_the_end(events) == []
    assert events["event_id"].is_unique().all()
    assert events["at"].max() < END


def test_an_outage_that_outlasts_the_history_ends_with_it() -> None:
    _, ends = outage_of_day(PERSONAS["daily-outage-1"], 3, END)
    cut = ends - timedelta(minutes=20)
    end = cut - timedelta(minutes=cut.minute % 5, seconds=cut.second, microseconds=cut.microsecond)
    days = list(backfill_rows(endpoints(), start=end - timedelta(days=1), end=end, seed=3))
    events = pl.concat([day.incident_events for day in days])
    assert open_at_the_end(events) == []
    last = events.filter(pl.col("subject").str.ends_with("daily-outage-1")).sort("at").to_dicts()[-1]
    assert (last["kind"], last["state_to"]) == ("resolved", "UNKNOWN")
    assert "the history ends here" in last["summary"]
    assert end - timedelta(minutes=5) <= last["at"] < end


def test_confirmations_hang_on_the_attempt_that_they_confirm(results: pl.DataFrame) -> None:
    confirms = results.filter(pl.col("attempt") > 0)
    assert not confirms.is_empty()
    joined = confirms.join(results, left_on="confirm_of", right_on="probe_id", how="left", suffix="_first")
    assert joined["attempt_first"].to_list() == [0] * confirms.height
    assert (joined["endpoint_id"] == joined["endpoint_id_first"]).all()


def test_history_lands_once_in_a_home(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "fleet.yaml")
    home.fleet_file.write_text(demo_fleet_yaml(8123), encoding="utf-8")
    now = datetime(2026, 11, 20, 12, 3, tzinfo=UTC)
    landed = land_history(home, weeks=1, now=now)
    assert landed > 7 * 288 * 10
    assert land_history(home, weeks=1, now=now) == 0
    newest = pl.read_parquet(tmp_path / "landing" / "probe_results" / "**" / "*.parquet")["started_at"].max()
    assert newest < now
