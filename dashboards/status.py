"""The fleet now: each endpoint's state from its open incidents and last attempts, the headline, and status.json."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from dashboards.chart import Query, sql_text
from dashboards.numbers import since, span, wilson

State = Literal[
    "UP", "DEGRADED", "SUSPECT", "RECOVERING", "MAINTENANCE", "FLAPPING", "STALE", "DOWN", "UNKNOWN", "RETIRED"
]
SEVEREST: tuple[State, ...] = ("DOWN", "FLAPPING", "STALE", "DEGRADED", "RECOVERING", "SUSPECT", "MAINTENANCE")
"""Which state an endpoint shows when several incidents are open."""
MEANING: dict[State, str] = {
    "UP": "its promises are kept",
    "DEGRADED": "it answers, but too slowly or too often wrongly",
    "SUSPECT": "the last attempt failed and is not confirmed yet",
    "RECOVERING": "it answers again, not yet often enough",
    "MAINTENANCE": "a maintenance window is open",
    "FLAPPING": "it goes up and down",
    "STALE": "we are blind: no attempt for more than two intervals",
    "DOWN": "confirmed failing",
    "UNKNOWN": "not measured yet, or no attempt that counts",
    "RETIRED": "its provider no longer lists it",
}
_GRACE_S = 90
"""Added to two intervals before an endpoint without attempts is stale: a sweep and a build take their time."""


@dataclass(frozen=True)
class EndpointStatus:
    """What a tile, a badge and status.json say about one endpoint."""

    endpoint_id: str
    provider: str
    model: str
    project: str | None
    state: State
    since: datetime | None
    """Start of the incident behind the state."""
    reason: str
    incident_id: str | None
    last_attempt_at: datetime | None
    last_outcome: str | None
    attempts_24h: int
    counted_24h: int
    good_24h: int
    uptime_24h: float | None
    uptime_24h_low: float | None
    uptime_24h_high: float | None
    n_ttft_24h: int
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    tps_decode_p50: float | None


FLEET_STATUS = Query(
    key="fleet_status",
    sql=sql_text("""
        with day as (
            select endpoint_id, count(*) as attempts, count(*) filter (where is_counted) as counted,
                count(*) filter (where is_counted and is_good) as good,
                arg_max(is_good, started_at) filter (where is_counted) as is_last_counted_good,
                arg_max(is_maintained, started_at) as is_last_maintained,
                count(ttft_ms) filter (where is_counted and is_good and clock = 'wire') as n_ttft,
                quantile_cont(ttft_ms, 0.5) filter (where is_counted and is_good and clock = 'wire') as ttft_p50_ms,
                quantile_cont(ttft_ms, 0.95) filter (where is_counted and is_good and clock = 'wire') as ttft_p95_ms,
                median(tps_decode) filter (where is_counted and is_good and clock = 'wire') as tps_decode_p50
            from fct_probe
            where kind <> 'manual' and started_at > cast($as_of as timestamptz) - interval 24 hour
                and started_at <= cast($as_of as timestamptz)
            group by endpoint_id
        )
        select endpoint.endpoint_id, endpoint.provider, endpoint.provider_type, endpoint.model, endpoint.project,
            endpoint.owner, endpoint.location, endpoint.interval_s, endpoint.availability_slo, endpoint.slo_window_s,
            endpoint.ttft_slo_ms, endpoint.ttfo_slo_ms, endpoint.tps_slo, endpoint.is_free, endpoint.is_demo,
            endpoint.is_active, endpoint.is_retired, endpoint.first_seen_at, endpoint.last_seen_at,
            endpoint.last_attempt_at, endpoint.last_good_at, endpoint.last_outcome,
            endpoint.input_price_per_token_usd, endpoint.output_price_per_token_usd, endpoint.probe_budget_usd_per_day,
            coalesce(day.attempts, 0) as attempts_24h, coalesce(day.counted, 0) as counted_24h,
            coalesce(day.good, 0) as good_24h, day.is_last_counted_good,
            coalesce(day.is_last_maintained, false) as is_last_maintained, coalesce(day.n_ttft, 0) as n_ttft_24h,
            day.ttft_p50_ms, case when day.n_ttft >= 20 then day.ttft_p95_ms end as ttft_p95_ms, day.tps_decode_p50
        from dim_endpoint as endpoint
        left join day using (endpoint_id)
        order by endpoint.provider, endpoint.model, endpoint.endpoint_id
    """),
)
OPEN_INCIDENTS = Query(
    key="open_incidents",
    sql=sql_text("""
        select incident_id, promise, subject, provider, project, owner, severity, last_state, started_at, opened_at,
            acknowledged_at, summary
        from fct_incident
        where is_open
        order by case severity when 'critical' then 0 when 'major' then 1 else 2 end, started_at
    """),
)
FLEET_HOURS = Query(
    key="fleet_hours",
    sql=sql_text("""
        select endpoint_id, hour_at, sum(attempts)::bigint as attempts, sum(counted)::bigint as counted,
            sum(good)::bigint as good, min(ttft_p50_ms) as ttft_p50_ms
        from fct_endpoint_hourly
        where hour_at > cast($as_of as timestamptz) - interval 24 hour
        group by all
        order by endpoint_id, hour_at
    """),
)
QUERIES = (FLEET_STATUS, OPEN_INCIDENTS, FLEET_HOURS)


def state_of(
    row: Mapping[str, Any], incidents: Iterable[Mapping[str, Any]], as_of: datetime
) -> tuple[State, Mapping[str, Any] | None, str]:
    """Return an endpoint's state, the open incident behind it (if one is), and the reason in words.

    Args:
        row: one row of FLEET_STATUS.
        incidents: open incidents of this endpoint, rows of OPEN_INCIDENTS.
        as_of: end of the last sweep; staleness is relative to the data, the page's own age is judged in the browser.
    """
    if row["is_retired"]:
        return "RETIRED", None, MEANING["RETIRED"]
    by_state = {incident["last_state"]: incident for incident in reversed(list(incidents))}
    for state in SEVEREST:
        if state in by_state:
            return state, by_state[state], str(by_state[state]["summary"])
    last: datetime | None = row["last_attempt_at"]
    if last is None:
        return "UNKNOWN", None, "not measured yet"
    if row["interval_s"] is None:
        return "UNKNOWN", None, "not in the catalog: discovery has not landed it yet"
    age = (as_of - last).total_seconds()
    if age > 2 * row["interval_s"] + _GRACE_S:
        return "STALE", None, f"no attempt for {span(age)}"
    if row["is_last_maintained"]:
        return "MAINTENANCE", None, MEANING["MAINTENANCE"]
    if row["is_last_counted_good"] is None:
        return "UNKNOWN", None, f"no attempt counted in 24 h; the last one ended as {row['last_outcome']}"
    if not row["is_last_counted_good"]:
        return "SUSPECT", None, MEANING["SUSPECT"]
    return "UP", None, MEANING["UP"]


def fleet(status: pl.DataFrame, incidents: pl.DataFrame, as_of: datetime) -> list[EndpointStatus]:
    """Return every endpoint's status, in the order of the frame."""
    by_subject: dict[str, list[dict[str, Any]]] = {}
    for incident in incidents.iter_rows(named=True):
        by_subject.setdefault(incident["subject"], []).append(incident)
    found: list[EndpointStatus] = []
    for row in status.iter_rows(named=True):
        state, behind, reason = state_of(row, by_subject.get(row["endpoint_id"], []), as_of)
        bounds = wilson(row["good_24h"], row["counted_24h"])
        found.append(
            EndpointStatus(
                endpoint_id=row["endpoint_id"],
                provider=row["provider"],
                model=row["model"],
                project=row["project"],
                state=state,
                since=behind["started_at"] if behind else None,
                reason=reason,
                incident_id=behind["incident_id"] if behind else None,
                last_attempt_at=row["last_attempt_at"],
                last_outcome=row["last_outcome"],
                attempts_24h=row["attempts_24h"],
                counted_24h=row["counted_24h"],
                good_24h=row["good_24h"],
                uptime_24h=row["good_24h"] / row["counted_24h"] if row["counted_24h"] else None,
                uptime_24h_low=bounds[0] if bounds else None,
                uptime_24h_high=bounds[1] if bounds else None,
                n_ttft_24h=row["n_ttft_24h"],
                ttft_p50_ms=row["ttft_p50_ms"],
                ttft_p95_ms=row["ttft_p95_ms"],
                tps_decode_p50=row["tps_decode_p50"],
            )
        )
    return found


