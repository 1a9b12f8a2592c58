"""Spell one simulated answer in each dialect, byte by byte as the real providers do."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.demo.speech import Speech
from pipelines.wire.dialects.eventstream import encode
from pipelines.wire.reading import Channel

DemoDialect = Literal["openai", "anthropic", "gemini", "ollama", "bedrock", "bedrock_invoke"]


@dataclass(frozen=True)
class Voice:
    """How one dialect spells the parts of an answer; every function returns the bytes to send."""

    dialect: DemoDialect
    content_type: str
    opening: Callable[[Speech], bytes]
    turn: Callable[[Channel, int], bytes]
    """What goes between two channels: (the new one, its position)."""
    piece: Callable[[Speech, Channel, str, int], bytes]
    """(answer, channel, text, tokens so far)."""
    finish: Callable[[Speech], bytes]
    """What tells the finish reason, and usage where it comes with it."""
    marker: Callable[[Speech], bytes]
    """The terminal marker; empty where the dialect has none."""
    event: Callable[[bytes], bytes]
    """Any payload in the dialect's framing, readable or not."""
    whole: Callable[[Speech], bytes]
    """The same answer to a request that asked for no stream."""


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def sse(payload: bytes, name: str = "") -> bytes:
    """Return one server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + payload + b"\n\n"


def _nothing(*_: object) -> bytes:
    return b""


# --- OpenAI -----------------------------------------------------------------------------------------------------------

_OPENAI_DELTA: dict[Channel, str] = {"content": "content", "reasoning": "reasoning_content", "refusal": "refusal"}


def _openai_chunk(said: Speech, delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    head = {"id": said.response_id, "object": "chat.completion.chunk", "created": said.created, "model": said.model}
    return sse(_json({**head, "system_fingerprint": "fp_demo", "choices": choices, **more}))


def _openai_usage(said: Speech) -> dict[str, Any]:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        "completion_tokens_details": {"reasoning_tokens": len(said.thoughts)},
    }


def _openai_whole(said: Speech) -> bytes:
    message = {"role": "assistant", "content": "".join(said.words), "refusal": None}
    return _json(
        {
            "id": said.response_id,
            "object": "chat.completion",
            "created": said.created,
            "model": said.model,
            "choices": [{"index": 0, "message": message, "finish_reason": said.finish}],
            "usage": _openai_usage(said),
        }
    )


OPENAI = Voice(
    "openai",
    "text/event-stream; charset=utf-8",
    opening=lambda said: _openai_chunk(said, {"role": "assistant", "content": ""}),
    turn=_nothing,
    piece=lambda said, channel, text, _: _openai_chunk(said, {_OPENAI_DELTA[channel]: text}),
    finish=lambda said: _openai_chunk(said, {}, said.finish) + _openai_chunk(said, None, usage=_openai_usage(said)),
    marker=lambda _: sse(b"[DONE]"),
    event=sse,
    whole=_openai_whole,
)

# --- Anthropic --------------------------------------------------------------------------------------------------------

_ANTHROPIC_FINISH = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_ANTHROPIC_BLOCK: dict[Channel, tuple[dict[str, str], str, str]] = {
    "content": ({"type": "text", "text": ""}, "text_delta", "text"),
    "reasoning": ({"type": "thinking", "thinking": ""}, "thinking_delta", "thinking"),
}


def _anthropic_start(said: Speech) -> dict[str, Any]:
    usage = {"input_tokens": said.input_tokens, "cache_read_input_tokens": 0, "output_tokens": 1}
    message = {"id": said.response_id, "type": "message", "role": "assistant", "model": said.model, "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}


def _anthropic_turn(channel: Channel, position: int) -> list[dict[str, Any]]:
    stop = [{"type": "content_block_stop", "index": position - 1}] if position else []
    block = _ANTHROPIC_BLOCK[channel][0]
    return [*stop, {"type": "content_block_start", "index": position, "content_block": block}]


def _anthropic_piece(said: Speech, channel: Channel, text: str) -> dict[str, Any]:
    _, kind, key = _ANTHROPIC_BLOCK[channel]
    index = 1 if said.thoughts and channel == "content" else 0
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: text}}


def _anthropic_finish(said: Speech) -> list[dict[str, Any]]:
    last = 1 if said.thoughts and said.words else 0
    stop = [{"type": "content_block_stop", "index": last}] if said.output_tokens else []
    delta = {"stop_reason": _ANTHROPIC_FINISH[said.finish], "stop_sequence": None}
    return [*stop, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": said.output_tokens}}]


def _anthropic_whole(said: Speech) -> bytes:
    content = [{"type": "text", "text": "".join(said.words)}]
    usage = {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens}
    message = {"id": said.response_id, "type": "message", "role": "assistant", "model": said.model}
    return _json({**message, "content": content, "stop_reason": _ANTHROPIC_FINISH[said.finish], "usage": usage})


def _named(*events: dict[str, Any]) -> bytes:
    return b"".join(sse(_json(event), event["type"]) for event in events)


ANTHROPIC = Voice(
    "anthropic",
    "text/event-stream; charset=utf-8",
    opening=lambda said: _named(_anthropic_start(said), {"type": "ping"}),
    turn=lambda channel, position: _named(*_anthropic_turn(channel, position)),
    piece=lambda said, channel, text, _: _named(_anthropic_piece(said, channel, text)),
    finish=lambda said: _named(*_anthropic_finish(said)),
    marker=lambda _: _named({"type": "message_stop"}),
    event=lambda payload: sse(payload, "content_block_delta"),
    whole=_anthropic_whole,
)

# --- Gemini -----------------------------------------------------------------------------------------------------------

_GEMINI_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def _gemini(said: Speech, parts: list[dict[str, Any]], done: int, finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = _GEMINI_FINISH[finish]
    thought = min(done, len(said.thoughts))
    usage: dict[str, int] = {"promptTokenCount": said.input_tokens, "candidatesTokenCount": done - thought}
    usage["totalTokenCount"] = said.input_tokens + done
    if thought:
        usage["thoughtsTokenCount"] = thought
    head = {"modelVersion": said.model, "responseId": said.response_id}
    return {"candidates": [candidate], "usageMetadata": usage, **head}


def _gemini_piece(said: Speech, channel: Channel, text: str, done: int) -> bytes:
    part: dict[str, Any] = {"text": text}
    if channel == "reasoning":
        part["thought"] = True
    return sse(_json(_gemini(said, [part], done)))


GEMINI = Voice(
    "gemini",
    "text/event-stream",
    opening=_nothing,
    turn=_nothing,
    piece=_gemini_piece,
    finish=lambda said: sse(_json(_gemini(said, [], said.output_tokens, said.finish))),
    marker=_nothing,
    event=sse,
    whole=lambda said: _json(_gemini(said, [{"text": "".join(said.words)}], said.output_tokens, said.finish)),
)

# --- Ollama -----------------------------------------------------------------------------------------------------------


def _ollama(said: Speech, message: dict[str, str], **more: Any) -> bytes:
    body = {"model": said.model, "created_at": "2026-01-01T00:00:00Z"}
    return _json({**body, "message": {"role": "assistant", "content": "", **message}, "done": False, **more}) + b"\n"


def _ollama_done(said: Speech, content: str = "") -> bytes:
    counts = {"prompt_eval_count": said.input_tokens, "eval_count": said.output_tokens}
    return _ollama(said, {"content": content}, done=True, done_reason=said.finish, **counts)


OLLAMA = Voice(
    "ollama",
    "application/x-ndjson",
    opening=_nothing,
    turn=_nothing,
    piece=lambda said, channel, text, _: _ollama(said, {"thinking" if channel == "reasoning" else "content": text}),
    finish=_ollama_done,
    marker=_nothing,
    event=lambda payload: payload + b"\n",
    whole=lambda said: _ollama_done(said, "".join(said.words)),
)

# --- Bedrock ----------------------------------------------------------------------------------------------------------

_BEDROCK_FINISH = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}


def frame(name: str, payload: bytes) -> bytes:
    """Return one event of Bedrock's event stream."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, payload)


