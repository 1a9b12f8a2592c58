"""The simulated fleet over HTTP: four base URLs and Bedrock, real streaming, real clocks, faults on request.

``/openai/v1``, ``/anthropic``, ``/ollama``, ``/gemini`` and ``/bedrock`` are the base URLs. A fault is asked for with
the header ``x-fault`` or with ``model@fault``; for everybody at once with ``POST /control``. What was really done is at
``GET /control/truth``. Both controls answer loopback only.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines.demo import catalog
from pipelines.demo.dialects import VOICES, DemoDialect
from pipelines.demo.faults import FAULTS
from pipelines.demo.personas import PERSONAS, Take
from pipelines.demo.player import OpenHandedProtocol, play
from pipelines.demo.refusals import REFUSALS, error_body, error_headers
from pipelines.demo.script import Pace, Script, Step, perform
from pipelines.demo.speech import Speech, compose, load_body, prompt_of, token_budget_of
from pipelines.demo.stage import Stage, Truth

_MAX_REQUEST_BYTES = 1 << 20


def utc_now() -> datetime:
    """Return the aware present moment."""
    return datetime.now(UTC)


def build_app(seed: int = 0, *, wall: Callable[[], datetime] = utc_now, pace: Pace | None = None) -> Starlette:
    """Return the server as an ASGI application; it must run on :class:`OpenHandedProtocol` (see :func:`build_server`).

    ``pace`` overrides the personas' own, for tests that must be quick.
    """
    stage = Stage(seed, wall)

    def chat(dialect: DemoDialect) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await _answer(stage, dialect, request, pace)

        return endpoint

    async def control(request: Request) -> Response:
        return await _control(stage, request)

    async def truth(request: Request) -> Response:
        since = request.query_params.get("since", "0")
        return (
            JSONResponse(stage.recall(int(since) if since.isdecimal() else 0))
            if _is_loopback(request)
            else _forbidden()
        )

    def listing(build: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(build(request))

        return endpoint

    posts: list[tuple[str, DemoDialect]] = [
        ("/openai/v1/chat/completions", "openai"),
        ("/anthropic/v1/messages", "anthropic"),
        ("/ollama/api/chat", "ollama"),
        ("/gemini/v1beta/models/{call:path}", "gemini"),
        ("/gemini/models/{call:path}", "gemini"),
        ("/bedrock/model/{call:path}/converse-stream", "bedrock"),
        ("/bedrock/model/{call:path}/converse", "bedrock"),
        ("/bedrock/model/{call:path}/invoke-with-response-stream", "bedrock_invoke"),
    ]
    return Starlette(
        routes=[
            *(Route(path, chat(dialect), methods=["POST"]) for path, dialect in posts),
            Route("/openai/v1/models", listing(lambda _: catalog.openai_models())),
            Route("/anthropic/v1/models", listing(lambda request: catalog.anthropic_models(request.query_params))),
            Route("/ollama/api/tags", listing(lambda _: catalog.ollama_tags())),
            Route("/ollama/api/version", listing(lambda _: {"version": "0.0.0-demo"})),
            Route("/gemini/v1beta/models", listing(lambda request: catalog.gemini_models(request.query_params))),
            Route("/gemini/models", listing(lambda request: catalog.gemini_models(request.query_params))),
            Route("/control", control, methods=["POST"]),
            Route("/control/truth", truth),
        ]
    )


def build_server(app: Starlette, port: int = 0, host: str = "127.0.0.1") -> uvicorn.Server:
    """Return the server, not yet running; port 0 takes a free one."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=OpenHandedProtocol,
        loop="asyncio",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Serve on a free loopback port inside the running loop; yields the root URL."""
    server = build_server(app)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn tells of its start in an attribute, not by an event
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def run(port: int, seed: int = 0) -> None:
    """Serve the demo fleet on loopback until interrupted."""
    build_server(build_app(seed), port).run()


class _Performance(Response):
    """A response that plays a script instead of sending a body."""

    def __init__(self, script: Script, truth: Truth, start: float) -> None:
        self._script, self._truth, self._start = script, truth, start
        self.background = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Play the script."""
        await play(self._script, self._truth, scope, receive, send, start=self._start)


