"""The dbt project on real Parquet: what a rebuild, a late row, a crash and an empty home do to the marts."""

import json
import math
import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
import yaml

from tests.dbt.rows import DAY, MARTS, NOON, PROJECT, DbtHome, catalog, mart_schema, probe, tick

MART_NAMES = sorted(path.stem for path in MARTS.glob("*.sql"))


def _wilson(good: int, n: int) -> tuple[float, float]:
    z, p = 1.959963984540054, good / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def _differences(left: DbtHome, right: DbtHome) -> dict[str, int]:
    """Return how many rows of each mart are in one home's build and not in the other's."""
    found = {}
    with duckdb.connect() as con:
        for name, home in (("l", left), ("r", right)):
            path = str(home.root / "warehouse" / "build.duckdb").replace("'", "''")
            con.execute(f"attach '{path}' as {name} (read_only)")
        for mart in MART_NAMES:
            con.execute(f"create temp table a as from l.main.{mart}")
            con.execute(f"create temp table b as from r.main.{mart}")
            both_ways = "from ((from a except all from b) union all (from b except all from a)) select count(*)"
            found[mart] = con.execute(both_ways).fetchall()[0][0]
            con.execute("drop table a; drop table b")
    return {mart: rows for mart, rows in found.items() if rows}


def test_every_model_test_and_unit_test_passes(built: DbtHome) -> None:
    results = json.loads((built.target / "run_results.json").read_text())["results"]
    kinds = {result["unique_id"].split(".")[0] for result in results}
    assert {"model", "test", "unit_test"} <= kinds
    assert {result["status"] for result in results} <= {"success", "pass", "warn"}


def test_every_mart_has_an_enforced_contract_a_grain_and_words_for_each_column(built: DbtHome) -> None:
    manifest = json.loads((built.target / "manifest.json").read_text())
    for name in MART_NAMES:
        node = manifest["nodes"][f"model.arguslab.{name}"]
        assert node["config"]["contract"]["enforced"], name
        assert node["description"].lower().find("one row per") >= 0, name
        assert node["config"]["meta"]["dagster"]["owners"] == ["team:reliability"], name
        assert all(column["description"] for column in node["columns"].values()), name
        with built.marts() as con:
            assert con.sql(f"from {name} limit 0").pl().schema == mart_schema(name), name


def test_sources_are_the_landed_tables_in_the_lineage(built: DbtHome) -> None:
    sources = json.loads((built.target / "manifest.json").read_text())["sources"].values()
    keys = {s["name"]: s["config"]["meta"]["dagster"]["asset_key"] for s in sources if s["source_name"] == "landed"}
    assert keys == {name: [name] for name in keys}
    assert {"probe_results", "probe_ticks", "endpoint_catalog", "evaluations", "incident_events"} <= set(keys)


def test_uptime_carries_the_wilson_interval_of_the_textbook(built: DbtHome) -> None:
    row = built.one(f"from fct_endpoint_daily where endpoint_id = 'acme/one' and started_on = date '{DAY}'")
    assert (row["attempts"], row["good"], row["bad"], row["bad_provider"]) == (43, 40, 3, 3)
    assert (row["uptime_low"], row["uptime_high"]) == pytest.approx(_wilson(40, 43))
    assert row["is_ttft_p95_adj_unbounded"]
    assert row["ttft_p95_adj_ms"] is None


def test_percentiles_interpolate_linearly(built: DbtHome) -> None:
    row = built.one(f"from fct_endpoint_daily where endpoint_id = 'slow/two' and started_on = date '{DAY}'")
    values = [400 + n for n in range(3, 43)] + [200]
    assert row["n_ttft"] == 41
    assert row["ttft_p50_ms"] == pytest.approx(pl.Series(values).quantile(0.5, "linear"))
    assert row["ttft_p95_ms"] == pytest.approx(pl.Series(values).quantile(0.95, "linear"))
    assert row["ttfo_p95_ms"] == pytest.approx(
        pl.Series([v + 500 for v in values[:-1]] + [200]).quantile(0.95, "linear")
    )
    assert (row["rate_limited"], row["excluded_shared"], row["answers_wrong"]) == (1, 1, 1)
    assert row["unpriced"] == 40


@pytest.mark.parametrize("n", [6, 7, 8, 9, 20, 99, 1440])
def test_the_interval_of_the_median_covers_at_least_95_percent(n: int) -> None:
    rank = math.floor((n + 1 - 1.96 * math.sqrt(n)) / 2)
    missed = sum(math.comb(n, k) for k in range(rank)) / 2**n
    assert rank >= 1
    assert 1 - 2 * missed >= 0.949


