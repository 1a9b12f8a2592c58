"""What is particular to each dialect, in the providers' own shapes."""

import base64
import json
import zlib
from typing import Any

import pytest
from tapes import tape

from pipelines.wire.decode import decode
from pipelines.wire.dialects.eventstream import Message, encode, messages
from pipelines.wire.reading import Usage
from pipelines.wire.tape import Chunk


def sse(*events: dict[str, Any]) -> list[bytes]:
    return [f"event: {event.get('type', '')}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"delta": delta, "finish_reason": finish}], **more}


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "thinking"])
def test_openai_reasoning_has_several_names(field: str) -> None:
    reading = decode(tape(*sse(chunk({field: "hm"}), chunk({"content": "391"}), chunk({}, "stop"))), expect="391")
    assert [event.payloads for event in reading.events[:2]] == [(("reasoning", "hm"),), (("content", "391"),)]
    assert reading.token_ns != reading.output_ns


def test_the_same_words_in_two_reasoning_fields_count_once() -> None:
    reading = decode(tape(*sse(chunk({"reasoning": "hm", "reasoning_content": "hm"}), chunk({"content": "a"}, "stop"))))
    assert reading.events[0].payloads == (("reasoning", "hm"),)


def test_mistrals_typed_content_is_read() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "391"}]
    reading = decode(tape(*sse(chunk({"content": parts}, "stop"))))
    assert reading.events[0].payloads == (("reasoning", "hm"), ("content", "391"))


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"x_groq": {"id": "r", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}}, Usage(5, None, 2)),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 3}}, Usage(5, 3, 2)),
        (
            {
                "usage": {
                    "prompt_tokens": 5,
                    "completion_tokens": 2,
                    "total_tokens": 17,
                    "completion_tokens_details": {"reasoning_tokens": 10},
                }
            },
            Usage(5, None, 12, 10),
        ),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": "many"}}, Usage()),
    ],
)
def test_openai_usage_comes_in_several_shapes(more: dict[str, Any], usage: Usage) -> None:
    assert decode(tape(*sse(chunk({"content": "a"}), chunk({}, "stop", **more)))).usage == usage


def test_tool_calls_are_generated_tokens_and_visible() -> None:
    calls = [{"index": 0, "function": {"name": "f", "arguments": '{"a"'}}]
    reading = decode(tape(*sse(chunk({"tool_calls": calls}), chunk({}, "tool_calls"))))
    assert (reading.outcome, reading.events[0].payloads) == ("ok", (("tool", 'f{"a"'),))
    assert reading.output_ns == reading.token_ns


def test_a_refusal_channel_alone_is_a_matter_of_policy() -> None:
    assert decode(tape(*sse(chunk({"refusal": "I cannot"}), chunk({}, "stop")))).outcome == "content_filter"
    both = decode(tape(*sse(chunk({"refusal": "no"}), chunk({"content": "391"}), chunk({}, "stop"))))
    assert both.outcome == "ok"


def test_sse_rules_of_the_standard_hold() -> None:
    body = (
        b'\xef\xbb\xbfdata:{"choices":[{"delta":\r\ndata: {"content":"391"},"finish_reason":null}]}\r\n\r\n'
        b": comment\rretry: 5\rid: 7\r\rdata:\r\r"
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata:[DONE]'
    )
    reading = decode(tape(body))
    assert (reading.outcome, reading.answer, reading.has_terminal_marker) == ("ok", "391", True)
    assert len(reading.events) == 2


def test_half_an_event_at_a_clean_end_is_truncation_and_not_malformed() -> None:
    assert decode(tape(*sse(chunk({"content": "a"})), b'data: {"choi')).outcome == "truncated"


