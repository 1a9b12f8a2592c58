"""One pandera model per landed table: the contract between Python and dbt.

Column names carry their unit. Stamps ``t_*_us`` are microseconds since ``t_start`` (just before the HTTP client
was asked to send), from a monotonic clock; null where the moment was not observed, never zero instead of null.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, get_args

import pandera.polars as pa
import polars as pl

from pipelines.wire.outcomes import Blame, Outcome

Utc = Annotated[pl.Datetime, "us", "UTC"]
Usd = Annotated[pl.Decimal, 38, 12]


def _stamp() -> float:
    return pa.Field(ge=0, nullable=True, description="Microseconds since t_start")  # type: ignore[no-any-return]


class ProbeResult(pa.DataFrameModel):
    """One attempt against one endpoint."""

    probe_id: str = pa.Field(unique=True, description="Deterministic: tick, endpoint and attempt number")
    tick_id: str = pa.Field(description="The sweep that this attempt belongs to")
    endpoint_id: str
    provider: str
    provider_type: str
    model: str
    project: str
    location: str
    is_demo: bool
    kind: str = pa.Field(isin=["scheduled", "confirm", "manual", "backfill"])
    attempt: pl.Int32 = pa.Field(ge=0, description="0 is the scheduled attempt; 1.. confirm it")
    confirm_of: str = pa.Field(nullable=True, description="probe_id of the scheduled attempt that this one confirms")
    started_at: Utc
    sched_lag_us: pl.Int64 = pa.Field(nullable=True, description="t_start - t_sched")
    t_dns_us: pl.Int64 = _stamp()
    t_tcp_us: pl.Int64 = _stamp()
    t_tls_us: pl.Int64 = _stamp()
    t_conn_us: pl.Int64 = _stamp()
    t_sent_us: pl.Int64 = _stamp()
    t_headers_us: pl.Int64 = _stamp()
    t_byte_us: pl.Int64 = _stamp()
    t_event_us: pl.Int64 = _stamp()
    t_token_us: pl.Int64 = _stamp()
    t_output_us: pl.Int64 = _stamp()
    t_last_us: pl.Int64 = _stamp()
    t_end_us: pl.Int64 = _stamp()
    conn_reused: bool = pa.Field(nullable=True)
    http_version: str = pa.Field(nullable=True)
    status_code: pl.Int32 = pa.Field(nullable=True, ge=100, le=599)
    outcome: str = pa.Field(isin=list(get_args(Outcome)))
    blame: str = pa.Field(isin=list(get_args(Blame)))
    is_counted: bool = pa.Field(description="In the uptime denominator")
    is_good: bool
    is_maintained: bool = pa.Field(description="Made in a maintenance window: stored, never judged")
    error_type: str = pa.Field(nullable=True, description="OpenTelemetry error.type")
    error_message: str = pa.Field(nullable=True, description="Redacted, at most 500 characters")
    retry_after_s: float = pa.Field(nullable=True, ge=0)
    finish_reason: str = pa.Field(nullable=True)
    has_terminal_marker: bool
    response_model: str = pa.Field(nullable=True)
    request_id: str = pa.Field(nullable=True)
    system_fingerprint: str = pa.Field(nullable=True)
    input_tokens: pl.Int64 = pa.Field(nullable=True, ge=0)
    cached_tokens: pl.Int64 = pa.Field(nullable=True, ge=0)
    output_tokens: pl.Int64 = pa.Field(nullable=True, ge=0)
    output_tokens_source: str = pa.Field(nullable=True, isin=["usage", "chunks"])
    first_event_tokens: pl.Int64 = pa.Field(nullable=True, ge=0)
    reasoning_tokens: pl.Int64 = pa.Field(nullable=True, ge=0)
    token_events: pl.Int64 = pa.Field(ge=0, description="Events with a generated payload in any channel")
    body_bytes: pl.Int64 = pa.Field(ge=0)
    gap_p50_us: pl.Int64 = pa.Field(nullable=True, ge=0, description="Inter-chunk gap")
    gap_p95_us: pl.Int64 = pa.Field(nullable=True, ge=0)
    gap_max_us: pl.Int64 = pa.Field(nullable=True, ge=0)
    is_answer_right: bool = pa.Field(nullable=True, description="The canary; null where nothing was expected")
    is_model_allowed: bool = pa.Field(nullable=True)
    answer_preview: str = pa.Field(nullable=True, description="First 200 characters of the answer to the probe")
    max_tokens: pl.Int32 = pa.Field(ge=1)
    cost_usd: Usd = pa.Field(nullable=True, description="Null when the price is unknown")
    price_source: str = pa.Field(nullable=True)
    dialect: str
    decoded_by: str = pa.Field(isin=["arguslab", "litellm"])
    clock: str = pa.Field(isin=["wire", "sdk"])
    loop_lag_max_us: pl.Int64 = pa.Field(ge=0, description="Largest event-loop lag while this attempt was recorded")
    reference_error_us: pl.Int64 = pa.Field(nullable=True, description="TTFT error of the loopback reference")
    tape_id: str = pa.Field(nullable=True)


class ProbeTick(pa.DataFrameModel):
    """One sweep of the fleet: what was due, what was done, how well we measured."""

    tick_id: str = pa.Field(unique=True)
    run_id: str
    location: str
    scheduled_at: Utc
    started_at: Utc
    ended_at: Utc
    endpoints: pl.Int32 = pa.Field(ge=0)
    due: pl.Int32 = pa.Field(ge=0)
    attempted: pl.Int32 = pa.Field(ge=0)
    skipped_over_budget: pl.Int32 = pa.Field(ge=0)
    skipped_no_time: pl.Int32 = pa.Field(ge=0)
    attempts: pl.Int32 = pa.Field(ge=0)
    bad: pl.Int32 = pa.Field(ge=0)
    unpriced: pl.Int32 = pa.Field(ge=0, description="Attempts whose cost is unknown")
    cost_usd: Usd
    reference_error_p50_us: pl.Int64 = pa.Field(nullable=True)
    reference_error_max_us: pl.Int64 = pa.Field(nullable=True)
    loop_lag_max_us: pl.Int64 = pa.Field(ge=0)
    fleet_hash: str
    is_demo: bool


class CatalogEntry(pa.DataFrameModel):
    """One endpoint as the catalog of one refresh knew it."""

    entry_id: str = pa.Field(unique=True, description="Refresh and endpoint")
    refresh_id: str
    refreshed_at: Utc
    endpoint_id: str
    provider: str
    provider_type: str
    model: str
    project: str
    owner: str = pa.Field(nullable=True)
    labels_json: str
    location: str
    interval_s: pl.Int32 = pa.Field(ge=60)
    availability_slo: float = pa.Field(ge=0, le=1)
    slo_window_s: pl.Int64 = pa.Field(gt=0)
    ttft_slo_ms: float = pa.Field(nullable=True, gt=0)
    ttfo_slo_ms: float = pa.Field(nullable=True, gt=0)
    tps_slo: float = pa.Field(nullable=True, gt=0)
    is_listed: bool = pa.Field(nullable=True, description="The provider's own list has it; null where there is none")
    is_retired: bool = pa.Field(description="It was watched, and vanished from the provider's list")
    is_free: bool
    is_demo: bool
    input_price_per_token_usd: Usd = pa.Field(nullable=True)
    output_price_per_token_usd: Usd = pa.Field(nullable=True)
    probe_budget_usd_per_day: Usd


class DiscoveryResult(pa.DataFrameModel):
    """One provider's answer to one question for its model list."""

    discovery_id: str = pa.Field(unique=True)
    refresh_id: str
    discovered_at: Utc
    provider: str
    provider_type: str
    outcome: str = pa.Field(
        isin=["ok", "not_supported", "auth", "rate_limited", "unreachable", "server_error", "malformed", "no_key"]
    )
    message: str = pa.Field(nullable=True)
    models_listed: pl.Int32 = pa.Field(ge=0)
    models_kept: pl.Int32 = pa.Field(ge=0)
    pages: pl.Int32 = pa.Field(ge=0)
    models_json: str = pa.Field(description="JSON list of {id, kept, rule}")


