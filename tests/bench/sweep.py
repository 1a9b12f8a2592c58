"""One sweep of 200 endpoints with 10 hung, what a tick adds to Dagster's storage, and how fast the location loads."""

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

import polars as pl

from pipelines.home import Home
from pipelines.landing import Landing
from tests.bench.home import JobRun, fleet_yaml, prepared, run_job, stored_bytes
from tests.bench.numbers import of
from tests.bench.options import ROOT, BenchError, Options, environment
from tests.bench.report import Bar, Section, Table
from tests.bench.truth import HANG, truth_server

ENDPOINTS: Final = 200
HUNG: Final = 10
WALL_BAR_S: Final = 45.0
SIZES: Final = (5, 50, 200)
LOAD_BAR: Final = 2.0

HOW: Final = """\
The real `probe` job of the watch location, in a fresh process on a home of its own, with the shipped dagster.yaml. The
sweep's wall time is `ended_at - started_at` of its `probe_ticks` row; hung endpoints accept a request and never answer.
Events are the entries of one run in the event log, bytes the growth of DAGSTER_HOME, the mean of several
ticks after a first one. Load times are taken around the import alone, in fresh processes that take turns."""


def measure(options: Options) -> Section:
    """Run the job on fleets of several sizes and one that is partly hung."""
    ticks = 1 if options.is_quick else 3
    with truth_server(core=None) as server:
        options.say(f"sweep: {ENDPOINTS} endpoints, {HUNG} hung")
        hung = server.url.replace("/v1", f"{HANG}/v1")
        models = [f"bench-model-{number}" for number in range(ENDPOINTS)]
        home = prepared(options.folder("hung"), fleet_yaml({server.url: models[HUNG:], hung: models[:HUNG]}))
        run = run_job(home, "watch", "probe")
        wall, outcomes = _swept(home)
        growth = []
        for size in SIZES:
            options.say(f"sweep: growth of Dagster's storage with {size} endpoints")
            home = prepared(options.folder(f"growth-{size}"), fleet_yaml({server.url: models[:size]}))
            growth.append((size, *_growth(home, ticks)))
    loads = _load_times(2 if options.is_quick else 5, options)
    events = {one for _, one, _ in growth}
    healthy = outcomes.get("ok", 0)
    ratio = statistics.median(watch / dagster for dagster, watch in loads)
    ratios = sorted(watch / dagster for dagster, watch in loads)
    smallest, largest = growth[0], growth[-1]
    return Section(
        "Sweep and Dagster's storage",
        HOW,
        bars=(
            Bar(
                f"{ENDPOINTS} endpoints, {HUNG} hung: one sweep",
                f"≤ {WALL_BAR_S:g} s wall",
                f"{wall:.1f} s ({run.seconds:.1f} s the run); {healthy} of {ENDPOINTS - HUNG} healthy ones measured",
                # A machine too busy to measure them all has shown nothing.
                of(wall <= WALL_BAR_S) if healthy == ENDPOINTS - HUNG or wall > WALL_BAR_S else "not shown",
            ),
            Bar(
                "Dagster events a tick",
                "independent of the number of endpoints",
                ", ".join(f"{one:g} with {size}" for size, one, _ in growth),
                of(len(events) == 1),
            ),
            Bar(
                "bytes a tick in Dagster's storage",
                "independent of the number of endpoints",
                ", ".join(f"{one / 1024:.0f} KiB with {size}" for size, _, one in growth),
                # SQLite grows by whole pages, so that equal ticks may differ by some.
                of(abs(largest[2] - smallest[2]) <= 0.1 * smallest[2]),
            ),
            Bar(
                "load time of the watch location",
                f"≤ {LOAD_BAR:g} × `import dagster`",
                f"{ratio:.2f} × ({ratios[0]:.2f}–{ratios[-1]:.2f})",
                of(ratio <= LOAD_BAR),
            ),
        ),
        tables=(
            _outcome_table(outcomes),
            Table(
                "Load times, seconds",
                ("`import dagster`", "`import pipelines.watch`"),
                tuple((f"{dagster:.2f}", f"{watch:.2f}") for dagster, watch in loads),
            ),
        ),
    )


def _swept(home: Home) -> tuple[float, dict[str, int]]:
    """Return the wall seconds of the newest sweep and its endpoints by the outcome of the first attempt."""
    landing = Landing(str(home.root))
    tick = landing.read("probe_ticks").sort("started_at").tail(1).collect()
    if tick.is_empty():
        raise BenchError("the sweep landed no tick")
    wall = (tick["ended_at"] - tick["started_at"]).item().total_seconds()
    firsts = landing.read("probe_results").filter(pl.col("attempt") == 0)
    counts = firsts.group_by("outcome").len().sort("len", descending=True).collect()
    return wall, dict(counts.iter_rows())


def _outcome_table(outcomes: dict[str, int]) -> Table:
    rows = tuple((outcome, str(count)) for outcome, count in outcomes.items())
    return Table(f"First attempts of the sweep over {ENDPOINTS} endpoints", ("outcome", "endpoints"), rows)


def _growth(home: Home, ticks: int) -> tuple[float, float]:
    """Return (events, bytes) that one tick adds, the mean over several after a first one."""
    run_job(home, "watch", "probe")
    before = stored_bytes(home.dagster)
    runs: list[JobRun] = [run_job(home, "watch", "probe") for _ in range(ticks)]
    return statistics.fmean(run.events for run in runs), (stored_bytes(home.dagster) - before) / ticks


def _load_times(turns: int, options: Options) -> list[tuple[float, float]]:
    """Return seconds to import (dagster, the watch location), in turns."""
    options.say("sweep: load time of the watch location")
    folder = options.folder("load")
    return [(_import_s("dagster", folder), _import_s("pipelines.watch", folder)) for _ in range(turns)]


def _import_s(module: str, folder: Path) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(ARGUSLAB_HOME=str(folder)),
    )
    return float(done.stdout)
