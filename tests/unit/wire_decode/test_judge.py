"""The rules one by one, on tapes made by hand."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from tapes import MS, STARTED, tape

from pipelines.fleet.models import Timeouts
from pipelines.fleet.providers import Dialect
from pipelines.wire.decode import decode, quantile
from pipelines.wire.reading import Reading
from pipelines.wire.tape import EndReason


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"model": "m-1", "choices": choices, **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
GOOD = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "39"}),
    chunk({"content": "1"}),
    chunk({}, "stop"),
)


def refusal(status: int, body: Any, dialect: Dialect = "openai", *headers: tuple[str, str], **more: Any) -> Reading:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(tape(data, dialect=dialect, status=status, headers=headers, **more))


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("dns_error", "dns"),
        ("connect_error", "connect"),
        ("tls_error", "tls"),
        ("timeout_connect", "timeout_connect"),
        ("local_error", "client_fault"),
        ("disconnected", "disconnected"),
        ("protocol_error", "malformed"),
        ("timeout_first_byte", "timeout_first_token"),
        ("timeout_total", "timeout_first_token"),
        ("complete", "unknown"),
    ],
)
def test_an_attempt_without_a_status_is_classed_by_how_it_ended(end: EndReason, outcome: str) -> None:
    reading = decode(tape(status=None, end=end, error="because"))
    assert reading.outcome == outcome
    assert reading.error_message


def test_a_late_event_loop_takes_the_blame_even_for_a_good_answer() -> None:
    assert decode(tape(*GOOD, DONE, loop_lag_max_ns=250 * MS)).outcome == "ok"
    assert decode(tape(*GOOD, DONE, loop_lag_max_ns=251 * MS)).outcome == "client_fault"


GEMINI_PER_MINUTE = {
    "error": {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota, please check your plan and billing details. "
        "* Quota exceeded for metric: generate_content_free_tier_requests, limit: 5, model: x",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaValue": "5"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46.5s"},
        ],
    }
}
GEMINI_NONE = json.loads(json.dumps(GEMINI_PER_MINUTE).replace("limit: 5", "limit: 0"))
LOW_CREDIT = {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low."}}


@pytest.mark.parametrize(
    ("dialect", "status", "body", "outcome"),
    [
        ("openai", 401, {"error": {"message": "no", "type": "invalid_request_error"}}, "auth"),
        ("openai", 403, b"<html>Forbidden</html>", "auth"),
        (
            "gemini",
            400,
            {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}},
            "auth",
        ),
        ("openai", 400, {"code": "x", "error": "Incorrect API key provided: xa***"}, "auth"),
        ("openai", 402, {}, "quota"),
        ("openai", 429, {"error": {"code": "insufficient_quota", "message": "m"}}, "quota"),
        ("openai", 429, {"error": {"code": "billing_hard_limit_reached"}}, "quota"),
        ("openai", 429, {"error": "Your team has used all available credits or reached its limit."}, "quota"),
        ("anthropic", 400, LOW_CREDIT, "quota"),
        ("gemini", 429, GEMINI_PER_MINUTE, "rate_limited"),
        ("gemini", 429, GEMINI_NONE, "quota"),
        ("openai", 429, {"error": {"code": "rate_limit_exceeded"}}, "rate_limited"),
        ("openai", 429, b"", "rate_limited"),
        ("bedrock", 429, {"message": "Too many requests, please wait before trying again."}, "rate_limited"),
        ("openai", 529, b"", "overloaded"),
        ("openai", 498, {"error": {"code": "capacity_exceeded"}}, "overloaded"),
        ("gemini", 503, {"error": {"message": "The model is overloaded.", "status": "UNAVAILABLE"}}, "overloaded"),
        ("ollama", 503, {"error": "server busy, please try again.  maximum pending requests exceeded"}, "overloaded"),
        ("openai", 503, {"error": {"message": "Engine is currently busy"}}, "overloaded"),
        ("openai", 503, b"upstream connect error", "server_error"),
        ("openai", 404, b"404 page not found", "model_not_found"),
        ("ollama", 404, {"error": 'model "x" not found, try pulling it first'}, "model_not_found"),
        ("openai", 400, {"error": {"code": "model_decommissioned", "message": "m"}}, "model_not_found"),
        ("openai", 400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model"}, "model_not_found"),
        ("openai", 400, {"error": {"message": "Model Not Exist"}}, "model_not_found"),
        ("bedrock", 400, {"message": "The provided model identifier is invalid."}, "model_not_found"),
        ("openai", 410, b"", "model_not_found"),
        ("openai", 400, {"error": {"message": "max_tokens is not supported with this model"}}, "bad_request"),
        ("openai", 400, {"error": {"message": "temperature: must be below 2", "param": "temperature"}}, "bad_request"),
        ("openai", 400, {"error": {"code": "content_filter", "message": "filtered"}}, "content_filter"),
        ("openai", 413, b"", "bad_request"),
        ("openai", 422, {"detail": [{"msg": "field required"}]}, "bad_request"),
        ("bedrock", 408, {"message": "m"}, "bad_request"),
        ("openai", 500, b"\xff\xfe", "server_error"),
        ("openai", 520, b"<html><title>cloudflare</title></html>", "server_error"),
        ("openai", 302, b"", "bad_request"),
        ("openai", 101, b"", "unknown"),
    ],
)
def test_a_refusal_is_classed_by_status_and_words(dialect: Dialect, status: int, body: Any, outcome: str) -> None:
    reading = refusal(status, body, dialect)
    assert reading.outcome == outcome, reading.error_message
    assert str(status) in (reading.error_message or "")


def test_a_bedrock_model_fault_is_the_providers_though_its_status_is_4xx() -> None:
    header = ("x-amzn-errortype", "ModelTimeoutException:http://internal.amazon.com/x")
    assert refusal(408, {"message": "took too long"}, "bedrock", header).outcome == "server_error"


def test_a_redirect_says_where_to_and_what_to_do() -> None:
    message = refusal(307, b"", "openai", ("Location", "https://elsewhere/")).error_message or ""
    assert "https://elsewhere/" in message
    assert "base_url" in message


def test_a_refusal_whose_body_hangs_is_still_that_refusal() -> None:
    assert refusal(429, b"", end="timeout_idle").outcome == "rate_limited"


def test_a_quoted_key_never_reaches_the_message() -> None:
    body = {"error": {"message": "Incorrect API key provided: sk-verysecret. Find yours", "code": "invalid_api_key"}}
    message = refusal(401, body, secrets=("sk-verysecret", "")).error_message or ""
    assert "sk-verysecret" not in message
    assert "[redacted]" in message


def test_a_message_is_short_and_on_one_line() -> None:
    message = refusal(500, {"error": {"message": "very\n long " * 400}}).error_message or ""
    assert len(message) == 500
    assert "\n" not in message


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Retry-After", "7")], 7.0),
        ([("retry-after-ms", "1500"), ("retry-after", "2")], 1.5),
        (
            [
                ("Retry-After", format_datetime(STARTED + timedelta(seconds=30), usegmt=True)),
                ("Date", format_datetime(STARTED)),
            ],
            30.0,
        ),
        ([("Retry-After", format_datetime(STARTED - timedelta(hours=1), usegmt=True))], 0.0),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "-5")], None),
        ([("Retry-After", "nan")], None),
        ([("Retry-After", "1e999")], None),
        ([], None),
    ],
)
def test_retry_after_is_read_in_every_spelling(headers: list[tuple[str, str]], expected: float | None) -> None:
    assert refusal(429, b"", "openai", *headers).retry_after_s == expected


def test_googles_retry_delay_is_read_from_the_body() -> None:
    assert refusal(429, GEMINI_PER_MINUTE, "gemini").retry_after_s == 46.5


def test_a_date_to_retry_at_counts_from_the_tapes_own_start_without_a_date_header() -> None:
    at = format_datetime(datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC), usegmt=True)
    assert refusal(429, b"", "openai", ("Retry-After", at)).retry_after_s == pytest.approx(9.91)


@pytest.mark.parametrize("end", ["timeout_idle", "timeout_total", "complete"])
def test_a_stream_left_open_after_its_end_is_slow_to_close_and_not_timed_out(end: EndReason) -> None:
    reading = decode(tape(*GOOD, DONE, end=end, end_ns=15_000 * MS))
    assert reading.outcome == "stalled_close"
    assert reading.end_ns == 15_000 * MS


def test_a_stream_that_goes_silent_before_its_end_is_timed_out() -> None:
    assert decode(tape(*GOOD[:3], end="timeout_idle")).outcome == "timeout_idle"
    assert decode(tape(GOOD[0], end="timeout_idle")).outcome == "timeout_first_token"
    assert decode(tape(*GOOD[:3], end="timeout_total")).outcome == "timeout_total"


def test_a_first_token_behind_keepalives_is_late_by_the_budget() -> None:
    timeouts = Timeouts(first_token=timedelta(milliseconds=105))
    assert decode(tape(b": hold on\n\n", *GOOD, DONE), timeouts=timeouts).outcome == "timeout_first_token"
    assert decode(tape(b": hold on\n\n", *GOOD, DONE), timeouts=Timeouts()).outcome == "ok"


def test_a_cut_after_the_terminal_marker_costs_nothing_and_before_it_does() -> None:
    assert decode(tape(*GOOD, DONE, end="disconnected")).outcome == "ok"
    assert decode(tape(*GOOD, end="disconnected")).outcome == "disconnected"


def test_either_a_finish_reason_or_a_marker_is_an_end() -> None:
    assert decode(tape(*GOOD)).outcome == "ok"
    assert decode(tape(*GOOD[:3], DONE)).outcome == "ok"
    assert decode(tape(*GOOD[:3])).outcome == "truncated"
    assert decode(tape()).outcome == "truncated"


def test_an_error_in_the_stream_outranks_the_idle_time_after_it() -> None:
    error = b'data: {"error": {"message": "boom", "code": 502}}\n\n'
    reading = decode(tape(*GOOD[:2], error, end="timeout_idle"))
    assert reading.outcome == "error_in_stream"
    assert reading.error_message == "502: boom"
    assert decode(tape(*GOOD[:2], b'{"error": "unframed"}\n', end="disconnected")).outcome == "error_in_stream"


def test_a_spent_budget_with_hidden_reasoning_raises_the_budget_and_alarms_nobody() -> None:
    usage = {"usage": {"completion_tokens": 32, "completion_tokens_details": {"reasoning_tokens": 32}}}
    assert (
        decode(tape(chunk({"content": ""}), chunk({}, "length"), chunk(None, **usage), DONE)).outcome
        == "reasoning_only"
    )
    assert decode(tape(chunk({"content": ""}), chunk({}, "length"), DONE)).outcome == "empty"
    assert decode(tape(chunk({"reasoning": "hm"}), chunk({}, "length"), DONE)).outcome == "reasoning_only"
    assert decode(tape(chunk({"reasoning": "hm"}), chunk({}, "stop"), DONE)).outcome == "empty"


def test_an_answer_cut_by_our_own_budget_is_not_called_wrong() -> None:
    cut = decode(tape(chunk({"content": "Let me see"}), chunk({}, "length"), DONE), expect="391")
    assert (cut.outcome, cut.is_answer_right) == ("ok", None)
    whole = decode(tape(chunk({"content": "It is 392"}), chunk({}, "stop"), DONE), expect="391")
    assert (whole.outcome, whole.is_answer_right) == ("wrong_answer", False)


def test_the_allowed_patterns_decide_which_model_may_answer() -> None:
    assert decode(tape(*GOOD, DONE), allowed_models=["m-*"]).is_model_allowed is True
    wrong = decode(tape(*GOOD, DONE), allowed_models=["n-*"])
    assert (wrong.outcome, wrong.is_model_allowed) == ("wrong_model", False)


def test_stamps_follow_the_reads_that_completed_each_event() -> None:
    reads = (
        b": hi\n\n",
        GOOD[0],
        chunk({"reasoning_content": "hm"}),
        *GOOD[1:],
        chunk(None, usage={"completion_tokens": 3}) + DONE,
    )
    reading = decode(tape(*reads, end_ns=900 * MS), expect="391")
    assert reading.outcome == "ok"
    stamps = (reading.byte_ns, reading.event_ns, reading.token_ns, reading.output_ns, reading.last_ns, reading.end_ns)
    assert stamps == (100 * MS, 110 * MS, 120 * MS, 130 * MS, 140 * MS, 160 * MS)
    assert (reading.token_events, reading.output_tokens, reading.output_tokens_source) == (3, 3, "usage")
    assert (reading.gap_p50_ns, reading.gap_p95_ns, reading.gap_max_ns) == (10 * MS, 10 * MS, 10 * MS)
    assert (reading.answer, reading.first_event_tokens) == ("391", 1)


def test_events_of_one_read_share_its_stamp_and_have_no_gap() -> None:
    reading = decode(tape(b"".join(GOOD) + DONE))
    assert {event.at_ns for event in reading.events} == {100 * MS}
    assert reading.gap_max_ns == 0
    assert (reading.output_tokens, reading.output_tokens_source) == (2, "chunks")


def test_usage_beside_the_first_token_tells_how_many_it_holds() -> None:
    first = chunk({"content": "391 is"}, usage={"completion_tokens": 2})
    reading = decode(tape(first, chunk({"content": " it"}, "stop", usage={"completion_tokens": 3}), DONE))
    assert (reading.first_event_tokens, reading.output_tokens) == (2, 3)


def test_nothing_observed_is_null_and_never_zero() -> None:
    reading = decode(tape(status=None, end="dns_error"))
    nulls = (
        "byte_ns",
        "event_ns",
        "token_ns",
        "output_ns",
        "last_ns",
        "first_event_tokens",
        "output_tokens",
        "gap_max_ns",
    )
    assert [getattr(reading, name) for name in nulls] == [None] * len(nulls)


def test_halves_of_a_character_meet_across_events() -> None:
    reads = (
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\ude00"},"finish_reason":"stop"}]}\n\n',
    )
    assert decode(tape(*reads)).answer == "😀"


@pytest.mark.parametrize(
    ("values", "share", "expected"), [([], 0.5, None), ([4], 0.95, 4), ([0, 10], 0.5, 5), ([0, 10, 20, 30], 0.95, 28)]
)
def test_quantiles_interpolate(values: list[int], share: float, expected: int | None) -> None:
    assert quantile(values, share) == expected


@pytest.mark.parametrize(
    ("encoding", "data"), [("br", b"\x0b\x02"), ("zstd", b"\x28\xb5"), ("gzip", b"no gzip at all")]
)
def test_a_body_that_cannot_be_unpacked_is_malformed(encoding: str, data: bytes) -> None:
    reading = decode(tape(data, headers=[("Content-Encoding", encoding)]))
    assert reading.outcome == "malformed"
    assert reading.body_bytes == len(data)


def test_a_compressed_refusal_keeps_its_words() -> None:
    body = gzip.compress(b'{"error": {"code": "insufficient_quota", "message": "m"}}')
    assert decode(tape(body, status=429, headers=[("Content-Encoding", "gzip")])).outcome == "quota"
