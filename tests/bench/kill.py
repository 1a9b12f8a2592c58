"""``kill -9`` at random moments of landing, compacting, building, publishing and alerting; then the books are read."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import duckdb

from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.notify.promises import Verdict, rows_of
from pipelines.warehouse import open_marts, publish
from tests.bench import dbt
from tests.bench.generate_history import END, catalog_day
from tests.bench.home import fleet_yaml, prepared, run_job
from tests.bench.numbers import of
from tests.bench.options import ROOT, BenchError, Options, environment
from tests.bench.receiver import Message, receiver
from tests.bench.report import Bar, Section, Table
from tests.bench.victims import ENDPOINTS

KILLS: Final = {"landing": 50, "compacting": 50, "building": 30, "publishing": 40, "alerting": 40}
QUICK_KILLS: Final = {"landing": 4, "compacting": 4, "building": 2, "publishing": 4, "alerting": 4}
LONGEST_S: Final = 0.8
"""A victim lives between nothing and this long after its first word."""
ALERT_LONGEST_S: Final = 0.3
"""The alert step works hardest at once, when it finds the new edge."""

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
    edges = _alerts(options, kills["alerting"], chance)
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
        both = [_start("land", home, number), _start("compact", home, number)]
        for victim in chance.sample(both, 2):
            time.sleep(chance.uniform(0, LONGEST_S))
            os.kill(victim.pid, signal.SIGKILL)
        landed, _ = (_last_words(victim) for victim in both)
        acknowledged |= set(landed)
    return acknowledged


def _build_and_publish(home: Home, kills: dict[str, int], chance: random.Random, options: Options) -> int:
    """Kill dbt and the publisher; return how often the marts could not be read afterwards."""
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
        victim = _start("publish", home, number)
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(victim.pid, signal.SIGKILL)
        _last_words(victim)
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


def _alerts(options: Options, times: int, chance: random.Random) -> Bar:
    """Kill the alert step between scripted edges; return whether every edge was delivered under one id."""
    models = [f"model-{number}" for number in range((times + 1) // 2)]
    with receiver() as inbox:
        # One provider an endpoint, so that no two edges share a message.
        bases = {f"http://127.0.0.1:9/{model}/v1": [model] for model in models}
        more = f"channels: {{hook: {{type: webhook, url: '{inbox.url}/hook'}}}}\nroutes: [{{channels: [hook]}}]\n"
        home = prepared(options.folder("alerts"), fleet_yaml(bases, more=more))
        expected = []
        for number in range(times):
            if number % 10 == 0:
                options.say(f"kill: alerting, {number} of {times}")
            endpoint = f"provider-{number // 2}/model-{number // 2}"
            is_down = number % 2 == 0
            _land_edge(home, endpoint, number, is_down=is_down)
            expected.append((endpoint, "opened" if is_down else "resolved"))
            victim = _start("alert", home, 0)
            time.sleep(chance.uniform(0, ALERT_LONGEST_S))
            os.kill(victim.pid, signal.SIGKILL)
            _last_words(victim)
        last = _start("alert", home, 3)
        words = _last_words(last)
        if last.returncode or not words or words[-1] != "stepped 0":
            raise BenchError(f"the alert step did not come to rest: {words[-1:]}, code {last.returncode}")
        return _edges_bar(expected, inbox.told("/hook"))


def _edges_bar(expected: Sequence[tuple[str, str]], messages: Sequence[Message]) -> Bar:
    """Judge what arrived: every edge, under one notice id each; the same id may come again."""
    ids: dict[tuple[str, str], set[str]] = {}
    for message in messages:
        for edge in message.edges:
            ids.setdefault(edge, set()).add(message.body["notice_id"])
    lost = sum(edge not in ids for edge in expected)
    renamed = sum(len(found) > 1 for found in ids.values())
    invented = len(ids.keys() - set(expected))
    repeats = sum(n - 1 for n in Counter(message.body["notice_id"] for message in messages).values())
    measured = f"{len(expected)} edges, {lost} lost, {renamed} under two ids, {invented} invented; {repeats} sent again"
    return Bar("kill -9: alert edges", "none lost, one notice id each", measured, of(not (lost or renamed or invented)))


def _land_edge(home: Home, endpoint: str, number: int, *, is_down: bool) -> None:
    """Land the verdict of a sweep in which an endpoint broke, or was well again."""
    now = datetime.now(UTC)
    attempts = "BBB" if is_down else "GGG"
    at = [int(now.timestamp() * 1e6) - 1_000 * back for back in (3, 2, 1)]
    verdict = Verdict(
        promise="endpoint_available",
        subject=endpoint,
        evaluated_at=now,
        tick_id=f"edge-{number:04}",
        verdict="broken" if is_down else "kept",
        severity="critical",
        attempts=attempts,
        unit="attempts",
        n=3,
        bad=3 if is_down else 0,
        detail={
            "sentence": "three attempts in a row failed" if is_down else "three attempts in a row were fine",
            "rule": "consecutive",
            "attempt_at": at,
            "errors": ["server_error"] * 3 if is_down else [],
            "error_mix": {"server_error": 3} if is_down else {},
            "since": now.isoformat(),
        },
    )
    Landing(str(home.root)).append("evaluations", rows_of([verdict]), f"edge-{number:04}")


def _start(what: str, home: Home, number: int) -> subprocess.Popen[str]:
    """Start a victim and wait for its first word."""
    victim = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.victims", what, str(number)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(**home.environment()),
    )
    assert victim.stdout is not None
    if victim.stdout.readline() != "ready\n":
        raise BenchError(f"the victim {what} ended with code {victim.wait()} before it began")
    return victim


def _last_words(victim: subprocess.Popen[str]) -> list[str]:
    """Return the whole lines that a victim printed."""
    said, _ = victim.communicate()
    return [line.strip() for line in said.splitlines(keepends=True) if line.endswith("\n")]