def test_an_http_page_as_event_stream_is_no_stream() -> None:
    assert decode(tape(b"upstream connect error or disconnect/reset before headers")).outcome == "error_in_200"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("overloaded_error", "overloaded"), ("api_error", "error_in_stream"), ("not_found_error", "model_not_found")],
)
def test_anthropic_errors_come_inside_the_stream(kind: str, outcome: str) -> None:
    events = sse(
        {"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 3}}},
        {"type": "ping"},
        {"type": "error", "error": {"type": kind, "message": "m"}},
    )
    assert decode(tape(*events, dialect="anthropic")).outcome == outcome


def test_anthropic_usage_is_merged_and_its_placeholder_ignored() -> None:
    start = {"input_tokens": 3, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 1}
    events = sse(
        {"type": "message_start", "message": {"id": "msg", "model": "claude-x", "usage": start}},
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f"}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "x"}},
        {"type": "something_new"},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    reading = decode(tape(*events, dialect="anthropic"))
    assert (reading.outcome, reading.usage, reading.token_events) == ("ok", Usage(33, 20, 9), 2)
    cut = decode(tape(*events[:3], dialect="anthropic", end="disconnected"))
    assert (cut.outcome, cut.output_tokens, cut.output_tokens_source) == ("disconnected", 2, "chunks")


def test_gemini_as_a_growing_array_reads_like_its_events() -> None:
    first = {
        "candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}}],
        "usageMetadata": {"thoughtsTokenCount": 4},
    }
    last = {
        "candidates": [{"content": {"parts": [{"text": 'a "[1]" }'}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3, "thoughtsTokenCount": 4},
        "modelVersion": "gemini-x",
    }
    array = json.dumps([first, last], indent=2).encode()
    as_array = decode(tape(*(array[at : at + 1] for at in range(len(array))), dialect="gemini"))
    as_events = decode(tape(*sse(first, last), dialect="gemini"))
    for reading in (as_array, as_events):
        assert (reading.outcome, reading.answer, reading.usage) == ("ok", 'a "[1]" }', Usage(2, None, 7, 4))
        assert reading.first_event_tokens == 4
    assert (as_array.has_terminal_marker, as_events.has_terminal_marker) == (True, False)
    assert decode(tape(array[:-9], dialect="gemini")).outcome == "truncated"


def test_a_blocked_gemini_prompt_is_a_matter_of_policy() -> None:
    assert (
        decode(tape(*sse({"promptFeedback": {"blockReason": "SAFETY"}}), dialect="gemini")).outcome == "content_filter"
    )


def test_an_array_with_an_error_is_an_error() -> None:
    body = json.dumps([{"error": {"code": 500, "message": "m", "status": "INTERNAL"}}]).encode()
    assert decode(tape(body, dialect="gemini")).outcome == "error_in_stream"
    assert decode(tape(body, dialect="gemini", status=500)).error_message == "HTTP 500: 500: m"


def test_claude_at_vertex_is_read_as_claude() -> None:
    events = sse(
        {"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "391"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )
    reading = decode(tape(*events, dialect="gemini"), expect="391")
    assert (reading.outcome, reading.decoded_by) == ("ok", "arguslab")


def test_an_ollama_error_line_is_in_the_stream_after_others_and_the_body_alone() -> None:
    line, error = b'{"message":{"content":"a"},"done":false}\n', b'{"error":"model runner has stopped"}\n'
    assert decode(tape(line, error, dialect="ollama")).outcome == "error_in_stream"
    assert decode(tape(error, dialect="ollama")).outcome == "error_in_200"


def test_ollama_thinking_and_counts() -> None:
    lines = (
        b'{"model":"m","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}\r\n',
        b'{"model":"m","message":{"content":"391"},"done":false}\n',
        b'{"model":"m","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":4,"eval_count":6}',
    )
    reading = decode(tape(*lines, dialect="ollama"), expect="391")
    assert (reading.outcome, reading.usage) == ("ok", Usage(4, None, 6))
    assert reading.token_ns != reading.output_ns


def frame(name: str, body: Any, kind: str = "event") -> bytes:
    return encode({f":{kind}-type": name, ":message-type": kind}, json.dumps(body).encode())


def test_bedrock_converse_and_wrapped_anthropic_say_the_same() -> None:
    def wrap(event: dict[str, Any]) -> bytes:
        return frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()})

    converse = [
        frame("messageStart", {"role": "assistant"}),
        frame("contentBlockDelta", {"delta": {"text": "391"}}),
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("metadata", {"usage": {"inputTokens": 4, "outputTokens": 1, "cacheReadInputTokens": 2}}),
    ]
    invoke = [
        wrap({"type": "message_start", "message": {"usage": {"input_tokens": 4, "cache_read_input_tokens": 2}}}),
        wrap({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "391"}}),
        wrap({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
        wrap({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 4}}),
    ]
    for frames in (converse, invoke):
        reading = decode(tape(*frames, dialect="bedrock"), expect="391")
        assert (reading.outcome, reading.usage, reading.finish_reason) == ("ok", Usage(6, 2, 1), "end_turn")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("throttlingException", "error_in_stream"),
        ("modelStreamErrorException", "error_in_stream"),
        ("serviceUnavailableException", "overloaded"),
    ],
)
def test_bedrock_exceptions_are_frames(name: str, outcome: str) -> None:
    frames = (frame("messageStart", {}), frame(name, {"message": "m"}, "exception"))
    reading = decode(tape(*frames, dialect="bedrock"))
    assert (reading.outcome, reading.error_message) == (outcome, f"{name}: m")


def test_event_stream_headers_of_every_type_are_skipped_or_read() -> None:
    values = {0: b"", 1: b"", 2: b"1", 3: b"12", 4: b"1234", 5: b"8" * 8, 6: b"\0\2ab", 8: b"8" * 8, 9: b"u" * 16}
    odd = b"".join(bytes([1]) + b"x" + bytes([kind]) + value for kind, value in values.items())
    head = odd + b"\x0b:event-type\x07\0\4name"
    prelude = (16 + len(head) + 2).to_bytes(4, "big") + len(head).to_bytes(4, "big")
    body = prelude + zlib.crc32(prelude).to_bytes(4, "big") + head + b"{}"
    whole = body + zlib.crc32(body).to_bytes(4, "big")
    assert list(messages([Chunk(5, whole[:9]), Chunk(6, whole[9:])])) == [Message(6, {":event-type": "name"}, b"{}")]


@pytest.mark.parametrize("at", [0, 5, 9, 20, -1])
def test_a_bent_frame_fails_its_checksum(at: int) -> None:
    bent = bytearray(frame("messageStart", {}))
    bent[at] ^= 1
    assert next(iter(messages([Chunk(1, bytes(bent))]))).problem