_SAYS: dict[State, str] = {
    "DOWN": "down",
    "FLAPPING": "flapping",
    "STALE": "not being measured",
    "DEGRADED": "degraded",
    "RECOVERING": "recovering",
    "SUSPECT": "suspect",
    "MAINTENANCE": "under maintenance",
    "UNKNOWN": "not judged yet",
}


def headline(fleet: Iterable[EndpointStatus], as_of: datetime) -> str:
    """Return the state of the fleet in one sentence; retired endpoints are left out."""
    watched = [endpoint for endpoint in fleet if endpoint.state != "RETIRED"]
    if not watched:
        return "No endpoint is watched yet."
    total, counts = len(watched), Counter(endpoint.state for endpoint in watched)
    noun = "endpoint" if total == 1 else "endpoints"
    if counts["UP"] == total:
        return f"All {total} endpoints are keeping their promises." if total > 1 else "The endpoint keeps its promises."
    verb = "is keeping its promises" if counts["UP"] == 1 else "are keeping their promises"
    parts = [
        f"{counts['UP']} of {total} {noun} {verb}" if counts["UP"] else f"None of {total} {noun} is shown to be up"
    ]
    for state, words in _SAYS.items():
        if counts[state]:
            begins = [endpoint.since for endpoint in watched if endpoint.state == state and endpoint.since]
            when = f" since {since(min(begins), as_of)}" if begins else ""
            parts.append(f"{counts[state]} {'is' if counts[state] == 1 else 'are'} {words}{when}")
    return "; ".join(parts) + "."


def status_json(
    found: Iterable[EndpointStatus],
    incidents: pl.DataFrame,
    *,
    as_of: datetime,
    generation: str,
    is_demo: bool,
    pages: Mapping[str, str],
) -> dict[str, Any]:
    """Return the machine-readable status: an object that only grows, stamps in ISO 8601 UTC.

    ``pages`` maps an endpoint id to its slug; its page is ``endpoints/<slug>.html``, its badge ``badges/<slug>.svg``.
    """
    endpoints = list(found)
    return {
        "schema": 1,
        "as_of": _iso(as_of),
        "generation": generation,
        "is_demo": is_demo,
        "headline": headline(endpoints, as_of),
        "counts": dict(Counter(endpoint.state for endpoint in endpoints)),
        "endpoints": [
            {key: _iso(value) for key, value in asdict(endpoint).items()}
            | {
                "page": f"endpoints/{pages[endpoint.endpoint_id]}.html",
                "badge": f"badges/{pages[endpoint.endpoint_id]}.svg",
            }
            for endpoint in endpoints
        ],
        "incidents": [{key: _iso(value) for key, value in row.items()} for row in incidents.iter_rows(named=True)],
    }


def _iso(value: Any) -> Any:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
