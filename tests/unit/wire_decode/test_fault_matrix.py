"""The fault matrix: every class of the taxonomy, in every dialect where it exists, over a real socket."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.demo.dialects import DemoDialect
from pipelines.demo.faults import FAULTS, NOT_SERVED, Fault, matrix
from pipelines.demo.script import Pace
from pipelines.demo.server import build_app, serving
from pipelines.fleet.models import Timeouts
from pipelines.fleet.providers import Dialect
from pipelines.wire.decode import decode
from pipelines.wire.outcomes import OUTCOMES
from pipelines.wire.reading import Reading
from pipelines.wire.record import record
from pipelines.wire.slot import Slot
from pipelines.wire.tape import Tape, WireRequest

MODEL = "steady-2"
PROMPT = "[00ff00ff00] What is 17 * 23? Reply with the number only."
BRIEF = Timeouts(
    connect=timedelta(seconds=10),
    first_token=timedelta(seconds=2),
    idle=timedelta(seconds=1.5),
    total=timedelta(seconds=4),
)
"""For faults that only a clock can tell."""
PATIENT = Timeouts(
    connect=timedelta(seconds=30),
    first_token=timedelta(seconds=30),
    idle=timedelta(seconds=30),
    total=timedelta(seconds=60),
)
"""For all others: a busy machine must not turn them into time-outs."""
MAX_BYTES = 1 << 20
PATHS: dict[DemoDialect, str] = {
    "openai": "/openai/v1/chat/completions",
    "anthropic": "/anthropic/v1/messages",
    "gemini": "/gemini/v1beta/models/{model}:streamGenerateContent?alt=sse",
    "ollama": "/ollama/api/chat",
    "bedrock": "/bedrock/model/{model}/converse-stream",
    "bedrock_invoke": "/bedrock/model/{model}/invoke-with-response-stream",
}
BUILT_IN: dict[DemoDialect, Dialect] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "ollama": "ollama",
    "bedrock": "bedrock",
    "bedrock_invoke": "bedrock",
}


def wire_request(base: str, dialect: DemoDialect, fault: str) -> WireRequest:
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    return WireRequest(
        "POST",
        base + PATHS[dialect].format(model=MODEL),
        (("content-type", "application/json"), ("x-fault", fault)),
        json.dumps(body).encode(),
        BUILT_IN[dialect],
        64,
    )


def budgets_of(fault: Fault) -> Timeouts:
    return BRIEF if fault.family == "timing" else PATIENT


async def record_matrix() -> dict[tuple[str, DemoDialect], Tape]:
    """Record every cell, some at once, against one real server on a port of its own."""
    gate = asyncio.Semaphore(48)
    async with serving(build_app(seed=1, pace=Pace(0.03, 0.002))) as root:

        async def one(fault: Fault, dialect: DemoDialect) -> Tape:
            async with gate, Slot() as slot:
                request = wire_request(root, dialect, fault.name)
                return await record(request, budgets_of(fault), slot=slot, max_bytes=MAX_BYTES)

        cells = sorted(matrix(), key=lambda cell: cell[0].family != "timing")  # those that wait go first
        tapes = await asyncio.gather(*(one(fault, dialect) for fault, dialect in cells))
    return {(fault.name, dialect): tape for (fault, dialect), tape in zip(cells, tapes, strict=True)}


@pytest.fixture(scope="module")
def tapes() -> dict[tuple[str, DemoDialect], Tape]:
    return asyncio.run(record_matrix())


def reading_of(tape: Tape, timeouts: Timeouts = PATIENT) -> Reading:
    # How busy this machine is during a test run is no property of the tape: that rule has its own test.
    calm = replace(tape, loop_lag_max_ns=0)
    return decode(calm, expect="391", requested_model=MODEL, timeouts=timeouts)


@pytest.mark.parametrize(
    ("fault", "dialect"), [pytest.param(fault, dialect, id=f"{fault.name}-{dialect}") for fault, dialect in matrix()]
)
def test_every_fault_gets_its_class_in_every_dialect(
    tapes: dict[tuple[str, DemoDialect], Tape], fault: Fault, dialect: DemoDialect
) -> None:
    tape = tapes[fault.name, dialect]
    reading = reading_of(tape, budgets_of(fault))
    assert reading.outcome == fault.outcome, f"{reading} from {tape.end_reason} {tape.status_code} {tape.error}"
    assert (reading.error_message is None) == (fault.outcome == "ok")
    assert (reading.error_type is None) == (fault.outcome == "ok")


def test_the_table_serves_every_outcome_that_a_server_can_serve() -> None:
    assert {fault.outcome for fault in FAULTS.values()} | NOT_SERVED.keys() == OUTCOMES.keys()
    assert not {fault.outcome for fault in FAULTS.values()} & NOT_SERVED.keys()


def test_a_rate_limit_says_when_to_come_back(tapes: dict[tuple[str, DemoDialect], Tape]) -> None:
    assert {reading_of(tapes["rate_limited", dialect]).retry_after_s for dialect in PATHS} == {7.0}


@pytest.mark.parametrize("dialect", PATHS)
def test_a_good_answer_is_read_the_same_however_it_is_wrapped(
    tapes: dict[tuple[str, DemoDialect], Tape], dialect: DemoDialect
) -> None:
    plain = reading_of(tapes["none", dialect])
    for wrapping in ("gzip", "deflate", "slivers"):
        other = reading_of(tapes[wrapping, dialect])
        assert other.answer == plain.answer
        assert [event.payloads for event in other.events] == [event.payloads for event in plain.events]
        assert other.output_tokens == plain.output_tokens == plain.token_events
    assert plain.output_tokens_source == "usage"
    assert plain.is_answer_right is True
    assert plain.byte_ns is not None
    assert plain.token_ns is not None
    assert plain.last_ns is not None
    assert plain.end_ns is not None
    assert 0 < plain.byte_ns <= plain.token_ns < plain.last_ns <= plain.end_ns
