"""What goes on while marts are read: landing, building and publishing, reading; each a process that runs until killed.

``python -m tests.bench.traffic land|build|read SECONDS`` on the home that the environment names.
"""

import sys
import time
from datetime import UTC, datetime
from itertools import count

import duckdb

from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.warehouse import publish
from tests.bench.generate_history import END, history_day, history_ticks

PUBLICATIONS = 10
"""After each build: publishing alone is what a reader could notice."""
ONE_GENERATION = """
    select (select count(*) from fct_probe), (select sum(attempts) from fct_endpoint_daily),
           (select count(*) from generation)
"""
"""Two marts that agree in every generation: each row of the history is a scheduled attempt of one day."""


def land(home: Home, seconds: float) -> None:
    """Land one sweep after the other, five a second, through the door that the prober uses."""
    landing = Landing(str(home.root))
    end = time.monotonic() + seconds
    for k in count(2):
        tick = range(k % 1_440, k % 1_440 + 1)
        landing.append("probe_results", history_day(END, 5, 60, tick), f"traffic-{k:06}")
        landing.append("probe_ticks", history_ticks(END, 5, 60, tick), f"traffic-{k:06}")
        if time.monotonic() > end:
            return
        time.sleep(0.2)


def build(home: Home, seconds: float) -> None:
    """Build and publish without a pause; a marker file tells of every publication."""
    from tests.bench import dbt  # two seconds of imports: only this process pays

    end = time.monotonic() + seconds
    published = count()
    print("ready", flush=True)
    while time.monotonic() < end:
        dbt.build(home)
        for _ in range(PUBLICATIONS):
            publish(home, keep=3, now=datetime.now(UTC))
            (home.warehouse / f"published-{next(published)}").touch()


def read(home: Home, seconds: float) -> int:
    """Open the published marts again and again; return how often. Raises what a reader would see."""
    end = time.monotonic() + seconds
    reads = 0
    while time.monotonic() < end:
        with duckdb.connect(str(home.marts), read_only=True) as con:
            attempts, by_day, generations = con.execute(ONE_GENERATION).fetchall()[0]
        if attempts != by_day or generations != 1:
            raise AssertionError(f"torn read: {attempts} attempts, {by_day} by day, {generations} generations")
        reads += 1
    return reads


if __name__ == "__main__":
    what, seconds = sys.argv[1], float(sys.argv[2])
    if what == "read":
        print(read(Home.locate(), seconds))
    else:
        {"land": land, "build": build}[what](Home.locate(), seconds)
