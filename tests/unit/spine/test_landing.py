"""Landing: append, read, compact, quarantine, and what survives a kill at any line."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.landing import Landing, LandingError, write_atomically
from pipelines.schemas import TABLES, polars_schema
from tests.dbt.rows import probe

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def use(at: datetime, part: str = "landing", size: int = 1) -> dict[str, object]:
    return {"use_id": f"{at.isoformat()}-{part}", "measured_at": at, "part": part, "files": 1, "bytes": size}


def at(landing: Landing, later: timedelta) -> Landing:
    """The same landing, seen by a clock that is later than the files' own."""
    return Landing(landing.root, now=lambda: datetime.now(UTC) + later)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(str(tmp_path), now=lambda: NOON)


def test_rows_land_in_the_folder_of_their_own_utc_day(landing: Landing, tmp_path: Path) -> None:
    late = datetime(2026, 11, 19, 23, 59, tzinfo=UTC)
    landed = landing.append("disk_use", [use(late), use(NOON)], "run-1")
    assert landed.rows == 2
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")) == [
        "landing/disk_use/date=2026-11-19/run-1.parquet",
        "landing/disk_use/date=2026-11-20/run-1.parquet",
    ]


def test_landing_the_same_file_again_adds_nothing(landing: Landing) -> None:
    for _ in range(3):
        landing.append("disk_use", [use(NOON)], "run-1")
    landing.append("disk_use", [use(NOON)], "run-2")
    assert landing.read("disk_use").collect().height == 1


def test_files_from_before_a_column_existed_say_what_its_absence_means(landing: Landing, tmp_path: Path) -> None:
    yesterday = NOON - timedelta(days=1)
    for name, moment in (("old", yesterday), ("new", yesterday + timedelta(minutes=1))):
        landing.append("probe_results", [probe(name, moment, is_maintained=name == "new")], name)
    old = tmp_path / "landing" / "probe_results" / "date=2026-11-19" / "old.parquet"
    pl.read_parquet(old, hive_partitioning=False).drop("is_maintained").write_parquet(old)
    told = [("old", False), ("new", True)]
    assert landing.read("probe_results").sort("started_at").select("probe_id", "is_maintained").collect().rows() == told
    assert landing.compact("probe_results").rows == 2
    kept = pl.read_parquet(tmp_path / "archive" / "probe_results" / "date=2026-11-19.parquet", hive_partitioning=False)
    assert kept.select("probe_id", "is_maintained").rows() == told


def test_an_empty_table_reads_as_no_rows_with_every_column(landing: Landing) -> None:
    for name, table in TABLES.items():
        frame = landing.read(name).collect()
        assert frame.height == 0
        assert frame.schema == polars_schema(table)


def test_prepare_writes_a_zero_row_file_that_duckdb_can_glob(landing: Landing, tmp_path: Path) -> None:
    import duckdb

    landing.prepare()
    for name in TABLES:
        count = duckdb.sql(f"select count(*) from read_parquet('{tmp_path}/archive/{name}/*.parquet')").fetchall()
        assert count == [(0,)]


def test_rows_that_break_the_contract_are_kept_apart_and_the_others_land(landing: Landing) -> None:
    landed = landing.append("disk_use", [use(NOON), use(NOON, "broken", -5)], "run-1")
    assert (landed.rows, landed.rejected) == (1, 1)
    assert landed.rejected_file is not None
    assert "broken" in Path(landed.rejected_file).read_text()
    assert "greater_than_or_equal_to(0)" in landed.reasons[0]
    assert landing.rejected("disk_use") == [landed.rejected_file]
    assert landing.read("disk_use").collect()["part"].to_list() == ["landing"]


def test_a_column_that_the_contract_does_not_know_is_refused(landing: Landing) -> None:
    with pytest.raises(LandingError, match="no column surprise"):
        landing.append("disk_use", [use(NOON) | {"surprise": 1}], "run-1")
    with pytest.raises(LandingError, match="lacks files"):
        landing.append("disk_use", pl.DataFrame([use(NOON)]).drop("files"), "run-1")


def test_reading_days_leaves_the_others_out(landing: Landing) -> None:
    days = [NOON - timedelta(days=back) for back in range(5)]
    landing.append("disk_use", [use(day) for day in days], "run-1")
    frame = landing.read("disk_use", date(2026, 11, 18), date(2026, 11, 19)).collect()
    assert sorted(frame["measured_at"].dt.date().to_list()) == [date(2026, 11, 18), date(2026, 11, 19)]
    assert landing.days("disk_use") == sorted(day.date() for day in days)


def test_compaction_keeps_every_row_once_and_removes_small_files_an_hour_later(tmp_path: Path) -> None:
    landing = Landing(str(tmp_path))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for at_once in range(20):
        landing.append("disk_use", [use(yesterday, f"part-{at_once}")], f"run-{at_once}")
    first = landing.compact("disk_use")
    assert (len(first.days), first.rows, first.files_removed) == (1, 20, 0)
    assert landing.read("disk_use").collect().height == 20
    assert landing.compact("disk_use").days == ()
    assert at(landing, timedelta(hours=2)).compact("disk_use").files_removed == 20
    assert landing.read("disk_use").collect().height == 20
    assert not list((tmp_path / "landing" / "disk_use").rglob("*.parquet"))


