"""Real providers' recorded answers. All are whole documents: read in full, and no stream all the same."""

import gzip
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tapes import tape

from pipelines.fleet.providers import Dialect
from pipelines.wire.decode import decode
from pipelines.wire.reading import Reading, Usage
from pipelines.wire.refusals import refused

DATA = Path(__file__).parents[2] / "data" / "wire"


class Expected(NamedTuple):
    file: str
    dialect: Dialect
    number: int
    usage: Usage
    model: str | None
    finish: str
    words: str


CLAUDE, GPT = "anthropic__test_anthropic_", "openai__test_chat_"
SHEET = (
    Expected(
        CLAUDE + "prompt_caching_legacy",
        "anthropic",
        0,
        Usage(1167, 0, 187),
        "claude-3-5-sonnet-20240620",
        "end_turn",
        "concise summaries",
    ),
    Expected(
        CLAUDE + "prompt_caching_legacy",
        "anthropic",
        1,
        Usage(1167, 1163, 202),
        "claude-3-5-sonnet-20240620",
        "end_turn",
        "concise summaries",
    ),
    Expected(
        CLAUDE + "thinking_legacy",
        "anthropic",
        0,
        Usage(52, 0, 215),
        "claude-3-7-sonnet-20250219",
        "end_turn",
        "appears 3 times",
    ),
    Expected(
        CLAUDE + "tools_legacy",
        "anthropic",
        0,
        Usage(514, None, 152),
        "claude-3-5-sonnet-20240620",
        "tool_use",
        "weather",
    ),
    Expected(
        "bedrock__test_prompt_cache",
        "bedrock",
        0,
        Usage(18135, 0, 50),
        "claude-3-5-haiku-20241022",
        "max_tokens",
        "JavaScript",
    ),
    Expected(
        "bedrock__test_prompt_cache",
        "bedrock",
        1,
        Usage(18135, 18131, 50),
        "claude-3-5-haiku-20241022",
        "max_tokens",
        "JavaScript",
    ),
    Expected(
        "google-generativeai__test_client_spans",
        "gemini",
        0,
        Usage(5, None, 1935, 1058),
        "gemini-2.5-flash",
        "STOP",
        "Artificial Intelligence",
    ),
    Expected(
        "mistralai__test_mistralai_chat_with_cache_tokens",
        "openai",
        0,
        Usage(20, 10, 18),
        "mistral-tiny",
        "stop",
        "OpenTelemetry",
    ),
    Expected(
        "ollama__test_ollama_chat_tool_calls_legacy",
        "ollama",
        0,
        Usage(44, None, 113),
        "llama3.1",
        "stop",
        "OpenWeatherMap",
    ),
    Expected(GPT + "reasoning", "openai", 1, Usage(11, 0, 202, 192), "gpt-5-nano-2025-08-07", "stop", "3"),
    Expected(GPT + "tools", "openai", 0, Usage(68, None, 16), "gpt-3.5-turbo-0125", "tool_calls", ""),
    Expected(GPT + "with_service_tier", "openai", 1, Usage(8, 0, 11, 0), "gpt-5-2025-08-07", "stop", "Hello!"),
    Expected(GPT + "content_filtering", "openai", 0, Usage(15, None, 19), "gpt-35-turbo", "content_filter", ""),
)


def read(row: Expected, *, is_zipped: bool = True) -> Reading:
    loaded: dict[str, Any] = yaml.safe_load((DATA / f"{row.file}.yaml").read_text(encoding="utf-8"))
    response = loaded["interactions"][row.number]["response"]
    body = response["body"]["string"]
    body = body if isinstance(body, bytes) else body.encode()
    is_gzip = body[:2] == b"\x1f\x8b"
    headers = [(name, value) for name, values in response["headers"].items() for value in values]
    if is_gzip and not is_zipped:
        body = gzip.decompress(body)
    if not (is_gzip and is_zipped):
        headers = [(name, value) for name, value in headers if name.lower() != "content-encoding"]
    half = len(body) // 2
    return decode(
        tape(body[:half], body[half:], dialect=row.dialect, status=response["status"]["code"], headers=headers)
    )


@pytest.mark.parametrize("row", SHEET, ids=lambda row: f"{row.file}-{row.number}")
def test_a_recorded_answer_is_read_in_full(row: Expected) -> None:
    reading = read(row)
    assert reading.outcome == "error_in_200"
    assert (reading.usage, reading.response_model, reading.finish_reason) == (row.usage, row.model, row.finish)
    assert row.words in reading.answer
    assert (reading.request_id is None) == (row.dialect == "ollama")
    assert read(row, is_zipped=False).answer == reading.answer


def test_thinking_is_apart_from_the_answer_and_tools_are_a_channel() -> None:
    channels = {channel for event in read(SHEET[2]).events for channel, _ in event.payloads}
    assert channels == {"reasoning", "content"}
    assert ("tool", "get_weather") in [part for event in read(SHEET[3]).events for part in event.payloads]


def test_another_api_is_no_chat_completion() -> None:
    loaded = yaml.safe_load((DATA / "openai-agents__test_agent_with_handoff_spans.yaml").read_text(encoding="utf-8"))
    body = gzip.decompress(loaded["interactions"][0]["response"]["body"]["string"])
    assert decode(tape(body, dialect="openai")).outcome == "error_in_200"


def test_a_refusal_without_words_still_has_a_class() -> None:
    assert refused(500, None) == ("server_error", "HTTP 500 without an explanation")
