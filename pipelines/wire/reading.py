"""What a tape says once decoded: facts only, no metric. The shape that every dialect reader returns."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.wire.outcomes import Outcome

Channel = Literal["content", "reasoning", "tool", "refusal"]


@dataclass(frozen=True)
class Event:
    """One complete provider event: where on the tape it arrived and what it generated."""

    at_ns: int
    payloads: tuple[tuple[Channel, str], ...] = ()
    """Non-empty generated text by channel; empty for role chunks, usage, pings."""


@dataclass(frozen=True)
class Usage:
    """Token counts as the provider stated them; None where it did not."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class Reading:
    """A decoded tape. Stamps are nanoseconds since ``t_start``; None when the moment was not observed."""

    outcome: Outcome
    error_type: str | None = None
    error_message: str | None = None
    retry_after_s: float | None = None
    byte_ns: int | None = None
    event_ns: int | None = None
    token_ns: int | None = None
    output_ns: int | None = None
    last_ns: int | None = None
    end_ns: int | None = None
    events: tuple[Event, ...] = field(default=(), repr=False)
    token_events: int = 0
    first_event_tokens: int | None = None
    finish_reason: str | None = None
    has_terminal_marker: bool = False
    response_model: str | None = None
    request_id: str | None = None
    system_fingerprint: str | None = None
    usage: Usage = Usage()
    output_tokens: int | None = None
    output_tokens_source: Literal["usage", "chunks"] | None = None
    gap_p50_ns: int | None = None
    gap_p95_ns: int | None = None
    gap_max_ns: int | None = None
    answer: str = field(default="", repr=False)
    """Visible content only."""
    is_answer_right: bool | None = None
    is_model_allowed: bool | None = None
    body_bytes: int = 0
    decoded_by: Literal["arguslab", "litellm"] = "arguslab"