def test_a_late_row_for_a_closed_day_joins_its_archive(tmp_path: Path) -> None:
    landing = Landing(str(tmp_path))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    landing.append("disk_use", [use(yesterday, "a")], "run-a")
    landing.compact("disk_use")
    at(landing, timedelta(hours=2)).compact("disk_use")
    landing.append("disk_use", [use(yesterday, "late")], "run-late")
    assert landing.compact("disk_use").rows == 2
    assert sorted(landing.read("disk_use").collect()["part"].to_list()) == ["a", "late"]


def test_a_file_landed_again_after_its_day_was_archived_replaces_its_rows(tmp_path: Path) -> None:
    landing = Landing(str(tmp_path))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    landing.append("disk_use", [use(yesterday, "a", 1)], "run-a")
    landing.compact("disk_use")
    landing.append("disk_use", [use(yesterday, "a", 2)], "run-a")
    assert len(landing.compact("disk_use").days) == 1
    at(landing, timedelta(hours=2)).compact("disk_use")
    assert landing.read("disk_use").collect()["bytes"].to_list() == [2]


def test_today_stays_open(tmp_path: Path) -> None:
    landing = Landing(str(tmp_path))
    landing.append("disk_use", [use(datetime.now(UTC))], "run-1")
    assert landing.compact("disk_use").days == ()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 40 + b"PAR1", b"not parquet at all, but long"])
def test_a_broken_file_is_put_in_quarantine_and_the_rest_is_read(landing: Landing, content: bytes) -> None:
    landing.append("disk_use", [use(NOON)], "run-1")
    broken = Path(landing.root) / "landing" / "disk_use" / "date=2026-11-20" / "broken.parquet"
    broken.write_bytes(content)
    assert landing.read("disk_use").collect().height == 1
    assert not broken.exists()
    assert [path.rsplit("-", 1)[1] for path in landing.quarantined()] == ["broken.parquet"]


def test_a_temporary_file_of_a_killed_writer_is_not_read(landing: Landing) -> None:
    landing.append("disk_use", [use(NOON)], "run-1")
    folder = Path(landing.root) / "landing" / "disk_use" / "date=2026-11-20"
    (folder / ".run-2.parquet.abc.tmp").write_bytes(b"PAR1 half")
    assert landing.read("disk_use").collect().height == 1


def test_expiry_removes_whole_days_and_no_other(landing: Landing) -> None:
    landing.append("disk_use", [use(NOON - timedelta(days=back)) for back in range(4)], "run-1")
    assert landing.expire("disk_use", date(2026, 11, 19)) == 2
    assert landing.days("disk_use") == [date(2026, 11, 19), date(2026, 11, 20)]


def test_a_home_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(LandingError, match="cannot write"):
        Landing(str(blocked)).append("disk_use", [use(NOON)], "run-1")


def test_a_full_disk_leaves_no_half_file_and_says_so() -> None:
    # /dev/full cannot hold a folder, so the kernel's own limit on file size stands for the full disk.
    code = """
        import resource, signal, sys, tempfile, pathlib
        from datetime import UTC, datetime
        from pipelines.landing import Landing, LandingError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        root = tempfile.mkdtemp()
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        row = {"use_id": "u", "measured_at": datetime.now(UTC), "part": "x", "files": 1, "bytes": 1}
        try:
            Landing(root).append("disk_use", [row], "run-1")
        except LandingError as error:
            print("told:", error)
        print("left:", [p.name for p in pathlib.Path(root).rglob("*") if p.is_file()])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "told: cannot write" in done.stdout
    assert "left: []" in done.stdout


def test_an_atomic_write_replaces_the_old_content_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(str(target), b"old")
    write_atomically(str(target), b"new", mode=0o600)
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.sampled_from(["append", "compact", "clean"])), max_size=25
    )
)
def test_any_order_of_appending_and_compacting_keeps_every_row_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, str]]
) -> None:
    landing = Landing(str(tmp_path_factory.mktemp("home")))
    expected = set()
    for days_back, number, step in steps:
        if step == "append":
            row = use(
                datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) - timedelta(days=days_back),
                f"p{number}",
            )
            landing.append("disk_use", [row], f"run-{number}")
            expected.add(row["use_id"])
        else:
            at(landing, timedelta(hours=2 if step == "clean" else 0)).compact("disk_use")
    found = landing.read("disk_use").collect()["use_id"].to_list()
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_killed_at_random_moments_no_acknowledged_row_is_lost_and_none_is_doubled(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import sys
        from datetime import UTC, datetime, timedelta
        from pipelines.landing import Landing
        landing = Landing({str(tmp_path)!r}, now=lambda: datetime.now(UTC) + timedelta(hours=int(sys.argv[1])))
        for number in range(10**6):
            if number == 1:
                print("ready", flush=True)
            at = datetime.now(UTC) - timedelta(days=1)
            row = {{"use_id": f"{{sys.argv[2]}}-{{number}}", "measured_at": at, "part": "x", "files": 1, "bytes": 1}}
            landing.append("disk_use", [row], row["use_id"])
            if number:
                print(row["use_id"], flush=True)
            if number % 3 == 2:
                landing.compact("disk_use")
    """)
    chance = random.Random(7)
    acknowledged: set[str] = set()
    for round_number in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(round_number * 2), str(round_number)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.02, 0.4))
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged |= {line.strip() for line in writer.stdout if line.endswith("\n")}
        writer.stdout.close()
        writer.wait()
    landing = Landing(str(tmp_path))
    found = landing.read("disk_use").collect()["use_id"].to_list()
    assert acknowledged
    assert acknowledged <= set(found)
    assert len(found) == len(set(found))
