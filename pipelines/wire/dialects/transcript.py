"""Fold the frames of one answer into what it said as a whole. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from pipelines.wire.dialects.fragment import Fragment, Malformed, Reader, WireError
from pipelines.wire.reading import Event, Usage
from pipelines.wire.tape import Chunk

MAX_FRAMES = 100_000
"""A probe asks for a few hundred tokens: a flood of events must not hold up the judging of everybody else."""

_NO_USAGE = Usage()


@dataclass(frozen=True)
class Transcript:
    """Everything that an answer stated, up to its terminal marker; nothing judged."""

    events: tuple[Event, ...] = field(default=(), repr=False)
    finish_reason: str | None = None
    terminal_ns: int | None = None
    """Stamp of the terminal marker; None when it never came."""
    usage: Usage = field(default_factory=Usage)
    first_event_tokens: int | None = None
    """Output tokens that usage beside the first token counted; None when usage does not come per chunk."""
    response_model: str | None = None
    response_id: str | None = None
    system_fingerprint: str | None = None
    error: WireError | None = None
    """The first error stated in the body."""
    problem: str | None = None
    """Why the first unreadable frame could not be read."""
    is_whole: bool = False
    """The body was one document, not a stream."""

    @property
    def has_concluded(self) -> bool:
        """Whether the answer itself said that it is over: finished, marked, or failed."""
        return self.finish_reason is not None or self.terminal_ns is not None or self.error is not None


def transcribe(reader: Reader, chunks: Sequence[Chunk]) -> Transcript:
    """Return what the body says in one dialect. Never raises on any bytes."""
    events: list[Event] = []
    seen = Transcript()
    has_token = False
    for number, frame in enumerate(reader.frames(chunks)):
        if number >= MAX_FRAMES:
            seen = replace(seen, problem=seen.problem or f"more than {MAX_FRAMES} events")
            break
        if frame.is_whole:
            seen = replace(seen, is_whole=True)
        try:
            fragment = reader.read(frame)
        except Malformed as error:
            # Half a frame at the end of the body is how a cut looks, not a broken event.
            if not frame.is_cut:
                seen = replace(seen, problem=seen.problem or str(error))
            continue
        seen = add_fragment(seen, fragment, is_first_token=not has_token)
        has_token = has_token or bool(fragment.payloads)
        if fragment.is_event:
            events.append(Event(frame.at_ns, fragment.payloads))
        if fragment.is_terminal:
            seen = replace(seen, terminal_ns=frame.at_ns)
            break
    return replace(seen, events=tuple(events))


def merge_usage(base: Usage, over: Usage) -> Usage:
    """Return the later counts where they were stated, else the earlier ones."""
    stated = {item.name: value for item in fields(Usage) if (value := getattr(over, item.name)) is not None}
    return replace(base, **stated)


def add_fragment(seen: Transcript, fragment: Fragment, *, is_first_token: bool) -> Transcript:
    """Return the transcript with one more fragment; ``is_first_token`` when no token came before it."""
    changes: dict[str, object] = {
        name: value
        for name in ("response_model", "response_id", "error")
        if getattr(seen, name) is None and (value := getattr(fragment, name)) is not None
    }
    for name in ("finish_reason", "system_fingerprint"):
        value = getattr(fragment, name)
        if value is not None and value != getattr(seen, name):
            changes[name] = value
    if fragment.usage != _NO_USAGE:
        changes["usage"] = merge_usage(seen.usage, fragment.usage)
        if is_first_token and fragment.payloads:
            changes["first_event_tokens"] = fragment.usage.output_tokens
    # Most events of a long answer change nothing here, and a copy of the transcript costs more than the rest.
    return replace(seen, **changes) if changes else seen  # type: ignore[arg-type]  # names and values are the fields' own
