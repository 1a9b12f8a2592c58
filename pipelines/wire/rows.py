"""From an attempt to the columns of the landed ``probe_results`` table; nothing derived, nothing rounded away."""

from decimal import Decimal
from typing import Any, Final

from pipelines.fleet.models import Fleet
from pipelines.wire.attempt import Attempt
from pipelines.wire.outcomes import OUTCOMES
from pipelines.wire.plan import Plan
from pipelines.wire.redact import redact
from pipelines.wire.sweep import SweepResult

_PREVIEW: Final = 200
_MESSAGE: Final = 500
_CENT: Final = Decimal("0.000000000001")


def probe_row(
    attempt: Attempt, *, tick_id: str, location: str, tape_id: str | None = None, is_maintained: bool = False
) -> dict[str, Any]:
    """Return one row of ``probe_results`` by column name; stamps in whole microseconds, null where unobserved.

    ``is_maintained`` says that the attempt was made in a maintenance window: `Fleet.is_maintained` knows.
    """
    endpoint, reading, tape = attempt.endpoint, attempt.reading, attempt.tape
    kind = OUTCOMES[reading.outcome]
    usage = reading.usage
    secrets = tape.request.secrets if tape is not None else ()
    message = reading.error_message or (tape.error if tape is not None else None)
    return {
        "probe_id": attempt.probe_id,
        "tick_id": tick_id,
        "endpoint_id": endpoint.endpoint_id,
        "provider": endpoint.provider,
        "provider_type": endpoint.provider_type,
        "model": endpoint.model,
        "project": endpoint.project,
        "location": location,
        "is_demo": endpoint.is_demo,
        "kind": attempt.kind,
        "attempt": attempt.number,
        "confirm_of": attempt.confirm_of,
        "started_at": attempt.started_at,
        "sched_lag_us": _us(tape.sched_lag_ns if tape else None),
        "t_dns_us": _us(tape.dns_ns if tape else None),
        "t_tcp_us": _us(tape.tcp_ns if tape else None),
        "t_tls_us": _us(tape.tls_ns if tape else None),
        "t_conn_us": _us(tape.conn_ns if tape else None),
        "t_sent_us": _us(tape.sent_ns if tape else None),
        "t_headers_us": _us(tape.headers_ns if tape else None),
        "t_byte_us": _us(reading.byte_ns),
        "t_event_us": _us(reading.event_ns),
        "t_token_us": _us(reading.token_ns),
        "t_output_us": _us(reading.output_ns),
        "t_last_us": _us(reading.last_ns),
        "t_end_us": _us(reading.end_ns),
        "conn_reused": tape.conn_reused if tape else None,
        "http_version": tape.http_version if tape else None,
        "status_code": tape.status_code if tape else None,
        "outcome": reading.outcome,
        "blame": kind.blame,
        "is_counted": kind.is_counted,
        "is_good": kind.is_good,
        "is_maintained": is_maintained,
        "error_type": reading.error_type,
        "error_message": None if message is None else redact(message, secrets)[:_MESSAGE],
        "retry_after_s": reading.retry_after_s,
        "finish_reason": reading.finish_reason,
        "has_terminal_marker": reading.has_terminal_marker,
        "response_model": reading.response_model,
        "request_id": reading.request_id,
        "system_fingerprint": reading.system_fingerprint,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": reading.output_tokens,
        "output_tokens_source": reading.output_tokens_source,
        "first_event_tokens": reading.first_event_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "token_events": reading.token_events,
        "body_bytes": reading.body_bytes,
        "gap_p50_us": _us(reading.gap_p50_ns),
        "gap_p95_us": _us(reading.gap_p95_ns),
        "gap_max_us": _us(reading.gap_max_ns),
        "is_answer_right": reading.is_answer_right,
        "is_model_allowed": reading.is_model_allowed,
        "answer_preview": redact(reading.answer, secrets)[:_PREVIEW] or None,
        "max_tokens": attempt.job.max_tokens,
        "cost_usd": attempt.cost_usd,
        "price_source": attempt.price_source,
        "dialect": endpoint.dialect,
        "decoded_by": reading.decoded_by,
        "clock": attempt.clock,
        "loop_lag_max_us": attempt.loop_lag_max_ns // 1000,
        "reference_error_us": _us(attempt.reference_error_ns),
        "tape_id": tape_id,
    }


def tick_row(plan: Plan, result: SweepResult, fleet: Fleet, *, fleet_hash: str, run_id: str) -> dict[str, Any]:
    """Return the row of ``probe_ticks``: what was due, what was done, how well we measured."""
    outcomes = [OUTCOMES[attempt.reading.outcome] for attempt in result.attempts]
    costs = [attempt.cost_usd for attempt in result.attempts]
    error_p50, error_max = result.reference_error_p50_ns, result.reference_error_max_ns
    return {
        "tick_id": plan.tick_id,
        "run_id": run_id,
        "location": fleet.location,
        "scheduled_at": plan.scheduled_at,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
        "endpoints": plan.endpoints,
        "due": len(plan.due) + len(plan.over_budget),
        "attempted": len({attempt.endpoint.endpoint_id for attempt in result.attempts}),
        "skipped_over_budget": len(plan.over_budget),
        "skipped_no_time": len(result.skipped_no_time),
        "attempts": len(result.attempts),
        "bad": sum(kind.is_counted and not kind.is_good for kind in outcomes),
        "unpriced": sum(cost is None for cost in costs),
        "cost_usd": sum((cost for cost in costs if cost is not None), Decimal(0)).quantize(_CENT),
        "reference_error_p50_us": None if error_p50 is None else error_p50 // 1000,
        "reference_error_max_us": None if error_max is None else error_max // 1000,
        "loop_lag_max_us": result.loop_lag_max_ns // 1000,
        "fleet_hash": fleet_hash,
        "is_demo": fleet.demo,
    }


def _us(ns: int | None) -> int | None:
    return None if ns is None else ns // 1000
