"""Real parts for whole-way tests: a home with a Dagster instance, the demo fleet's server, a Slack double."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipelines import watch
from pipelines.alerts import alert_sensor
from pipelines.demo.server import build_app, build_server
from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.resources import HomeResource


@contextmanager
def served(server: uvicorn.Server) -> Iterator[str]:
    """Run a server in a thread; yield its base URL."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Receiver:
    """Hears what is posted; answers with ``status``."""

    status: int = 200
    heard: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> Starlette:
        async def hear(request: Request) -> Response:
            body = await request.body()
            if self.status == 200:
                self.heard.append(json.loads(body))
            return PlainTextResponse("ok", self.status)

        return Starlette(routes=[Route("/hook", hear, methods=["POST"])])

    @property
    def texts(self) -> list[str]:
        return [str(message["text"]) for message in self.heard]


@contextmanager
def slack() -> Iterator[tuple[Receiver, str]]:
    """A Slack incoming webhook on loopback."""
    receiver = Receiver()
    config = uvicorn.Config(receiver.app(), port=0, log_level="error", lifespan="off")
    with served(uvicorn.Server(config)) as url:
        yield receiver, f"{url}/hook"


@contextmanager
def demo_server() -> Iterator[str]:
    """The demo fleet's server with its personas' own pace."""
    with served(build_server(build_app(seed=1), port=0)) as url:
        yield url


def order(url: str, model: str, fault: str, for_s: int = 600) -> None:
    """Break or heal a model of the demo server."""
    httpx.post(f"{url}/control", json={"model": model, "fault": fault, "for_s": for_s}).raise_for_status()


@dataclass
class House:
    """A home on a temporary path with a Dagster instance of its own."""

    home: Home
    instance: dg.DagsterInstance
    cursor: str | None = None

    @property
    def landing(self) -> Landing:
        return Landing(str(self.home.root))

    def run(self, job: str, module: Any = watch, **config: Any) -> dg.ExecuteInProcessResult:
        """Execute a job as a schedule would; it must succeed."""
        definition = module.defs.resolve_job_def(job)
        key = f"{datetime.now(UTC):%Y-%m-%d}" if job in {"discover", "probe"} else None
        result: dg.ExecuteInProcessResult = definition.execute_in_process(
            instance=self.instance, partition_key=key, run_config=config or None
        )
        assert result.success
        return result

    def tick(self) -> str:
        """Let the alert sensor look once; return its words."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"home": HomeResource()}
        ) as context:
            result = alert_sensor(context)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
            assert result.skip_reason is not None
            return str(result.skip_reason.skip_message)
        return str(result.skip_message)


@contextmanager
def house(root: Path, fleet: str) -> Iterator[House]:
    """Open a home with this fleet.yaml; the environment must already name it."""
    home = Home(root / "home", root / "fleet.yaml")
    home.fleet_file.write_text(fleet, encoding="utf-8")
    for folder in (home.dagster, home.warehouse, home.state, home.logs):
        folder.mkdir(parents=True)
    Landing(str(home.root)).prepare()
    shutil.copyfile(Path(watch.__file__).parent / "deploy" / "dagster.yaml", home.dagster / "dagster.yaml")
    with dg.DagsterInstance.local_temp(str(home.dagster)) as instance:
        yield House(home, instance)