def exception_frame(name: str, message: str) -> bytes:
    """Return one exception of Bedrock's event stream."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, _json({"message": message}))


def _converse_usage(said: Speech) -> dict[str, int]:
    total = said.input_tokens + said.output_tokens
    return {"inputTokens": said.input_tokens, "outputTokens": said.output_tokens, "totalTokens": total}


def _converse_piece(said: Speech, channel: Channel, text: str) -> bytes:
    delta: dict[str, Any] = {"reasoningContent": {"text": text}} if channel == "reasoning" else {"text": text}
    index = 1 if said.thoughts and channel == "content" else 0
    return frame("contentBlockDelta", _json({"contentBlockIndex": index, "delta": delta}))


def _converse_whole(said: Speech) -> bytes:
    message = {"role": "assistant", "content": [{"text": "".join(said.words)}]}
    stop = _BEDROCK_FINISH[said.finish]
    return _json({"output": {"message": message}, "stopReason": stop, "usage": _converse_usage(said)})


BEDROCK = Voice(
    "bedrock",
    "application/vnd.amazon.eventstream",
    opening=lambda _: frame("messageStart", _json({"role": "assistant"})),
    turn=lambda _, position: frame("contentBlockStop", _json({"contentBlockIndex": position - 1})) if position else b"",
    piece=lambda said, channel, text, _: _converse_piece(said, channel, text),
    finish=lambda said: frame("messageStop", _json({"stopReason": _BEDROCK_FINISH[said.finish]})),
    marker=lambda said: frame("metadata", _json({"usage": _converse_usage(said), "metrics": {"latencyMs": 1}})),
    event=lambda payload: frame("contentBlockDelta", payload),
    whole=_converse_whole,
)


def _wrapped(*events: dict[str, Any]) -> bytes:
    return b"".join(frame("chunk", _json({"bytes": base64.b64encode(_json(event)).decode()})) for event in events)


BEDROCK_INVOKE = Voice(
    "bedrock_invoke",
    "application/vnd.amazon.eventstream",
    opening=lambda said: _wrapped(_anthropic_start(said)),
    turn=lambda channel, position: _wrapped(*_anthropic_turn(channel, position)),
    piece=lambda said, channel, text, _: _wrapped(_anthropic_piece(said, channel, text)),
    finish=lambda said: _wrapped(*_anthropic_finish(said)),
    marker=lambda _: _wrapped({"type": "message_stop"}),
    event=lambda payload: frame("chunk", _json({"bytes": base64.b64encode(payload).decode()})),
    whole=_anthropic_whole,
)

VOICES: dict[DemoDialect, Voice] = {
    voice.dialect: voice for voice in (OPENAI, ANTHROPIC, GEMINI, OLLAMA, BEDROCK, BEDROCK_INVOKE)
}
