"""The outcome of an attempt: twenty-two classes, each with its blame and whether uptime counts it.

Decided from the wire, first match wins. Source: the error taxonomy of the project's probing reference.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal[
    "ok",
    "client_fault",
    "dns",
    "connect",
    "tls",
    "timeout_connect",
    "timeout_first_token",
    "timeout_idle",
    "timeout_total",
    "auth",
    "quota",
    "rate_limited",
    "overloaded",
    "model_not_found",
    "bad_request",
    "server_error",
    "error_in_200",
    "error_in_stream",
    "malformed",
    "disconnected",
    "truncated",
    "content_filter",
    "empty",
    "reasoning_only",
    "stalled_close",
    "wrong_answer",
    "wrong_model",
    "unknown",
]
Blame = Literal["none", "provider", "network", "us", "shared", "catalog", "policy", "probe"]


@dataclass(frozen=True)
class OutcomeClass:
    """What one outcome means: who is to blame, and whether it counts against uptime."""

    outcome: Outcome
    blame: Blame
    is_counted: bool
    """In the uptime denominator."""
    is_good: bool
    """In the uptime numerator; wrong answers and slow closes are up, and watched elsewhere."""
    error_type: str | None
    """OpenTelemetry ``error.type``; ``{status}`` is filled with the HTTP status."""
    confirms: bool
    """A failing first attempt of this class is worth confirming at once."""


_ROWS = (
    OutcomeClass("ok", "none", True, True, None, False),
    OutcomeClass("client_fault", "us", False, False, "client_fault", False),
    OutcomeClass("dns", "network", True, False, "dns_error", True),
    OutcomeClass("connect", "network", True, False, "connect_error", True),
    OutcomeClass("tls", "network", True, False, "tls_error", True),
    OutcomeClass("timeout_connect", "provider", True, False, "timeout", True),
    OutcomeClass("timeout_first_token", "provider", True, False, "timeout", True),
    OutcomeClass("timeout_idle", "provider", True, False, "timeout", True),
    OutcomeClass("timeout_total", "provider", True, False, "timeout", True),
    OutcomeClass("auth", "us", False, False, "{status}", False),
    OutcomeClass("quota", "us", False, False, "{status}", False),
    OutcomeClass("rate_limited", "shared", False, False, "429", False),
    OutcomeClass("overloaded", "provider", True, False, "529", True),
    OutcomeClass("model_not_found", "catalog", False, False, "404", True),
    OutcomeClass("bad_request", "us", False, False, "{status}", False),
    OutcomeClass("server_error", "provider", True, False, "{status}", True),
    OutcomeClass("error_in_200", "provider", True, False, "error_in_200", True),
    OutcomeClass("error_in_stream", "provider", True, False, "error_in_stream", True),
    OutcomeClass("malformed", "provider", True, False, "malformed", True),
    OutcomeClass("disconnected", "provider", True, False, "disconnected", True),
    OutcomeClass("truncated", "provider", True, False, "truncated", True),
    OutcomeClass("content_filter", "policy", False, False, "content_filter", False),
    OutcomeClass("empty", "provider", True, False, "empty", True),
    OutcomeClass("reasoning_only", "probe", False, False, "reasoning_only", False),
    OutcomeClass("stalled_close", "provider", True, True, "stalled_close", False),
    OutcomeClass("wrong_answer", "provider", True, True, "wrong_answer", False),
    OutcomeClass("wrong_model", "provider", True, True, "wrong_model", False),
    OutcomeClass("unknown", "provider", True, False, "_OTHER", True),
)

OUTCOMES: dict[Outcome, OutcomeClass] = {row.outcome: row for row in _ROWS}
"""Every class by name: ``ok``, and the 22 numbered classes (2 and 3 are seven names)."""
