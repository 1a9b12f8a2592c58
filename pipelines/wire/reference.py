"""The reference endpoint: a server on loopback in the same event loop, whose true times are known.

Asked along with the fleet, it gives each sweep its own measured error; asked once before, it warms the client.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from pipelines.fleet.models import Timeouts
from pipelines.wire.network import Clock, Resolve
from pipelines.wire.record import record
from pipelines.wire.slot import Slot
from pipelines.wire.tape import Tape, WireRequest

FIRST_S: Final = 0.05
GAP_S: Final = 0.005
TOKENS: Final = 4
_TIMEOUTS: Final = Timeouts(
    connect=timedelta(seconds=2),
    first_token=timedelta(seconds=5),
    idle=timedelta(seconds=5),
    total=timedelta(seconds=8),
)
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_TOKEN: Final = b'data: {"choices":[{"index":0,"delta":{"content":"1"},"finish_reason":null}]}\n\n'
_DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class ReferenceSample:
    """One probe of the reference: when, and how much longer its first token seemed to take than it did."""

    at_ns: int
    error_ns: int


class Reference:
    """The server and its client. Use as ``async with``; :meth:`probe` takes one sample."""

    def __init__(self, clock: Clock = time.perf_counter_ns, resolve: Resolve | None = None) -> None:
        self._clock = clock
        self._resolve = resolve
        self._server: asyncio.Server | None = None
        self._slot: Slot | None = None
        self._request: WireRequest | None = None
        self._true_ns = 0
        """What the server really did with the last request: first token written minus request read."""
        self._handlers: set[asyncio.Task[None]] = set()
        self.samples: list[ReferenceSample] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        headers = (("content-type", "application/json"), ("accept-encoding", "identity"))
        self._request = WireRequest(
            "POST", f"http://{host}:{port}/v1/chat/completions", headers, b'{"stream":true}', "openai", 1
        )
        self._slot = Slot(resolve=self._resolve, clock=self._clock)
        await self._ask()  # the throwaway: imports, TLS context, first use of every code path
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._slot is not None:
            await self._slot.aclose()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        if self._handlers:  # each ends by itself once it sees the client's connection closed
            await asyncio.wait(self._handlers)

    async def _ask(self) -> Tape:
        assert self._slot is not None
        assert self._request is not None
        return await record(self._request, _TIMEOUTS, slot=self._slot)

    async def probe(self) -> ReferenceSample | None:
        """Take one sample; None when even the reference did not answer, which says that we are the bottleneck."""
        at = self._clock()
        tape = await self._ask()
        if tape.end_reason != "complete" or not tape.chunks:
            return None
        sample = ReferenceSample(at, tape.chunks[0].at_ns - self._true_ns)
        self.samples.append(sample)
        return sample

    async def keep_probing(self, every_s: float = 0.5) -> None:
        """Take samples until cancelled."""
        while True:
            await self.probe()
            await asyncio.sleep(every_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        try:
            while True:
                await reader.readuntil(b'{"stream":true}')
                read_ns = self._clock()
                writer.write(_HEAD)
                await asyncio.sleep(FIRST_S)
                for number in range(TOKENS):
                    writer.write(b"%x\r\n%s\r\n" % (len(_TOKEN), _TOKEN))
                    if number == 0:
                        self._true_ns = self._clock() - read_ns
                    await asyncio.sleep(GAP_S)
                writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(_DONE), _DONE))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def error_p50_ns(self) -> int | None:
        """Median error; None without a sample."""
        return int(statistics.median(sample.error_ns for sample in self.samples)) if self.samples else None

    def error_max_ns(self) -> int | None:
        """Largest error; None without a sample."""
        return max((sample.error_ns for sample in self.samples), default=None)

    def error_near_ns(self, at_ns: int) -> int | None:
        """Error of the sample nearest in time: an attempt's own error bar."""
        nearest = min(self.samples, key=lambda sample: abs(sample.at_ns - at_ns), default=None)
        return None if nearest is None else nearest.error_ns