class Evaluation(pa.DataFrameModel):
    """One promise judged for one subject at one moment."""

    evaluation_id: str = pa.Field(unique=True)
    evaluated_at: Utc
    tick_id: str = pa.Field(nullable=True)
    promise: str
    subject: str = pa.Field(description="An endpoint id, a provider, a project or `fleet`")
    verdict: str = pa.Field(isin=["kept", "broken", "insufficient"])
    severity: str = pa.Field(isin=["critical", "major", "minor"])
    attempts: str = pa.Field(description="New attempts since the last one, oldest first: G good, B bad, - excluded")
    observed: float = pa.Field(nullable=True)
    allowed: float = pa.Field(nullable=True)
    unit: str
    n: pl.Int64 = pa.Field(ge=0)
    bad: pl.Int64 = pa.Field(ge=0)
    last_good_at: Utc = pa.Field(nullable=True)
    detail_json: str = pa.Field(description="Error mix and other facts, a JSON object")
    is_demo: bool


class IncidentEvent(pa.DataFrameModel):
    """One edge of the incident state machine."""

    event_id: str = pa.Field(unique=True, description="Incident, kind and sequence: deterministic")
    incident_id: str
    at: Utc
    kind: str = pa.Field(
        isin=["opened", "escalated", "reminder", "resolved", "flapping", "blind", "acknowledged", "silenced", "state"]
    )
    promise: str
    subject: str
    provider: str = pa.Field(nullable=True)
    project: str = pa.Field(nullable=True)
    owner: str = pa.Field(nullable=True)
    severity: str = pa.Field(isin=["critical", "major", "minor"])
    state_from: str
    state_to: str
    started_at: Utc = pa.Field(nullable=True)
    summary: str
    detail_json: str
    is_demo: bool


