"""Housekeeping: hours outlive raw rows, nothing expires before they are safe, tapes and runs go in their time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from pipelines.fleet.models import Retention
from pipelines.home import Home
from pipelines.housekeeping import expire_tapes, keep_aggregates, parts, remove_old_runs, sweep_landing
from pipelines.landing import Landing
from pipelines.warehouse import publish
from tests.dbt.rows import probe

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
OLD = datetime(2026, 8, 1, 12, tzinfo=UTC)
DAYS_90 = Retention()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path, tmp_path / "fleet.yaml")
    home.warehouse.mkdir()
    landing = Landing(str(home.root))
    landing.append("probe_results", [probe("old", OLD), probe("fresh", NOW - timedelta(hours=1))], "run-1")
    return home


def publish_hours(home: Home, *days: datetime) -> None:
    with duckdb.connect(str(home.build)) as con:
        con.execute("create or replace table fct_endpoint_hourly (endpoint_id varchar, hour_at timestamptz, good int)")
        con.execute("create or replace table fct_endpoint_daily (endpoint_id varchar, started_on date, good int)")
        for day in days:
            con.execute("insert into fct_endpoint_hourly values ('acme/one', $at, 7)", {"at": day})
            con.execute("insert into fct_endpoint_daily values ('acme/one', $on, 7)", {"on": day.date()})
    publish(home, keep=2, now=NOW)


def raw_days(home: Home) -> list[str]:
    return [str(day) for day in Landing(str(home.root)).days("probe_results")]


def test_raw_rows_stay_until_their_hours_are_safe(home: Home) -> None:
    sweep_landing(home, DAYS_90, NOW)
    assert raw_days(home) == ["2026-08-01", "2026-11-20"]
    publish_hours(home, NOW)
    sweep_landing(home, DAYS_90, NOW)
    assert raw_days(home) == ["2026-08-01", "2026-11-20"]


def test_expired_raw_rows_leave_their_hours_and_days_behind(home: Home) -> None:
    publish_hours(home, OLD, NOW)
    swept = sweep_landing(home, DAYS_90, NOW)
    assert swept.expired_files > 0
    assert raw_days(home) == ["2026-11-20"]
    for name in ("endpoint_hourly", "endpoint_daily"):
        kept = duckdb.sql(f"select good from '{home.archive}/{name}/date=2026-08-01.parquet'").fetchall()
        assert kept == [(7,)]
    assert sweep_landing(home, DAYS_90, NOW).expired_files == 0


def test_a_day_is_kept_once_and_not_overwritten_by_a_later_poorer_answer(home: Home) -> None:
    publish_hours(home, OLD)
    assert keep_aggregates(home, OLD.date())
    publish_hours(home)
    assert keep_aggregates(home, OLD.date())
    kept = duckdb.sql(f"select good from '{home.archive}/endpoint_hourly/date=2026-08-01.parquet'").fetchall()
    assert kept == [(7,)]


def test_tapes_go_by_their_day(home: Home) -> None:
    for day in ("2026-11-10", "2026-11-13", "2026-11-20"):
        (home.tapes / f"date={day}").mkdir(parents=True)
        (home.tapes / f"date={day}" / "one.json.gz").write_bytes(b"tape")
    assert expire_tapes(home, NOW - timedelta(days=7)) == 1
    assert sorted(path.name for path in home.tapes.iterdir()) == ["date=2026-11-13", "date=2026-11-20"]


def test_old_runs_go_and_the_newest_of_each_job_stays() -> None:
    @dg.op
    def nothing() -> None:
        pass

    @dg.job(name="one")
    def one() -> None:
        nothing()

    @dg.job(name="two")
    def two() -> None:
        nothing()

    with dg.DagsterInstance.ephemeral() as instance:
        for job in (one, one, one, two):
            assert job.execute_in_process(instance=instance).success
        assert remove_old_runs(instance, datetime.now(UTC) - timedelta(days=1)) == 0
        assert remove_old_runs(instance, datetime.now(UTC) + timedelta(minutes=1)) == 2
        assert sorted(run.job_name for run in instance.get_runs()) == ["one", "two"]
        assert remove_old_runs(instance, datetime.now(UTC) + timedelta(minutes=1)) == 0


def test_disk_use_counts_every_part_of_the_home(home: Home) -> None:
    found = {part: (files, size) for part, files, size in parts(home)}
    assert found["landing"][0] == 2
    assert found["landing"][1] > 0
    assert found["site"] == (0, 0)
    assert set(found) >= {"landing", "archive", "tapes", "warehouse", "dagster", "quarantine", "rejected"}
