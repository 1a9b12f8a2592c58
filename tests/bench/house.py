"""The whole house, started as a user starts it, and ended as Ctrl-C ends it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.options import BenchError

_END_S = 60.0


@contextmanager
def running(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, its words in ``folder``/up.log; interrupt it at the end."""
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(env), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            for sign in (signal.SIGINT, signal.SIGKILL):
                if process.poll() is None:
                    os.killpg(process.pid, sign)
                    try:
                        process.wait(_END_S)
                    except subprocess.TimeoutExpired:
                        continue
                    break


def wait_for(what: str, is_there: Callable[[], bool], seconds: float, process: subprocess.Popen[bytes]) -> float:
    """Return the monotonic moment at which something was there. Raises BenchError when it took too long."""
    end = time.monotonic() + seconds
    while not is_there():
        if process.poll() is not None:
            raise BenchError(f"it ended with code {process.returncode} before {what}")
        if time.monotonic() > end:
            raise BenchError(f"no {what} within {seconds:g} s")
        time.sleep(0.1)
    return time.monotonic()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def without_keys(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which no provider's key can be found."""
    hints = ("API_KEY", "TOKEN", "SECRET", "ARGUSLAB_", "DAGSTER_")
    return {name: value for name, value in env.items() if not any(hint in name for hint in hints)}
