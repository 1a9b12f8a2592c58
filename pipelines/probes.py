"""Discovery and probing: which endpoints there are, and one row per attempt against each of them.

`discover` runs every hour and on demand, `probe` sweeps what is due every minute: one run for the whole fleet.
"""

import asyncio
import gzip
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from pipelines.fleet import Endpoint, Fleet
from pipelines.home import Home
from pipelines.landing import Landing, write_atomically
from pipelines.resources import DAILY, HomeResource, is_running, landed_metadata, schema_check, schema_check_spec
from pipelines.wire.outcomes import OUTCOMES
from pipelines.wire.plan import Plan, is_due, plan_sweep
from pipelines.wire.prompt import next_budget

if TYPE_CHECKING:
    from pipelines.wire.attempt import Attempt
    from pipelines.wire.sweep import SweepResult

OWNERS = ["team:platform"]
CENT = Decimal("0.000000000001")


class ProbeConfig(dg.Config):
    """Which endpoints one sweep probes; everything when started by hand."""

    scheduled_at: str | None = None
    """ISO moment of the schedule's tick: only endpoints that are due then. None: all of them, now."""
    endpoints: list[str] = []
    """Endpoint ids; none means every one that is due."""


def spent_today(landing: Landing, now: datetime) -> dict[str, Decimal]:
    """Return what probing has cost since midnight UTC, in US dollars by project; unknown prices are not in it."""
    today = now.astimezone(UTC).date()
    costs = landing.read("probe_results", today, today, columns=("started_at", "project", "cost_usd")).filter(
        pl.col("started_at").dt.date() == today
    )
    frame = costs.group_by("project").agg(pl.col("cost_usd").sum()).collect()
    return {row["project"]: row["cost_usd"] for row in frame.to_dicts()}


def sweep_plan(home: Home, fleet: Fleet, plan: Plan) -> "SweepResult":
    """Measure what a plan names; request templates and learnt token budgets are remembered for the next process."""
    from pipelines.wire.prepare import prepare  # httpx, certificates, 0.5 s: only the step pays
    from pipelines.wire.sweep import SweepSettings, sweep

    templates, budgets = Memory(home.state / "templates.json"), Memory(home.state / "budgets.json")
    jobs = prepare(plan.due, os.environ, tick_id=plan.tick_id, budgets=budgets.values, templates=templates.values)
    templates.save()
    settings = SweepSettings(tick_id=plan.tick_id, budget_s=fleet.tick_budget.total_seconds())
    result = asyncio.run(sweep(jobs, settings=settings))
    for attempt in result.attempts:
        if attempt.reading.outcome == "reasoning_only":
            budgets.values[attempt.endpoint.endpoint_id] = next_budget(attempt.job.max_tokens, "reasoning_only")
    budgets.save()
    return result


