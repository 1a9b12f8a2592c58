"""Promises about more than one endpoint: provider, project, the monitor itself, discovery, fleet.yaml."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from pipelines.fleet.models import Endpoint
from pipelines.notify.promises.case import Case, error_mix, mix_text
from pipelines.notify.promises.catalog import FLEET
from pipelines.notify.promises.inputs import Inputs
from pipelines.notify.promises.verdict import Finding, Verdict

CLIENT_FAULT_SHARE, CLIENT_FAULT_LEAST = 0.1, 3
LOOP_LAG_US = 250_000
"""Event-loop lag above which an attempt is our fault; source: the probing reference, class 1."""
REFERENCE_ERROR_US = 50_000
"""A median error of the loopback reference beyond this hides what is measured."""
MOST_NAMED = 20

Facts = Mapping[str, Mapping[str, Any]]


def quiet_limit(endpoint: Endpoint) -> timedelta:
    """Return how long an endpoint may go without an attempt: two intervals and one timeout."""
    return 2 * endpoint.interval + endpoint.timeouts.total


def providers(inputs: Inputs, facts: Facts) -> Iterator[Verdict]:
    """Yield ``provider_up`` for each provider with at least two endpoints; one endpoint speaks for itself."""
    by_provider: dict[str, list[Endpoint]] = {}
    for endpoint in inputs.endpoints:
        by_provider.setdefault(endpoint.provider, []).append(endpoint)
    for provider, endpoints in by_provider.items():
        if len(endpoints) >= 2:
            yield _provider(inputs, provider, endpoints, facts)


def _provider(inputs: Inputs, provider: str, endpoints: Sequence[Endpoint], facts: Facts) -> Verdict:
    heard = [
        (endpoint, row)
        for endpoint in endpoints
        if (row := facts.get(endpoint.endpoint_id)) is not None
        and row["run"] + (row["last_good_at"] is not None)
        and inputs.now - row["last_attempt_at"] <= quiet_limit(endpoint)
    ]
    down = [(e, row) for e, row in heard if row["run"] >= e.promises.fail_threshold]
    last_good = max((row["last_good_at"] for _, row in heard if row["last_good_at"]), default=None)
    case = Case(inputs, facts={"last_good_at": last_good})
    common: dict[str, Any] = {"subject": provider, "allowed": len(endpoints) - 1, "n": len(heard), "bad": len(down)}
    if len(heard) >= 2 and len(down) == len(heard):
        mix = error_mix(outcome for _, row in down for outcome in row["run_outcomes"])
        since = min(row["run_since"] for _, row in down)
        named = sorted(e.endpoint_id for e, _ in down)
        return case.say(
            "provider_up",
            "broken",
            observed=len(down),
            since=since.isoformat(),
            error_mix=mix,
            endpoints=named[:MOST_NAMED],
            sentence=f"all {len(down)} endpoints fail since {case.clock(since)} ({mix_text(mix)})"
            + (f"; last good {case.clock(last_good)}" if last_good else "; never good while watched"),
            **common,
        )
    is_good = any(row["run"] == 0 for _, row in heard)
    return case.say("provider_up", "kept" if is_good else "insufficient", observed=len(down), **common)


def budgets(inputs: Inputs) -> Iterator[Verdict]:
    """Yield ``probe_budget_kept`` for each project with an endpoint."""
    for project in sorted({endpoint.project for endpoint in inputs.endpoints}):
        allowed, cost = _budget(inputs, project), inputs.cost_today.get(project, Decimal(0))
        over = is_over_budget(inputs, project)
        yield Case(inputs).say(
            "probe_budget_kept",
            "broken" if over else "kept",
            subject=project,
            observed=float(cost),
            allowed=float(allowed),
            sentence=f"probing cost ${cost:.4f} today, ${allowed:.4f} is the budget: it is stopped until midnight UTC"
            if over
            else None,
        )


def _budget(inputs: Inputs, project: str) -> Decimal:
    settings = inputs.fleet.projects.get(project) or inputs.fleet.projects.get("default")
    return settings.probe_budget.usd_per_day if settings else Decimal(1)


def is_over_budget(inputs: Inputs, project: str) -> bool:
    """Return whether probing of a project has stopped for today; a free project costs nothing and never stops."""
    cost = inputs.cost_today.get(project, Decimal(0))
    return cost > 0 and cost >= _budget(inputs, project)


def blindness(inputs: Inputs, last_attempts: Mapping[str, datetime]) -> Iterator[Verdict]:
    """Yield ``monitor_not_blind`` for the fleet and for each endpoint."""
    verdicts = [
        _sight(inputs, e.endpoint_id, quiet_limit(e), last_attempts.get(e.endpoint_id), e) for e in inputs.endpoints
    ]
    if inputs.endpoints:
        limit = min(quiet_limit(endpoint) for endpoint in inputs.endpoints)
        paid = [e for e in inputs.endpoints if not is_over_budget(inputs, e.project)]
        newest = max(last_attempts.values(), default=None)
        yield _sight(inputs, FLEET, limit, newest, None if paid else inputs.endpoints[0])
    yield from verdicts


def _sight(inputs: Inputs, subject: str, limit: timedelta, last: datetime | None, endpoint: Endpoint | None) -> Verdict:
    case = Case(inputs)
    since = last or inputs.watching_since
    severity = "critical" if subject == FLEET else "major"
    common: dict[str, Any] = {"subject": subject, "severity": severity, "allowed": limit.total_seconds()}
    if endpoint is not None and is_over_budget(inputs, endpoint.project):
        return case.say("monitor_not_blind", "insufficient", sentence="probing stopped at its budget", **common)
    if since is None:
        return case.say("monitor_not_blind", "insufficient", sentence="never probed yet", **common)
    quiet = max(inputs.now - since, timedelta(0))
    common |= {"observed": quiet.total_seconds(), "n": int(last is not None)}
    if quiet <= limit:
        return case.say("monitor_not_blind", "kept" if last else "insufficient", **common)
    what = f"no probe since {case.clock(last)}" if last else f"never probed since {case.clock(since)}"
    return case.say(
        "monitor_not_blind",
        "broken",
        since=since.isoformat(),
        sentence=f"{what} ({_minutes(quiet)}; {_minutes(limit)} is the limit): the monitor is blind",
        **common,
    )


def _minutes(length: timedelta) -> str:
    return f"{length.total_seconds() / 60:,.0f} min"


def measurement(inputs: Inputs, attempts: pl.DataFrame) -> Verdict:
    """Return ``measurement_trustworthy``: our own share of failures, and the last two sweeps' own error."""
    case = Case(inputs)
    window = max(timedelta(minutes=15), 3 * inputs.fleet.interval)
    recent = attempts.filter(pl.col("age_us") < window.total_seconds() * 1_000_000)
    n, ours = recent.height, recent.filter(pl.col("outcome") == "client_fault").height
    share = ours / n if n else None
    common: dict[str, Any] = {"subject": FLEET, "observed": share, "allowed": CLIENT_FAULT_SHARE, "n": n, "bad": ours}
    said = []
    if share is not None and ours >= CLIENT_FAULT_LEAST and share > CLIENT_FAULT_SHARE:
        said.append(f"{ours} of {n} attempts failed by our own fault")
    sweeps: list[dict[str, Any]] = []
    if inputs.ticks is not None and not inputs.ticks.is_empty():
        sweeps = inputs.ticks.sort("started_at").tail(2).to_dicts()
    lags = [row["loop_lag_max_us"] for row in sweeps]
    errors = [abs(row["reference_error_p50_us"]) for row in sweeps if row["reference_error_p50_us"] is not None]
    if len(lags) == 2 and min(lags) > LOOP_LAG_US:
        said.append(f"the event loop was {min(lags) / 1000:,.0f} ms late in two sweeps running")
    if len(errors) == 2 and min(errors) > REFERENCE_ERROR_US:
        said.append(f"the loopback reference was off by {min(errors) / 1000:,.0f} ms in two sweeps running")
    if said:
        return case.say("measurement_trustworthy", "broken", sentence="; ".join(said), **common)
    verdict: Finding = "kept" if n or sweeps else "insufficient"
    return case.say("measurement_trustworthy", verdict, **common)


