"""From an answer, its pace and a fault to a script: what is sent when, and how the connection ends. Pure."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from pipelines.demo.dialects import DemoDialect, Voice
from pipelines.demo.faults import FAULTS, Fault
from pipelines.demo.refusals import REFUSALS, error_body, error_event, error_headers
from pipelines.demo.speech import Speech
from pipelines.wire.reading import Channel

End = Literal["complete", "close", "reset", "hang"]
"""How a script ends: the body is finished, the socket closed, the socket reset, or nothing more ever comes."""

_FOREVER = 10_000
_MEGABYTE = 1 << 20
_SLIVER = 61


@dataclass(frozen=True)
class Pace:
    """How fast an answer comes."""

    ttft_s: float
    """From the request to the first token."""
    gap_s: float
    """Between tokens; an event of eight of them takes eight gaps."""
    tokens_per_event: int = 1


@dataclass(frozen=True)
class Step:
    """Bytes to send, and how long after the step before it."""

    after_s: float
    data: bytes
    token_count: int = 0
    """Generated tokens in it; the first step with any is the true first token."""


@dataclass(frozen=True)
class Script:
    """One HTTP answer. Without a status, nothing but raw bytes is ever sent."""

    status: int | None
    headers: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    end: End = "complete"
    status_after_s: float = 0.0


def perform(fault_name: str, voice: Voice, said: Speech, pace: Pace) -> Script:
    """Return the script of an answer with one fault; ``none`` is a good answer."""
    fault = FAULTS[fault_name]
    if fault.family == "refusal":
        return _refusal(fault, voice, said, pace)
    if fault.family == "document":
        return _document(fault, voice, said, pace)
    if fault.name in ("refusal", "hidden_reasoning_only"):
        return _stream(voice, _openai_only(fault.name, voice, said, pace))
    if fault.family == "answer":
        return _stream(voice, list(_good(voice, _altered(fault.name, said), pace)))
    good = list(_good(voice, said, pace))
    if fault.family == "stream":
        return _broken_stream(fault, voice, said, good)
    if fault.family == "timing":
        return _timed(fault.name, voice, said, pace, good)
    return _stream(voice, good)


def _stream(voice: Voice, steps: list[Step], end: End = "complete", **headers: str) -> Script:
    extra = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Script(200, (("content-type", voice.content_type), ("cache-control", "no-cache"), *extra), tuple(steps), end)


def _good(voice: Voice, said: Speech, pace: Pace) -> Iterator[Step]:
    """Yield the steps of the answer as it is; the role or start event comes half-way to the first token."""
    opening = voice.opening(said)
    if opening:
        yield Step(pace.ttft_s / 2, opening)
    wait = pace.ttft_s / 2 if opening else pace.ttft_s
    done = 0
    position = 0
    channels: tuple[tuple[Channel, tuple[str, ...]], ...] = (("reasoning", said.thoughts), ("content", said.words))
    for channel, words in channels:
        bridge = voice.turn(channel, position) if words else b""
        position += bool(words)
        for at in range(0, len(words), pace.tokens_per_event):
            group = words[at : at + pace.tokens_per_event]
            done += len(group)
            yield Step(wait, bridge + voice.piece(said, channel, "".join(group), done), len(group))
            bridge = b""
            wait = pace.gap_s * pace.tokens_per_event
    yield Step(0.0 if said.output_tokens else pace.ttft_s / 2, voice.finish(said) + voice.marker(said))


def _refusal(fault: Fault, voice: Voice, said: Speech, pace: Pace) -> Script:
    wait = min(pace.ttft_s, 0.05)
    if fault.name == "redirect":
        return Script(307, (("location", "https://elsewhere.invalid/v1"),), (Step(0, b""),), status_after_s=wait)
    if fault.name == "bad_gateway":
        page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
        return Script(502, (("content-type", "text/html"),), (Step(0, page),), status_after_s=wait)
    assert fault.refusal is not None
    refusal = REFUSALS[fault.refusal]
    body = error_body(refusal, voice.dialect, said.model)
    return Script(refusal.status, error_headers(refusal, voice.dialect), (Step(0, body),), status_after_s=wait)


def _document(fault: Fault, voice: Voice, said: Speech, pace: Pace) -> Script:
    json_type = (("content-type", "application/json"),)
    if fault.name == "error_in_200":
        return Script(200, json_type, (Step(0.01, error_body(REFUSALS["server_error"], voice.dialect, said.model)),))
    if fault.name == "html_in_200":
        return Script(200, (("content-type", "text/html"),), (Step(0.01, b"<!doctype html><p>Please log in</p>"),))
    if fault.name == "whole_answer":
        return Script(200, json_type, (Step(pace.ttft_s, voice.whole(said)),))
    if fault.name == "gzip_bomb":
        return _stream(voice, [Step(0.01, _bomb())], content_encoding="gzip")
    if fault.name == "endless":
        return _stream(voice, [Step(0.0, _filler(voice.dialect)) for _ in range(256)])
    if fault.name == "garbage":
        return Script(None, (), (Step(0.01, b"\x00\x01 this is no HTTP \xff\r\n\r\n"),), "hang")
    return Script(None, (), (), "close")


@cache
def _bomb() -> bytes:
    """Return 64 MB of nothing, compressed once: it takes a third of a second."""
    return gzip.compress(bytes(64 * _MEGABYTE), 1)


def _filler(dialect: DemoDialect) -> bytes:
    """Return a megabyte that says nothing: a comment, white space, or the start of one huge frame."""
    if dialect.startswith("bedrock"):
        head = (16 * _MEGABYTE).to_bytes(4, "big") + (0).to_bytes(4, "big")
        return head + zlib.crc32(head).to_bytes(4, "big") + bytes(_MEGABYTE)
    return (b" " if dialect == "ollama" else b": ") + b" " * _MEGABYTE + b"\n"


def _altered(name: str, said: Speech) -> Speech:
    """Return what is said instead. ``wrong_answer`` is composed wrong from the start."""
    if name == "length":
        return replace(said, words=said.words[:-3], finish="length")
    if name == "content_filter":
        return replace(said, words=said.words[1:3], thoughts=(), finish="content_filter")
    if name == "empty":
        return replace(said, words=(), thoughts=())
    if name == "reasoning_only":
        return replace(said, thoughts=said.thoughts or said.words, words=(), finish="length")
    if name == "wrong_model":
        return replace(said, model=impostor(said.model))
    return said


def _openai_only(name: str, voice: Voice, said: Speech, pace: Pace) -> list[Step]:
    """Return a refusal in its own channel, or a budget spent on thoughts that usage counts and nobody sees."""
    silent = [Step(pace.ttft_s / 2, voice.opening(said))]
    if name == "refusal":
        ending = replace(said, words=(), thoughts=())
        words = [Step(pace.gap_s, voice.piece(said, "refusal", word, 0), 1) for word in ("I", " cannot", " help.")]
        return [*silent, *words, Step(0.0, voice.finish(ending) + voice.marker(ending))]
    spent = replace(said, words=(), thoughts=said.thoughts or said.words, finish="length")
    return [*silent, Step(pace.ttft_s, voice.finish(spent) + voice.marker(spent))]


def impostor(model: str) -> str:
    """Return another version of the same family: ``steady-2`` becomes ``steady-mini-7``."""
    return re.split(r"[-:]", model, maxsplit=1)[0] + "-mini-7"


def _broken_stream(fault: Fault, voice: Voice, said: Speech, good: list[Step]) -> Script:
    cut = max(2, len(good) // 2)
    head = good[:cut]
    broken: dict[str, Callable[[], Step]] = {
        "bad_json": lambda: Step(0.0, voice.event(b'{"choices": [{"delta": {"content": "oh'), 0),
        "bad_utf8": lambda: Step(0.0, voice.event(b'{"choices": "\xff\xfe"}'), 0),
        "bad_schema": lambda: Step(
            0.0, voice.event(b'{"choices": {"delta": 1}, "delta": 7, "message": 7, "candidates": 7}'), 0
        ),
        "bad_checksum": lambda: Step(0.0, voice.event(b"{}")[:-1] + b"!", 0),
    }
    if fault.name in broken:
        return _stream(voice, [*head, broken[fault.name](), *good[cut:]])
    if fault.name in ("error_in_stream", "overloaded_in_stream"):
        assert fault.refusal is not None
        return _stream(voice, [*head, Step(0.0, error_event(REFUSALS[fault.refusal], voice.dialect, said.model))])
    if fault.name == "truncated":
        return _stream(voice, head)
    if fault.name == "nothing":
        return _stream(voice, [Step(0.01, b"")])
    if fault.name == "disconnect":
        return _stream(voice, head, "close")
    if fault.name == "reset":
        return _stream(voice, [*head, replace(good[cut], data=good[cut].data[:9], token_count=0)], "reset")
    return _reshaped(fault.name, voice, good)


def _reshaped(name: str, voice: Voice, good: list[Step]) -> Script:
    """Return the good answer in another wrapping: compressed, with other line ends, in slivers."""
    if name in ("gzip", "deflate"):
        squeeze = zlib.compressobj(wbits=zlib.MAX_WBITS | 16 if name == "gzip" else zlib.MAX_WBITS)
        packed = [replace(step, data=squeeze.compress(step.data) + squeeze.flush(zlib.Z_SYNC_FLUSH)) for step in good]
        return _stream(voice, [*packed, Step(0.0, squeeze.flush())], content_encoding=name)
    if name == "crlf":
        return _stream(
            voice, [replace(step, data=b": keep-alive\r\n\r\n" + step.data.replace(b"\n", b"\r\n")) for step in good]
        )
    slivers = [
        Step(
            step.after_s if at == 0 else 0.0,
            step.data[at : at + _SLIVER],
            step.token_count if at + _SLIVER >= len(step.data) else 0,
        )
        for step in good
        for at in range(0, len(step.data), _SLIVER)
    ]
    return _stream(voice, slivers)


def _timed(name: str, voice: Voice, said: Speech, pace: Pace, good: list[Step]) -> Script:
    if name == "slow_first_token":
        return _stream(voice, [replace(good[0], after_s=good[0].after_s + 2 * pace.ttft_s), *good[1:]])
    if name == "no_headers":
        return Script(None, (), (), "hang")
    if name == "hang":
        return _stream(voice, [], "hang")
    if name == "keepalives":
        alive = {"ollama": b"\n", "openai": b": working\n\n", "gemini": b": working\n\n"}.get(voice.dialect)
        empty = voice.opening(said) if alive is None else alive
        return _stream(voice, [Step(0.1, empty) for _ in range(_FOREVER)])
    cut = max(2, len(good) // 2)
    if name == "silence":
        return _stream(voice, good[:cut], "hang")
    if name == "drip":
        word = voice.piece(said, "content", " and", 1)
        return _stream(voice, [*good[:cut], *(Step(0.1, word, 1) for _ in range(_FOREVER))])
    return _stream(voice, good, "hang")
