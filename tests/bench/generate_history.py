"""Write a large, deterministic probe history as archive files: what the refresh and rebuild bars are measured on.

Run: ``python tests/bench/generate_history.py HOME --endpoints 100 --days 30 --interval 60``. One file a day, the
newest day also as small landing files when ``--open-ticks`` is given. Every column of the contract is filled.
"""

import argparse
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from pipelines.schemas import TABLES, polars_schema

END = date(2026, 11, 1)
PROVIDERS = 5


def history_day(day: date, endpoints: int, interval_s: int, ticks: range | None = None) -> pl.DataFrame:
    """Return one day of attempts, ``endpoints`` × 86400/``interval_s`` rows, typed as probe_results.

    Deterministic by day, endpoint and minute: 1 % fail, 0.5 % are rate limited, one answer in 4 reasons first.
    """
    ticks = ticks if ticks is not None else range(86_400 // interval_s)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    schema = polars_schema(TABLES["probe_results"])
    frame = pl.DataFrame({"e": pl.arange(endpoints, eager=True)}).join(
        pl.DataFrame({"k": pl.arange(ticks.start, ticks.stop, eager=True)}), how="cross"
    )
    e, k = pl.col("e"), pl.col("k")
    noise = ((e * 7919 + k * 104_729 + day.toordinal() * 1_299_709) % 1_000_003).alias("noise")
    frame = frame.with_columns(noise).with_columns(
        outcome=pl.when(pl.col("noise") % 100 == 0)
        .then(pl.lit("server_error"))
        .when(pl.col("noise") % 200 == 1)
        .then(pl.lit("rate_limited"))
        .otherwise(pl.lit("ok"))
    )
    ok, noise_ = pl.col("outcome") == "ok", pl.col("noise")
    ttft = 200_000 + (e % 10) * 30_000 + noise_ % 180_000
    started = pl.lit(start) + pl.duration(seconds=k * interval_s, microseconds=e * 1_000 + noise_ % 900)
    endpoint = pl.format("provider-{}/model-{}", e % PROVIDERS, e)
    tick = pl.format("{}-{}", pl.lit(day.isoformat()), k)
    when_ok = {
        "t_sent_us": pl.lit(900),
        "t_headers_us": ttft - 9_000,
        "t_byte_us": ttft - 3_000,
        "t_event_us": ttft - 2_000,
        "t_token_us": ttft,
        "t_output_us": ttft + pl.when(e % 4 == 0).then(250_000).otherwise(0),
        "t_last_us": ttft + 620_000 + noise_ % 9_000,
        "input_tokens": pl.lit(24),
        "cached_tokens": pl.lit(0),
        "output_tokens": pl.lit(32),
        "first_event_tokens": pl.lit(1),
        "reasoning_tokens": pl.when(e % 4 == 0).then(12).otherwise(None),
        "gap_p50_us": 19_000 + noise_ % 800,
        "gap_p95_us": 24_000 + noise_ % 800,
        "gap_max_us": 31_000 + noise_ % 800,
    }
    values = {
        "probe_id": pl.format("{}:{}:0", tick, endpoint),
        "tick_id": tick,
        "endpoint_id": endpoint,
        "provider": pl.format("provider-{}", e % PROVIDERS),
        "provider_type": pl.lit("openai"),
        "model": pl.format("model-{}", e),
        "project": pl.format("project-{}", e % 3),
        "location": pl.lit("here"),
        "is_demo": pl.lit(value=False),
        "kind": pl.lit("scheduled"),
        "attempt": pl.lit(0),
        "started_at": started,
        "sched_lag_us": noise_ % 5_000,
        "t_dns_us": pl.lit(200),
        "t_tcp_us": pl.lit(500),
        "t_conn_us": pl.lit(800),
        "t_end_us": pl.when(ok).then(ttft + 640_000).otherwise(4_000),
        "conn_reused": noise_ % 3 > 0,
        "http_version": pl.lit("HTTP/1.1"),
        "status_code": pl.when(ok).then(200).when(pl.col("outcome") == "rate_limited").then(429).otherwise(500),
        "outcome": pl.col("outcome"),
        "blame": pl.when(ok)
        .then(pl.lit("none"))
        .when(noise_ % 200 == 1)
        .then(pl.lit("shared"))
        .otherwise(pl.lit("provider")),
        "is_counted": pl.col("outcome") != "rate_limited",
        "is_good": ok,
        "is_maintained": pl.lit(value=False),
        "error_type": pl.when(~ok).then(pl.lit("500")),
        "error_message": pl.when(~ok).then(pl.lit("the server said no")),
        "finish_reason": pl.when(ok).then(pl.lit("stop")),
        "has_terminal_marker": ok,
        "response_model": pl.when(ok).then(pl.format("model-{}", e)),
        "request_id": pl.format("req-{}", noise_),
        "output_tokens_source": pl.when(ok).then(
            pl.when(e % 11 == 0).then(pl.lit("chunks")).otherwise(pl.lit("usage"))
        ),
        "token_events": pl.when(ok).then(32).otherwise(0),
        "body_bytes": pl.lit(9_000),
        "is_answer_right": pl.when(ok).then(noise_ % 500 > 0),
        "is_model_allowed": pl.when(ok).then(pl.lit(value=True)),
        "answer_preview": pl.when(ok).then(pl.format("391, and the nonce is {}", noise_)),
        "max_tokens": pl.lit(64),
        "cost_usd": pl.lit("0.000031").cast(pl.Decimal(38, 12)),
        "price_source": pl.lit("litellm"),
        "dialect": pl.lit("openai"),
        "decoded_by": pl.lit("arguslab"),
        "clock": pl.lit("wire"),
        "loop_lag_max_us": noise_ % 4_000,
        "reference_error_us": noise_ % 900,
        **{name: pl.when(ok).then(value) for name, value in when_ok.items()},
    }
    columns = [values.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in schema.items()]
    return frame.select(columns).sort("endpoint_id", "started_at", "probe_id")


def history_ticks(day: date, endpoints: int, interval_s: int, ticks: range | None = None) -> pl.DataFrame:
    """Return the sweeps of one day, typed as probe_ticks."""
    ticks = ticks if ticks is not None else range(86_400 // interval_s)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    at = [start + timedelta(seconds=k * interval_s) for k in ticks]
    rows = pl.DataFrame({"at": at}, schema={"at": pl.Datetime("us", "UTC")}).with_columns(
        tick_id=pl.Series([f"{day}-{k}" for k in ticks], dtype=pl.String)
    )
    values = {
        "tick_id": pl.col("tick_id"),
        "run_id": pl.col("tick_id"),
        "location": pl.lit("here"),
        "scheduled_at": pl.col("at"),
        "started_at": pl.col("at"),
        "ended_at": pl.col("at") + pl.duration(seconds=3),
        "bad": pl.lit(1),
        "cost_usd": pl.lit("0.0031"),
        "loop_lag_max_us": pl.lit(3_000),
        "reference_error_p50_us": pl.lit(400),
        "reference_error_max_us": pl.lit(900),
        "fleet_hash": pl.lit("bench"),
        "is_demo": pl.lit(value=False),
        **dict.fromkeys(("endpoints", "due", "attempted", "attempts"), pl.lit(endpoints)),
        **dict.fromkeys(("skipped_over_budget", "skipped_no_time", "unpriced"), pl.lit(0)),
    }
    schema = polars_schema(TABLES["probe_ticks"])
    return rows.select(values[name].cast(kind).alias(name) for name, kind in schema.items())


def catalog_day(day: date, endpoints: int, refreshes: int = 24) -> pl.DataFrame:
    """Return ``refreshes`` catalogs of one day, typed as endpoint_catalog."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    at = [start + timedelta(hours=24 * n / refreshes) for n in range(refreshes)]
    frame = pl.DataFrame({"at": at}, schema={"at": pl.Datetime("us", "UTC")}).join(
        pl.DataFrame({"e": pl.arange(endpoints, eager=True)}), how="cross"
    )
    e = pl.col("e")
    endpoint = pl.format("provider-{}/model-{}", e % PROVIDERS, e)
    refresh = pl.col("at").dt.to_string("%Y%m%dT%H%M%S")
    values = {
        "entry_id": pl.format("{}:{}", refresh, endpoint),
        "refresh_id": refresh,
        "refreshed_at": pl.col("at"),
        "endpoint_id": endpoint,
        "provider": pl.format("provider-{}", e % PROVIDERS),
        "provider_type": pl.lit("openai"),
        "model": pl.format("model-{}", e),
        "project": pl.format("project-{}", e % 3),
        "labels_json": pl.lit("{}"),
        "location": pl.lit("here"),
        "interval_s": pl.lit(60),
        "availability_slo": pl.lit(0.99),
        "slo_window_s": pl.lit(30 * 86_400),
        "is_listed": pl.lit(value=True),
        "is_retired": pl.lit(value=False),
        "is_free": pl.lit(value=False),
        "is_demo": pl.lit(value=False),
        "probe_budget_usd_per_day": pl.lit("5"),
    }
    schema = polars_schema(TABLES["endpoint_catalog"])
    return frame.select(values.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in schema.items())


def write_history(home: Path, *, endpoints: int, days: int, interval_s: int, open_ticks: int = 0) -> int:
    """Write ``days`` closed days before END, and ``open_ticks`` sweeps of END as small files; return the rows."""
    for table in TABLES.values():
        folder = home / "archive" / table.name
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(schema=polars_schema(table)).write_parquet(folder / "schema.parquet")
    rows = 0
    for back in range(days, 0, -1):
        day = END - timedelta(days=back)
        for name, frame in (
            ("probe_results", history_day(day, endpoints, interval_s)),
            ("probe_ticks", history_ticks(day, endpoints, interval_s)),
            ("endpoint_catalog", catalog_day(day, endpoints)),
        ):
            frame.write_parquet(
                home / "archive" / name / f"date={day}.parquet", compression="zstd", compression_level=3
            )
            rows += frame.height if name == "probe_results" else 0
    for k in range(open_ticks):
        write_tick(home, k, endpoints=endpoints, interval_s=interval_s)
    return rows + open_ticks * endpoints


def write_tick(home: Path, k: int, *, endpoints: int, interval_s: int) -> None:
    """Land sweep number ``k`` of the open day, as the prober does: one small file a table."""
    tick = range(k, k + 1)
    for name, frame in (
        ("probe_results", history_day(END, endpoints, interval_s, tick)),
        ("probe_ticks", history_ticks(END, endpoints, interval_s, tick)),
    ):
        folder = home / "landing" / name / f"date={END}"
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(folder / f"{END}-{k:05}.parquet", compression="zstd")


def main() -> None:
    """Write a history and say how much and how long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--endpoints", type=int, default=100)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--interval", type=int, default=60, help="seconds between two attempts of one endpoint")
    parser.add_argument("--open-ticks", type=int, default=0, help="sweeps of the newest day, as small files")
    args = parser.parse_args()
    began = time.perf_counter()
    rows = write_history(
        args.home, endpoints=args.endpoints, days=args.days, interval_s=args.interval, open_ticks=args.open_ticks
    )
    print(f"{rows:,} attempts in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
