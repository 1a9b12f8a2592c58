"""The ground truth: a streaming chat server that knows, per request, when it wrote each token.

First token after 100 ms, then 31 more every 10 ms, on deadlines that do not drift. Its own lateness is part of what it
tells (``GET /truth``), so that a client is charged with its own error only. One process, one core, no library.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

FIRST_TOKEN_MS = 100.0
GAP_MS = 10.0
TOKENS = 32
MODEL = "bench-model"
HANG = "/hang"
"""Requests below this path are read and never answered."""
_PRODUCT = re.compile(r"(\d+) \* (\d+)")


@dataclass(frozen=True)
class Truth:
    """What the server did for one request; moments are nanoseconds since its last byte had arrived."""

    request_id: str
    written_ns: tuple[int, ...] = field(repr=False)

    @property
    def ttft_ms(self) -> float:
        """When the first token was handed to the kernel."""
        return self.written_ns[0] / 1e6

    @property
    def gap_ms(self) -> float:
        """Mean gap between two tokens."""
        return (self.written_ns[-1] - self.written_ns[0]) / 1e6 / (len(self.written_ns) - 1)

    @property
    def lateness_ms(self) -> float:
        """How far behind its own plan the first token was."""
        return self.ttft_ms - FIRST_TOKEN_MS


class _Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection. Knows just enough HTTP for clients that mean well."""

    def __init__(self, done: list[Truth], numbers: "count[int]") -> None:
        self._done = done
        self._numbers = numbers
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        arrived = time.perf_counter_ns()
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            headers = _headers(head)
            size = int(headers.get("content-length", "0"))
            if len(self._buffer) < end + 4 + size:
                return
            body = self._buffer[end + 4 : end + 4 + size]
            self._buffer = self._buffer[end + 4 + size :]
            self._answer(head.split(" ", 2)[1], headers, body, arrived)

    def _answer(self, path: str, headers: dict[str, str], body: bytes, arrived: int) -> None:
        if path.startswith(HANG):
            return
        if path.endswith("/chat/completions"):
            request_id = headers.get("x-request-id") or f"truth-{next(self._numbers)}"
            _Stream(self, request_id, body.decode(), arrived).start()
        elif path == "/truth":
            taken, self._done[:] = list(self._done), []
            self._send_json([asdict(truth) for truth in taken])
        else:
            self._send_json({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "bench"}]})

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )

    def write(self, data: bytes) -> bool:
        """Hand bytes to the kernel; return whether the client is still there."""
        if self._transport is None:
            return False
        self._transport.write(data)
        return True

    def finish(self, truth: Truth) -> None:
        """Keep what one request's stream did."""
        self._done.append(truth)


class _Stream:
    """The answer to one request, written from timers on absolute deadlines."""

    def __init__(self, connection: _Connection, request_id: str, asked: str, arrived: int) -> None:
        self._connection = connection
        self._id = request_id
        self._model = json.loads(asked).get("model", MODEL)
        self._has_usage = "stream_options" in asked
        product = _PRODUCT.search(asked)  # anywhere: some clients send a text, others a list of parts
        self._first = str(int(product[1]) * int(product[2])) if product else "one"
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        # The loop's clock and perf_counter tick alike but need not share their zero.
        self._zero_s = self._loop.time() - (time.perf_counter_ns() - arrived) / 1e9
        self._written: list[int] = []

    def start(self) -> None:
        """Send the headers at once, as inference servers do, and plan the first token."""
        self._connection.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
            b"x-request-id: %s\r\n\r\n" % self._id.encode()
        )
        self._plan(0)

    def _plan(self, index: int) -> None:
        self._loop.call_at(self._zero_s + (FIRST_TOKEN_MS + index * GAP_MS) / 1e3, self._token, index)

    def _token(self, index: int) -> None:
        delta = {"role": "assistant", "content": self._first} if index == 0 else {"content": f" {index}"}
        data = _event(self._chunk(delta, None))
        is_last = index == TOKENS - 1
        if is_last:
            data += _event(self._chunk({}, "stop"))
            if self._has_usage:
                usage = {"prompt_tokens": 16, "completion_tokens": TOKENS, "total_tokens": TOKENS + 16}
                data += _event(self._chunk(None, None) | {"usage": usage})
            data += _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        self._written.append(time.perf_counter_ns() - self._arrived)
        if not self._connection.write(data):
            return
        if is_last:
            self._connection.finish(Truth(self._id, tuple(self._written)))
        else:
            self._plan(index + 1)

    def _chunk(self, delta: dict[str, str] | None, finish: str | None) -> dict[str, object]:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": 1,
            "model": self._model,
            "choices": choices,
        }


def _event(value: dict[str, object]) -> bytes:
    return _framed(b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _headers(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


async def serve(port: int = 0) -> asyncio.Server:
    """Return the listening server; its port is ``server.sockets[0].getsockname()[1]``."""
    done: list[Truth] = []
    numbers = count(1)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Connection(done, numbers), "127.0.0.1", port, backlog=1024)


@dataclass(frozen=True)
class TruthServer:
    """A running ground-truth server, seen from outside."""

    url: str
    """Base URL, with ``/v1``."""

    def take(self) -> dict[str, Truth]:
        """Return, and forget, what was done since the last call, by request id."""
        address = self.url.removesuffix("/v1") + "/truth"
        with urllib.request.urlopen(address, timeout=10) as answer:
            rows = json.load(answer)
        return {row["request_id"]: Truth(row["request_id"], tuple(row["written_ns"])) for row in rows}


@contextmanager
def truth_server(core: int | None = 0, port: int = 0) -> Iterator[TruthServer]:
    """Run the server in a process of its own, pinned to one core where there is more than one."""
    command = [sys.executable, "-m", "tests.bench.truth", "--port", str(port)]
    command += [] if core is None else ["--core", str(core)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        bound = process.stdout.readline().strip()
        if not bound:
            raise RuntimeError(f"the ground-truth server ended with code {process.wait()}")
        yield TruthServer(f"http://127.0.0.1:{bound}/v1")
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


def pin(core: int) -> None:
    """Keep this process on one core, if the machine lets us and has it."""
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0) and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {core})


async def _main(port: int) -> None:
    server = await serve(port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int)
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    if args.core is not None:
        pin(args.core)
    asyncio.run(_main(args.port))
