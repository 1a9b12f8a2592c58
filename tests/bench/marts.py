"""The marts at scale: refresh after one tick, a year rebuilt, the same marts again, readers during publication."""

import shutil
import subprocess
import sys
import time
from typing import Final

from pipelines.home import Home
from tests.bench.generate_history import write_history, write_tick
from tests.bench.home import JobRun, fingerprints, prepared, run_job, stored_bytes
from tests.bench.numbers import of
from tests.bench.options import ROOT, BenchError, Options, environment
from tests.bench.report import Bar, Section, Table

ENDPOINTS: Final = 100
INTERVAL_S: Final = 60
REFRESH_BAR_S: Final = 15.0
REBUILD_BAR_S: Final = 90.0
MEMORY_BAR: Final = 6e9
READERS: Final = 3
READ_SECONDS: Final = 60.0
YEAR_DISK: Final = 25e9
"""Free space that a year's history, its build and a published copy of it may take."""

HOW: Final = """\
A deterministic history (100 endpoints, one attempt a minute, 1 % failures) as archive files. `Refresh` is the real
Dagster job of the insight location (dbt build with its data tests, publish, site) in a fresh process. The bar is held
against the marts, dbt's start to their publication; the whole run, with the interpreter's start, all imports and the
pages, stands beside it. Peak memory is the largest resident set of that process or
of dbt below it. Marts are compared by row count and an order-free hash over every column. The readers open
`marts.duckdb` anew each time, and check two marts of one generation against each other, while one process lands a
sweep five times a second and another builds and publishes without a pause."""


def measure(options: Options) -> Section:
    """Measure the month, the year and the readers, one after the other."""
    month, year = (2, 6) if options.is_quick else (30, 365)
    refresh_bars, month_steps = _month(options, month)
    year_bar, year_steps = _year(options, year)
    readers = _readers(options)
    steps = Table(
        "Refresh by step, seconds",
        ("refresh", "process", "job", "steps", "peak memory"),
        tuple(_steps(name, run) for name, run in {**month_steps, **year_steps}.items()),
    )
    return Section("Marts", HOW, bars=(*refresh_bars, year_bar, readers), tables=(steps,))


def _month(options: Options, days: int) -> tuple[list[Bar], dict[str, JobRun]]:
    options.say(f"marts: {days} days of history")
    home = prepared(options.folder("month"))
    rows = write_history(home.root, endpoints=ENDPOINTS, days=days, interval_s=INTERVAL_S, open_ticks=5)
    size = f"{ENDPOINTS} endpoints × 1 min × {days} days ({rows / 1e6:.1f} M rows)"
    runs = {f"{days} days, from nothing": run_job(home, "insight", "refresh")}
    seconds: list[float] = []
    whole: list[float] = []
    for turn in range(2 if options.is_quick else 3):
        write_tick(home.root, 5 + turn, endpoints=ENDPOINTS, interval_s=INTERVAL_S)
        run = runs[f"{days} days, after one tick, {turn + 1}"] = run_job(home, "insight", "refresh")
        seconds.append(_marts_s(run))
        whole.append(run.seconds)
    options.say("marts: deleting the build and building it again")
    before = fingerprints(home.build)
    home.build.unlink()
    run_job(home, "insight", "refresh")
    after = fingerprints(home.build)
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    shutil.rmtree(home.root)
    same = f"{len(before) - len(changed)} of {len(before)} identical"
    bars = [
        Bar(
            f"{size}: refresh after one tick",
            f"≤ {REFRESH_BAR_S:g} s wall",
            f"{min(seconds):.1f}–{max(seconds):.1f} s ({min(whole):.1f}–{max(whole):.1f} s the run)",
            of(max(seconds) <= REFRESH_BAR_S),
        ),
        Bar(
            "delete `build.duckdb`, rebuild",
            "identical marts",
            f"{same}; not {', '.join(changed)}" if changed else same,
            of(not changed and bool(before)),
        ),
    ]
    return bars, runs


def _year(options: Options, days: int) -> tuple[Bar, dict[str, JobRun]]:
    what = f"{ENDPOINTS} endpoints × 1 min × {days} days: full rebuild"
    bar = f"≤ {REBUILD_BAR_S:g} s, < {MEMORY_BAR / 1e9:g} GB"
    free = shutil.disk_usage(options.work).free
    if free < YEAR_DISK * days / 365:
        return Bar(what, bar, f"only {free / 1e9:.0f} GB of disk are free", "not measured"), {}
    options.say(f"marts: {days} days of history")
    home = prepared(options.folder("year"))
    rows = write_history(home.root, endpoints=ENDPOINTS, days=days, interval_s=INTERVAL_S, open_ticks=5)
    archive = stored_bytes(home.archive)
    options.say(f"marts: {rows:,} rows in {archive / 1e9:.1f} GB; the full rebuild")
    try:
        run = run_job(home, "insight", "refresh")
        build = home.build.stat().st_size
    finally:
        shutil.rmtree(home.root)
    measured = (
        f"{run.seconds:.1f} s, {run.peak_bytes / 1e9:.1f} GB ({rows / 1e6:.1f} M rows, build {build / 1e9:.1f} GB)"
    )
    kept = run.seconds <= REBUILD_BAR_S and run.peak_bytes < MEMORY_BAR
    return Bar(what, bar, measured, of(kept)), {f"{days} days, from nothing ": run}


def _marts_s(run: JobRun) -> float:
    """Return the seconds that the marts took, from the first dbt model to their publication."""
    return run.steps_s["reliability_marts"] + run.steps_s["published_marts"]


def _steps(name: str, run: JobRun) -> tuple[str, ...]:
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in run.steps_s.items())
    return name.strip(), f"{run.seconds:.1f}", f"{run.job_s:.1f}", steps, f"{run.peak_bytes / 1e9:.2f} GB"


def _readers(options: Options) -> Bar:
    seconds = 10.0 if options.is_quick else READ_SECONDS
    options.say(f"marts: {READERS} readers for {seconds:g} s during landing, building and publishing")
    home = prepared(options.folder("readers"))
    write_history(home.root, endpoints=5, days=2, interval_s=INTERVAL_S, open_ticks=2)
    run_job(home, "insight", "refresh")
    lander = _child(home, "land", seconds + 3_600)
    builder = _child(home, "build", seconds + 3_600)
    try:
        _ready(builder)
        readers = [_child(home, "read", seconds) for _ in range(READERS)]
        done = [reader.communicate() for reader in readers]
        published = len(list(home.warehouse.glob("published-*")))
    finally:
        for process in (lander, builder):
            process.kill()
            process.communicate()
    errors = [words.strip().splitlines()[-1] for _, words in done if words.strip()]
    reads = sum(int(out or 0) for out, _ in done)
    shutil.rmtree(home.root)
    return Bar(
        f"{READERS} readers re-opening marts.duckdb for {seconds:g} s",
        "0 errors, 0 torn reads",
        f"{reads:,} reads over {published} publications, {len(errors)} readers failed {errors[:1] or ''}".strip(),
        of(not errors and reads > 0 and published > 1),
    )


def _child(home: Home, what: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.traffic", what, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(**home.environment()),
    )


def _ready(process: subprocess.Popen[str]) -> None:
    """Wait until a child says that its imports are over and its work has begun."""
    assert process.stdout is not None
    began = time.monotonic()
    if process.stdout.readline() != "ready\n":
        _, words = process.communicate()
        raise BenchError(f"a child ended after {time.monotonic() - began:.0f} s: {words[-500:]}")
