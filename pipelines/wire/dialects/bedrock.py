"""Bedrock over the event stream: ``converse-stream`` events, or ``invoke-with-response-stream`` chunks.

The latter wrap each model's own events in base64; Anthropic's are read, for they are the ones in use with it.
An exception is a frame of its own. Source: the Bedrock Runtime API reference, ``ConverseStreamOutput``.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.wire.dialects.anthropic import read_event
from pipelines.wire.dialects.errors import read_error
from pipelines.wire.dialects.eventstream import messages
from pipelines.wire.dialects.fragment import (
    Fragment,
    Frame,
    Malformed,
    Reader,
    WireError,
    count,
    load_object,
    mapping,
    payload,
    text,
)
from pipelines.wire.dialects.framing import opening_byte, whole
from pipelines.wire.reading import Usage
from pipelines.wire.tape import Chunk

_EXCEPTION = "exception "
_BROKEN = "broken"


def frames(chunks: Sequence[Chunk]) -> Iterator[Frame]:
    """Yield one frame a message, named by its event type; an answer in JSON is one document."""
    if opening_byte(chunks) in (b"{", b"[", b"<"):
        yield from whole(chunks)
        return
    for message in messages(chunks):
        kind = message.headers.get(":message-type", "event")
        if message.problem:
            yield Frame(message.at_ns, message.problem.encode(), _BROKEN)
        elif kind in ("exception", "error"):
            label = message.headers.get(":exception-type") or message.headers.get(":error-code") or kind
            words = message.payload or message.headers.get(":error-message", "").encode()
            yield Frame(message.at_ns, words, _EXCEPTION + label)
        else:
            yield Frame(message.at_ns, message.payload, message.headers.get(":event-type", ""))


def read(frame: Frame) -> Fragment:
    """Return what one frame says."""
    if frame.name == _BROKEN:
        raise Malformed(frame.data.decode())
    if frame.name.startswith(_EXCEPTION):
        label = frame.name.removeprefix(_EXCEPTION)
        return Fragment(error=read_error(frame.data, label) or WireError(type=label))
    body = load_object(frame.data)
    if frame.is_whole:
        return _whole(body, frame)
    if frame.name == "chunk":
        return _wrapped(body)
    # Some proxies repeat the event's name as the only key of the payload.
    return _converse(frame.name, mapping(body.get(frame.name)) or body)


def _converse(name: str, body: Mapping[str, Any]) -> Fragment:
    if name == "contentBlockDelta":
        delta = body.get("delta")
        if not isinstance(delta, dict):
            raise Malformed("`delta` is not an object")
        thought = mapping(delta.get("reasoningContent")).get("text")
        tool = mapping(delta.get("toolUse")).get("input")
        return Fragment(
            payloads=payload("content", delta.get("text"), "text")
            + payload("reasoning", thought, "reasoningContent")
            + payload("tool", tool, "toolUse")
        )
    if name == "contentBlockStart":
        return Fragment(
            payloads=payload("tool", mapping(mapping(body.get("start")).get("toolUse")).get("name"), "toolUse")
        )
    if name == "messageStop":
        return Fragment(finish_reason=text(body.get("stopReason")))
    if name == "metadata":
        return Fragment(usage=_usage(mapping(body.get("usage"))), is_terminal=True)
    if name in ("messageStart", "contentBlockStop", "initial-response"):
        return Fragment()
    raise Malformed(f"a frame is no Converse event: {name or 'it has no event type'}")


def _wrapped(body: Mapping[str, Any]) -> Fragment:
    wrapped = body.get("bytes")
    if not isinstance(wrapped, str):
        raise Malformed("a chunk has no `bytes`")
    try:
        inner = base64.b64decode(wrapped, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("a chunk's `bytes` are not base64") from error
    return read_event(load_object(inner))


def _whole(body: Mapping[str, Any], frame: Frame) -> Fragment:
    """Return what an answer that is no stream says: a Converse response, an Anthropic message, or an error."""
    if body.get("type") in ("message", "error"):
        return read_event(body, is_whole=True)
    if "output" not in body:
        return Fragment(error=read_error(frame.data))
    blocks = mapping(mapping(body.get("output")).get("message")).get("content")
    return Fragment(
        payloads=tuple(
            part
            for block in (blocks if isinstance(blocks, list) else [])
            for part in payload("content", mapping(block).get("text"), "text")
        ),
        finish_reason=text(body.get("stopReason")),
        usage=_usage(mapping(body.get("usage"))),
        is_terminal=True,
    )


def _usage(usage: Mapping[str, Any]) -> Usage:
    """Return the counts; input includes what was read from and written to the cache, as elsewhere."""
    fresh = count(usage.get("inputTokens"))
    cached, written = count(usage.get("cacheReadInputTokens")), count(usage.get("cacheWriteInputTokens"))
    total = None if fresh is None else fresh + (cached or 0) + (written or 0)
    return Usage(total, cached, count(usage.get("outputTokens")))


READER = Reader(frames, read)