def test_deleting_the_build_and_running_dbt_gives_the_same_marts(built: DbtHome, home: DbtHome) -> None:
    for folder in ("landing", "archive"):
        for path in (built.root / folder).rglob("*.parquet"):
            copy = home.root / path.relative_to(built.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    home.build()
    assert _differences(built, home) == {}


def test_days_are_rebuilt_only_when_their_files_change(home: DbtHome) -> None:
    # Yesterday closed, with the row of a sweep that was killed after it had been archived; today open.
    yesterday = NOON - timedelta(days=1)
    old = [probe("a", yesterday), probe("b", yesterday + timedelta(minutes=5), "dns")]
    home.archive("endpoint_catalog", [catalog()])
    home.archive("probe_results", old)
    home.land("probe_results", "again", old[:1])
    home.land("probe_results", "today", [probe("c", NOON)])
    home.land("probe_ticks", "today", [tick(NOON)])
    (home.root / "landing/probe_results/date=2026-03-10/.half.parquet.1234.tmp").write_bytes(b"PAR1half")
    home.build()
    by_day = "select started_on::varchar, sum(attempts), sum(good) from fct_endpoint_daily group by 1 order by 1"
    assert home.rows(by_day) == [("2026-03-09", 2, 1), ("2026-03-10", 1, 1)]
    assert home.rows("select probe_id from fct_probe order by 1") == [("a",), ("b",), ("c",)]

    # A late row for the closed day, and the newest sweep; the day before yesterday's figures survive their raw rows.
    kept = {name: home.rows(f"from bookkeeping.{name} order by day") for name in ("fct_endpoint_daily",)}
    home.land("probe_results", "late", [probe("late", yesterday + timedelta(minutes=10))])
    home.build()
    assert home.rows(by_day) == [("2026-03-09", 3, 2), ("2026-03-10", 1, 1)]
    after = home.rows("from bookkeeping.fct_endpoint_daily order by day")
    assert after[0] != kept["fct_endpoint_daily"][0]
    assert after[1] == kept["fct_endpoint_daily"][1]

    # Compacted: the archive holds all of it, the small files are gone, nothing changes.
    for path in (home.root / "landing/probe_results/date=2026-03-09").glob("*.parquet"):
        path.unlink()
    home.archive("probe_results", [*old, probe("late", yesterday + timedelta(minutes=10))])
    home.build()
    assert home.rows(by_day) == [("2026-03-09", 3, 2), ("2026-03-10", 1, 1)]
    assert home.rows("select count(*) from fct_probe_open") == [(1,)]

    # Expired: raw rows are gone, their daily and hourly figures stay, their attempts do not.
    with home.marts() as con:
        for name, day in (("endpoint_daily", "started_on"), ("endpoint_hourly", "(hour_at at time zone 'UTC')::date")):
            rows = con.sql(f"from fct_{name} where {day} = date '2026-03-09'").pl()
            rows.write_parquet(home.root / f"archive/{name}/date=2026-03-09.parquet")
    (home.root / "archive/probe_results/date=2026-03-09.parquet").unlink()
    before = home.rows("from fct_endpoint_hourly order by all")
    home.build()
    assert home.rows(by_day) == [("2026-03-09", 3, 2), ("2026-03-10", 1, 1)]
    assert home.rows("from fct_endpoint_hourly order by all") == before
    assert home.rows("select probe_id from fct_probe") == [("c",)]
    assert home.rows("select started_on::varchar, attempts from fct_probe_cost order by 1")[0] == ("2026-03-09", 3)

    # And all of that is what a build from nothing says.
    fresh = DbtHome(home.root, home.target)
    grown = home.root / "warehouse" / "grown.duckdb"
    (home.root / "warehouse" / "build.duckdb").rename(grown)
    fresh.build()
    other = DbtHome(home.root.parent / "grown", home.target)
    (other.root / "warehouse").mkdir(parents=True)
    grown.rename(other.root / "warehouse" / "build.duckdb")
    assert _differences(fresh, other) == {}


def test_a_failure_under_maintenance_changes_no_uptime_and_older_files_lack_the_column(home: DbtHome) -> None:
    yesterday = NOON - timedelta(days=1)
    home.archive("endpoint_catalog", [catalog()])
    old = home.archive("probe_results", [probe(f"old-{n}", yesterday + timedelta(minutes=n)) for n in range(6)])
    new = home.land("probe_results", "new", [probe(f"new-{n}", NOON + timedelta(minutes=n)) for n in range(6)])
    for path in (*old, *new):
        pl.read_parquet(path).drop("is_maintained").write_parquet(path)
    home.land("probe_ticks", "ticks", [tick(NOON)])
    home.build()
    facts = "select * exclude (attempts, excluded, maintained, cost_usd, loop_lag_max_ms, reference_error_p50_ms)"
    figures = {
        mart: home.rows(f"{facts} from {mart} order by all") for mart in ("fct_endpoint_hourly", "fct_endpoint_daily")
    }
    slo = home.rows("from fct_slo")
    assert home.rows("select uptime, counted, maintained from fct_endpoint_daily order by all") == [(1.0, 6, 0)] * 2

    window = [
        probe("m-0", NOON + timedelta(minutes=2, seconds=1), "server_error", is_maintained=True),
        probe("m-1", NOON + timedelta(minutes=2, seconds=2), "rate_limited", is_maintained=True),
        probe("m-2", NOON + timedelta(minutes=2, seconds=3), is_maintained=True, t_token_us=9_000, t_last_us=900_000),
    ]
    home.land("probe_results", "window", window)
    home.build()
    for mart, before in figures.items():
        assert home.rows(f"{facts} from {mart} order by all") == before
    assert home.rows("from fct_slo") == slo
    today = home.one("select attempts, counted, excluded, maintained from fct_endpoint_daily where attempts > 6")
    assert today == {"attempts": 9, "counted": 6, "excluded": 3, "maintained": 3}
    assert home.rows("select count(*) from fct_error") == [(0,)]
    assert home.rows("select count(*), count(*) filter (is_maintained), count(is_maintained) from fct_probe") == [
        (15, 3, 15)
    ]


def test_a_home_without_any_row_builds_and_a_broken_file_is_named(home: DbtHome) -> None:
    home.build()
    assert all(home.rows(f"select count(*) from {mart}") == [(0,)] for mart in MART_NAMES)

    broken = home.root / "landing/probe_results/date=2026-03-10/broken.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"PAR1 and then the power went away")
    done = home.dbt("build", "--exclude-resource-type", "unit_test")
    assert done.returncode == 1
    assert "broken.parquet" in done.stdout


def test_a_live_view_shows_what_no_build_has_seen(built: DbtHome) -> None:
    path = built.land("probe_results", "newest", [probe("newest", NOON + timedelta(minutes=5))])[0]
    try:
        assert built.rows("select count(*) from fct_probe where probe_id = 'newest'") == [(0,)]
        assert built.one("select ttft_ms, tps_decode from live.fct_probe_recent where probe_id = 'newest'") == {
            "ttft_ms": 200.0,
            "tps_decode": 50.0,
        }
        now = built.rows("select endpoint_id, probe_id, outcome from live.endpoint_now order by 1")
        assert now == [("acme/one", "newest", "ok"), ("slow/two", "two-0-wrong", "wrong_answer")]
        with built.marts() as con:
            recent = con.sql("from live.fct_probe_recent limit 0").pl().schema
        assert recent == mart_schema("fct_probe")
    finally:
        path.unlink()
    assert built.rows("select incident_id, is_open from live.open_incidents") == [("i-1", True)]


def test_published_views_name_no_database_and_no_private_schema(built: DbtHome) -> None:
    views = built.rows(
        "select schema_name || '.' || view_name, sql from duckdb_views() "
        "where schema_name in ('main', 'live') and not internal"
    )
    assert {name for name, _ in views} == {
        "main.fct_probe",
        "live.probe_results",
        "live.fct_probe_recent",
        "live.endpoint_now",
        "live.open_incidents",
    }
    for name, sql in views:
        assert not any(word in sql for word in ("build.", "staging.", "intermediate.")), name


def test_error_budget_of_the_fixture_fleet(built: DbtHome) -> None:
    row = built.one("from fct_slo where endpoint_id = 'acme/one'")
    assert (row["counted"], row["bad"], row["budget_bad"]) == (123, 3, pytest.approx(86.4))
    assert (row["n_5m"], row["bad_5m"], row["n_30m"], row["bad_30m"]) == (1, 1, 6, 3)
    assert row["burn_30m"] == pytest.approx(0.5 / 0.01)
    assert row["verdict"] == "unproven"
    down = built.rows(
        "select bad, bad_cumulative from fct_slo_burndown where endpoint_id = 'acme/one' order by started_on"
    )
    assert down[-1] == (3, 3)
    assert len(down) == 31


def test_a_mart_that_breaks_its_contract_is_refused(home: DbtHome, tmp_path: Path) -> None:
    # A copy of the project whose mart returns one column less than its contract states.
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    sql = copy / "models/marts/reliability/fct_disk_use.sql"
    sql.write_text(sql.read_text().replace("exclude (landed_on)", "exclude (landed_on, bytes)"))
    other = DbtHome(home.root, tmp_path / "target")
    done = other.dbt("run", "--select", "+fct_disk_use", "--project-dir", str(copy))
    assert done.returncode == 1
    assert "contract" in done.stdout
    assert "bytes" in done.stdout


def test_each_model_has_its_words_beside_it() -> None:
    for sql in (PROJECT / "models").rglob("*.sql"):
        described = yaml.safe_load(sql.with_suffix(".yml").read_text())["models"]
        assert [model["name"] for model in described] == [sql.stem]
        assert described[0]["description"].strip()


def test_the_kept_facts_have_the_columns_of_their_marts(built: DbtHome) -> None:
    # read as a file: the path of this home has brackets, which polars takes for a pattern
    with (built.root / "archive/endpoint_hourly/schema.parquet").open("rb") as file:
        assert pl.read_parquet_schema(file) == mart_schema("fct_endpoint_hourly")
