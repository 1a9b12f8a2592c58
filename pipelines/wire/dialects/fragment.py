"""What one frame of an answer says, and what a whole answer says: the shapes that every dialect reader returns."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.wire.reading import Channel, Usage
from pipelines.wire.tape import Chunk


@dataclass(frozen=True)
class Frame:
    """One complete unit of a dialect's framing: an SSE event, an NDJSON line, an event-stream message."""

    at_ns: int
    """Stamp of the chunk that completed it."""
    data: bytes
    name: str = ""
    """The SSE ``event:`` field, or the event type of a binary frame."""
    is_whole: bool = False
    """The body is one document, not a stream of frames."""
    is_cut: bool = False
    """The body ended before the frame did; it counts only if it can be read all the same."""


@dataclass(frozen=True)
class WireError:
    """A provider's own words about a failure; every part is text, None where it was not given."""

    code: str | None = None
    type: str | None = None
    message: str | None = None
    retry_s: float | None = None
    detail: str = ""
    """The rest of the error object, flattened: quota names and the like."""

    def words(self) -> str:
        """Return code, type, message and detail as one searchable text."""
        return " ".join(part for part in (self.code, self.type, self.message, self.detail) if part)

    def __str__(self) -> str:
        label = self.code or self.type
        if label and self.message:
            return f"{label}: {self.message}"
        return label or self.message or "an error without a message"


@dataclass(frozen=True)
class Fragment:
    """What one frame says; the default is an event that says nothing."""

    payloads: tuple[tuple[Channel, str], ...] = ()
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    response_model: str | None = None
    response_id: str | None = None
    system_fingerprint: str | None = None
    error: WireError | None = None
    is_terminal: bool = False
    is_event: bool = True
    """False for what is no provider event: the ``[DONE]`` marker, a closing bracket."""


class Malformed(ValueError):  # noqa: N818  it names the outcome class, not a fault of this program
    """A frame that is not what the dialect promises: bad JSON, bad UTF-8, another schema."""


@dataclass(frozen=True)
class Reader:
    """One dialect: how its bytes are framed, and what a frame says. ``read`` raises Malformed."""

    frames: Callable[[Sequence[Chunk]], Iterator[Frame]]
    read: Callable[[Frame], Fragment]


def load_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in ``data``; anything else, however nested or large, raises Malformed."""
    try:
        value = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Malformed(f"invalid UTF-8 at byte {error.start} of an event") from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"an event is not JSON: {preview(data)}") from error
    if not isinstance(value, dict):
        raise Malformed(f"an event is not a JSON object: {preview(data)}")
    return value


def preview(data: bytes) -> str:
    """Return the start of some bytes for a message."""
    text = data[:80].decode("utf-8", "replace")
    return text + ("…" if len(data) > 80 else "")


def mapping(value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any, what: str) -> list[dict[str, Any]]:
    """Return a list of objects; None is empty, any other shape raises Malformed."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Malformed(f"`{what}` is not a list of objects")
    return value


def text(value: Any) -> str | None:
    """Return a non-empty string, else None."""
    return value if isinstance(value, str) and value else None


def count(value: Any) -> int | None:
    """Return a non-negative whole number below 2^53, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**53 and value == int(value) else None


def payload(channel: Channel, value: Any, what: str) -> tuple[tuple[Channel, str], ...]:
    """Return the text as a payload; null and empty are nothing, any other type raises Malformed."""
    if value is None or value == "":
        return ()
    if not isinstance(value, str):
        raise Malformed(f"`{what}` is not text")
    return ((channel, value),)
