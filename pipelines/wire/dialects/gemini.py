"""Gemini ``streamGenerateContent``: server-sent events with ``alt=sse``, else one JSON array that grows.

Usage comes with every chunk and is cumulative; the model's thoughts are counted apart from the candidates.
Source: the Gemini API reference, ``GenerateContentResponse``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.wire.dialects.errors import find_error
from pipelines.wire.dialects.fragment import (
    Fragment,
    Frame,
    Malformed,
    Reader,
    count,
    load_object,
    mapping,
    objects,
    payload,
    text,
)
from pipelines.wire.dialects.framing import json_array, opening_byte, sse_or_whole
from pipelines.wire.reading import Channel, Usage
from pipelines.wire.tape import Chunk

_KNOWN = frozenset({"candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId", "modelStatus"})


def frames(chunks: Sequence[Chunk]) -> Iterator[Frame]:
    """Yield the chunks of either spelling, or the one document that is neither."""
    return json_array(chunks) if opening_byte(chunks) == b"[" else sse_or_whole(chunks)


def read(frame: Frame) -> Fragment:
    """Return what one chunk, the closing bracket, or one whole response says."""
    if frame.data == b"]":
        return Fragment(is_terminal=True, is_event=False)
    body = load_object(frame.data)
    if error := find_error(body):
        return Fragment(error=error)
    if not _KNOWN & body.keys():
        raise Malformed(f"an event is no GenerateContentResponse: it has {', '.join(sorted(body)[:6]) or 'no keys'}")
    candidates = objects(body.get("candidates"), "candidates")
    finish = next((text(item.get("finishReason")) for item in candidates if item.get("finishReason")), None)
    return Fragment(
        payloads=tuple(part for item in candidates for part in _generated(mapping(item.get("content")))),
        finish_reason=finish or text(mapping(body.get("promptFeedback")).get("blockReason")),
        usage=_usage(mapping(body.get("usageMetadata"))),
        response_model=text(body.get("modelVersion")),
        response_id=text(body.get("responseId")),
        is_terminal=frame.is_whole,
    )


def _generated(content: Mapping[str, Any]) -> Iterator[tuple[Channel, str]]:
    for part in objects(content.get("parts"), "parts"):
        call = mapping(part.get("functionCall"))
        if call:
            yield from payload("tool", call.get("name"), "functionCall")
        yield from payload("reasoning" if part.get("thought") is True else "content", part.get("text"), "text")


def _usage(usage: Mapping[str, Any]) -> Usage:
    said, thought = count(usage.get("candidatesTokenCount")), count(usage.get("thoughtsTokenCount"))
    return Usage(
        count(usage.get("promptTokenCount")),
        count(usage.get("cachedContentTokenCount")),
        None if said is None and thought is None else (said or 0) + (thought or 0),
        thought,
    )


READER = Reader(frames, read)
