"""Ollama's own API: one JSON object a line, the last one with ``done`` and the counts.

Source: Ollama's API reference, "Generate a chat completion". ``/api/generate`` puts its text in ``response``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
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
from pipelines.wire.dialects.framing import ndjson, opening_byte, whole
from pipelines.wire.reading import Channel, Usage
from pipelines.wire.tape import Chunk


def frames(chunks: Sequence[Chunk]) -> Iterator[Frame]:
    """Yield one frame a line; a body of one line is one document and says so."""
    if opening_byte(chunks) in (b"<", b"["):
        yield from whole(chunks)
        return
    found = ndjson(chunks)
    first, second = next(found, None), next(found, None)
    if first is not None:
        yield replace(first, is_whole=second is None)
    if second is not None:
        yield from chain((second,), found)


def read(frame: Frame) -> Fragment:
    """Return what one line says."""
    body = load_object(frame.data)
    if error := find_error(body):
        return Fragment(error=error)
    if not {"message", "response", "done"} & body.keys():
        raise Malformed(f"a line is no Ollama answer: it has {', '.join(sorted(body)[:6]) or 'no keys'}")
    is_done = body.get("done") is True
    return Fragment(
        payloads=tuple(_generated(body)),
        # Servers before 0.1.38 sent no done_reason: done itself is the statement that it finished.
        finish_reason=(text(body.get("done_reason")) or "stop") if is_done else None,
        usage=Usage(count(body.get("prompt_eval_count")), None, count(body.get("eval_count"))),
        response_model=text(body.get("model")),
        is_terminal=is_done,
    )


def _generated(body: Mapping[str, Any]) -> Iterator[tuple[Channel, str]]:
    message = body.get("message")
    if message is not None and not isinstance(message, dict):
        raise Malformed("`message` is not an object")
    said = mapping(message)
    yield from payload("reasoning", said.get("thinking") or body.get("thinking"), "thinking")
    yield from payload("content", said.get("content") or body.get("response"), "content")
    for call in objects(said.get("tool_calls"), "tool_calls"):
        yield from payload("tool", mapping(call.get("function")).get("name"), "tool_calls")


READER = Reader(frames, read)
