"""Marts of a made-up fleet in an in-memory DuckDB: the columns of the marts' contract, figures from a seeded generator.

The charts' own SQL runs on it, so that a chart and the contract cannot drift apart unseen.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import duckdb
import polars as pl

from dashboards.chart import Query
from dashboards.pages import endpoint_queries, fleet_queries
from dashboards.site import SiteInputs, SqlQuestion

AS_OF = datetime(2026, 11, 20, 17, 41, tzinfo=UTC)

_TS, _D, _DAY, _I, _T, _B, _USD = "timestamptz", "double", "date", "bigint", "varchar", "boolean", "decimal(38,12)"


def _columns(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


_STATS = {
    **_columns(_I, "attempts counted good bad excluded"),
    **_columns(_D, "uptime uptime_low uptime_high"),
    **_columns(_I, "bad_provider bad_network bad_other excluded_us excluded_shared excluded_catalog excluded_policy"),
    **_columns(_I, "excluded_probe maintained rate_limited"),
    **_columns(_D, "rate_limited_ratio"),
    **_columns(_I, "n_ttft"),
    **_columns(_D, "ttft_p50_ms ttft_p50_low_ms ttft_p50_high_ms ttft_p95_ms ttft_p99_ms ttft_p95_adj_ms"),
    **_columns(_B, "is_ttft_p95_adj_unbounded"),
    **_columns(_D, "ttfo_p50_ms ttfo_p95_ms"),
    **_columns(_I, "n_tps"),
    **_columns(_D, "tps_decode_p50 tps_decode_p50_low tps_decode_p50_high e2e_p50_ms e2e_p95_ms gap_p50_ms"),
    **_columns(_I, "answers_judged answers_wrong models_wrong"),
    "cost_usd": _USD,
    "unpriced": _I,
    **_columns(_D, "loop_lag_max_ms reference_error_p50_ms"),
    "is_demo": _B,
}
_WHO = _columns(_T, "endpoint_id provider model project location")
_PROBE_MS = (
    "ttfb_ms ttfe_ms ttft_ms ttfo_ms ttft_server_ms e2e_ms stream_close_lag_ms decode_ms tpot_ms gap_p50_ms gap_p95_ms "
    "gap_max_ms tps_decode tps_e2e chunk_ratio sched_lag_ms dns_ms tcp_ms tls_ms loop_lag_max_ms reference_error_ms"
)
MARTS: dict[str, dict[str, str]] = {
    "dim_endpoint": {
        **_columns(_T, "endpoint_id provider provider_type model project owner labels_json location"),
        "interval_s": _I,
        "availability_slo": _D,
        "slo_window_s": _I,
        **_columns(_D, "ttft_slo_ms ttfo_slo_ms tps_slo"),
        **_columns(_B, "is_free is_demo is_active is_retired"),
        **_columns(_TS, "first_seen_at last_seen_at last_attempt_at last_good_at"),
        "last_outcome": _T,
        **_columns(_USD, "input_price_per_token_usd output_price_per_token_usd probe_budget_usd_per_day"),
    },
    "fct_probe": {
        **_columns(_T, "probe_id tick_id endpoint_id provider model project location kind"),
        "attempt": "integer",
        "confirm_of": _T,
        **_columns(_TS, "started_at hour_at"),
        "started_on": _DAY,
        **_columns(_T, "outcome blame"),
        **_columns(_B, "is_counted is_good is_maintained"),
        **_columns(_T, "error_type error_message"),
        "status_code": "integer",
        **_columns(_D, _PROBE_MS),
        **_columns(_I, "input_tokens cached_tokens output_tokens reasoning_tokens"),
        **_columns(_T, "output_tokens_source response_model finish_reason answer_preview clock decoded_by dialect"),
        **_columns(_B, "conn_reused is_answer_right is_model_allowed is_demo"),
        "tape_id": _T,
        "cost_usd": _USD,
    },
    "fct_endpoint_hourly": {**_WHO, "hour_at": _TS, **_STATS},
    "fct_endpoint_daily": {**_WHO, "started_on": _DAY, **_STATS},
    "fct_incident": {
        **_columns(_T, "incident_id promise subject provider project owner severity last_state summary detail_json"),
        **_columns(_TS, "started_at opened_at resolved_at acknowledged_at"),
        "duration_s": _D,
        **_columns(_B, "is_open is_flapping is_demo"),
        "reminders": _I,
    },
    "fct_slo": {
        **_columns(_T, "endpoint_id provider project verdict"),
        **_columns(_D, "availability_slo uptime uptime_low uptime_high budget_bad budget_spent budget_left"),
        **_columns(_TS, "window_start_at window_end_at"),
        **_columns(_I, "counted good bad n_5m n_30m n_1h n_6h n_3d bad_5m bad_30m bad_1h bad_6h bad_3d"),
        **_columns(_D, "burn_5m burn_30m burn_1h burn_6h burn_3d"),
        "is_supported": _B,
    },
    "fct_slo_burndown": {
        "endpoint_id": _T,
        "started_on": _DAY,
        **_columns(_I, "counted bad bad_cumulative"),
        **_columns(_D, "budget_bad budget_left"),
    },
    "fct_promise": {
        **_columns(_T, "promise subject verdict severity unit detail_json"),
        **_columns(_D, "observed allowed"),
        **_columns(_I, "n bad"),
        **_columns(_TS, "evaluated_at last_good_at"),
        "is_demo": _B,
    },
    "fct_probe_cost": {
        **_columns(_T, "project endpoint_id"),
        "started_on": _DAY,
        **_columns(_I, "attempts unpriced"),
        **_columns(_USD, "cost_usd budget_usd_per_day"),
        "is_demo": _B,
    },
    "fct_tick": {
        **_columns(_T, "tick_id run_id location fleet_hash"),
        **_columns(_TS, "scheduled_at started_at ended_at"),
        **_columns("integer", "endpoints due attempted skipped_over_budget skipped_no_time attempts bad unpriced"),
        "cost_usd": _USD,
        **_columns(_I, "reference_error_p50_us reference_error_max_us loop_lag_max_us"),
        **_columns(_D, "wall_s start_lag_s"),
        "is_demo": _B,
    },
    "fct_error": {
        **_columns(_T, "endpoint_id provider project outcome blame example_message example_probe_id"),
        **_columns(_TS, "hour_at first_at last_at"),
        "is_counted": _B,
        "attempts": _I,
    },
    "fct_delivery": {
        **_columns(_T, "delivery_id notification_id channel kind incident_ids_json error"),
        "at": _TS,
        "attempt": "integer",
        "is_delivered": _B,
    },
    "fct_discovery": {
        **_columns(_T, "discovery_id refresh_id provider provider_type outcome message"),
        "discovered_at": _TS,
        **_columns("integer", "models_listed models_kept pages"),
    },
    "fct_disk_use": {"use_id": _T, "measured_at": _TS, "part": _T, **_columns(_I, "files bytes")},
}

_MODELS = {
    "openai": ("gpt-5.1", "gpt-5.1-mini", "gpt-4.1-nano", "o4-mini"),
    "anthropic": ("claude-opus-4-5", "claude-haiku-4-5"),
    "azure-eu": ("gpt-4.1-eu-west-deployment", "gpt-4.1-mini-sweden"),
    "groq": ("llama-3.3-70b-versatile", "qwen3-32b"),
    "ollama-lab": ("gemma3:12b", "llama3.2:3b"),
}


@dataclass(frozen=True)
class Sample:
    """One made-up endpoint and how it behaves."""

    endpoint_id: str
    provider: str
    model: str
    ttft_ms: float
    tps: float
    bad: float
    """Share of bad attempts on an ordinary day."""
    is_down: bool = False


def endpoints(count: int | None = None) -> list[Sample]:
    """Return the twelve usual endpoints, or any number over five providers."""
    names = [(provider, model) for provider, models in _MODELS.items() for model in models]
    if count is not None:
        providers = list(_MODELS)
        names = [(providers[at % 5], f"model-{at:03d}-instruct") for at in range(count)]
    rng = random.Random(7)
    return [
        Sample(
            f"{provider}/{model}",
            provider,
            model,
            rng.uniform(160, 900),
            rng.uniform(25, 220),
            rng.choice((0, 0, 0.0004, 0.002, 0.012)),
            is_down=at == 7,
        )
        for at, (provider, model) in enumerate(names)
    ]


def build(fleet: Sequence[Sample], *, days: int = 90, seed: int = 11) -> duckdb.DuckDBPyConnection:
    """Return a connection whose main schema holds every mart of the contract, filled."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'Europe/Berlin'")  # whoever asks sits anywhere; the answers are UTC
    rng = random.Random(seed)
    for table, rows in _rows(fleet, days, rng).items():
        columns = MARTS[table]
        types = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute(f"create table {table} ({types})")
        if rows:
            frame = pl.DataFrame(  # noqa: F841 DuckDB finds it by its name
                {name: [row.get(name) for row in rows] for name in rows[0]}, infer_schema_length=None
            )
            connection.execute(f"insert into {table} by name select * from frame")
    return connection


