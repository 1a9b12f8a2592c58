"""`arguslab up`: one process group with Dagster's web server and daemon, schedules and sensors on.

Prints what it found, what it does next and where to look; ends cleanly on Ctrl-C; one instance a home.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape

from pipelines.home import Home

WORKSPACE = """load_from:
  - python_module: {{module_name: pipelines.watch, location_name: watch, working_directory: "{folder}"}}
  - python_module: {{module_name: pipelines.insight, location_name: insight, working_directory: "{folder}"}}
"""
STOP_SECONDS = 12.0


class UpError(Exception):
    """`up` cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Ports:
    """Where the listeners of one `up` bind, on 127.0.0.1."""

    dagster: int
    demo: int


def run_up(*, demo: bool, history_weeks: int, port: int, open_for: float | None = None) -> int:
    """Run until Ctrl-C (or ``open_for`` seconds); return the exit code.

    With ``demo`` the fleet is the simulated one, in a home of its own, with weeks of simulated history.
    """
    console = Console()
    home = Home.locate()
    for sign in (signal.SIGINT, signal.SIGTERM):
        # Also where SIGINT is ignored, as for a shell's background jobs; a service manager ends it with SIGTERM.
        signal.signal(sign, _interrupt)
    try:
        with ExitStack() as stack:
            home, simulated = _choose_fleet(home, demo=demo, console=console)
            stack.enter_context(_lock(home, port))
            _prepare(home)
            ports = Ports(_free_port(port), _demo_port(home) if simulated else 0)
            os.environ.update(home.environment() | {"ARGUSLAB_DAGSTER_URL": f"http://127.0.0.1:{ports.dagster}"})
            if simulated:
                _start_demo(home, ports.demo, history_weeks, stack, console)
            _say_where(home, ports, console)
            dagster = stack.enter_context(_dagster(home, ports.dagster))
            first = stack.enter_context(_child("first", _python("pipelines.cli.first"), home))
            return _watch_over(home, dagster, first, console, open_for)
    except UpError as error:
        console.print(f"[red]✗[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        console.print("Stopped.", style="dim")


def _interrupt(_sign: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _choose_fleet(home: Home, *, demo: bool, console: Console) -> tuple[Home, bool]:
    """Return the home to run and whether its fleet is simulated; writes fleet.yaml from what this machine has."""
    if demo:
        return _demo_home(home), True
    if home.fleet_file.exists():
        from pipelines.fleet.load import load_fleet
        from pipelines.fleet.problems import FleetError

        try:
            fleet = load_fleet(home.fleet_file).fleet
        except FleetError as error:
            problems = "\n".join(f"  {problem}" for problem in error.problems)
            raise UpError(
                f"{home.fleet_file} is not valid:\n{problems}\nRun `arguslab check` after mending it."
            ) from error
        console.print(
            f"[green]✓[/green] {home.fleet_file}: {len(fleet.providers)} providers", highlight=False, soft_wrap=True
        )
        return home, False
    from pipelines.fleet.detect import detect_now
    from pipelines.fleet.write import fleet_yaml

    console.print("No fleet.yaml here: looking for provider keys and local servers …")
    detected = detect_now(os.environ)
    for line in detected.lines():
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    if detected.is_empty:
        console.print(
            "[yellow]Nothing found, so this is the [bold]demo fleet[/bold]: simulated, on this machine.[/yellow]\n"
            "To watch your own: set a provider's key (for example OPENAI_API_KEY) or start a local server,\n"
            f"stop this with Ctrl-C and run [bold]arguslab init[/bold]: it writes {home.fleet_file}.",
            highlight=False,
        )
        return _demo_home(home), True
    home.fleet_file.write_text(fleet_yaml(detected), encoding="utf-8")
    console.print(f"[green]✓[/green] wrote {home.fleet_file}; edit it while this runs", highlight=False, soft_wrap=True)
    return home, False


def _demo_home(home: Home) -> Home:
    """Simulated figures live apart, so that they never mix with real ones."""
    root = home.root / "demo"
    return Home(root, root / "fleet.yaml")


@contextmanager
def _lock(home: Home, port: int) -> Iterator[None]:
    """Hold the home's lock; a second `up` on the same home is told who has it."""
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        file = (home.root / "lock").open("a+")
    except OSError as error:
        raise UpError(
            f"{home.root} cannot be written ({error.strerror}); set ARGUSLAB_HOME to a folder that can"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise UpError(
                f"ArgusLab already runs on {home.root} ({file.read().strip() or 'another process'}).\n"
                "Use that one, stop it with Ctrl-C, or set ARGUSLAB_HOME to another folder."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()}, http://127.0.0.1:{port}\n")
        file.flush()
        yield


def _prepare(home: Home) -> None:
    from pipelines.landing import Landing, LandingError

    try:
        for folder in (home.landing, home.archive, home.warehouse, home.site, home.dagster, home.state, home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        Landing(str(home.root)).prepare()
        instance = home.dagster / "dagster.yaml"
        if not instance.exists():
            shutil.copyfile(Path(__file__).parents[1] / "deploy" / "dagster.yaml", instance)
        workspace = WORKSPACE.format(folder=Path(__file__).parents[2])
        (home.dagster / "workspace.yaml").write_text(workspace, encoding="utf-8")
    except (OSError, LandingError) as error:
        raise UpError(f"the home cannot be prepared: {error}") from error


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise UpError(f"port {wanted} is taken; give another one: arguslab up --port {wanted + 1}") from error
        port: int = probe.getsockname()[1]
        return port


def _demo_port(home: Home) -> int:
    """Return the demo server's port: the one that its fleet.yaml names, or a free one."""
    import re

    if home.fleet_file.exists():
        named = re.search(r"127\.0\.0\.1:(\d+)", home.fleet_file.read_text(encoding="utf-8"))
        if named:
            return _free_port(int(named[1]))
    return _free_port(0)


def _start_demo(home: Home, port: int, weeks: int, stack: ExitStack, console: Console) -> None:
    from pipelines.demo.fleet import demo_fleet_yaml

    if not home.fleet_file.exists():
        home.fleet_file.write_text(demo_fleet_yaml(port), encoding="utf-8")
    os.environ.setdefault("DEMO_API_KEY", "simulated")
    stack.enter_context(_child("demo", [sys.executable, "-m", "pipelines.demo", str(port)], home))
    if weeks:
        console.print(f"Writing {weeks} weeks of simulated history …")
        from pipelines.demo.history import land_history

        rows = land_history(home, weeks=weeks)
        console.print(f"[green]✓[/green] {rows:,} simulated rows", highlight=False, soft_wrap=True)


def _say_where(home: Home, ports: Ports, console: Console) -> None:
    console.print(
        f"\n  Dagster UI   http://127.0.0.1:{ports.dagster}   (no login: keep it on this machine)\n"
        f"  Site         {(home.site / 'index.html').as_uri()}\n"
        f"  SQL          {home.marts}   (arguslab sql, or any DuckDB client)\n"
        f"  Fleet        {home.fleet_file}   (edits take effect at the next tick)\n"
        f"  Logs         {home.logs}\n",
        highlight=False,
    )


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


@contextmanager
def _child(name: str, command: list[str], home: Home) -> Iterator[subprocess.Popen[str]]:
    """Run a child in a process group of its own, its output in the home's logs; end the whole group at exit."""
    with (home.logs / f"{name}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603  our own commands
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  no thread runs here
        )
        try:
            yield process
        finally:
            _end(process)


def _die_with_parent() -> None:
    """Ask Linux to end this child when `up` itself is killed, so that no orphan keeps watching the same home."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _end(process: subprocess.Popen[str]) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and _group_lives(process):
            time.sleep(0.1)
        if not _group_lives(process):
            break


def _group_lives(process: subprocess.Popen[str]) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _dagster(home: Home, port: int) -> AbstractContextManager[subprocess.Popen[str]]:
    dagster = str(Path(sys.executable).with_name("dagster"))
    workspace = str(home.dagster / "workspace.yaml")
    return _child("dagster", [dagster, "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)], home)


def _watch_over(
    home: Home,
    dagster: subprocess.Popen[str],
    first: subprocess.Popen[str],
    console: Console,
    open_for: float | None,
) -> int:
    """Show the first figures' progress and then every alert, until Ctrl-C, a dead child or ``open_for`` seconds."""
    started = time.monotonic()
    progress = _follow(home.logs / "first.log")
    alerts = _follow(home.logs / "alerts.log", from_end=True)
    is_first_done = False
    while open_for is None or time.monotonic() - started < open_for:
        for line in next(progress):
            if line.startswith("» "):
                console.print(
                    f"  {time.monotonic() - started:5.1f} s  {line[2:]}", highlight=False, markup=False, soft_wrap=True
                )
        for line in next(alerts):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        if dagster.poll() is not None:
            words = _tail(home.logs / "dagster.log")
            raise UpError(f"Dagster ended with code {dagster.returncode}; its last words:\n{words}")
        if first.poll() is not None and not is_first_done:
            is_first_done = True
            if first.returncode:
                words = escape(_tail(home.logs / "first.log"))
                console.print(f"[red]✗[/red] the first figures failed:\n{words}", highlight=False, soft_wrap=True)
            else:
                console.print("[green]✓[/green] watching; alerts appear here. Ctrl-C stops everything.")
        time.sleep(0.2)
    return 0


def _follow(path: Path, *, from_end: bool = False) -> Iterator[list[str]]:
    """Yield, at each step, the whole lines that were added to a file since the last step."""
    file: TextIO | None = None
    rest = ""
    if from_end and path.exists():
        file = path.open(encoding="utf-8")
        file.seek(0, os.SEEK_END)
    while True:
        if file is None and path.exists():
            file = path.open(encoding="utf-8")
        rest += file.read() if file else ""
        *lines, rest = rest.split("\n")
        yield lines


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
