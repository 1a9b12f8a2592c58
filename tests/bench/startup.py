"""`make up` from a fresh clone: how long until a stranger sees figures."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.bench.house import running, wait_for, without_keys
from tests.bench.numbers import of
from tests.bench.options import ROOT, BenchError, Options
from tests.bench.report import Bar, Section

CACHED_BAR_S: Final = 60.0
COLD_BAR_S: Final = 300.0
PORT: Final = 3000

HOW: Final = """\
`git clone` of this checkout's last commit into an empty folder, then `make up` with no key in the environment, so that
the demo fleet starts. Figures are there when the published marts hold a mart and the site has its first page. With
packages cached, pip's and uv's caches are what an earlier installation left; with nothing cached both are empty
folders."""


def measure(options: Options) -> Section:
    """Start once with packages cached and, on request, once without."""
    bars = [_bar("`make up`, packages cached, to first figures", CACHED_BAR_S, _first_figures(options, {}))]
    what = "`make up`, nothing cached, to first figures"
    if options.is_cold_start:
        caches = options.folder("caches")
        cold = {"UV_CACHE_DIR": str(caches / "uv"), "PIP_CACHE_DIR": str(caches / "pip")}
        bars.append(_bar(what, COLD_BAR_S, _first_figures(options, cold)))
    else:
        bars.append(Bar(what, f"≤ {COLD_BAR_S:g} s", "only with --cold: it downloads every package", "not measured"))
    return Section("Start", HOW, bars=tuple(bars))


def _bar(what: str, bar_s: float, seconds: tuple[float, float]) -> Bar:
    installed, figures = seconds
    return Bar(what, f"≤ {bar_s:g} s", f"{figures:.0f} s ({installed:.0f} s of it installing)", of(figures <= bar_s))


def _first_figures(options: Options, caches: dict[str, str]) -> tuple[float, float]:
    """Return seconds from `make up` to (packages installed, figures in the marts and on the page)."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            raise BenchError(f"port {PORT} is taken, and `make up` wants it; stop what listens there")
    clone = options.work / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    options.say(f"startup: `make up` in a fresh clone, packages {'not ' if caches else ''}cached")
    began = time.monotonic()
    with running(["make", "up"], clone, without_keys(os.environ) | caches) as up:
        installed = wait_for("environment", (clone / ".venv" / "bin" / ".runtime").exists, 900, up) - began
        figures = wait_for("first figures", lambda: _has_figures(clone / ".arguslab" / "demo"), 900, up) - began
    shutil.rmtree(clone)
    return installed, figures


def _has_figures(home: Path) -> bool:
    return (home / "marts.duckdb").exists() and (home / "site" / "index.html").exists()
