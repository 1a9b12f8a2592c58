"""However the bytes are cut into reads, an answer says the same; only the stamps follow the cuts."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import tape

from pipelines.demo.dialects import VOICES, DemoDialect
from pipelines.demo.faults import matrix
from pipelines.demo.script import Pace, perform
from pipelines.demo.speech import compose
from pipelines.fleet.providers import Dialect
from pipelines.wire.decode import decode
from pipelines.wire.dialects import READERS
from pipelines.wire.dialects.unpack import unpack
from pipelines.wire.reading import Reading
from pipelines.wire.tape import Chunk, EndReason, Tape

SAID = compose("17 * 23? é ☃ 😀", model="steady-2", response_id="r1", reasoning_tokens=3)
SAID = replace(SAID, words=(*SAID.words, " dé", "jà", " ☃", " 😀", ' "q" \\ \n'))
SCRAPS = [b"data: ", b"\n\n", b"{", b'{"choices":[]}', b"[DONE]", b"[", b"]", b"\r", b'{"error":1}', b"\xef\xbb\xbf"]
CELLS = [
    (fault.name, dialect)
    for fault, dialect in matrix()
    if fault.family in ("stream", "answer", "none") and fault.name not in ("slivers", "deflate")
]


def canonical(dialect: DemoDialect) -> Dialect:
    return "bedrock" if dialect == "bedrock_invoke" else dialect


def body_of(fault: str, dialect: DemoDialect) -> tuple[bytes, EndReason, list[tuple[str, str]]]:
    script = perform(fault, VOICES[dialect], SAID, Pace(0, 0, 2))
    end: EndReason = "disconnected" if script.end in ("close", "reset") else "complete"
    return b"".join(step.data for step in script.steps), end, [*script.headers]


def facts(reading: Reading) -> dict[str, Any]:
    timeless = {key: value for key, value in vars(reading).items() if not key.endswith("_ns") and key != "events"}
    return timeless | {"payloads": [event.payloads for event in reading.events]}


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(body) + 1) for place in places}), len(body)]
    return [body[start:stop] for start, stop in pairwise(edges)]


@settings(max_examples=400, deadline=None)
@given(cell=st.sampled_from(CELLS), places=st.lists(st.integers(0, 100_000), max_size=40))
def test_any_cut_gives_the_same_events_and_outcome(cell: tuple[str, DemoDialect], places: list[int]) -> None:
    body, end, headers = body_of(*cell)
    dialect = canonical(cell[1])
    at_once = decode(tape(body, dialect=dialect, end=end, headers=headers), expect="391")
    in_pieces = decode(tape(*cut(body, places), dialect=dialect, end=end, headers=headers), expect="391")
    assert facts(in_pieces) == facts(at_once)


@pytest.mark.parametrize(("fault", "dialect"), [cell for cell in CELLS if cell[0] in ("none", "crlf")])
def test_one_byte_at_a_time_gives_the_same_answer(fault: str, dialect: DemoDialect) -> None:
    body, end, headers = body_of(fault, dialect)
    pieces = [body[at : at + 1] for at in range(len(body))]
    reading = decode(tape(*pieces, dialect=canonical(dialect), end=end, headers=headers), expect="391")
    assert reading.outcome == "ok"
    assert reading.answer == "".join(SAID.words)
    stamps = [event.at_ns for event in reading.events]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) >= len(stamps) - 1


@settings(max_examples=400, deadline=None)
@given(
    reads=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [
                    b"data: ",
                    b"\n\n",
                    b"{",
                    b'{"choices":[]}',
                    b"[DONE]",
                    b"[",
                    b"]",
                    b"\r",
                    b'{"error":1}',
                    b"\xef\xbb\xbf",
                ]
            ),
        ),
        max_size=12,
    ),
    dialect=st.sampled_from(list(READERS)),
    status=st.sampled_from([None, 200, 204, 302, 400, 404, 429, 500, 503]),
    encoding=st.sampled_from([None, "gzip", "deflate", "br", "gzip, deflate", "x-unknown"]),
    retry=st.one_of(st.none(), st.text(alphabet=st.characters(codec="latin-1"), max_size=20)),
)
def test_random_bytes_never_crash_the_decoder(
    reads: list[bytes], dialect: Dialect, status: int | None, encoding: str | None, retry: str | None
) -> None:
    headers = [(name, value) for name, value in (("content-encoding", encoding), ("retry-after", retry)) if value]
    reading = decode(tape(*reads, dialect=dialect, status=status, headers=headers), expect="391", requested_model="m-1")
    assert reading.outcome not in ("ok", "wrong_answer") or reading.token_events
    assert len(reading.error_message or "") <= 500
    (reading.error_message or "").encode()
    reading.answer.encode()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_never_crashes_the_decoder(data: st.DataObject) -> None:
    fault, dialect = data.draw(st.sampled_from(CELLS))
    body, end, headers = body_of(fault, dialect)
    if not body:
        return
    at = data.draw(st.integers(0, len(body) - 1))
    bent = body[:at] + bytes([data.draw(st.integers(0, 255))]) + body[at + 1 :]
    decode(tape(bent, dialect=canonical(dialect), end=end, headers=headers), expect="391")


@settings(max_examples=100, deadline=None)
@given(reads=st.lists(st.binary(max_size=400), max_size=12), wbits=st.sampled_from([31, 15, -15]))
def test_compressed_reads_come_back_with_their_own_stamps(reads: list[bytes], wbits: int) -> None:
    import zlib

    squeeze = zlib.compressobj(wbits=wbits)
    chunks = [Chunk(at, squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)) for at, data in enumerate(reads)]
    plain, problem = unpack(chunks, "gzip" if wbits == 31 else "deflate")
    assert problem == ""
    assert [(chunk.at_ns, chunk.data) for chunk in plain] == [(at, data) for at, data in enumerate(reads) if data]


def test_a_bomb_is_never_held_whole() -> None:
    import gzip

    bomb = gzip.compress(bytes(4_000_000))
    plain, problem = unpack([Chunk(1, b""), Chunk(2, bomb)], "gzip", limit=1_000_000)
    assert "larger than 1000000 bytes" in problem
    assert sum(len(chunk.data) for chunk in plain) <= 1_000_000


def test_the_tape_itself_is_left_alone() -> None:
    body, end, headers = body_of("gzip", "openai")
    recorded: Tape = tape(body, headers=headers, end=end)
    assert decode(recorded).body_bytes == len(body)
