"""Publishing: readers never fail and never see a torn file; a kill leaves the last generation standing."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.home import Home
from pipelines.warehouse import WarehouseError, generations, open_marts, publish, published

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path, tmp_path / "fleet.yaml")
    home.warehouse.mkdir()
    return home


def build(home: Home, rows: int) -> None:
    with duckdb.connect(str(home.build)) as con:
        con.execute("create or replace table left_side as select range as i from range($n)", {"n": rows})
        con.execute("create or replace table right_side as select range as i from range($n)", {"n": rows})
        con.execute("comment on table left_side is 'it''s a mart'")
        con.execute("comment on column left_side.i is 'a number'")
        con.execute("create schema if not exists live")
        con.execute("create or replace view both_sides as select * from left_side natural join right_side")
        con.execute("create or replace view live.answer as select 40 + (select count(*) from both_sides) as a")
        con.execute("comment on view both_sides is 'the two together'")
        con.execute("create schema if not exists staging")
        con.execute("create or replace view staging.stg as select 1 as one")


def test_a_generation_holds_the_marts_their_comments_and_the_live_views(home: Home) -> None:
    build(home, 3)
    generation = publish(home, keep=3, now=NOON)
    assert generation.tables == {"left_side": 3, "right_side": 3}
    with open_marts(home) as con:
        assert con.sql("select count(*) from left_side").fetchall() == [(3,)]
        assert con.sql("select a from live.answer").fetchall() == [(43,)]
        assert con.sql("select generation from generation").fetchall() == [(generation.name,)]
        comments = con.sql("select comment from duckdb_columns() where comment is not null").fetchall()
        assert comments == [("a number",)]
        with pytest.raises(duckdb.Error):
            con.execute("create table mine as select 1")
    assert home.marts.is_symlink()
    assert generation.path.stat().st_mode & 0o777 == 0o444


def test_only_the_newest_generations_stay_even_when_the_clock_jumps_back(home: Home) -> None:
    build(home, 1)
    for hours in (0, 5, -30, -60, 2):
        last = publish(home, keep=2, now=NOON + timedelta(hours=hours))
    assert len(generations(home)) == 2
    assert published(home) == last.path
    assert generations(home)[-1] == last.path


def test_without_a_build_or_a_generation_the_error_says_what_to_do(home: Home) -> None:
    with pytest.raises(WarehouseError, match="materialize the dbt models first"):
        publish(home, keep=2, now=NOON)
    with pytest.raises(WarehouseError, match="arguslab up"):
        open_marts(home)


def test_a_writer_of_the_build_is_not_needed_to_read_the_marts(home: Home) -> None:
    build(home, 1)
    publish(home, keep=2, now=NOON)
    with duckdb.connect(str(home.build)), open_marts(home) as con:
        assert con.sql("select count(*) from left_side").fetchall() == [(1,)]


READER = """
    import sys, time, duckdb
    link, seconds = sys.argv[1], float(sys.argv[2])
    reads = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with duckdb.connect(link, read_only=True) as con:
            both = "select (select count(*) from left_side), (select count(*) from right_side)"
            left, right = con.sql(both).fetchall()[0]
            assert left == right, f"torn read: {left} {right}"
        reads += 1
    print(reads)
"""


def test_readers_reopening_in_a_loop_see_whole_generations_and_no_error(home: Home) -> None:
    build(home, 1)
    publish(home, keep=3, now=NOON)
    command = [sys.executable, "-c", textwrap.dedent(READER), str(home.marts), "4"]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    publishes = 0
    while any(reader.poll() is None for reader in readers):
        build(home, publishes % 50 + 1)
        publish(home, keep=3, now=datetime.now(UTC))
        publishes += 1
    for reader in readers:
        out, err = reader.communicate()
        assert reader.returncode == 0, err
        assert int(out) > 0
    assert publishes > 1


def test_killed_at_random_moments_the_last_generation_stays_readable(home: Home) -> None:
    build(home, 5)
    publish(home, keep=2, now=NOON)
    code = textwrap.dedent(f"""
        from datetime import UTC, datetime
        from pathlib import Path
        from pipelines.home import Home
        from pipelines.warehouse import publish
        home = Home(Path({str(home.root)!r}), Path("unused"))
        print("ready", flush=True)
        while True:
            publish(home, keep=2, now=datetime.now(UTC))
    """)
    chance = random.Random(11)
    for _ in range(8):
        publisher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.01, 0.3))
        os.kill(publisher.pid, signal.SIGKILL)
        publisher.communicate()
        with open_marts(home) as con:
            assert con.sql("select count(*) from left_side").fetchall() == [(5,)]
    publish(home, keep=2, now=datetime.now(UTC))
    assert len(generations(home)) == 2
    assert not list(home.warehouse.glob(".marts-*"))
