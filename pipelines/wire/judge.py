"""The outcome of an attempt, from wire facts only: twenty-two rules in order, the first that matches wins.

Source: the error taxonomy of the project's probing reference; the words that providers use for refusals are in
``refusals``. An answer that has said itself that it is over (finished, marked, failed) is not charged with a
time-out or a cut that came afterwards.
"""

from dataclasses import dataclass
from datetime import timedelta

from pipelines.wire.dialects.fragment import WireError
from pipelines.wire.dialects.transcript import Transcript
from pipelines.wire.outcomes import OUTCOMES, Outcome
from pipelines.wire.refusals import is_model_gone, is_overload, refused
from pipelines.wire.tape import EndReason, Tape

MAX_LOOP_LAG_NS = 250_000_000
"""Above this the event loop was the bottleneck, and no figure of the attempt is the provider's."""
STALL_NS = 10_000_000_000
"""A stream that stays open longer than this after its last token is slow to close."""
MAX_MESSAGE_CHARS = 500

FILTERED = frozenset(
    {"content_filter", "content_filtered", "content-filter", "guardrail_intervened", "refusal", "safety", "recitation"}
    | {"blocklist", "prohibited_content", "spii", "image_safety", "sensitive", "model_armor"}
)
"""Finish reasons of a safety stop, in lower case: OpenAI and Azure, Bedrock, Anthropic, Gemini, Zhipu."""
LENGTH = frozenset({"length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded"})
"""Finish reasons of a spent token budget, in lower case."""

_TIMEOUTS: dict[EndReason, Outcome] = {
    "timeout_connect": "timeout_connect",
    "timeout_first_byte": "timeout_first_token",
    "timeout_idle": "timeout_idle",
    "timeout_total": "timeout_total",
}
_NETWORK: dict[EndReason, Outcome] = {"dns_error": "dns", "connect_error": "connect", "tls_error": "tls"}


@dataclass(frozen=True)
class Verdict:
    """The class of an attempt and one sentence of evidence; the sentence is None for ``ok``."""

    outcome: Outcome
    message: str | None = None

    def error_type(self, status: int | None) -> str | None:
        """Return OpenTelemetry's ``error.type``."""
        pattern = OUTCOMES[self.outcome].error_type
        return pattern.format(status=status if status is not None else "_OTHER") if pattern else None


@dataclass(frozen=True)
class Evidence:
    """What was read of a tape, and what the two answer checks gave."""

    said: Transcript
    refusal: WireError | None = None
    """The error object of an answer whose status is not 2xx."""
    unpack_problem: str = ""
    unreadable: str = ""
    """Why nobody here can read this dialect: a matter of our configuration, not of the answer."""
    is_stream: bool = True
    is_answer_right: bool | None = None
    is_model_allowed: bool | None = None


def judge(tape: Tape, seen: Evidence, *, first_token_budget: timedelta | None = None) -> Verdict:
    """Return the outcome of a tape."""
    for rule in (_ours, _network):
        if verdict := rule(tape):
            return verdict
    if tape.status_code is not None and not 200 <= tape.status_code <= 299:
        # A refusal that was stated is the cause, however its body ended.
        return Verdict(*refused(tape.status_code, seen.refusal, tape.header("location")))
    if seen.unreadable:
        return Verdict("bad_request", seen.unreadable)
    return (
        _timeouts(tape, seen, first_token_budget)
        or _stated_errors(seen)
        or _broken(tape, seen)
        or _nothing_said(seen.said)
        or _quality(tape, seen)
        or Verdict("ok")
    )


def has_stalled(tape: Tape, said: Transcript) -> bool:
    """Return whether a complete output was followed by a stream that stayed open too long."""
    last_ns = next((event.at_ns for event in reversed(said.events) if event.payloads), None)
    if last_ns is None or (said.finish_reason is None and said.terminal_ns is None):
        return False
    return tape.end_reason in ("timeout_idle", "timeout_total") or tape.end_ns - last_ns > STALL_NS


def _ours(tape: Tape) -> Verdict | None:
    if tape.end_reason == "local_error":
        return Verdict("client_fault", tape.error or "this machine could not send the request")
    if tape.loop_lag_max_ns > MAX_LOOP_LAG_NS:
        lag_ms = tape.loop_lag_max_ns // 1_000_000
        return Verdict("client_fault", f"this machine was the bottleneck: its event loop ran {lag_ms} ms late")
    return None