def run(connection: duckdb.DuckDBPyConnection, query: Query, parameters: dict[str, Any]) -> pl.DataFrame:
    """Return a query's result, bound as the real caller binds it."""
    return connection.sql(query.sql, params={name: parameters[name] for name in query.parameters} or None).pl()


def inputs(connection: duckdb.DuckDBPyConnection, *, pages: int | None = None) -> SiteInputs:
    """Return the inputs of a site, every query run; ``pages`` limits how many endpoints' own pages are filled."""
    frames = {query.key: run(connection, query, {"as_of": AS_OF}) for query in fleet_queries()}
    each = {
        name: {query.key: run(connection, query, {"as_of": AS_OF, "endpoint_id": name}) for query in endpoint_queries()}
        for name in frames["fleet_status"]["endpoint_id"].head(pages if pages is not None else 10_000)
    }
    question = "select provider, count(*) as endpoints\nfrom dim_endpoint\ngroup by all\norder by provider"
    return SiteInputs(
        as_of=AS_OF,
        generation="20261120T174233Z",
        frames=frames,
        endpoint_frames=each,
        location="frankfurt",
        questions=(
            SqlQuestion(
                "How many endpoints has each provider?",
                "One row per provider.",
                question,
                connection.sql(question).pl(),
            ),
        ),
    )


