"""A real HTTP server on 127.0.0.1 for tests: an ASGI app under uvicorn in a thread, on a free port."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Vendor:
    """A server that answers from a table and remembers what it was asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    """Path (with or without query) to JSON, to (status, JSON), to a Response, or to a function of the request."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    base: str = ""

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        full = f"{path}?{request.url.query}" if request.url.query else path
        self.asked.append((full, {key.lower(): value for key, value in request.headers.items()}))
        found = self.answers.get(full, self.answers.get(path, (404, {"error": {"message": "no such path"}})))
        if callable(found) and not isinstance(found, Response):
            found = found(request)
        if hasattr(found, "__await__"):
            found = await found
        if isinstance(found, Response):
            return found
        status, body = found if isinstance(found, tuple) else (200, found)
        return JSONResponse(body, status)


@dataclass
class _Server:
    """One running server; which vendor answers changes from test to test."""

    vendor: Vendor | None = None
    base: str = ""

    def start(self) -> "_Server":
        async def answer(request: Request) -> Response:
            if self.vendor is None:
                return Response(status_code=503)
            return await self.vendor.answer(request)

        app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "HEAD", "POST"])])
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
        threading.Thread(target=server.run, daemon=True).start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        self.base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        return self


_idle: list[_Server] = []
"""Starting and stopping uvicorn takes 0.3 s; a server that is done serves the next test."""


@contextmanager
def serving(answers: dict[str, Any] | None = None) -> Iterator[Vendor]:
    """Serve the answers until the block ends; two open blocks are two servers on two ports."""
    server = _idle.pop() if _idle else _Server().start()
    server.vendor = Vendor(answers or {}, base=server.base)
    try:
        yield server.vendor
    finally:
        server.vendor = None
        _idle.append(server)
