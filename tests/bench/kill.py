"""``kill -9`` at random moments of landing, compacting, building, publishing and alerting; then the books are read."""

import os
import random
import signal
import time
from datetime import UTC, datetime
from typing import Final

import duckdb

from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.warehouse import open_marts, publish
from tests.bench.generate_history import END, catalog_day
from tests.bench.home import prepared, run_job
from tests.bench.kill_alerts import kill_alerts
from tests.bench.numbers import of
from tests.bench.options import Options
from tests.bench.report import Bar, Section, Table
from tests.bench.victim import last_words, start
from tests.bench.victims import ENDPOINTS

KILLS: Final = {"landing": 50, "compacting": 50, "building": 30, "publishing": 40, "alerting": 40}
QUICK_KILLS: Final = {"landing": 4, "compacting": 4, "building": 2, "publishing": 4, "alerting": 4}
LONGEST_S: Final = 0.8
"""A victim lives between nothing and this long after its first word."""


HOW: Final = """\
Processes that do nothing but the step under test are killed (SIGKILL; dbt with its process group) at moments drawn
from a seeded generator, restarted, and killed again, landing and compaction at the same time on the same days. Every
append that was acknowledged is looked for in the mart afterwards. The alert step is the sensor's own, around a cursor
that is kept as Dagster keeps it, against a loopback webhook; outages and recoveries are scripted, so every edge is
known."""


def measure(options: Options) -> Section:
    """Kill, then count."""
    kills = QUICK_KILLS if options.is_quick else KILLS
    chance = random.Random(20_261_101)
    home = prepared(options.folder("kill"))
    Landing(str(home.root)).append("endpoint_catalog", catalog_day(END, ENDPOINTS, refreshes=1), "first")
    acknowledged = _land_and_compact(home, kills["landing"], chance, options)
    unreadable = _build_and_publish(home, kills, chance, options)
    options.say("kill: the last refresh, undisturbed")
    run_job(home, "insight", "refresh")
    lost, doubled, rows = _books(home, acknowledged)
    edges = kill_alerts(options, kills["alerting"], chance)
    total = sum(kills.values())
    return Section(
        "kill -9",
        HOW,
        bars=(
            Bar(
                f"{total} × kill -9: acknowledged rows",
                "none lost, none twice in a mart",
                f"{len(acknowledged) * ENDPOINTS:,} acknowledged, {lost} lost; {rows:,} in the mart, {doubled} twice",
                of(lost == 0 and doubled == 0 and bool(acknowledged)),
            ),
            Bar(
                "kill -9: published marts",
                "readable after every kill",
                f"{unreadable} times unreadable after {kills['building'] + kills['publishing']} kills",
                of(unreadable == 0),
            ),
            edges,
        ),
        tables=(Table("Kills", ("during", "times"), tuple((name, str(n)) for name, n in kills.items())),),
    )


def _land_and_compact(home: Home, times: int, chance: random.Random, options: Options) -> set[str]:
    """Kill the two at the same time on the same days; return the sweeps that were acknowledged."""
    acknowledged: set[str] = set()
    for number in range(times):
        if number % 10 == 0:
            options.say(f"kill: landing and compacting, {number} of {times}")
        both = [start("land", home, number), start("compact", home, number)]
        for victim in chance.sample(both, 2):
            time.sleep(chance.uniform(0, LONGEST_S))
            os.kill(victim.pid, signal.SIGKILL)
        landed, _ = (last_words(victim) for victim in both)
        acknowledged |= set(landed)
    return acknowledged


def _build_and_publish(home: Home, kills: dict[str, int], chance: random.Random, options: Options) -> int:
    """Kill dbt and the publisher; return how often the marts could not be read afterwards."""
    from tests.bench import dbt  # two seconds of imports

    options.say("kill: a first refresh")
    run_job(home, "insight", "refresh")
    began = time.monotonic()
    dbt.build(home)
    lasts = time.monotonic() - began
    unreadable = 0
    for number in range(kills["building"]):
        if number % 10 == 0:
            options.say(f"kill: building, {number} of {kills['building']}")
        process = dbt.start_build(home)
        time.sleep(chance.uniform(0, lasts))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        unreadable += not _is_readable(home)
    dbt.build(home)
    for number in range(kills["publishing"]):
        if number % 10 == 0:
            options.say(f"kill: publishing, {number} of {kills['publishing']}")
        victim = start("publish", home, number)
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(victim.pid, signal.SIGKILL)
        last_words(victim)
        unreadable += not _is_readable(home)
    publish(home, keep=3, now=datetime.now(UTC))
    return unreadable


def _is_readable(home: Home) -> bool:
    try:
        with open_marts(home) as con:
            return bool(con.execute("select count(*) from generation").fetchall() == [(1,)])
    except duckdb.Error:
        return False


def _books(home: Home, acknowledged: set[str]) -> tuple[int, int, int]:
    """Return (rows acknowledged and not in the mart, rows there more than once, rows in the mart)."""
    with open_marts(home) as con:
        counts = dict(con.execute("select tick_id, count(*) from fct_probe group by all").fetchall())
        doubled = con.execute(
            "select count(*) from (select probe_id from fct_probe group by all having count(*) > 1)"
        ).fetchall()[0][0]
    lost = sum(max(0, ENDPOINTS - counts.get(tick, 0)) for tick in acknowledged)
    return lost, int(doubled), sum(counts.values())