class Memory:
    """A small JSON object on the disk that can be lost without harm: what it remembers is learnt again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.values: dict[str, Any] = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            self.values = {}
        self._before = dict(self.values)

    def save(self) -> None:
        """Write what changed, atomically."""
        if self.values != self._before:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(str(self.path), json.dumps(self.values).encode())


def keep_tapes(home: Home, attempts: "Iterable[Attempt]") -> dict[str, str]:
    """Write the redacted tape of every attempt that was not fine; return tape ids by probe id."""
    from pipelines.wire.redact import redacted_tape_json

    kept = {}
    for attempt in attempts:
        if attempt.tape is None or attempt.reading.outcome == "ok":
            continue
        folder = home.tapes / f"date={attempt.started_at.astimezone(UTC).date()}"
        folder.mkdir(parents=True, exist_ok=True)
        tape_id = attempt.probe_id.replace("/", "~").replace(":", "_")
        write_atomically(str(folder / f"{tape_id}.json.gz"), gzip.compress(redacted_tape_json(attempt.tape), mtime=0))
        kept[attempt.probe_id] = tape_id
    return kept


@dg.asset(
    group_name="probing",
    kinds={"parquet"},
    owners=OWNERS,
    partitions_def=DAILY,
    pool="discovery",
    check_specs=[schema_check_spec("endpoint_catalog")],
)
def endpoint_catalog(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster wants the bare class
    """Every endpoint that is watched, from each provider's own model list and fleet.yaml, one row a refresh."""
    from pipelines.discovery import catalog_rows, discover_all, discovery_rows

    fleet, now = home.fleet(), datetime.now(UTC)
    refresh_id = f"{fleet.location}-{now:%Y%m%dT%H%M%SZ}"
    discovered = asyncio.run(discover_all(fleet, os.environ))
    answers = home.landing.append("discovery_results", discovery_rows(fleet, discovered, now, refresh_id), refresh_id)
    rows = catalog_rows(fleet, discovered, last_catalog(home.landing), now, list_prices, refresh_id=refresh_id)
    landed = home.landing.append("endpoint_catalog", rows, refresh_id)
    for name, found in discovered.items():
        if found.outcome != "ok":
            context.log.warning(f"{name}: {found.outcome}: {found.message}")
    told = pl.DataFrame([(row["endpoint_id"], row["is_listed"], row["is_retired"]) for row in rows], orient="row")
    retired = sum(row["is_retired"] for row in rows)
    return dg.MaterializeResult(
        metadata={
            **landed_metadata(landed, told),
            "summary": f"{len(rows) - retired} endpoints at {len(fleet.providers)} providers, {retired} retired",
            "providers_asked": answers.rows,
            "providers_failing": sum(found.outcome not in {"ok", "not_supported"} for found in discovered.values()),
        },
        check_results=[schema_check(answers, landed)],
    )


def last_catalog(landing: Landing) -> list[dict[str, Any]]:
    """Return the rows of the newest refresh, or none."""
    days = landing.days("endpoint_catalog")
    if not days:
        return []
    frame = landing.read("endpoint_catalog", days[-1], days[-1])
    return frame.filter(pl.col("refreshed_at") == pl.col("refreshed_at").max()).collect().to_dicts()


def list_prices(endpoint: Endpoint) -> tuple[Decimal | None, Decimal | None]:
    """Return US dollars per input and per output token; None where unknown."""
    from pipelines.wire.prices import price_of

    price = price_of(endpoint)
    return (None, None) if price is None else (price.input.quantize(CENT), price.output.quantize(CENT))


