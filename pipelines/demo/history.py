"""A few simulated weeks before now, so that marts and pages show something on day one. Plainly labelled.

Attempts come from the same personas as the live server. Two events are added to them: a latency regression of one
endpoint and a quality regression of another, both over the last fifth of the span but for its very end. No incident of
the history is open when the live fleet takes over. Same arguments, same rows.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from pipelines.demo.incidents import DULLER, SLOWER, handover_rows, incident_rows, regression_rows
from pipelines.demo.personas import PERSONAS, Persona, Take, take
from pipelines.demo.sample import attempt_row
from pipelines.fleet import resolve
from pipelines.fleet.models import Endpoint, Provider
from pipelines.fleet.validate import load_fleet
from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.schemas import TABLES, polars_schema

_FACTOR = 5.0
_DULL_EVERY = 3
_CONFIRMS = 2
_CONFIRM_AFTER = timedelta(seconds=10)


class Regression(NamedTuple):
    """When the two regressions begin and end, and how long either takes to be noticed."""

    begins_at: datetime
    ends_at: datetime
    noticed_after: timedelta


class Day(NamedTuple):
    """Everything simulated for one UTC day, one frame per landed table."""

    probe_results: pl.DataFrame
    probe_ticks: pl.DataFrame
    endpoint_catalog: pl.DataFrame
    incident_events: pl.DataFrame


def regression_of(start: datetime, end: datetime) -> Regression:
    """Return the regressions of a span: the last fifth without the last twentieth, noticed within an hour."""
    span = end - start
    return Regression(end - span / 5, end - span / 20, min(timedelta(hours=1), span / 40))


def backfill_rows(
    endpoints: Sequence[Endpoint],
    personas: dict[str, Persona] | None = None,
    *,
    start: datetime,
    end: datetime,
    interval: timedelta = timedelta(minutes=5),
    seed: int = 0,
    location: str = "demo",
) -> Iterator[Day]:
    """Yield the rows of each UTC day from ``start`` up to, not including, ``end`` (both aware).

    Endpoints whose model is no persona are left out. Every row has ``is_demo``; attempts are of kind ``backfill``,
    their confirmations too, linked by ``confirm_of``.
    """
    cast = personas or PERSONAS
    played = [(endpoint, cast[endpoint.model]) for endpoint in endpoints if endpoint.model in cast]
    turn = regression_of(start, end)
    first = start.astimezone(UTC)
    moment = first
    state: dict[str, list[dict[str, Any]]] = {}
    turned: dict[str, dict[str, Any]] = {}
    while moment < end:
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        stop = min(midnight, end)
        results: list[dict[str, Any]] = []
        ticks: list[dict[str, Any]] = []
        catalog = [_catalog_row(endpoint, moment, interval, location) for endpoint, _ in played]
        while moment < stop:
            rows = [
                row
                for at, (endpoint, persona) in enumerate(played)
                for row in _attempts(endpoint, persona, moment, at, seed=seed, turn=turn, location=location)
            ]
            results += rows
            ticks.append(_tick_row(moment, rows, len(played), location))
            moment += interval
        events = incident_rows(results, state) + regression_rows(
            results, turned, opens_at=turn.begins_at + turn.noticed_after, closes_at=turn.ends_at + turn.noticed_after
        )
        if moment >= end:
            events += handover_rows(state, turned, max((row["started_at"] for row in results), default=stop))
        frames = zip(Day._fields, (results, ticks, catalog, events), strict=True)
        yield Day(*(_frame(name, rows) for name, rows in frames))


def land_history(home: Home, *, weeks: int, now: datetime | None = None, seed: int = 0) -> int:
    """Land simulated weeks up to a moment (default: this one) for the fleet in a home; return the rows landed.

    Done once per home: a later start finds the mark and lands nothing, so that history never overlaps live rows.
    """
    mark = home.state / "demo-history.json"
    if mark.exists():
        return 0
    fleet = load_fleet(home.fleet_file).fleet
    listed = {name: _listed(provider) for name, provider in fleet.providers.items()}
    interval = timedelta(minutes=5)
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    end = moment - timedelta(seconds=moment.timestamp() % interval.total_seconds()) - interval
    landing = Landing(str(home.root))
    landed = 0
    days = backfill_rows(
        resolve(fleet, listed), start=end - timedelta(weeks=weeks), end=end, interval=interval, seed=seed
    )
    for day in days:
        for name, frame in zip(Day._fields, day, strict=True):
            if not frame.is_empty():
                first: datetime = frame[TABLES[name].at].item(0)
                landed += landing.append(name, frame, f"backfill-{first:%Y%m%d}").rows
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"weeks": weeks, "end": end.isoformat(), "rows": landed}), encoding="utf-8")
    return landed


def _listed(provider: Provider) -> list[str]:
    """Return the models that the demo server lists at a provider of this base URL."""
    spoken = (provider.base_url or "").split("/")
    return [name for name, persona in PERSONAS.items() if persona.dialect in spoken]


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=polars_schema(TABLES[name]), orient="row")


def tick_id(moment: datetime) -> str:
    """Return the id of the simulated sweep at a moment."""
    return f"backfill-{moment:%Y%m%dT%H%M%S}"


def _attempts(
    endpoint: Endpoint, persona: Persona, moment: datetime, at: int, *, seed: int, turn: Regression, location: str
) -> Iterator[dict[str, Any]]:
    """Yield the scheduled attempt, and confirmations where it failed in a way worth confirming."""
    began = moment + timedelta(milliseconds=200 + 35 * at)
    scheduled = f"{tick_id(moment)}-{endpoint.endpoint_id}-0"
    for attempt in range(_CONFIRMS + 1):
        drawn = _turned(take(persona, seed, moment, attempt), persona, moment, turn)
        row = attempt_row(endpoint, persona, drawn, began + attempt * _CONFIRM_AFTER, attempt=attempt)
        row |= {
            "probe_id": scheduled[:-1] + str(attempt),
            "tick_id": tick_id(moment),
            "confirm_of": scheduled if attempt else None,
            "location": location,
        }
        confirms = row.pop("confirms")
        yield row
        if not confirms:
            return


def _turned(drawn: Take, persona: Persona, moment: datetime, turn: Regression) -> Take:
    if not turn.begins_at <= moment < turn.ends_at:
        return drawn
    if persona.model == SLOWER:
        return drawn._replace(ttft_s=drawn.ttft_s * _FACTOR)
    is_dull = persona.model == DULLER and int(moment.timestamp()) // 60 % _DULL_EVERY == 0
    return drawn._replace(fault="wrong_answer") if is_dull and drawn.fault == "none" else drawn


def _tick_row(moment: datetime, rows: list[dict[str, Any]], endpoints: int, location: str) -> dict[str, Any]:
    last_us = max((_ended_us(row, moment) for row in rows), default=0)
    attempted = sum(row["attempt"] == 0 for row in rows)
    return {
        "tick_id": tick_id(moment),
        "run_id": "backfill",
        "location": location,
        "scheduled_at": moment,
        "started_at": moment + timedelta(milliseconds=150),
        "ended_at": moment + timedelta(microseconds=last_us + 50_000),
        "endpoints": endpoints,
        "due": endpoints,
        "attempted": attempted,
        "skipped_over_budget": 0,
        "skipped_no_time": 0,
        "attempts": len(rows),
        "bad": sum(row["is_counted"] and not row["is_good"] for row in rows),
        "unpriced": 0,
        "cost_usd": Decimal(0),
        "reference_error_p50_us": 900,
        "reference_error_max_us": 2_400,
        "loop_lag_max_us": 3_000,
        "fleet_hash": "simulated",
        "is_demo": True,
    }


def _ended_us(row: dict[str, Any], moment: datetime) -> int:
    return int((row["started_at"] - moment) / timedelta(microseconds=1)) + int(row["t_end_us"])


def _catalog_row(endpoint: Endpoint, moment: datetime, interval: timedelta, location: str) -> dict[str, Any]:
    refresh = f"backfill-{moment:%Y%m%d}"
    promised = endpoint.promises
    return {
        "entry_id": f"{refresh}-{endpoint.endpoint_id}",
        "refresh_id": refresh,
        "refreshed_at": moment,
        "endpoint_id": endpoint.endpoint_id,
        "provider": endpoint.provider,
        "provider_type": endpoint.provider_type,
        "model": endpoint.model,
        "project": endpoint.project,
        "owner": endpoint.owner,
        "labels_json": json.dumps(endpoint.labels, sort_keys=True),
        "location": location,
        "interval_s": max(60, int(interval.total_seconds())),
        "availability_slo": promised.availability,
        "slo_window_s": int(promised.window.total_seconds()),
        "ttft_slo_ms": promised.ttft_p95 / timedelta(milliseconds=1) if promised.ttft_p95 else None,
        "ttfo_slo_ms": promised.ttfo_p95 / timedelta(milliseconds=1) if promised.ttfo_p95 else None,
        "tps_slo": promised.tps_p50,
        "is_listed": True,
        "is_retired": False,
        "is_free": True,
        "is_demo": True,
        "input_price_per_token_usd": Decimal(0),
        "output_price_per_token_usd": Decimal(0),
        "probe_budget_usd_per_day": Decimal(1),
    }
