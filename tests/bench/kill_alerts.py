"""The alert step, killed between scripted outages and recoveries: is every edge told, and under one name?"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.notify.promises import Verdict, rows_of
from tests.bench.home import fleet_yaml, prepared
from tests.bench.numbers import of
from tests.bench.options import BenchError, Options
from tests.bench.receiver import Message, receiver
from tests.bench.report import Bar
from tests.bench.victim import last_words, start

ALERT_LONGEST_S: Final = 0.3
"""The alert step works hardest at once, when it finds the new edge."""


def kill_alerts(options: Options, times: int, chance: random.Random) -> Bar:
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
            victim = start("alert", home, 0)
            time.sleep(chance.uniform(0, ALERT_LONGEST_S))
            os.kill(victim.pid, signal.SIGKILL)
            last_words(victim)
        last = start("alert", home, 3)
        words = last_words(last)
        if last.returncode or not words or words[-1] != "stepped 0":
            raise BenchError(f"the alert step did not come to rest: {words[-1:]}, code {last.returncode}")
        return edges_bar(expected, inbox.told("/hook"))


def edges_bar(expected: Sequence[tuple[str, str]], messages: Sequence[Message]) -> Bar:
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
