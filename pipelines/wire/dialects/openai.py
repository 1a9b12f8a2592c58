"""OpenAI chat completion chunks, as most providers speak them, with the fields that some have added.

Reasoning arrives as ``reasoning`` (OpenRouter, Groq, Ollama's shim), ``reasoning_content`` (DeepSeek, vLLM, xAI),
``thinking`` or, at Mistral, as typed parts of ``content``. Usage is in a last chunk without choices, in the last
chunk with one, or at Groq in ``x_groq``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.wire.dialects.errors import find_error
from pipelines.wire.dialects.fragment import (
    Fragment,
    Frame,
    Malformed,
    Reader,
    WireError,
    count,
    load_object,
    mapping,
    objects,
    payload,
    text,
)
from pipelines.wire.dialects.framing import sse_or_whole
from pipelines.wire.reading import Channel, Usage

Payloads = tuple[tuple[Channel, str], ...]


def read(frame: Frame) -> Fragment:
    """Return what one chunk, one ``[DONE]`` or one whole completion says."""
    if frame.data.strip() == b"[DONE]":
        return Fragment(is_terminal=True, is_event=False)
    body = load_object(frame.data)
    if frame.name == "ping" or body.get("type") == "ping":
        return Fragment()
    error = find_error(body)
    if error is None and frame.name == "error":
        error = WireError(message=text(body.get("message")) or str(body)[:300])
    if error is not None:
        return Fragment(error=error)
    if "choices" not in body and not body.get("usage") and not body.get("object"):
        raise Malformed(f"an event is no chat completion chunk: it has {', '.join(sorted(body)[:6]) or 'no keys'}")
    return read_completion(body, is_whole=frame.is_whole)


def read_completion(body: Mapping[str, Any], *, is_whole: bool = False) -> Fragment:
    """Return what one decoded chunk, or one whole completion, says."""
    choices = objects(body.get("choices"), "choices")
    groq = mapping(body.get("x_groq"))
    usage = mapping(body.get("usage")) or mapping(groq.get("usage")) or _usage_of_choice(choices)
    return Fragment(
        payloads=tuple(part for choice in choices for part in _generated(choice)),
        finish_reason=next(
            (text(choice.get("finish_reason")) for choice in choices if choice.get("finish_reason")), None
        ),
        usage=read_usage(usage),
        response_model=text(body.get("model")),
        response_id=text(body.get("id")) or text(groq.get("id")),
        system_fingerprint=text(body.get("system_fingerprint")),
        # Groq reports a failure in the middle of a stream inside x_groq.
        error=find_error({"error": groq.get("error")}),
        is_terminal=is_whole,
    )


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the counts; output includes reasoning, also where the provider states it apart (xAI)."""
    prompt, completion = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    detail = mapping(usage.get("completion_tokens_details"))
    reasoning = count(detail.get("reasoning_tokens"))
    if reasoning is None:
        reasoning = count(usage.get("reasoning_tokens"))
    cached = count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
    if cached is None:
        cached = count(usage.get("prompt_cache_hit_tokens"))  # DeepSeek
    total = count(usage.get("total_tokens"))
    if completion is not None and reasoning and prompt is not None and total == prompt + completion + reasoning:
        completion += reasoning
    return Usage(prompt, cached, completion, reasoning)


def _usage_of_choice(choices: list[dict[str, Any]]) -> Mapping[str, Any]:
    """Return usage inside a choice, where Moonshot puts it."""
    return next((found for choice in choices if (found := mapping(choice.get("usage")))), {})


def _generated(choice: Mapping[str, Any]) -> Iterator[tuple[Channel, str]]:
    delta = choice.get("delta")
    if delta is None:
        delta = choice.get("message")
    if delta is None and "text" in choice:
        delta = {"content": choice["text"]}
    if delta is not None and not isinstance(delta, dict):
        raise Malformed("`delta` is not an object")
    said = mapping(delta)
    # Some gateways fill several of these with the same words: the first one that is there counts.
    thought = next((said[key] for key in ("reasoning_content", "reasoning", "thinking") if said.get(key)), None)
    if isinstance(thought, dict):
        thought = thought.get("text") or thought.get("content")
    yield from payload("reasoning", thought, "reasoning")
    yield from _content(said.get("content"))
    yield from payload("refusal", said.get("refusal"), "refusal")
    calls = [mapping(call.get("function")) for call in objects(said.get("tool_calls"), "tool_calls")]
    for function in [*calls, mapping(said.get("function_call"))]:
        words = "".join(part for key in ("name", "arguments") if isinstance(part := function.get(key), str))
        yield from payload("tool", words, "tool_calls")


def _content(content: Any) -> Iterator[tuple[Channel, str]]:
    if not isinstance(content, list):
        yield from payload("content", content, "content")
        return
    for part in objects(content, "content"):
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            for thought in objects(inner, "thinking") if isinstance(inner, list) else [{"text": inner}]:
                yield from payload("reasoning", thought.get("text"), "thinking")
        else:
            yield from payload("content", part.get("text"), "content")


READER = Reader(sse_or_whole, read)