@dg.asset(
    deps=[endpoint_catalog],
    group_name="probing",
    kinds={"parquet", "litellm"},
    owners=OWNERS,
    partitions_def=DAILY,
    pool="sweep",
    check_specs=[schema_check_spec("probe_results")],
)
def probe_results(context: dg.AssetExecutionContext, config: ProbeConfig, home: HomeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster wants the bare class
    """Every endpoint's answer to the standard probe, one row per attempt; the tapes of failures are kept."""
    from pipelines.wire.rows import probe_row, tick_row

    status, now, landing = home.fleet_status(), datetime.now(UTC), home.landing
    fleet = status.fleet
    plan = plan_sweep(
        fleet,
        home.endpoints(fleet),
        spent=spent_today(landing, now),
        now=now,
        scheduled_at=datetime.fromisoformat(config.scheduled_at) if config.scheduled_at else None,
        only=config.endpoints,
    )
    result = sweep_plan(home.home, fleet, plan)
    tapes = keep_tapes(home.home, result.attempts)
    rows = [
        probe_row(
            attempt,
            tick_id=plan.tick_id,
            location=fleet.location,
            tape_id=tapes.get(attempt.probe_id),
            is_maintained=fleet.is_maintained(attempt.endpoint.endpoint_id, attempt.started_at),
        )
        for attempt in result.attempts
    ]
    landed = landing.append("probe_results", rows, plan.tick_id)
    tick = tick_row(plan, result, fleet, fleet_hash=status.text_hash, run_id=context.run.run_id)
    ticked = landing.append("probe_ticks", [tick], plan.tick_id)
    return dg.MaterializeResult(
        metadata={**landed_metadata(landed, _told(result)), **_figures(tick, result)},
        check_results=[schema_check(landed, ticked)],
    )


def _figures(tick: Mapping[str, Any], result: "SweepResult") -> dict[str, Any]:
    firsts = [a.reading.token_ns for a in result.attempts if a.reading.token_ns and OUTCOMES[a.reading.outcome].is_good]
    ttft = round(median(firsts) / 1e6, 1) if firsts else None
    good = tick["attempts"] - tick["bad"]
    seconds = round((tick["ended_at"] - tick["started_at"]).total_seconds(), 2)
    return {
        "summary": f"{good} of {tick['attempts']} attempts fine over {tick['attempted']} endpoints in {seconds} s"
        + (f", median TTFT {ttft} ms" if ttft is not None else ""),
        "tick_id": tick["tick_id"],
        "endpoints": tick["endpoints"],
        "due": tick["due"],
        "attempted": tick["attempted"],
        "skipped_over_budget": tick["skipped_over_budget"],
        "skipped_no_time": tick["skipped_no_time"],
        "bad": tick["bad"],
        "cost_usd": float(tick["cost_usd"]),
        "unpriced": tick["unpriced"],
        "sweep_seconds": seconds,
        **({"median_ttft_ms": ttft} if ttft is not None else {}),
        **(
            {"reference_error_p50_us": tick["reference_error_p50_us"]}
            if tick["reference_error_p50_us"] is not None
            else {}
        ),
    }


def _told(result: "SweepResult") -> pl.DataFrame:
    """Return a preview: what was not fine first."""
    order = sorted(result.attempts, key=lambda attempt: attempt.reading.outcome == "ok")
    return pl.DataFrame(
        [
            {
                "endpoint": attempt.endpoint.endpoint_id,
                "attempt": attempt.number,
                "outcome": attempt.reading.outcome,
                "ttft_ms": None if attempt.reading.token_ns is None else round(attempt.reading.token_ns / 1e6, 1),
                "message": (attempt.reading.error_message or "")[:80],
            }
            for attempt in order[:8]
        ],
        schema={"endpoint": str, "attempt": int, "outcome": str, "ttft_ms": float, "message": str},
    )


discover = dg.define_asset_job(
    "discover", selection=dg.AssetSelection.assets(endpoint_catalog), description="Ask every provider for its models."
)
probe = dg.define_asset_job(
    "probe",
    selection=dg.AssetSelection.assets(probe_results),
    description="One sweep of the fleet, and every promise judged on it.",
)


@dg.schedule(job=probe, cron_schedule="* * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def probe_schedule(context: dg.ScheduleEvaluationContext, home: HomeResource) -> dg.RunRequest | dg.SkipReason:
    """Start a sweep in every minute in which an endpoint is due, unless the last one still runs."""
    at = context.scheduled_execution_time.astimezone(UTC)
    fleet = home.fleet()
    if not any(is_due(endpoint, at) for endpoint in home.endpoints(fleet)):
        return dg.SkipReason("no endpoint is due in this minute")
    if is_running(context.instance, probe.name):
        return dg.SkipReason("the last sweep is still running")
    return dg.RunRequest(
        run_key=f"probe-{at:%Y%m%dT%H%MZ}",
        partition_key=f"{at:%Y-%m-%d}",
        run_config=dg.RunConfig(ops={"probe_results": ProbeConfig(scheduled_at=at.isoformat())}),
    )


@dg.schedule(job=discover, cron_schedule="7 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def discover_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Refresh the catalog every hour."""
    return dg.RunRequest(partition_key=f"{context.scheduled_execution_time.astimezone(UTC):%Y-%m-%d}")


@dg.sensor(job=discover, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def fleet_changed(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """Refresh the catalog at once when fleet.yaml has changed and is valid."""
    status = home.fleet_status()
    if status.text_hash == context.cursor:
        return dg.SkipReason("fleet.yaml is as it was")
    if context.cursor is None and last_catalog(home.landing):
        return dg.SensorResult(cursor=status.text_hash)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    request = dg.RunRequest(run_key=f"fleet-{status.text_hash[:16]}", partition_key=today)
    return dg.SensorResult(run_requests=[request], cursor=status.text_hash)


defs = dg.Definitions(
    assets=[endpoint_catalog, probe_results],
    jobs=[discover, probe],
    schedules=[probe_schedule, discover_schedule],
    sensors=[fleet_changed],
)