class Notification(pa.DataFrameModel):
    """One try to tell one channel."""

    delivery_id: str = pa.Field(unique=True)
    notification_id: str = pa.Field(description="Stable: incident, kind and channel; receivers de-duplicate on it")
    at: Utc
    channel: str
    kind: str
    incident_ids_json: str
    attempt: pl.Int32 = pa.Field(ge=1)
    is_delivered: bool
    error: str = pa.Field(nullable=True)


class AlertCommand(pa.DataFrameModel):
    """One thing that a person said about alerts: acknowledged, or silenced until a moment."""

    command_id: str = pa.Field(unique=True)
    at: Utc
    action: str = pa.Field(isin=["ack", "silence", "unsilence"])
    target: str = pa.Field(description="An incident id (ack), or a pattern of endpoint ids (silence)")
    until: Utc = pa.Field(nullable=True)
    by: str
    note: str = pa.Field(nullable=True)


class DiskUse(pa.DataFrameModel):
    """How much of the disk each part of the home takes, at one housekeeping run."""

    use_id: str = pa.Field(unique=True)
    measured_at: Utc
    part: str
    files: pl.Int64 = pa.Field(ge=0)
    bytes: pl.Int64 = pa.Field(ge=0)


@dataclass(frozen=True)
class Table:
    """A landed table: its contract, the column that names its day, and its identity."""

    name: str
    schema: type[pa.DataFrameModel]
    at: str
    """UTC timestamp column that decides the day."""
    key: str
    """Column that de-duplicates."""
    absent: Mapping[str, bool] = field(default_factory=dict)
    """Column that came after the first release -> what files without it mean."""


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("probe_results", ProbeResult, "started_at", "probe_id", {"is_maintained": False}),
        Table("probe_ticks", ProbeTick, "started_at", "tick_id"),
        Table("endpoint_catalog", CatalogEntry, "refreshed_at", "entry_id"),
        Table("discovery_results", DiscoveryResult, "discovered_at", "discovery_id"),
        Table("evaluations", Evaluation, "evaluated_at", "evaluation_id"),
        Table("incident_events", IncidentEvent, "at", "event_id"),
        Table("notifications", Notification, "at", "delivery_id"),
        Table("alert_commands", AlertCommand, "at", "command_id"),
        Table("disk_use", DiskUse, "measured_at", "use_id"),
    )
}


def polars_schema(table: Table) -> pl.Schema:
    """Return the exact column types of a table, in order, for empty frames and for reading."""
    columns = table.schema.to_schema().columns
    return pl.Schema({name: column.dtype.type for name, column in columns.items()})
