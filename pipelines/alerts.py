"""Promises, incidents and alerts: every sweep is judged, and who must know is told at both edges of an incident.

The checks run after each sweep and land their verdicts; the sensor feeds these to the incident state machine, whose
state is its cursor, delivers what is due, and lands every event.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO

import dagster as dg
import polars as pl

from pipelines.fleet import Fleet
from pipelines.home import Home
from pipelines.notify import outbox
from pipelines.notify.incidents import AlertState, Command, Event, Policy, load_state, step
from pipelines.notify.model import DeliveryResult, Outgoing
from pipelines.notify.promises import (
    EVALUATED,
    PROMISES,
    FleetFile,
    Inputs,
    Verdict,
    evaluate,
    newsworthy,
    rows_of,
    verdicts_of,
    watermarks_of,
)
from pipelines.notify.promises.windows import COLUMNS, REACH
from pipelines.notify.routing import channels_of
from pipelines.resources import HomeResource, markdown_table

if TYPE_CHECKING:
    import httpx

JOBS = ("discover", "probe", "refresh", "housekeeping")
"""Jobs whose last finished run must have succeeded; they live in both locations and meet here by name."""
CHECKS = (
    ("disk_use", "disk_has_room"),
    ("published_marts", "marts_hold_rows"),
    ("endpoint_catalog", "keeps_its_schema"),
    ("probe_results", "keeps_its_schema"),
)
"""Asset checks beyond the promises whose latest evaluation must have passed."""
MARKS = ("evaluated_at", "tick_id", "promise", "subject", "detail_json")
"""What the watermarks of earlier evaluations are read from."""
OFFENDERS_SHOWN = 20
DELIVERY_SECONDS = 35.0
"""Deliveries of one tick end by then: Dagster gives a sensor 60 s."""


def inputs_at(home: HomeResource, now: datetime, *, tick_id: str | None = None) -> Inputs:
    """Return the facts of one evaluation, read from landing and, for baselines, from the published marts."""
    status, landing, today = home.fleet_status(), home.landing, now.astimezone(UTC).date()
    since, yesterday = (now - REACH).astimezone(UTC).date(), today - timedelta(days=1)
    results = landing.read("probe_results", since, None, columns=COLUMNS).filter(pl.col("started_at") >= now - REACH)
    evaluations = landing.read("evaluations", yesterday, None, columns=MARKS)
    costs = landing.read("probe_results", today, None, columns=("started_at", "project", "cost_usd"))
    spent = costs.filter(pl.col("started_at").dt.date() == today).group_by("project").agg(pl.col("cost_usd").sum())
    return Inputs(
        fleet=status.fleet,
        endpoints=home.endpoints(status.fleet),
        results=results.collect(),
        now=now,
        tick_id=tick_id,
        watermarks=watermarks_of(evaluations.collect(), judging_tick=tick_id),
        baselines=baselines(home.home),
        ticks=landing.read("probe_ticks", yesterday, None).sort("started_at").tail(50).collect(),
        discovery=landing.read("discovery_results", yesterday, None).collect(),
        cost_today={project: cost for project, cost in spent.collect().iter_rows() if cost is not None},
        fleet_file=FleetFile(
            status.is_current,
            status.invalid_since,
            None if status.is_current else "; ".join(str(problem) for problem in status.problems[:3]),
        ),
        watching_since=status.valid_since,
    )


def baselines(home: Home) -> pl.DataFrame | None:
    """Return each endpoint's usual TTFT and speed by hour of day, medians of seven days; None without marts."""
    import duckdb  # 0.2 s: only an evaluation pays

    from pipelines.warehouse import WarehouseError, open_marts

    try:
        with open_marts(home) as con:
            usual: pl.DataFrame = con.sql("""
                select endpoint_id, hour(hour_at at time zone 'UTC') as hour, median(ttft_p95_ms) as ttft_p95_ms,
                       median(tps_decode_p50) as tps_decode_p50, count(*) as days
                from fct_endpoint_hourly
                where hour_at >= (select max(hour_at) from fct_endpoint_hourly) - interval 7 day
                group by all
            """).pl()
            return usual
    except (WarehouseError, duckdb.CatalogException):
        return None  # nothing published yet: promises against a baseline wait


