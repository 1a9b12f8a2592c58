"""Play a script on a real connection with real clocks, and note the truth while doing so."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pipelines.demo.script import Script
from pipelines.demo.stage import Truth

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = dict[str, Any]

_LONGEST_HANG_S = 150.0
_TRANSPORT = "demo.transport"


class OpenHandedProtocol(H11Protocol):
    """uvicorn's protocol, handing its transport to the application: some faults are a matter of the socket."""

    def connection_made(self, transport: Any) -> None:
        """Wrap the application so that every scope on this connection carries the transport."""
        super().connection_made(transport)
        self.app = partial(_with_transport, self.app, transport)


async def _with_transport(app: Any, transport: asyncio.Transport, scope: Scope, receive: Receive, send: Send) -> None:
    scope[_TRANSPORT] = transport
    await app(scope, receive, send)


async def play(script: Script, truth: Truth, scope: Scope, receive: Receive, send: Send, *, start: float) -> None:
    """Send every step at its time, counted from ``start`` on the loop's clock, then end as the script says.

    Returns early when the client goes away. Steps that are late are sent at once; the truth holds real times.
    """
    loop = asyncio.get_running_loop()
    gone = asyncio.ensure_future(_client_gone(receive))
    try:
        due = start + script.status_after_s
        is_open = await _until(due, gone)
        if is_open and script.status is not None:
            head = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in script.headers]
            head.append((b"x-request-id", truth.request_id.encode()))
            await send({"type": "http.response.start", "status": script.status, "headers": head})
            truth.status = script.status
            if script.steps or script.end != "complete":
                await send({"type": "http.response.body", "body": b"", "more_body": True})
        for step in script.steps:
            due += step.after_s
            if not is_open or not (is_open := await _until(due, gone)):
                break
            if step.token_count:
                truth.last_token_s = loop.time() - start
                truth.first_token_s = truth.last_token_s if truth.first_token_s is None else truth.first_token_s
                truth.token_events += 1
            if script.status is None:
                scope[_TRANSPORT].write(step.data)
            elif step.data:
                await send({"type": "http.response.body", "body": step.data, "more_body": True})
        if is_open:
            await _end(script, scope, send, gone)
    finally:
        truth.ended_s = loop.time() - start
        gone.cancel()


async def _end(script: Script, scope: Scope, send: Send, gone: "asyncio.Future[None]") -> None:
    transport: asyncio.Transport = scope[_TRANSPORT]
    if script.end == "complete":
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    if script.end == "close":
        transport.close()
    elif script.end == "reset":
        transport.abort()
    await asyncio.wait([gone], timeout=_LONGEST_HANG_S)
    if not gone.done():
        transport.abort()
        await gone


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until(due: float, gone: "asyncio.Future[None]") -> bool:
    """Wait until a moment of the loop's clock; return whether the client is still there."""
    delay = due - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.wait([gone], timeout=delay)
    else:
        await asyncio.sleep(0)
    return not gone.done()
