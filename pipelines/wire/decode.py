"""Phase three of a measurement: a pure function from a tape to a reading. Runs after the streams have ended."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from math import isfinite

from pipelines.fleet.models import Timeouts
from pipelines.fleet.providers import Dialect
from pipelines.wire.answer import is_model_allowed, is_right
from pipelines.wire.dialects import READERS
from pipelines.wire.dialects.errors import read_error
from pipelines.wire.dialects.fragment import Malformed, WireError, load_object
from pipelines.wire.dialects.framing import is_sse, sse
from pipelines.wire.dialects.transcript import Transcript, transcribe
from pipelines.wire.dialects.unpack import MAX_BODY_BYTES, unpack
from pipelines.wire.judge import LENGTH, MAX_MESSAGE_CHARS, Evidence, has_stalled, judge
from pipelines.wire.reading import Reading
from pipelines.wire.replay import NoParserError, replay
from pipelines.wire.tape import Chunk, Tape

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id")
_MAX_RETRY_S = 7 * 86_400.0


def decode(
    tape: Tape,
    *,
    expect: str | None = None,
    allowed_models: Sequence[str] | None = None,
    requested_model: str | None = None,
    timeouts: Timeouts | None = None,
    litellm_model: str | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> Reading:
    """Return everything that a tape says: stamps, outcome, counts, answer.

    ``expect`` is the text or number that the visible answer must hold; ``allowed_models`` are shell patterns;
    ``requested_model`` is the id that was asked for (None where it is a free name, such as an Azure deployment).
    ``timeouts`` lets a first token that came too late, behind keep-alives, count as late. ``litellm_model`` is the
    prefixed model name, needed for dialect ``litellm`` only.
    """
    chunks, unpack_problem = unpack(tape.chunks, tape.header("content-encoding"), limit=max_body_bytes)
    is_success = tape.status_code is not None and 200 <= tape.status_code <= 299
    said, refusal, unreadable = Transcript(), None, ""
    if is_success:
        try:
            said = _transcribe(tape, chunks, litellm_model)
        except NoParserError as error:
            unreadable = str(error)
    elif tape.status_code is not None:
        refusal = _refusal(tape, chunks)
    answer = clean("".join(text for event in said.events for channel, text in event.payloads if channel == "content"))
    right = is_right(answer, expect) if expect and is_success and said.events else None
    if right is False and (said.finish_reason or "").lower() in LENGTH:
        right = None  # cut by our own token budget: the answer was never finished
    allowed = is_model_allowed(said.response_model, requested_model, allowed_models)
    evidence = Evidence(said, refusal, unpack_problem, unreadable, _is_stream(tape, chunks, said), right, allowed)
    verdict = judge(tape, evidence, first_token_budget=timeouts.first_token if timeouts else None)
    message = _redact(verdict.message, tape.request.secrets)
    tokens = [event for event in said.events if event.payloads]
    outputs = [event for event in tokens if any(channel != "reasoning" for channel, _ in event.payloads)]
    gaps = sorted(later.at_ns - earlier.at_ns for earlier, later in pairwise(tokens))
    stated = said.usage.output_tokens
    is_usage = stated is not None and (stated > 0 or not tokens)
    output_tokens = stated if is_usage else len(tokens) or None
    return Reading(
        outcome=verdict.outcome,
        error_type=verdict.error_type(tape.status_code),
        error_message=message,
        retry_after_s=_retry_after_s(tape, refusal or said.error),
        byte_ns=next((chunk.at_ns for chunk in tape.chunks if chunk.data), None),
        event_ns=said.events[0].at_ns if said.events else None,
        token_ns=tokens[0].at_ns if tokens else None,
        output_ns=outputs[0].at_ns if outputs else None,
        last_ns=tokens[-1].at_ns if tokens else None,
        end_ns=_end_ns(tape, said),
        events=said.events,
        token_events=len(tokens),
        first_event_tokens=(said.first_event_tokens or 1) if tokens else None,
        finish_reason=_clean(said.finish_reason),
        has_terminal_marker=said.terminal_ns is not None and not said.is_whole,
        response_model=_clean(said.response_model),
        request_id=_clean(
            next((value for name in _REQUEST_ID_HEADERS if (value := tape.header(name))), said.response_id)
        ),
        system_fingerprint=_clean(said.system_fingerprint),
        usage=said.usage,
        output_tokens=output_tokens,
        output_tokens_source=None if output_tokens is None else "usage" if is_usage else "chunks",
        gap_p50_ns=quantile(gaps, 0.5),
        gap_p95_ns=quantile(gaps, 0.95),
        gap_max_ns=gaps[-1] if gaps else None,
        answer=answer,
        is_answer_right=right,
        is_model_allowed=allowed,
        body_bytes=sum(len(chunk.data) for chunk in tape.chunks),
        decoded_by="litellm" if is_success and spoken_dialect(tape, chunks) == "litellm" else "arguslab",
    )


def quantile(ordered: Sequence[int], share: float) -> int | None:
    """Return a quantile of sorted values by linear interpolation, rounded; None of no values."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def clean(text: str) -> str:
    """Return text that UTF-8 can hold: halves of a surrogate pair are joined, lone ones replaced, NULs dropped."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "")


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _redact(message: str | None, secrets: Sequence[str]) -> str | None:
    """Return the message without secrets, cleaned and cut; some providers quote the key that they refuse."""
    if message is None:
        return None
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, "[redacted]")
    message = " ".join(clean(message).split())
    return message if len(message) <= MAX_MESSAGE_CHARS else message[: MAX_MESSAGE_CHARS - 1] + "…"


def _transcribe(tape: Tape, chunks: Sequence[Chunk], litellm_model: str | None) -> Transcript:
    dialect = spoken_dialect(tape, chunks)
    if dialect == "litellm":
        return replay(chunks, litellm_model=litellm_model)
    said = transcribe(READERS[dialect], chunks)
    if said.is_whole and said.error is None and "ndjson" in (tape.header("content-type") or ""):
        return replace(said, is_whole=False)  # a stream of lines may well have one line
    return said


def spoken_dialect(tape: Tape, chunks: Sequence[Chunk]) -> Dialect:
    """Return the dialect that the first event shows, where the declared one covers several.

    Most providers that we have no reader for speak OpenAI's chunks, and Vertex serves Claude and others in their own.
    """
    declared = tape.request.dialect
    if declared not in ("litellm", "gemini"):
        return declared
    for frame in sse(chunks):
        try:
            body = load_object(frame.data)
        except Malformed:
            break
        if "choices" in body:
            return "openai"
        if body.get("type") in ("message_start", "ping"):
            return "anthropic"
        if "candidates" in body:
            return "gemini"
        break
    return declared


def _refusal(tape: Tape, chunks: Sequence[Chunk]) -> WireError | None:
    """Return the error object of a refused request, plain or, as some gateways send it, inside an event."""
    body = b"".join(chunk.data for chunk in chunks)
    if body.lstrip().startswith((b"data:", b"event:")):
        stated = transcribe(READERS["openai"], chunks).error
        if stated is not None:
            return stated
    return read_error(body, tape.header("x-amzn-errortype"))


def _is_stream(tape: Tape, chunks: Sequence[Chunk], said: Transcript) -> bool:
    """Return whether the body can be a stream at all; a body without bytes or cut short may have been one."""
    is_events = tape.request.dialect in ("openai", "anthropic", "gemini")
    if not is_events or not chunks or said.events or tape.end_reason != "complete":
        return True
    return is_sse(chunks) or said.terminal_ns is not None


def _end_ns(tape: Tape, said: Transcript) -> int:
    """Return the terminal marker's stamp, or the body's end; the latter too when the stream stalled after it."""
    if said.terminal_ns is None or has_stalled(tape, said):
        return tape.end_ns
    return said.terminal_ns


def _retry_after_s(tape: Tape, error: WireError | None) -> float | None:
    """Return how long the provider asks us to wait: milliseconds, seconds, an HTTP date, or Google's RetryInfo."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = (tape.header(name) or "").strip()
        try:
            seconds = float(value) * scale
        except ValueError:
            continue
        if isfinite(seconds) and seconds >= 0:
            return min(seconds, _MAX_RETRY_S)
    until = _http_date(tape.header("retry-after"))
    if until is not None:
        since = _http_date(tape.header("date")) or tape.started_at + timedelta(
            microseconds=(tape.headers_ns or 0) / 1000
        )
        return min(max((until - since).total_seconds(), 0.0), _MAX_RETRY_S)
    return min(error.retry_s, _MAX_RETRY_S) if error and error.retry_s is not None else None


def _http_date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
