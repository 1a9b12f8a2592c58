"""LiteLLM as a compiler: run one completion against a transport that keeps the request and sends nothing.

The call runs on an event loop that cannot connect, under an audit hook that refuses sockets: no provider's code path,
whatever it does, reaches the network from here.
"""

import asyncio
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, NoReturn

import httpx

from pipelines.wire.credentials import CompileError

Sent = tuple[str, str, tuple[tuple[str, str], ...], bytes]
"""Method, URL, headers and body as LiteLLM's client was about to send them."""

_IS_COMPILING: ContextVar[bool] = ContextVar("arguslab_is_compiling", default=False)


class _Captured(BaseException):
    """Unwinds LiteLLM once the request is known; no ``except Exception`` on the way may swallow it."""


class _RefusedError(ConnectionError):
    """Something tried to reach the network while compiling."""


class _Capture(httpx.AsyncBaseTransport):
    """Keeps the first request that is sent through it."""

    def __init__(self) -> None:
        self.sent: Sent | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Keep the request, then unwind."""
        body = await request.aread()
        if self.sent is None:
            self.sent = (request.method, str(request.url), tuple(request.headers.multi_items()), body)
        raise _Captured


class _DeafLoop(asyncio.SelectorEventLoop):
    """An event loop that resolves nothing and connects to nothing."""

    async def getaddrinfo(self, *_: Any, **__: Any) -> NoReturn:
        raise _RefusedError("compiling a request never resolves a name")

    async def create_connection(self, *_: Any, **__: Any) -> NoReturn:
        raise _RefusedError("compiling a request never connects")

    async def sock_connect(self, *_: Any, **__: Any) -> NoReturn:
        raise _RefusedError("compiling a request never connects")


@cache
def _guard_sockets() -> None:
    """Refuse blocking sockets too, for code that compiles and only for it. A hook cannot be removed: add it once."""

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") and _IS_COMPILING.get():
            if event == "socket.connect" and getattr(args[0], "family", None) == socket.AF_UNIX:
                return
            raise _RefusedError(f"compiling a request never uses the network ({event})")

    sys.addaudithook(refuse)


@cache
def load_litellm() -> Any:
    """Import LiteLLM without its network call and its advertising, and return the module."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations are not ours
        import litellm  # noqa: PLC0415  3–5 s and 170 MB: only a process that compiles pays
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.drop_params = False
    return litellm


@contextmanager
def _compiling() -> Iterator[None]:
    _guard_sockets()
    token = _IS_COMPILING.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _IS_COMPILING.reset(token)


def capture(provider: str, arguments: dict[str, Any], google_token: str | None) -> Sent:
    """Return the request that LiteLLM would send for ``acompletion(**arguments)``.

    Raises CompileError unknown_provider or unsupported; must not be called from a running event loop.
    """
    litellm = load_litellm()
    errors: list[str] = []
    with _compiling(), _google_token(google_token):
        for client, transport in _clients(provider, arguments):
            with asyncio.Runner(loop_factory=_DeafLoop) as runner:
                error = runner.run(_complete(litellm, arguments | {"client": client}))
            if transport.sent is not None:
                return transport.sent
            if isinstance(error, litellm.BadRequestError) and "LLM Provider NOT provided" in str(error):
                raise CompileError("unknown_provider", f"LiteLLM {_version()} knows no provider called {provider!r}")
            if isinstance(error, litellm.UnsupportedParamsError):
                raise CompileError("bad_value", f"{provider} does not take these params: {str(error)[:200]}")
            errors.append(f"{type(error).__name__}: {error}")
    raise CompileError("unsupported", f"LiteLLM cannot compile this request for {provider}: {errors[0][:300]}")


async def _complete(litellm: Any, arguments: dict[str, Any]) -> Exception | None:
    try:
        stream = await litellm.acompletion(**arguments)
        async for _ in stream:  # some providers send only when the stream is first asked for
            pass
    except _Captured:
        return None
    except Exception as error:  # noqa: BLE001  LiteLLM raises a provider's every error, and TypeErrors of its own
        return error
    return None


def _clients(provider: str, arguments: dict[str, Any]) -> Iterator[tuple[Any, _Capture]]:
    """Yield the clients that LiteLLM may take for a provider, likeliest first."""
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler  # noqa: PLC0415  see load_litellm
    from openai import AsyncAzureOpenAI, AsyncOpenAI  # noqa: PLC0415  0.5 s, loaded by LiteLLM anyway

    if provider == "azure":
        transport = _Capture()
        yield (
            AsyncAzureOpenAI(
                api_key=arguments["api_key"],
                azure_endpoint=arguments["api_base"],
                api_version=arguments["api_version"],
                http_client=httpx.AsyncClient(transport=transport, trust_env=False),
                max_retries=0,
            ),
            transport,
        )
        return
    kinds = ["httpx", "openai"]
    for kind in reversed(kinds) if provider in ("openai", "lm_studio") else kinds:
        transport = _Capture()
        if kind == "httpx":
            yield AsyncHTTPHandler(transport=transport), transport
        elif base := arguments.get("api_base") or _default_base(arguments["model"]):
            client = httpx.AsyncClient(transport=transport, trust_env=False)
            key = arguments.get("api_key") or "none"
            yield AsyncOpenAI(api_key=key, base_url=base, http_client=client, max_retries=0), transport


def _default_base(model: str) -> str | None:
    """Return LiteLLM's own base URL of a provider: without one the client would fall back to OpenAI's host."""
    litellm = load_litellm()
    try:
        base: str | None = litellm.get_llm_provider(model=model)[3]
    except litellm.BadRequestError:
        return None
    return base


@contextmanager
def _google_token(token: str | None) -> Iterator[None]:
    """Hand LiteLLM a Vertex access token in place of the exchange that would need the network."""
    if token is None:
        yield
        return
    from litellm.llms.vertex_ai.vertex_llm_base import VertexBase  # noqa: PLC0415  see load_litellm

    names = ("_ensure_access_token", "_ensure_access_token_async")
    originals = {name: getattr(VertexBase, name) for name in names}

    def given(_: Any, credentials: Any = None, project_id: str | None = None, *__: Any, **___: Any) -> Any:  # noqa: ARG001  the shape of the method that it stands in for
        return token, project_id

    async def given_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        return given(self, *args, **kwargs)

    # LiteLLM offers no public way to hand a token in.
    for name, stand_in in zip(names, (given, given_async), strict=True):
        setattr(VertexBase, name, stand_in)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(VertexBase, name, original)


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415  only for a message

    return version("litellm")
