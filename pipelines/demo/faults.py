"""Every fault of the taxonomy that a server can serve, in every dialect where it exists, as one table.

``FAULTS`` is what the fault matrix is derived from: it names the outcome that a prober must report. Faults of the
network below HTTP (dns, connect, tls) and of the prober's own machine (client_fault) are not a server's to serve.
"""

from dataclasses import dataclass
from typing import Literal

from pipelines.demo.dialects import DemoDialect
from pipelines.wire.outcomes import Outcome

ALL: tuple[DemoDialect, ...] = ("openai", "anthropic", "gemini", "ollama", "bedrock", "bedrock_invoke")
_SSE: tuple[DemoDialect, ...] = ("openai", "anthropic", "gemini")
_TEXT: tuple[DemoDialect, ...] = (*_SSE, "ollama")

Family = Literal["refusal", "document", "stream", "timing", "answer", "none"]
"""Which part of the server plays it: a refused request, a body that is no stream, what the stream holds, when it
comes, what the answer says."""


@dataclass(frozen=True)
class Fault:
    """One fault: its name in ``x-fault`` or behind ``@`` in a model's name, and the right verdict on it."""

    name: str
    outcome: Outcome
    family: Family
    what: str
    dialects: tuple[DemoDialect, ...] = ALL
    refusal: str | None = None
    """The entry of ``REFUSALS`` that it serves, where it serves one."""


_ROWS = (
    Fault("none", "ok", "none", "a good answer"),
    Fault("slow_first_token", "ok", "timing", "a good answer that starts late, yet within the budget"),
    Fault("length", "ok", "answer", "part of the answer, cut by the token budget"),
    Fault("gzip", "ok", "stream", "a good answer, compressed in pieces"),
    Fault("deflate", "ok", "stream", "a good answer, compressed in pieces"),
    Fault("crlf", "ok", "stream", "a good answer with CRLF line ends and comments between its events", _SSE),
    Fault("slivers", "ok", "stream", "a good answer sent in small pieces"),
    Fault("auth_401", "auth", "refusal", "the key is refused", refusal="auth_401"),
    Fault("auth_403", "auth", "refusal", "the key may not do this", refusal="auth_403"),
    Fault("quota_402", "quota", "refusal", "payment required", refusal="quota_402"),
    Fault("quota_429", "quota", "refusal", "429 for want of credit", refusal="quota_429"),
    Fault("rate_limited", "rate_limited", "refusal", "429 with Retry-After: 7", refusal="rate_limited"),
    Fault("overloaded_529", "overloaded", "refusal", "529", refusal="overloaded_529"),
    Fault("overloaded_503", "overloaded", "refusal", "503 that says overloaded", refusal="overloaded_503"),
    Fault(
        "overloaded_in_stream", "overloaded", "stream", "overloaded, said inside the stream", refusal="overloaded_529"
    ),
    Fault("model_not_found", "model_not_found", "refusal", "404", refusal="model_not_found"),
    Fault("model_retired", "model_not_found", "refusal", "400 for a decommissioned model", refusal="model_retired"),
    Fault("bad_request", "bad_request", "refusal", "400", refusal="bad_request"),
    Fault("redirect", "bad_request", "refusal", "307 to another host"),
    Fault("server_error", "server_error", "refusal", "500", refusal="server_error"),
    Fault("unavailable", "server_error", "refusal", "503 without a word of load", refusal="unavailable"),
    Fault("bad_gateway", "server_error", "refusal", "502 with a page in HTML"),
    Fault("error_in_200", "error_in_200", "document", "200 whose body is an error object", refusal="server_error"),
    Fault("html_in_200", "error_in_200", "document", "200 with a page in HTML"),
    Fault("whole_answer", "error_in_200", "document", "200 with one document where a stream was asked for"),
    Fault("error_in_stream", "error_in_stream", "stream", "an error after some tokens", refusal="server_error"),
    Fault("bad_json", "malformed", "stream", "an event that is not JSON, then a good end"),
    Fault("bad_utf8", "malformed", "stream", "an event that is not UTF-8"),
    Fault("bad_schema", "malformed", "stream", "an event of another schema"),
    Fault("bad_checksum", "malformed", "stream", "a frame with a wrong checksum", ("bedrock", "bedrock_invoke")),
    Fault("gzip_bomb", "malformed", "document", "64 MB of nothing in 64 kB"),
    Fault("endless", "malformed", "document", "a body without an end"),
    Fault("garbage", "malformed", "document", "no HTTP at all"),
    Fault("disconnect", "disconnected", "stream", "the socket closes in the middle of the answer"),
    Fault("reset", "disconnected", "stream", "the socket is reset in the middle of an event"),
    Fault("disconnect_early", "disconnected", "document", "the socket closes before any status"),
    Fault("truncated", "truncated", "stream", "a clean end in the middle of the answer"),
    Fault("nothing", "truncated", "stream", "a clean end at once"),
    Fault("content_filter", "content_filter", "answer", "a safety stop"),
    Fault("refusal", "content_filter", "answer", "the refusal channel only", ("openai",)),
    Fault("empty", "empty", "answer", "a good end, and no output"),
    Fault("reasoning_only", "reasoning_only", "answer", "reasoning up to the token budget"),
    Fault(
        "hidden_reasoning_only",
        "reasoning_only",
        "answer",
        "a budget spent on reasoning that is not shown",
        ("openai",),
    ),
    Fault("stalled_close", "stalled_close", "timing", "a complete answer, and a stream that stays open"),
    Fault("wrong_answer", "wrong_answer", "answer", "a wrong product"),
    Fault("wrong_model", "wrong_model", "answer", "another model of the family answers", (*_TEXT, "bedrock_invoke")),
    Fault("no_headers", "timeout_first_token", "timing", "no answer at all"),
    Fault("hang", "timeout_first_token", "timing", "headers, and nothing more"),
    Fault("keepalives", "timeout_first_token", "timing", "comments or empty events for ever, and no token"),
    Fault("silence", "timeout_idle", "timing", "silence in the middle of the answer"),
    Fault("drip", "timeout_total", "timing", "one token now and then, for ever"),
)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ROWS}
"""Every fault by name."""

NOT_SERVED: dict[Outcome, str] = {
    "client_fault": "the prober's own machine",
    "dns": "below HTTP",
    "connect": "below HTTP",
    "tls": "below HTTP",
    "timeout_connect": "below HTTP",
    "unknown": "what no rule explains",
}
"""Outcomes that no server can serve, and why: their tests make them in another way."""


def matrix() -> list[tuple[Fault, DemoDialect]]:
    """Return every cell of the fault matrix: each fault in each dialect where it exists."""
    return [(fault, dialect) for fault in FAULTS.values() for dialect in fault.dialects]
