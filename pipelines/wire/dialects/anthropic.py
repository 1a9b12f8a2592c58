"""Anthropic messages: typed events, from ``message_start`` to ``message_stop``.

Source: Anthropic's API reference, "Streaming messages". Unknown event types are to be tolerated, it says.
"""

from collections.abc import Mapping
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
    payload,
    text,
)
from pipelines.wire.dialects.framing import sse_or_whole
from pipelines.wire.reading import Channel, Usage

_DELTAS: dict[str, tuple[Channel, str]] = {
    "text_delta": ("content", "text"),
    "thinking_delta": ("reasoning", "thinking"),
    "input_json_delta": ("tool", "partial_json"),
}
_BLOCKS: dict[str, tuple[Channel, str]] = {
    "text": ("content", "text"),
    "thinking": ("reasoning", "thinking"),
    "tool_use": ("tool", "name"),
    "server_tool_use": ("tool", "name"),
}


def read(frame: Frame) -> Fragment:
    """Return what one event, or one whole message, says."""
    return read_event(load_object(frame.data), is_whole=frame.is_whole)


def read_event(body: Mapping[str, Any], *, is_whole: bool = False) -> Fragment:
    """Return what one decoded event says; Bedrock wraps the same events."""
    kind = body.get("type")
    if error := find_error(body):
        return Fragment(error=error, response_id=text(body.get("request_id")))
    if not isinstance(kind, str):
        raise Malformed("an event has no `type`")
    if kind == "message_start":
        message = mapping(body.get("message"))
        # output_tokens is a placeholder here: only message_delta counts what was generated.
        stated = _usage(mapping(message.get("usage")))
        return Fragment(
            usage=Usage(stated.input_tokens, stated.cached_tokens),
            response_model=text(message.get("model")),
            response_id=text(message.get("id")),
        )
    if kind == "content_block_start":
        return Fragment(payloads=_block(mapping(body.get("content_block"))))
    if kind == "content_block_delta":
        delta = body.get("delta")
        if not isinstance(delta, dict):
            raise Malformed("`delta` is not an object")
        channel, key = _DELTAS.get(str(delta.get("type")), ("content", ""))
        return Fragment(payloads=payload(channel, delta.get(key), key))
    if kind == "message_delta":
        return Fragment(
            finish_reason=text(mapping(body.get("delta")).get("stop_reason")),
            usage=_usage(mapping(body.get("usage"))),
        )
    if kind == "message" and is_whole:
        blocks = body.get("content")
        return Fragment(
            payloads=tuple(
                part for block in (blocks if isinstance(blocks, list) else []) for part in _block(mapping(block))
            ),
            finish_reason=text(body.get("stop_reason")),
            usage=_usage(mapping(body.get("usage"))),
            response_model=text(body.get("model")),
            response_id=text(body.get("id")),
            is_terminal=True,
        )
    return Fragment(is_terminal=kind == "message_stop")


def _block(block: Mapping[str, Any]) -> tuple[tuple[Channel, str], ...]:
    channel, key = _BLOCKS.get(str(block.get("type")), ("content", ""))
    return payload(channel, block.get(key), key)


def _usage(usage: Mapping[str, Any]) -> Usage:
    """Return the counts; input includes what was read from and written to the cache, as elsewhere."""
    fresh = count(usage.get("input_tokens"))
    read_from_cache = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    return Usage(
        None if fresh is None else fresh + (read_from_cache or 0) + (written or 0),
        read_from_cache,
        count(usage.get("output_tokens")),
        count(mapping(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


READER = Reader(sse_or_whole, read)