def _wilson(good: int, n: int) -> tuple[float | None, float | None]:
    if not n:
        return None, None
    p, z2 = good / n, 3.8415
    half = 1.96 * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (p + z2 / (2 * n) - half) / (1 + z2 / n), (p + z2 / (2 * n) + half) / (1 + z2 / n)


def _stats(sample: Sample, at: datetime, attempts: int, rng: random.Random, *, broken: float) -> dict[str, Any]:
    excluded = rng.choice((0, 0, 0, 0, 1)) if attempts < 30 else rng.choice((0, 1, 4))
    if sample.model.startswith("o4") and at.day % 9 == 0:
        excluded = attempts
    counted = attempts - excluded
    bad = min(counted, sum(rng.random() < max(sample.bad, broken) for _ in range(counted)))
    good = counted - bad
    low, high = _wilson(good, counted)
    wave = 1 + 0.25 * (at.hour in range(13, 19)) + 0.1 * rng.random()
    shift = 1.35 if sample.model == "gpt-5.1" and at > AS_OF - timedelta(days=4) else 1
    p50 = sample.ttft_ms * wave * shift if good else None
    spread = 0.5 / sqrt(good) if good else 0
    tps = sample.tps * (1.05 - 0.1 * rng.random()) if good else None
    return {
        "attempts": attempts,
        "counted": counted,
        "good": good,
        "bad": bad,
        "excluded": excluded,
        "uptime": good / counted if counted else None,
        "uptime_low": low,
        "uptime_high": high,
        "n_ttft": good,
        "ttft_p50_ms": p50,
        "ttft_p50_low_ms": p50 * (1 - spread) if p50 and good >= 6 else None,
        "ttft_p50_high_ms": p50 * (1 + spread) if p50 and good >= 6 else None,
        "ttft_p95_ms": p50 * (1.8 + rng.random() / 3) if p50 and good >= 20 else None,
        "ttft_p95_adj_ms": p50 * (2.2 + rng.random() / 3) if p50 and good >= 20 and bad < 0.05 * counted else None,
        "is_ttft_p95_adj_unbounded": bad > 0.05 * counted,
        "n_tps": good,
        "tps_decode_p50": tps,
        "tps_decode_p50_low": tps * 0.96 if tps and good >= 6 else None,
        "tps_decode_p50_high": tps * 1.04 if tps and good >= 6 else None,
        "cost_usd": 0.00002 * attempts,
        "is_demo": False,
    }