def check_result(promise: str, verdicts: Sequence[Verdict]) -> dg.AssetCheckResult:
    """Return a promise's check: failed when any subject broke it, its offenders named, never more than a page."""
    broken = sorted((v for v in verdicts if v.verdict == "broken"), key=lambda v: (v.severity, v.subject))
    judged = [verdict for verdict in verdicts if verdict.verdict != "insufficient"]
    metadata: dict[str, Any] = {
        "subjects": len(verdicts),
        "judged": len(judged),
        "broken": len(broken),
        "remedy": PROMISES[promise].remedy,
    }
    if broken:
        worst = broken[0]
        table = [(v.subject, v.observed, v.allowed, v.unit, v.detail.get("sentence")) for v in broken[:OFFENDERS_SHOWN]]
        metadata |= {
            "evaluation": worst.batch,
            "offenders": dg.MetadataValue.md(
                markdown_table(["subject", "observed", "allowed", "unit", "what"], table)
                + (f"\n\nand {len(broken) - OFFENDERS_SHOWN} more" if len(broken) > OFFENDERS_SHOWN else "")
            ),
        }
    pages = any(verdict.severity != "minor" for verdict in broken) or PROMISES[promise].severity != "minor"
    return dg.AssetCheckResult(
        check_name=promise,
        asset_key="probe_results",
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR if pages else dg.AssetCheckSeverity.WARN,
        description=broken[0].detail.get("sentence") if broken else None,
        metadata=metadata,
    )


@dg.multi_asset_check(
    name="promises",
    specs=[
        dg.AssetCheckSpec(name, asset="probe_results", description=f"{row.question} If not: {row.remedy}")
        for name, row in PROMISES.items()
        if name in EVALUATED
    ],
)
def promises(home: HomeResource) -> Iterator[dg.AssetCheckResult]:
    """Judge every promise of fleet.yaml over its window; the verdicts land for the alert sensor and for analysts."""
    now, landing = datetime.now(UTC), home.landing
    newest = landing.read("probe_ticks", now.date() - timedelta(days=1), None).sort("started_at").tail(1).collect()
    tick_id = newest["tick_id"].item() if newest.height else None
    verdicts = evaluate(inputs_at(home, now, tick_id=tick_id))
    an_hour_ago = now - timedelta(hours=1)
    landed = landing.read("evaluations", an_hour_ago.date(), None, written_since=an_hour_ago - timedelta(minutes=5))
    rows = rows_of(newsworthy(verdicts, landed.collect(), now))
    landing.append("evaluations", rows, tick_id or f"{now:%Y%m%dT%H%M%SZ}")
    for name in EVALUATED:
        yield check_result(name, [verdict for verdict in verdicts if verdict.promise == name])


def job_verdicts(instance: dg.DagsterInstance) -> list[Verdict]:
    """Return a verdict for each job that has finished a run: did the last one succeed?"""
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    found = []
    for job in JOBS:
        records = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=finished), limit=1)
        if not records:
            continue
        run, ended = records[0].dagster_run, records[0].end_time or time.time()
        failed = run.status == dg.DagsterRunStatus.FAILURE
        why = failure_words(instance, run.run_id) if failed else ""
        found.append(_check_verdict(f"job:{job}", datetime.fromtimestamp(ended, UTC), f"job {job} failed{why}", failed))
    return found


