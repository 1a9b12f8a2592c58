"""Valid rows of the landed tables with sensible defaults, and a home to land them in."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import yaml

from pipelines.schemas import TABLES, polars_schema
from pipelines.wire.outcomes import OUTCOMES

PROJECT = Path(__file__).parents[2] / "dbt_project"
MARTS = PROJECT / "models" / "marts" / "reliability"
DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
_KINDS = {
    "varchar": pl.String,
    "timestamptz": pl.Datetime("us", "UTC"),
    "double": pl.Float64,
    "integer": pl.Int32,
    "bigint": pl.Int64,
    "boolean": pl.Boolean,
    "decimal(38,12)": pl.Decimal(38, 12),
    "date": pl.Date,
}


def probe(probe_id: str, at: datetime, outcome: str = "ok", endpoint: str = "acme/one", **over: Any) -> dict[str, Any]:
    """Return one attempt: good ones take 200 ms to the first token and 32 tokens in 620 ms more."""
    kind = OUTCOMES[outcome]
    provider, model = endpoint.split("/", 1)
    good = {
        "t_sent_us": 900,
        "t_headers_us": 190_000,
        "t_byte_us": 195_000,
        "t_event_us": 198_000,
        "t_token_us": 200_000,
        "t_output_us": 200_000,
        "t_last_us": 820_000,
        "t_end_us": 830_000,
        "status_code": 200,
        "finish_reason": "stop",
        "response_model": model,
        "input_tokens": 24,
        "output_tokens": 32,
        "output_tokens_source": "usage",
        "first_event_tokens": 1,
        "token_events": 32,
        "gap_p50_us": 20_000,
        "is_answer_right": outcome != "wrong_answer",
        "is_model_allowed": outcome != "wrong_model",
        "answer_preview": "391",
    }
    row = {
        "probe_id": probe_id,
        "tick_id": f"tick-{at:%Y%m%dT%H%M}",
        "endpoint_id": endpoint,
        "provider": provider,
        "provider_type": "openai",
        "model": model,
        "project": "default",
        "location": "here",
        "is_demo": False,
        "kind": "scheduled",
        "attempt": 0,
        "started_at": at,
        "t_conn_us": 800,
        "conn_reused": False,
        "outcome": outcome,
        "blame": kind.blame,
        "is_counted": kind.is_counted,
        "is_good": kind.is_good,
        "is_maintained": False,
        "error_type": kind.error_type,
        "error_message": None if outcome == "ok" else f"it said {outcome}",
        "has_terminal_marker": kind.is_good,
        "token_events": 0,
        "body_bytes": 100,
        "max_tokens": 64,
        "cost_usd": Decimal("0.00001"),
        "dialect": "openai",
        "decoded_by": "arguslab",
        "clock": "wire",
        "loop_lag_max_us": 500,
        "reference_error_us": 300,
    }
    return row | (good if kind.is_good else {}) | over


def catalog(endpoint: str = "acme/one", at: datetime = NOON - timedelta(days=3), **over: Any) -> dict[str, Any]:
    """Return one catalog entry: a probe every 5 minutes, 99 % promised over 30 days."""
    provider, model = endpoint.split("/", 1)
    refresh = over.get("refresh_id", f"r-{at:%Y%m%dT%H%M}")
    return {
        "entry_id": f"{refresh}:{endpoint}",
        "refresh_id": refresh,
        "refreshed_at": at,
        "endpoint_id": endpoint,
        "provider": provider,
        "provider_type": "openai",
        "model": model,
        "project": "default",
        "owner": "team-a",
        "labels_json": "{}",
        "location": "here",
        "interval_s": 300,
        "availability_slo": 0.99,
        "slo_window_s": 30 * 86_400,
        "is_listed": True,
        "is_retired": False,
        "is_free": False,
        "is_demo": False,
        "probe_budget_usd_per_day": Decimal(1),
    } | over


def tick(at: datetime, **over: Any) -> dict[str, Any]:
    """Return one sweep of 3 seconds."""
    return {
        "tick_id": f"tick-{at:%Y%m%dT%H%M}",
        "run_id": "run",
        "location": "here",
        "scheduled_at": at,
        "started_at": at,
        "ended_at": at + timedelta(seconds=3),
        "endpoints": 2,
        "due": 2,
        "attempted": 2,
        "skipped_over_budget": 0,
        "skipped_no_time": 0,
        "attempts": 2,
        "bad": 0,
        "unpriced": 0,
        "cost_usd": Decimal("0.00002"),
        "reference_error_p50_us": 300,
        "reference_error_max_us": 700,
        "loop_lag_max_us": 500,
        "fleet_hash": "f",
        "is_demo": False,
    } | over


def incident_event(number: int, kind: str, at: datetime, incident: str = "i-1", **over: Any) -> dict[str, Any]:
    """Return one edge of an incident about acme/one being down since 11:50."""
    return {
        "event_id": f"{incident}:{kind}:{number}",
        "incident_id": incident,
        "at": at,
        "kind": kind,
        "promise": "availability",
        "subject": "acme/one",
        "provider": "acme",
        "project": "default",
        "owner": "team-a",
        "severity": "critical",
        "state_from": "UP",
        "state_to": {"resolved": "UP"}.get(kind, "DOWN"),
        "started_at": NOON - timedelta(minutes=10),
        "summary": f"summary of {kind}",
        "detail_json": "{}",
        "is_demo": False,
    } | over


def evaluation(at: datetime, verdict: str, promise: str = "availability", **over: Any) -> dict[str, Any]:
    """Return one judgement of acme/one."""
    return {
        "evaluation_id": f"{promise}:{at:%Y%m%dT%H%M}",
        "evaluated_at": at,
        "promise": promise,
        "subject": "acme/one",
        "verdict": verdict,
        "severity": "critical",
        "attempts": "G",
        "unit": "share",
        "n": 1,
        "bad": 0,
        "detail_json": "{}",
        "is_demo": False,
    } | over


@dataclass(frozen=True)
class DbtHome:
    """A home folder with landed rows, and dbt to build it."""

    root: Path
    target: Path

    def prepare(self) -> "DbtHome":
        """Write the zero-row files that every table has, as Landing and housekeeping do."""
        for table in TABLES.values():
            _write(self.root / "archive" / table.name / "schema.parquet", pl.DataFrame(schema=polars_schema(table)))
        for name in ("endpoint_hourly", "endpoint_daily"):
            _write(self.root / "archive" / name / "schema.parquet", pl.DataFrame(schema=mart_schema(f"fct_{name}")))
        (self.root / "warehouse").mkdir(exist_ok=True)
        return self

    def land(self, table: str, file_id: str, rows: list[dict[str, Any]]) -> list[Path]:
        """Write rows as small files, one a UTC day."""
        return self._by_day(table, rows, lambda day: self.root / f"landing/{table}/date={day}/{file_id}.parquet")

    def archive(self, table: str, rows: list[dict[str, Any]]) -> list[Path]:
        """Write rows as archive files, one a UTC day, replacing those of the same days."""
        return self._by_day(table, rows, lambda day: self.root / f"archive/{table}/date={day}.parquet")

    def _by_day(self, name: str, rows: list[dict[str, Any]], path: Any) -> list[Path]:
        table = TABLES[name]
        schema = polars_schema(table)
        full = [{column: row.get(column) for column in schema} for row in rows]
        assert all(set(row) <= set(schema) for row in rows)
        frame = pl.DataFrame(full, schema=schema, orient="row")
        table.schema.validate(frame)
        written = []
        for (day,), part in frame.group_by(pl.col(table.at).dt.date(), maintain_order=True):
            written.append(_write(path(day), part))
        return written

    def dbt(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run dbt on the project against this home, as a separate process."""
        env = os.environ | {
            "ARGUSLAB_HOME": str(self.root),
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.target / "logs"),
            "DO_NOT_TRACK": "1",
        }
        return subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *args, "--profiles-dir", str(PROJECT)],
            cwd=PROJECT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def build(self) -> None:
        """Build models and data tests as a refresh does; fail with dbt's own words."""
        done = self.dbt("build", "--exclude-resource-type", "unit_test")
        assert done.returncode == 0, done.stdout[-4000:]

    def marts(self) -> duckdb.DuckDBPyConnection:
        """Return a read-only connection to what was built."""
        con = duckdb.connect(str(self.root / "warehouse" / "build.duckdb"), read_only=True)
        con.execute("set TimeZone = 'UTC'")
        return con

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of one query on what was built."""
        with self.marts() as con:
            return con.execute(sql).fetchall()

    def one(self, sql: str) -> dict[str, Any]:
        """Return the only row of one query, by column."""
        with self.marts() as con:
            frame = con.sql(sql).pl()
        assert frame.height == 1, frame
        return frame.to_dicts()[0]


def mart_schema(name: str) -> pl.Schema:
    """Return the columns that a mart's contract states, as polars types."""
    model = yaml.safe_load((MARTS / f"{name}.yml").read_text())["models"][0]
    return pl.Schema({column["name"]: _KINDS[column["data_type"]] for column in model["columns"]})


def _write(path: Path, frame: pl.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    frame.write_parquet(temporary)
    temporary.replace(path)
    return path
