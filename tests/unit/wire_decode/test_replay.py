"""Dialects without a reader of ours: recognised where they are known ones, else read by LiteLLM's parsers."""

import json
import subprocess
import sys

import pytest
from tapes import MS, tape

from pipelines.wire.decode import decode

COHERE = [
    {"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "39"}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "1"}}}},
    {"type": "content-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"output_tokens": 2}}}},
]
READS = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in COHERE]
MODEL = "cohere_chat/command-r"


def test_a_foreign_dialect_is_read_by_litellm_with_our_stamps_and_our_judgement() -> None:
    whole = decode(tape(*READS, dialect="litellm"), expect="391", litellm_model=MODEL)
    assert (whole.outcome, whole.answer, whole.decoded_by) == ("ok", "391", "litellm")
    assert (whole.token_ns, whole.last_ns, whole.finish_reason) == (120 * MS, 130 * MS, "COMPLETE")
    # LiteLLM itself would report `stop` here.
    assert decode(tape(*READS[:4], dialect="litellm"), litellm_model=MODEL).outcome == "truncated"
    assert (
        decode(tape(*READS[:4], dialect="litellm", end="disconnected"), litellm_model=MODEL).outcome == "disconnected"
    )
    broken = decode(tape(*READS[:4], b"data: {oops\n\n", *READS[4:], dialect="litellm"), litellm_model=MODEL)
    assert broken.outcome == "malformed"
    assert decode(tape(b'{"error": "no"}', dialect="litellm"), litellm_model=MODEL).outcome == "error_in_200"
    assert decode(tape(b"{}", dialect="litellm", status=500), litellm_model=MODEL).outcome == "server_error"


def test_a_provider_without_a_parser_is_our_matter_and_says_what_to_set() -> None:
    reading = decode(tape(b"whatever\n\n", b"more\n", dialect="litellm"), litellm_model="no_such_provider/x")
    assert reading.outcome == "bad_request"
    assert "fleet.yaml" in (reading.error_message or "")


def test_openai_chunks_under_another_providers_name_need_no_litellm() -> None:
    program = (
        "import sys; from tapes import tape; from pipelines.wire.decode import decode;"
        'body = b\'data: {"choices":[{"delta":{"content":"391"},"finish_reason":"stop"}]}\\n\\ndata: [DONE]\\n\\n\';'
        "reading = decode(tape(body, dialect='litellm'), litellm_model='perplexity/sonar');"
        "print(reading.outcome, reading.decoded_by, 'litellm' in sys.modules, 'botocore' in sys.modules)"
    )
    path = ":".join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={"PYTHONPATH": path}
    )
    assert done.stdout.strip() == "ok arguslab False False", done.stderr


def test_a_tape_without_a_model_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="litellm_model"):
        decode(tape(*READS, dialect="litellm"))
