"""Tiny raw HTTP servers on 127.0.0.1 whose every byte and pause a test decides."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from pipelines.fleet.models import Timeouts
from pipelines.wire.tape import WireRequest

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(content: str, finish: str | None = None, model: str = "m-1") -> bytes:
    delta = {"content": content} if content else {}
    body = {"model": model, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


class Asked:
    """One request as a server read it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
        self.body = body


Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


class Server:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.connections = 0
        self.open_now = 0
        self.most_open = 0
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
                asked = Asked(head, await reader.readexactly(length))
                self.asked.append(asked)
                self.open_now += 1
                self.most_open = max(self.most_open, self.open_now)
                try:
                    await self.script(asked, writer)
                    await writer.drain()
                finally:
                    self.open_now -= 1
        except (asyncio.IncompleteReadError, ConnectionError, HangUpError):
            pass
        finally:
            writer.close()


class HangUpError(Exception):
    """Raised by a script to close the connection."""


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(script)
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        task = asyncio.get_running_loop().create_task(server.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.001)


async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer a canary rightly."""
    writer.write(HEAD)
    await asyncio.sleep(0.01)
    question = json.loads(asked.body)
    messages = question.get("messages") or [{"content": ""}]
    words = messages[0]["content"].replace("?", " ").split()
    right = str(int(words[words.index("*") - 1]) * int(words[words.index("*") + 1])) if "*" in words else "4"
    model = question.get("model", "m-1")
    for part in (event("", model=model), event(right, model=model), event("", "stop", model), USAGE, DONE):
        writer.write(chunk(part))
    writer.write(END)


async def hang(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def seconds(connect: float = 2, first_token: float = 2, idle: float = 2, total: float = 5) -> Timeouts:
    return Timeouts(
        connect=timedelta(seconds=connect),
        first_token=timedelta(seconds=first_token),
        idle=timedelta(seconds=idle),
        total=timedelta(seconds=total),
    )


def request(url: str, key: str = "sk-very-secret-1234") -> WireRequest:
    return WireRequest(
        method="POST",
        url=f"{url}/chat/completions",
        headers=(("authorization", f"Bearer {key}"), ("content-type", "application/json")),
        body=b'{"stream":true}',
        dialect="openai",
        max_tokens=32,
        secrets=(key,),
    )