def failure_words(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the first line of why a run failed, shortened."""
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    data = events[0].event_log_entry.dagster_event.step_failure_data if events else None  # type: ignore[union-attr]  # of_type
    error = data.error if data else None
    while error is not None and error.cause is not None:
        error = error.cause
    return f": {error.message.strip()[:300]}" if error else ""


def check_verdicts(instance: dg.DagsterInstance) -> list[Verdict]:
    """Return a verdict for each other watched asset check that was ever evaluated, from its latest evaluation."""
    found = []
    for asset, check in CHECKS:
        record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(dg.AssetKey(asset), check))
        event = record.event.dagster_event if record and record.event else None
        if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION or record is None:
            continue  # planned only
        evaluation = event.asset_check_evaluation_data
        at = datetime.fromtimestamp(record.create_timestamp, UTC)
        told = {name: value.value for name, value in evaluation.metadata.items()}
        found.append(_check_verdict(f"{asset}:{check}", at, f"{check} failed: {told}"[:300], not evaluation.passed))
    return found


def _check_verdict(subject: str, at: datetime, sentence: str, failed: bool) -> Verdict:
    return Verdict(
        promise="check_passes",
        subject=subject,
        evaluated_at=at,
        verdict="broken" if failed else "kept",
        severity="major",
        unit="checks",
        n=1,
        bad=int(failed),
        detail={"sentence": sentence, "since": at.isoformat()} if failed else {},
    )


def blind_verdicts(home: HomeResource, now: datetime) -> list[Verdict]:
    """Return whether the monitor is blind, judged now, when no sweep has landed for longer than one may take."""
    fleet = home.fleet()
    newest = home.landing.read(
        "probe_ticks", now.date() - timedelta(days=3), None, columns=("ended_at", "is_demo"), written_since=now - REACH
    )
    last = newest.select(pl.col("ended_at").max()).collect().item()
    if last is not None and now - last <= fleet.interval + fleet.tick_budget:
        return []
    return evaluate(inputs_at(home, now), only=("monitor_not_blind", "fleet_file_valid"))


def sender(
    policy: Policy, env: Mapping[str, str], client: "httpx.Client", log: TextIO
) -> Callable[[Outgoing], DeliveryResult]:
    """Return what tries to deliver one notice; the console channel writes to ``log``, which `arguslab up` shows."""
    from pipelines.notify.channels.deliver import deliver  # httpx, 0.4 s: only a step with news pays

    channels = channels_of(policy.fleet)

    def send(outgoing: Outgoing) -> DeliveryResult:
        return deliver(
            channels[outgoing.notice.channel],
            outgoing.notice,
            env,
            client=client,
            now=datetime.now(UTC),
            alerting=policy.fleet.alerting,
            attempt=outgoing.tries + 1,
            stream=log,
        )

    return send


def run_step(
    state: AlertState, home: HomeResource, verdicts: Iterable[Verdict], now: datetime, env: Mapping[str, str]
) -> AlertState:
    """Take in what is new, deliver what is due, land every event; return the state to keep.

    Killed at any line it is simply run again from the old state: the same incidents, notices and rows come out of it
    under the same ids, so a receiver hears at least once and nothing is doubled in the marts.
    """
    landing, fleet = home.landing, with_links(home.fleet(), home.home, env)
    policy = Policy.of(fleet, home.endpoints(fleet))
    since = state.reads_from(now)
    day = since.astimezone(UTC).date()
    evaluations = landing.read("evaluations", day, None, written_since=since).collect()
    commands = landing.read("alert_commands", day, None).collect()
    taken = step(
        state,
        [*verdicts_of(evaluations), *verdicts],
        [Command.from_row(row) for row in commands.iter_rows(named=True)],
        now,
        policy,
    )
    land_events(landing, taken.events, "edges")
    import httpx

    end = time.monotonic() + DELIVERY_SECONDS
    home.home.logs.mkdir(parents=True, exist_ok=True)
    with (
        httpx.Client(follow_redirects=False) as client,
        (home.home.logs / "alerts.log").open("a", encoding="utf-8") as log,
    ):
        send = sender(policy, env, client, log)
        sent = outbox.send_due(taken.state, send, now, policy, has_time=lambda: time.monotonic() < end)
    land_events(landing, sent.step.events, "deliveries")
    if sent.results:
        landing.append("notifications", [result.to_row() for result in sent.results], f"{now:%Y%m%dT%H%M%S%fZ}")
    return sent.step.state


def with_links(fleet: Fleet, home: Home, env: Mapping[str, str]) -> Fleet:
    """Return the fleet with links that work where fleet.yaml names none: this `up`'s own UI, the site's own files."""
    given = fleet.alerting.model_fields_set
    links = {
        "dagster_base_url": env.get("ARGUSLAB_DAGSTER_URL", fleet.alerting.dagster_base_url),
        "page_base_url": home.site.as_uri(),
    }
    alerting = fleet.alerting.model_copy(update={name: link for name, link in links.items() if name not in given})
    return fleet.model_copy(update={"alerting": alerting})


def land_events(landing: Any, events: Sequence[Event], name: str) -> None:
    """Land incident events in one file that is named by their ids, so that a repeated step lands it again as itself."""
    if events:
        first = min(events, key=lambda event: event.at)
        file_id = f"{first.at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{name}-{events[0].event_id[:12]}"
        landing.append("incident_events", [event.to_row() for event in events], file_id)


def ask_heartbeat(url: str, now: datetime) -> str | None:
    """Tell the dead-man's switch that the monitor sees; return what went wrong, or None."""
    import httpx

    from pipelines.notify.channels.heartbeat import heartbeat

    with httpx.Client(follow_redirects=False) as client:
        return heartbeat(url, client=client, now=now)


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Turns failed promises and checks into incidents, tells the channels at both edges.",
)
def alert_sensor(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
    """Run one step of the incident state machine around the cursor."""
    now = datetime.now(UTC)
    state, events = load_state(context.cursor, now=now)
    land_events(home.landing, events, "state")
    others = [*job_verdicts(context.instance), *check_verdicts(context.instance)]
    blind = blind_verdicts(home, now)
    after = run_step(state, home, [*others, *blind], now, os.environ)
    beat = os.environ.get(home.fleet().alerting.heartbeat_url_env or "")
    if beat and not any(verdict.verdict == "broken" for verdict in blind):
        error = ask_heartbeat(beat, now)
        if error:
            context.log.warning(f"heartbeat: {error}")
    words = f"{len(after.incidents)} open incidents, {len(after.outbox)} notices waiting"
    if after == state:
        return dg.SkipReason(words)
    return dg.SensorResult(skip_reason=dg.SkipReason(words), cursor=after.to_json())


defs = dg.Definitions(asset_checks=[promises], sensors=[alert_sensor])
