"""Processes that work without a pause until they are killed; each line they print is an acknowledgement.

``python -m tests.bench.victims land|compact|publish|alert NUMBER`` on the home that the environment names.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from pipelines.home import Home
from pipelines.landing import Landing, write_atomically
from pipelines.warehouse import publish
from tests.bench.generate_history import END, history_day, history_ticks

ENDPOINTS = 5
TICKS_A_DAY = 1_440


def land(home: Home, number: int) -> None:
    """Land sweep after sweep from number × 10,000 on; acknowledge each."""
    landing = Landing(str(home.root))
    print("ready", flush=True)
    for k in count(number * 10_000):
        day, at = END - timedelta(days=1 + k // TICKS_A_DAY), k % TICKS_A_DAY
        landing.append("probe_results", history_day(day, ENDPOINTS, 60, range(at, at + 1)), f"victim-{k}")
        landing.append("probe_ticks", history_ticks(day, ENDPOINTS, 60, range(at, at + 1)), f"victim-{k}")
        print(f"{day}-{at}", flush=True)


def compact(home: Home, number: int) -> None:
    """Compact again and again, every second time as if hours had passed, so that archived small files go, too."""
    print("ready", flush=True)
    for turn in count():
        late = timedelta(hours=2 * (turn % 2) + number % 2)
        landing = Landing(str(home.root), now=lambda late=late: datetime.now(UTC) + late)  # type: ignore[misc]
        for table in ("probe_results", "probe_ticks"):
            landing.compact(table)


def republish(home: Home, _number: int) -> None:
    """Publish generation after generation."""
    print("ready", flush=True)
    while True:
        publish(home, keep=3, now=datetime.now(UTC))
        print("published", flush=True)


def alert(home: Home, number: int) -> None:
    """Take the alert sensor's step again and again; ``number`` steps, or for ever when it is zero."""
    from pipelines.alerts import land_events, run_step  # Dagster: only this victim pays
    from pipelines.notify.incidents import load_state
    from pipelines.resources import HomeResource

    resource = HomeResource(root=str(home.root), fleet_file=str(home.fleet_file))
    cursor = Path(home.state / "cursor.json")
    print("ready", flush=True)
    for step in count(1):
        now = datetime.now(UTC)
        state, events = load_state(cursor.read_text() if cursor.exists() else None, now=now)
        land_events(resource.landing, events, "state")
        after = run_step(state, resource, [], now, os.environ)
        # Dagster keeps the cursor only when the sensor has returned.
        write_atomically(str(cursor), after.to_json().encode())
        print(f"stepped {len(after.outbox)}", flush=True)
        if step == number:
            return


if __name__ == "__main__":
    {"land": land, "compact": compact, "publish": republish, "alert": alert}[sys.argv[1]](
        Home.locate(), int(sys.argv[2])
    )