def _network(tape: Tape) -> Verdict | None:
    outcome = _NETWORK.get(tape.end_reason)
    return Verdict(outcome, tape.error or f"failed in the {outcome} phase") if outcome else None


def _timeouts(tape: Tape, seen: Evidence, first_token_budget: timedelta | None) -> Verdict | None:
    token_ns = next((event.at_ns for event in seen.said.events if event.payloads), None)
    outcome = _TIMEOUTS.get(tape.end_reason)
    if outcome and not seen.said.has_concluded:
        after_s = tape.end_ns / 1e9
        if outcome != "timeout_connect" and token_ns is None:
            status = f" after status {tape.status_code}" if tape.status_code else ""
            return Verdict("timeout_first_token", f"no token{status} within {after_s:.1f} s")
        what = {"timeout_connect": "no connection", "timeout_idle": "the stream went silent"}
        return Verdict(outcome, f"{what.get(outcome, 'the answer was not over')} after {after_s:.1f} s")
    if (
        token_ns is not None
        and first_token_budget is not None
        and token_ns > first_token_budget / timedelta(microseconds=1) * 1000
    ):
        return Verdict("timeout_first_token", f"the first token came after {token_ns / 1e9:.1f} s")
    return None


def _stated_errors(seen: Evidence) -> Verdict | None:
    said = seen.said
    if said.error is not None:
        if is_overload(said.error):
            return Verdict("overloaded", str(said.error))
        if is_model_gone(said.error):
            return Verdict("model_not_found", str(said.error))
        return Verdict("error_in_200" if said.is_whole else "error_in_stream", str(said.error))
    if said.is_whole:
        return Verdict("error_in_200", said.problem or "a whole answer came where a stream was asked for")
    if not seen.is_stream:
        return Verdict("error_in_200", "the body is not an event stream")
    return None


def _broken(tape: Tape, seen: Evidence) -> Verdict | None:
    said = seen.said
    if tape.end_reason == "too_large":
        return Verdict("malformed", tape.error or "the body passed the size limit")
    if tape.end_reason == "protocol_error":
        return Verdict("malformed", tape.error or "the peer does not speak HTTP as promised")
    if said.problem or seen.unpack_problem:
        return Verdict("malformed", said.problem or seen.unpack_problem)
    if tape.end_reason == "disconnected" and said.terminal_ns is None:
        return Verdict("disconnected", tape.error or "the connection ended before the body did")
    if tape.status_code is None:
        return Verdict("unknown", tape.error or "the attempt ended without a status")
    if said.finish_reason is None and said.terminal_ns is None:
        return Verdict("truncated", "the body ended cleanly with neither a finish reason nor a terminal marker")
    return None


def _nothing_said(said: Transcript) -> Verdict | None:
    channels = {channel for event in said.events for channel, _ in event.payloads}
    finish = (said.finish_reason or "").lower()
    if finish in FILTERED:
        return Verdict("content_filter", f"finish reason {said.finish_reason}")
    if "refusal" in channels and channels <= {"refusal", "reasoning"}:
        return Verdict("content_filter", "the model refused to answer")
    if channels & {"content", "tool"}:
        return None
    # Hidden reasoning spends the budget too: nothing is streamed, but usage counts it.
    if finish in LENGTH and (channels or said.usage.reasoning_tokens):
        return Verdict("reasoning_only", "reasoning used up the token budget before any visible output")
    if channels:
        return Verdict(
            "empty", f"finished ({said.finish_reason or 'no reason given'}) with reasoning and no visible output"
        )
    return Verdict("empty", f"finished ({said.finish_reason or 'no reason given'}) without any output")


def _quality(tape: Tape, seen: Evidence) -> Verdict | None:
    if has_stalled(tape, seen.said):
        return Verdict("stalled_close", "the output was complete, but the stream stayed open")
    if seen.is_answer_right is False:
        return Verdict("wrong_answer", "the answer does not hold what was expected")
    if seen.is_model_allowed is False:
        return Verdict("wrong_model", f"{seen.said.response_model} answered")
    return None
