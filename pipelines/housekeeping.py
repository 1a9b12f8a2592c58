"""Housekeeping: closed days compacted, old days expired, old tapes and Dagster runs removed, the disk watched.

Runs every hour. Safe to kill at any line: what is archived is only deleted an hour later, and hourly marts are kept
for ever: raw rows expire only once their hours are in ``archive/endpoint_hourly``.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.fleet.models import Retention
from pipelines.home import Home
from pipelines.landing import Landing
from pipelines.resources import HomeResource, landed_metadata
from pipelines.schemas import TABLES

GRAINS = {"endpoint_hourly": "hour_at", "endpoint_daily": "started_on"}
"""Marts that outlive the raw rows they were made of, by archive name, with the column that names their day."""

MOST_RUNS = 500
"""Dagster runs removed at once; the rest wait an hour."""


@dataclass(frozen=True)
class Swept:
    """What one housekeeping pass did."""

    days_compacted: int = 0
    rows_compacted: int = 0
    small_files_removed: int = 0
    expired_files: int = 0
    tapes_removed: int = 0
    runs_removed: int = 0
    quarantined: int = 0


def keep_for(table: str, retention: Retention) -> timedelta:
    """Return how long a landed table's rows are kept."""
    if table in {"probe_results", "probe_ticks"}:
        return retention.probe_results
    if table == "evaluations":
        return retention.evaluations
    return retention.incidents


def keep_aggregates(home: Home, day: date) -> bool:
    """Write the published hourly and daily rows of a day into the archive; return whether both are there now.

    Raw rows of the day may be removed only after this has returned True.
    """
    from pipelines.warehouse import WarehouseError, open_marts  # DuckDB, 0.2 s: only this step pays

    try:
        con = open_marts(home)
    except WarehouseError:
        return False
    with con:
        for name, column in GRAINS.items():
            target = home.archive / name / f"date={day}.parquet"
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
            rows = con.sql(f"select * from fct_{name} where {column}::date = $day", params={"day": day})  # noqa: S608  our names
            if not rows.fetchall():
                return False
            con.execute(
                f"copy (select * from fct_{name} where {column}::date = '{day}') to '{temporary}' (format parquet)"  # noqa: S608
            )
            temporary.replace(target)
    return True


def sweep_landing(home: Home, retention: Retention, now: datetime) -> Swept:
    """Compact the closed days of every landed table and expire what is past its retention."""
    landing = Landing(str(home.root), now=lambda: now)
    landing.prepare()
    done = [landing.compact(name) for name in TABLES]
    expired = 0
    for name in TABLES:
        before = (now - keep_for(name, retention)).astimezone(UTC).date()
        old = [day for day in landing.days(name) if day < before]
        if name == "probe_results":
            # Oldest first, and stop at the first day whose hours are not safe yet: nothing is lost, it is tried again.
            unsafe = next((day for day in old if not keep_aggregates(home, day)), None)
            before = unsafe or before
        if old and before > old[0]:
            expired += landing.expire(name, before)
    return Swept(
        days_compacted=sum(len(one.days) for one in done),
        rows_compacted=sum(one.rows for one in done),
        small_files_removed=sum(one.files_removed for one in done),
        expired_files=expired,
        tapes_removed=expire_tapes(home, now - retention.tapes),
        quarantined=len(landing.quarantined()),
    )


def expire_tapes(home: Home, before: datetime) -> int:
    """Remove the folders of tapes of days before a moment; return how many tapes went."""
    removed = 0
    for folder in sorted(home.tapes.glob("date=*")):
        if folder.name.removeprefix("date=") < f"{before.astimezone(UTC).date()}":
            removed += sum(1 for _ in folder.iterdir())
            shutil.rmtree(folder)
    return removed


def remove_old_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete finished Dagster runs created before a moment, the newest of each job kept; return how many."""
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    old = instance.get_run_records(
        dg.RunsFilter(statuses=finished, created_before=before), limit=MOST_RUNS, ascending=True
    )
    newest = {
        job: instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)[0].dagster_run.run_id
        for job in {record.dagster_run.job_name for record in old}
    }
    gone = [record.dagster_run for record in old if record.dagster_run.run_id != newest[record.dagster_run.job_name]]
    for run in gone:
        instance.delete_run(run.run_id)
    return len(gone)


def parts(home: Home) -> Iterator[tuple[str, int, int]]:
    """Return (part of the home, files, bytes) for every part."""
    for path in (home.landing, home.archive, home.tapes, home.warehouse, home.site, home.dagster, home.state):
        files, size = _usage(path)
        yield path.name, files, size
    for name in ("quarantine", "rejected"):
        files, size = _usage(home.root / name)
        yield name, files, size


def _usage(folder: Path) -> tuple[int, int]:
    files = size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # others write and remove while we look
            if path.is_file() and not path.is_symlink():
                files, size = files + 1, size + path.stat().st_size
    return files, size


@dg.asset(group_name="housekeeping", kinds={"parquet"}, owners=["team:platform"], pool="housekeeping")
def archive(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster wants the bare class
    """Closed days of every landed table in one file a day; what is past its retention removed."""
    retention, now = home.fleet().retention, datetime.now(UTC)
    swept = sweep_landing(home.home, retention, now)
    removed = remove_old_runs(context.instance, now - retention.runs)
    return dg.MaterializeResult(metadata={**swept.__dict__, "runs_removed": removed})


@dg.asset(
    deps=[archive],
    group_name="housekeeping",
    kinds={"parquet"},
    owners=["team:platform"],
    pool="housekeeping",
    check_specs=[
        dg.AssetCheckSpec(
            "disk_has_room",
            asset="disk_use",
            description="The disk is less full than `retention.max_disk`. If not: shorten `retention:` or free space.",
        )
    ],
)
def disk_use(home: HomeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster wants the bare class
    """How much of the disk each part of the home takes, one row a part and hour."""
    now, retention = datetime.now(UTC), home.fleet().retention
    rows: list[dict[str, Any]] = [
        {"use_id": f"{now:%Y%m%dT%H%M%S}-{part}", "measured_at": now, "part": part, "files": files, "bytes": size}
        for part, files, size in parts(home.home)
    ]
    landed = home.landing.append("disk_use", rows, f"{now:%Y%m%dT%H%M%S}")
    disk = shutil.disk_usage(home.home.root)
    full = disk.used / disk.total
    return dg.MaterializeResult(
        metadata={
            **landed_metadata(landed),
            **{f"{row['part']}_bytes": row["bytes"] for row in rows},
            "home_bytes": sum(row["bytes"] for row in rows),
            "disk_used_share": round(full, 4),
            "disk_free_bytes": disk.free,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="disk_has_room",
                passed=full < retention.max_disk,
                metadata={"observed": round(full, 4), "allowed": retention.max_disk, "free_bytes": disk.free},
            )
        ],
    )


housekeeping = dg.define_asset_job(
    "housekeeping",
    selection=dg.AssetSelection.groups("housekeeping"),
    description="Compact, expire, tidy Dagster's storage, measure the disk.",
)

hourly_housekeeping = dg.ScheduleDefinition(
    name="hourly_housekeeping",
    job=housekeeping,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

defs = dg.Definitions(assets=[archive, disk_use], jobs=[housekeeping], schedules=[hourly_housekeeping])