def discovery(inputs: Inputs) -> Iterator[Verdict]:
    """Yield ``discovery_working`` for each provider that was asked; a refused key counts at once, the rest twice."""
    if inputs.discovery is None or inputs.discovery.is_empty():
        return
    rows = inputs.discovery.sort("discovered_at").group_by("provider", maintain_order=True).tail(2)
    for (provider,), group in rows.group_by("provider", maintain_order=True):
        if provider not in inputs.fleet.providers:
            continue
        outcomes, last = group["outcome"].to_list(), group.row(-1, named=True)
        failing = [outcome for outcome in outcomes if outcome not in ("ok", "not_supported")]
        case = Case(inputs)
        common: dict[str, Any] = {"subject": str(provider), "allowed": 0, "n": len(outcomes), "bad": len(failing)}
        if last["outcome"] in ("ok", "not_supported"):
            yield case.say("discovery_working", "kept", observed=0, **common)
        elif last["outcome"] in ("auth", "no_key") or len(failing) == 2:
            message = f": {last['message'][:160]}" if last["message"] else ""
            yield case.say(
                "discovery_working",
                "broken",
                observed=len(failing),
                since=group.filter(pl.col("outcome").is_in(failing))["discovered_at"][0].isoformat(),
                error_mix=error_mix(failing),
                sentence=f"asking for the model list failed at {case.clock(last['discovered_at'])}"
                f" ({last['outcome']}{message})",
                **common,
            )
        else:
            yield case.say("discovery_working", "insufficient", observed=len(failing), **common)


def fleet_file(inputs: Inputs) -> Verdict:
    """Return ``fleet_file_valid``."""
    file, case = inputs.fleet_file, Case(inputs)
    if file.is_valid:
        return case.say("fleet_file_valid", "kept", subject=FLEET, observed=0, allowed=0, n=1)
    since = f" since {case.clock(file.invalid_since)}" if file.invalid_since else ""
    return case.say(
        "fleet_file_valid",
        "broken",
        subject=FLEET,
        observed=1,
        allowed=0,
        n=1,
        bad=1,
        since=file.invalid_since.isoformat() if file.invalid_since else None,
        sentence=f"fleet.yaml is invalid{since}; the last good one is in use ({(file.message or 'no message')[:300]})",
    )