async def _answer(stage: Stage, dialect: DemoDialect, request: Request, pace: Pace | None) -> Response:
    body = load_body((await request.body())[:_MAX_REQUEST_BYTES]) or {}
    start = asyncio.get_running_loop().time()
    name, is_stream = _asked(dialect, request, body)
    model, _, wanted = name.partition("@")
    wanted = request.headers.get("x-fault") or wanted
    stage.served += 1
    truth = Truth(f"demo-{stage.seed}-{stage.served}", stage.wall().isoformat(), dialect, model, wanted or "none", "ok")
    stage.remember(truth)
    if wanted and wanted not in FAULTS:
        return _refuse(dialect, "bad_request", model, truth, start)
    if model not in PERSONAS:
        return _refuse(dialect, "model_not_found", model, truth, start)
    persona = PERSONAS[model]
    drawn = stage.draw(model)
    fault = wanted or drawn.fault
    if dialect not in FAULTS[fault].dialects:
        fault = "server_error"
    said = compose(
        prompt_of(body),
        model=model,
        response_id=truth.request_id,
        max_tokens=token_budget_of(body),
        reasoning_tokens=persona.reasoning_tokens,
        is_wrong=fault == "wrong_answer",
        created=int(stage.wall().timestamp()),
    )
    truth.fault, truth.outcome = fault, FAULTS[fault].outcome
    truth.input_tokens, truth.output_tokens = said.input_tokens, said.output_tokens
    rhythm = pace or _rhythm(drawn, persona.tokens_per_event)
    return _Performance(_script(fault, dialect, said, rhythm, is_stream=is_stream), truth, start)


def _rhythm(drawn: Take, tokens_per_event: int) -> Pace:
    return Pace(drawn.ttft_s, 1 / drawn.tps, tokens_per_event)


def _script(fault: str, dialect: DemoDialect, said: Speech, pace: Pace, *, is_stream: bool) -> Script:
    voice = VOICES[dialect]
    if is_stream or FAULTS[fault].family not in ("none", "answer"):
        return perform(fault, voice, said, pace)
    wait = pace.ttft_s + pace.gap_s * said.output_tokens
    return Script(200, (("content-type", "application/json"),), (Step(wait, voice.whole(said), said.output_tokens),))


def _asked(dialect: DemoDialect, request: Request, body: dict[str, Any]) -> tuple[str, bool]:
    """Return the model's name and whether a stream was asked for."""
    call = str(request.path_params.get("call", ""))
    if dialect == "gemini":
        name, _, method = call.rpartition(":")
        return name, method.startswith("stream")
    if dialect in ("bedrock", "bedrock_invoke"):
        return call, not request.url.path.endswith("/converse")
    return str(body.get("model", "")), body.get("stream", dialect == "ollama") is True


def _refuse(dialect: DemoDialect, kind: str, model: str, truth: Truth, start: float) -> Response:
    refusal = REFUSALS[kind]
    truth.outcome = FAULTS[kind].outcome
    body = error_body(refusal, dialect, model)
    return _Performance(Script(refusal.status, error_headers(refusal, dialect), (Step(0, body),)), truth, start)


async def _control(stage: Stage, request: Request) -> Response:
    if not _is_loopback(request):
        return _forbidden()
    order = load_body(await request.body()) or {}
    model, fault, for_s = order.get("model"), order.get("fault"), order.get("for_s", 300)
    if model != "*" and model not in PERSONAS:
        return JSONResponse({"error": f"no such model: {model!r}", "models": [*PERSONAS, "*"]}, 422)
    if fault not in FAULTS:
        return JSONResponse({"error": f"no such fault: {fault!r}", "faults": list(FAULTS)}, 422)
    if isinstance(for_s, bool) or not isinstance(for_s, int | float) or not 0 <= for_s <= 86_400:
        return JSONResponse({"error": "for_s must be a number of seconds from 0 to 86400"}, 422)
    until = stage.direct(model, fault, timedelta(seconds=for_s))
    return JSONResponse({"model": model, "fault": fault, "until": until.isoformat()})


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _forbidden() -> Response:
    return JSONResponse({"error": "the controls answer loopback only"}, 403)