def _who(sample: Sample) -> dict[str, Any]:
    return {
        "endpoint_id": sample.endpoint_id,
        "provider": sample.provider,
        "model": sample.model,
        "project": "research" if sample.provider in ("groq", "ollama-lab") else "product",
        "location": "frankfurt",
    }


def _rows(fleet: Sequence[Sample], days: int, rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    now = AS_OF
    this_hour = now.replace(minute=0)
    midnight = now.replace(hour=0, minute=0)
    out: dict[str, list[dict[str, Any]]] = {table: [] for table in MARTS}
    for number, sample in enumerate(fleet):
        who = _who(sample)
        free = sample.provider == "ollama-lab"
        last = now - timedelta(seconds=40 + number)
        out["dim_endpoint"].append(
            {key: who[key] for key in ("endpoint_id", "provider", "model", "project", "location")}
            | {
                "provider_type": "ollama" if free else "openai",
                "owner": "platform",
                "labels_json": "{}",
                "interval_s": 300,
                "availability_slo": 0.999 if number % 3 else 0.99,
                "slo_window_s": 30 * 86_400,
                "ttft_slo_ms": 1500.0 if number % 2 else None,
                "is_free": free,
                "is_demo": False,
                "is_active": True,
                "is_retired": False,
                "first_seen_at": now - timedelta(days=days),
                "last_seen_at": now,
                "last_attempt_at": last - timedelta(hours=3) if number == 11 else last,
                "last_good_at": last - timedelta(hours=4) if sample.is_down else last,
                "last_outcome": "server_error" if sample.is_down else "ok",
                "input_price_per_token_usd": None if free else 0.00000125,
                "output_price_per_token_usd": None if free else 0.00001,
                "probe_budget_usd_per_day": 1.0,
            }
        )
        for back in range(days):
            at = midnight - timedelta(days=back)
            if (back == 12 and number % 2) or (number == 4 and back > 40):
                continue  # blind; watched only for forty days
            broken = 0.3 if back == 23 and sample.provider == "azure-eu" else 0.08 if (back + number) % 31 == 0 else 0
            day = _stats(sample, at.replace(hour=12), 288 if back else 212, rng, broken=broken)
            if sample.is_down and back == 0:
                day["good"], day["bad"] = day["good"] - 40, day["bad"] + 40
            out["fct_endpoint_daily"].append({**who, "started_on": at.date(), **day})
            out["fct_probe_cost"].append(
                {
                    "project": who["project"],
                    "endpoint_id": sample.endpoint_id,
                    "started_on": at.date(),
                    "attempts": 288,
                    "cost_usd": None if free else 288 * 0.00004 * (1 + number % 4) * (1 + rng.random() / 5),
                    "unpriced": 288 if free else 0,
                    "budget_usd_per_day": 1.0 if who["project"] == "product" else 0.5,
                    "is_demo": False,
                }
            )
        for back in range(14 * 24):
            at = this_hour - timedelta(hours=back)
            if 60 <= back <= 66 or (number == 11 and back < 3):
                continue
            down = 1.0 if sample.is_down and back < 4 else 0.5 if number == 5 and 9 <= back < 11 else 0.0
            out["fct_endpoint_hourly"].append({**who, "hour_at": at, **_stats(sample, at, 12, rng, broken=down)})
        out["fct_probe"] += _probes(sample, who, number, rng)
        for back in range(0, days * 24, 7 + 5 * number % 23):
            kind, blame, counted = (
                ("timeout_first_token", "provider", True),
                ("server_error", "provider", True),
                ("rate_limited", "shared", False),
                ("disconnected", "provider", True),
                ("connect", "network", True),
                ("auth", "us", False),
                ("overloaded", "provider", True),
                ("truncated", "provider", True),
                ("wrong_answer", "provider", True),
            )[rng.randrange(9)]
            at = this_hour - timedelta(hours=back)
            out["fct_error"].append(
                {key: who[key] for key in ("endpoint_id", "provider", "project")}
                | {
                    "hour_at": at,
                    "outcome": kind,
                    "blame": blame,
                    "is_counted": counted,
                    "attempts": 1 + rng.randrange(4),
                    "first_at": at + timedelta(minutes=3),
                    "last_at": at + timedelta(minutes=44),
                    "example_message": f"HTTP 503: upstream connect error ({kind})",
                    "example_probe_id": f"probe-{number}-{back}",
                }
            )
        _promises(sample, who, number, rng, out)
    _monitor(fleet, days, rng, out)
    return out


def _probes(sample: Sample, who: dict[str, Any], number: int, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for step in range(24 * 4):
        at = AS_OF - timedelta(minutes=15 * step, seconds=40 + number)
        if number == 11 and step < 13:
            continue
        fails = sample.is_down and step < 15
        ttft = sample.ttft_ms * rng.uniform(0.85, 1.6)
        rows.append(
            {
                **who,
                "probe_id": f"p{number}-{step}",
                "tick_id": f"t{step}",
                "kind": "scheduled",
                "attempt": 0,
                "started_at": at,
                "hour_at": at.replace(minute=0, second=0),
                "started_on": at.date(),
                "outcome": "server_error" if fails else "ok",
                "blame": "provider" if fails else "none",
                "is_counted": True,
                "is_good": not fails,
                "is_maintained": False,
                "error_message": "503 Service Unavailable: upstream connect error" if fails else None,
                "status_code": 503 if fails else 200,
                "ttfb_ms": None if fails else ttft * 0.7,
                "ttft_ms": None if fails else ttft,
                "ttfo_ms": None if fails else ttft * (1.8 if sample.model.startswith("o4") else 1),
                "e2e_ms": None if fails else ttft + 400,
                "tps_decode": None if fails else sample.tps * rng.uniform(0.9, 1.1),
                "dns_ms": 2.0,
                "tcp_ms": 9.0,
                "tls_ms": 21.0,
                "output_tokens": None if fails else 24,
                "response_model": None if fails else sample.model,
                "answer_preview": None if fails else "391",
                "clock": "wire",
                "cost_usd": 0.00004,
            }
        )
    return rows


def _promises(
    sample: Sample, who: dict[str, Any], number: int, rng: random.Random, out: dict[str, list[dict[str, Any]]]
) -> None:
    slo = 0.999 if number % 3 else 0.99
    counted, bad = 8_600, rng.choice((0, 1, 3, 6, 14))
    budget = counted * (1 - slo)
    common = {key: who[key] for key in ("endpoint_id", "provider", "project")}
    out["fct_slo"].append(
        common
        | {
            "verdict": "broken" if bad > budget else "kept" if number % 4 else "unproven",
            "availability_slo": slo,
            "window_start_at": AS_OF - timedelta(days=30),
            "window_end_at": AS_OF,
            "counted": counted,
            "good": counted - bad,
            "bad": bad,
            "uptime": 1 - bad / counted,
            "budget_bad": budget,
            "budget_spent": bad / budget,
            "budget_left": 1 - bad / budget,
            "is_supported": number % 10 != 9,
        }
        | {f"n_{window}": n for window, n in (("5m", 1), ("30m", 6), ("1h", 12), ("6h", 72), ("3d", 864))}
        | {f"bad_{window}": 6 if sample.is_down else 0 for window in ("5m", "30m", "1h", "6h", "3d")}
        | {
            f"burn_{window}": burn if sample.is_down else rng.choice((0.0, 0.0, 0.4, 2.1))
            for window, burn in (("5m", None), ("30m", 1000.0), ("1h", 500.0), ("6h", 83.0), ("3d", 6.9))
        }
    )
    spent = 0.0
    for back in range(30, -1, -1):
        today = bad / 5 if (back + number) % 6 == 0 else 0
        spent += today
        out["fct_slo_burndown"].append(
            {
                "endpoint_id": sample.endpoint_id,
                "started_on": (AS_OF - timedelta(days=back)).date(),
                "counted": 288,
                "bad": round(today),
                "bad_cumulative": round(spent),
                "budget_bad": budget,
                "budget_left": 1 - spent / budget,
            }
        )
    out["fct_promise"].append(
        {
            "promise": "availability",
            "subject": sample.endpoint_id,
            "verdict": "broken" if sample.is_down else "kept",
            "severity": "critical",
            "unit": "share",
            "observed": 0.986,
            "allowed": slo,
            "n": 288,
            "bad": 4,
            "evaluated_at": AS_OF,
            "last_good_at": AS_OF - timedelta(minutes=5),
            "is_demo": False,
        }
    )
    for back, hours, promise, severity in (
        (2 + number, 1.5, "availability", "critical"),
        (9 + 2 * number % 11, 6.0, "ttft", "minor"),
        *(((0, 3.65, "availability", "critical"),) if sample.is_down else ()),
    ):
        is_open = back == 0
        start = AS_OF - timedelta(days=back, hours=3.65 if is_open else 2)
        if number % 2 and not is_open:
            continue
        out["fct_incident"].append(
            {
                "incident_id": f"inc-{number}-{back}",
                "promise": promise,
                "subject": sample.endpoint_id,
                "provider": sample.provider,
                "project": who["project"],
                "owner": "platform",
                "severity": severity,
                "last_state": "DOWN" if is_open else "UP",
                "summary": "15 of 15 attempts failed since the first bad one: server_error (503)."
                if is_open
                else "p95 time to first token was 3.4 times its baseline."
                if promise == "ttft"
                else "3 attempts in a row failed: timeout_first_token.",
                "detail_json": "{}",
                "started_at": start,
                "opened_at": start + timedelta(minutes=1),
                "resolved_at": None if is_open else start + timedelta(hours=hours),
                "duration_s": None if is_open else hours * 3600,
                "is_open": is_open,
                "is_flapping": False,
                "is_demo": False,
                "reminders": 0,
            }
        )


def _monitor(fleet: Sequence[Sample], days: int, rng: random.Random, out: dict[str, list[dict[str, Any]]]) -> None:
    for back in range(min(days, 30) * 96):
        if 240 <= back <= 264:
            continue
        start = AS_OF - timedelta(minutes=15 * back, seconds=30)
        wall = rng.uniform(2, 7) + (22 if back % 190 == 0 else 0)
        out["fct_tick"].append(
            {
                "tick_id": f"t{back}",
                "run_id": f"r{back}",
                "location": "frankfurt",
                "fleet_hash": "f",
                "scheduled_at": start,
                "started_at": start,
                "ended_at": start + timedelta(seconds=wall),
                "endpoints": len(fleet),
                "due": len(fleet),
                "attempted": len(fleet),
                "attempts": len(fleet),
                "bad": 0,
                "unpriced": 0,
                "cost_usd": 0.001,
                "reference_error_p50_us": int(rng.uniform(600, 1900)),
                "reference_error_max_us": int(rng.uniform(2000, 9000)),
                "loop_lag_max_us": int(rng.uniform(1000, 12_000) * (20 if back % 170 == 0 else 1)),
                "wall_s": wall,
                "start_lag_s": rng.uniform(0.5, 3),
                "is_demo": False,
            }
        )
    for back in range(min(days, 30)):
        for part, size in (("landing", 40), ("archive", 12 * (30 - back)), ("warehouse", 90), ("tapes", 8)):
            out["fct_disk_use"].append(
                {
                    "use_id": f"{part}{back}",
                    "measured_at": AS_OF - timedelta(days=back, minutes=70),
                    "part": part,
                    "files": 100 + size,
                    "bytes": size * 1_000_000,
                }
            )
    for at, (channel, delivered) in enumerate(
        (("slack", True), ("pager", True), ("webhook", False), ("webhook", True))
    ):
        out["fct_delivery"].append(
            {
                "delivery_id": f"d{at}",
                "notification_id": f"n{at // 2}",
                "channel": channel,
                "kind": "opened",
                "incident_ids_json": "[]",
                "error": None if delivered else "HTTP 502",
                "at": AS_OF - timedelta(hours=3),
                "attempt": 1,
                "is_delivered": delivered,
            }
        )
    for provider in sorted({sample.provider for sample in fleet}):
        out["fct_discovery"].append(
            {
                "discovery_id": provider,
                "refresh_id": "r",
                "provider": provider,
                "provider_type": "openai",
                "outcome": "ok",
                "message": None,
                "discovered_at": AS_OF - timedelta(hours=2),
                "models_listed": 60,
                "models_kept": 4,
                "pages": 1,
            }
        )
