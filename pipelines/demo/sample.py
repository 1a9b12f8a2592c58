"""One simulated attempt as a row of ``probe_results``, with the stamps that a prober would have taken."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pipelines.demo.faults import FAULTS
from pipelines.demo.personas import Persona, Take
from pipelines.fleet.models import Endpoint
from pipelines.wire.outcomes import OUTCOMES

WORDS = 20
"""Visible tokens of a canary's answer; see ``speech``."""
_STATUS = {"overloaded_529": 529, "overloaded_503": 503, "rate_limited": 429, "server_error": 500}
_PART = 9
"""Tokens that come before a stream breaks."""


def attempt_row(endpoint: Endpoint, persona: Persona, drawn: Take, at: datetime, *, attempt: int) -> dict[str, Any]:
    """Return the row but for its ids, with ``confirms`` beside it: whether the attempt is worth confirming."""
    fault = FAULTS[drawn.fault]
    meaning = OUTCOMES[fault.outcome]
    status = _STATUS.get(drawn.fault, 200)
    speaks = status == 200 and drawn.fault != "empty"
    is_whole = speaks and meaning.is_good
    n_out = (persona.reasoning_tokens + WORDS if is_whole else _PART) if speaks else 0
    first_us = int(drawn.ttft_s * 1e6)
    gap_us = int(1e6 / drawn.tps)
    n_events = -(-n_out // persona.tokens_per_event)
    between = gap_us * persona.tokens_per_event if n_events > 1 else None
    last_us = first_us + (n_events - 1) * (between or 0) if speaks else None
    ahead = persona.reasoning_tokens // persona.tokens_per_event
    output_us = first_us + ahead * gap_us if speaks and n_out > persona.reasoning_tokens else None
    byte_us = first_us // 2 if speaks else min(first_us, 50_000)
    is_done = is_whole or drawn.fault == "empty"
    return {
        "endpoint_id": endpoint.endpoint_id,
        "provider": endpoint.provider,
        "provider_type": endpoint.provider_type,
        "model": endpoint.model,
        "project": endpoint.project,
        "is_demo": True,
        "kind": "backfill",
        "attempt": attempt,
        "started_at": at,
        "sched_lag_us": None if attempt else 35_000,
        "t_dns_us": 60,
        "t_tcp_us": 240,
        "t_tls_us": None,
        "t_conn_us": 250,
        "t_sent_us": 480,
        "t_headers_us": byte_us - 200,
        "t_byte_us": byte_us,
        "t_event_us": byte_us if status == 200 else None,
        "t_token_us": first_us if speaks else None,
        "t_output_us": output_us,
        "t_last_us": last_us,
        "t_end_us": (last_us if last_us is not None else first_us) + 400,
        "conn_reused": False,
        "http_version": "HTTP/1.1",
        "status_code": status,
        "outcome": fault.outcome,
        "blame": meaning.blame,
        "is_counted": meaning.is_counted,
        "is_good": meaning.is_good,
        "is_maintained": False,
        "error_type": meaning.error_type.format(status=status) if meaning.error_type else None,
        "error_message": None if fault.outcome == "ok" else f"simulated: {fault.what}",
        "retry_after_s": 7.0 if drawn.fault == "rate_limited" else None,
        "finish_reason": "stop" if is_done else None,
        "has_terminal_marker": is_done,
        "response_model": endpoint.model if status == 200 else None,
        "request_id": f"simulated-{int(at.timestamp() * 1000)}-{endpoint.model}",
        "system_fingerprint": None,
        "input_tokens": 11 if is_done else None,
        "cached_tokens": None,
        "output_tokens": n_out if speaks else None,
        "output_tokens_source": ("usage" if is_whole else "chunks") if speaks else None,
        "first_event_tokens": 1 if speaks else None,
        "reasoning_tokens": persona.reasoning_tokens if is_whole and persona.reasoning_tokens else None,
        "token_events": n_events,
        "body_bytes": 260 * n_events + 400,
        "gap_p50_us": between,
        "gap_p95_us": None if between is None else int(between * 1.15),
        "gap_max_us": None if between is None else int(between * 1.4),
        "is_answer_right": fault.outcome != "wrong_answer" if is_whole else None,
        "is_model_allowed": True if is_whole else None,
        "answer_preview": "simulated" if is_whole else None,
        "max_tokens": endpoint.max_tokens or 32,
        "cost_usd": Decimal(0),
        "price_source": "free",
        "dialect": endpoint.dialect,
        "decoded_by": "arguslab",
        "clock": "wire",
        "loop_lag_max_us": 1_500,
        "reference_error_us": 900,
        "tape_id": None,
        "confirms": meaning.confirms,
    }
