"""The marts: dbt builds them from the landed facts, and only a build that passed its tests is published.

Runs when new facts have landed, at most once every `build_every` of fleet.yaml (5 minutes by default).
"""

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from pipelines.home import Home
from pipelines.landing import Landing, write_atomically
from pipelines.resources import HomeResource, is_running, markdown_table
from pipelines.warehouse import one_builder, publish

PROJECT_DIR = Path(__file__).parents[1] / "dbt_project"
DBT = str(Path(sys.executable).with_name("dbt"))
"""The environment's own dbt, whatever the PATH says."""
BUILD = ["build", "--exclude-resource-type", "unit_test"]
"""Unit tests prove definitions, not data: they run in `make test`, not at every refresh."""
KEPT = ("endpoint_hourly", "endpoint_daily")
"""Marts whose rows outlive the raw rows: see housekeeping."""
FIRST_SECONDS = 300
WATCHED = ("probe_ticks", "discovery_results", "incident_events", "disk_use")
"""Tables whose new files call for a refresh; every other table lands together with one of these."""


class Translator(DagsterDbtTranslator):
    """Marts keep their own names: an asset is called what the analyst's table is called."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the key in ``meta.dagster.asset_key`` (a landed table), else folder and name, or a mart's name."""
        named = (dbt_resource_props.get("meta") or {}).get("dagster", {}).get("asset_key")
        if named:
            return dg.AssetKey(named)
        name, folder = dbt_resource_props["name"], dbt_resource_props["fqn"][1]
        return dg.AssetKey(name if folder == "marts" else [folder, name])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str] | None:
        """Return the owners that the model names, else the team that keeps the project."""
        return super().get_owners(dbt_resource_props) or ["team:reliability"]


def target_dir(home: Home) -> Path:
    """Return where dbt writes its manifest and logs: beside the build it belongs to."""
    return home.warehouse / "dbt"


def project_hash() -> str:
    """Return a fingerprint of every file of the dbt project: a changed definition rebuilds the disposable build."""
    digest = hashlib.sha256()
    for path in sorted(PROJECT_DIR.rglob("*")):
        if path.suffix in {".sql", ".yml", ".yaml"} and "target" not in path.relative_to(PROJECT_DIR).parts:
            digest.update(str(path.relative_to(PROJECT_DIR)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def prepare_manifest(home: Home) -> Path:
    """Return dbt's manifest, parsing the project only when its files have changed since the last time.

    Raises RuntimeError with dbt's own words when the project does not parse.
    """
    target = target_dir(home)
    manifest, stamp = target / "manifest.json", target / "project.sha256"
    wanted = project_hash()
    if manifest.exists() and stamp.exists() and stamp.read_text() == wanted:
        return manifest
    scratch = target / f"parse-{uuid.uuid4().hex[:8]}"
    command = [
        DBT,
        *("parse", "--quiet", "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
        *("--target-path", str(scratch), "--log-path", str(target / "logs")),
    ]
    done = subprocess.run(command, env=os.environ | home.environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"the dbt project does not parse:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    for name in ("manifest.json", "partial_parse.msgpack"):
        (scratch / name).replace(target / name)
    write_atomically(str(stamp), wanted.encode())
    for leftover in scratch.iterdir():
        leftover.unlink()
    scratch.rmdir()
    return manifest


def ready_build(home: Home) -> str | None:
    """Make sure that dbt can build where the build stands; return why it starts from nothing, or None.

    The build file is disposable: one made from other definitions, or one that DuckDB cannot open, is deleted.
    """
    stamp = home.warehouse / "build.sha256"
    reason = None
    if home.build.exists():
        if not stamp.exists() or stamp.read_text() != project_hash():
            reason = "the definitions changed since it was built"
        else:
            try:
                duckdb.connect(str(home.build)).close()
            except (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException) as error:
                if "lock" in str(error).lower():
                    raise RuntimeError(f"another process holds {home.build}; stop it, then refresh again") from error
                reason = f"it could not be opened: {error}"
    if reason:
        for path in (home.build, home.build.with_name(home.build.name + ".wal")):
            path.unlink(missing_ok=True)
    home.warehouse.mkdir(parents=True, exist_ok=True)
    write_atomically(str(stamp), project_hash().encode())
    return reason


def prepare_kept(home: Home, manifest: Mapping[str, Any]) -> None:
    """Write a zero-row file with the marts' own columns where housekeeping keeps the hours of expired days."""
    for name in KEPT:
        columns = manifest["nodes"][f"model.arguslab.fct_{name}"]["columns"].values()
        empty = ", ".join(f'null::{column["data_type"]} as "{column["name"]}"' for column in columns)
        folder = home.archive / name
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".schema.{uuid.uuid4().hex[:8]}.tmp"
        duckdb.execute(
            f"copy (select {empty} limit 0) to '{str(temporary).replace(chr(39), chr(39) * 2)}' (format parquet)"
        )
        temporary.replace(folder / "schema.parquet")


def build_defs(home: Home) -> dg.Definitions:
    """Return the dbt models as assets, the publication behind them, and what sets them off."""
    read: dict[str, Any] = json.loads(prepare_manifest(home).read_text())
    project = DbtProject(PROJECT_DIR, target_path=target_dir(home))

    @dbt_assets(
        manifest=read,
        name="reliability_marts",
        project=project,
        dagster_dbt_translator=Translator(),
        pool="warehouse",
    )
    def dbt_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, home: HomeResource) -> Iterator[Any]:
        Landing(str(home.home.root)).prepare()
        prepare_kept(home.home, read)
        with one_builder(home.home):
            reason = ready_build(home.home)
            if reason:
                context.log.info(f"building from nothing, because {reason}")
            run = dbt.cli(BUILD, context=context, target_path=target_dir(home.home) / "run")
            yield from run.stream()

    models = [key for key in dbt_models.keys if not key.path[-1].startswith("stg_")]

    @dg.asset(
        deps=models,
        group_name="published",
        kinds={"duckdb"},
        owners=["team:platform"],
        pool="warehouse",
        check_specs=[
            dg.AssetCheckSpec(
                "marts_hold_rows", asset="published_marts", description="Every endpoint of the catalog is in the marts."
            )
        ],
    )
    def published_marts(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster wants the bare class
        """The generation that analysts, pages and alerts read: ``marts.duckdb``, read-only, never blocked."""
        now = datetime.now(UTC)
        keep = home.fleet().retention.generations
        with one_builder(home.home):
            generation = publish(home.home, keep=keep, now=now)
        context.log.info(f"{home.home.marts} now shows {generation.name}")
        return dg.MaterializeResult(
            metadata={
                "generation": generation.name,
                "path": dg.MetadataValue.path(str(home.home.marts)),
                "bytes": generation.bytes,
                "dagster/row_count": sum(generation.tables.values()),
                "marts": dg.MetadataValue.md(markdown_table(["mart", "rows"], sorted(generation.tables.items()))),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="marts_hold_rows",
                    passed=generation.tables.get("dim_endpoint", 0) > 0,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"endpoints": generation.tables.get("dim_endpoint", 0)},
                )
            ],
        )

    refresh = dg.define_asset_job(
        "refresh",
        selection=dg.AssetSelection.assets(dbt_models) | dg.AssetSelection.assets("published_marts").downstream(),
        description="Build the marts, publish them, draw the pages.",
    )

    @dg.sensor(job=refresh, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
    def facts_landed(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult | dg.SkipReason:
        """Ask for a refresh when facts have landed since the last one and `build_every` has passed."""
        if is_starting(home.home):
            return dg.SkipReason("`arguslab up` is making the first figures")
        newest = newest_landing(home.home)
        seen = json.loads(context.cursor or "{}")
        now = datetime.now(UTC)
        if newest is None or newest == seen.get("newest"):
            return dg.SkipReason("nothing has landed since the last refresh")
        wait = home.fleet().build_every.total_seconds() - (now.timestamp() - seen.get("asked_at", 0))
        if 0 < wait <= home.fleet().build_every.total_seconds():  # a clock set back must not silence the refresh
            return dg.SkipReason(f"the next refresh may start in {wait:.0f} s")
        if is_running(context.instance, refresh.name):
            return dg.SkipReason("a refresh is running")
        cursor = json.dumps({"newest": newest, "asked_at": now.timestamp()})
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=cursor)

    return dg.Definitions(
        assets=[dbt_models, published_marts],
        jobs=[refresh],
        sensors=[facts_landed],
        resources={"dbt": DbtCliResource(project_dir=project, profiles_dir=str(PROJECT_DIR), dbt_executable=DBT)},
    )


def is_starting(home: Home) -> bool:
    """Return whether `arguslab up` is about to refresh by itself; a mark that a killed one left soon counts no more."""
    try:
        age = datetime.now(UTC).timestamp() - home.first_mark.stat().st_mtime
    except FileNotFoundError:
        return False
    return 0 <= age < FIRST_SECONDS


def newest_landing(home: Home) -> str | None:
    """Return the newest landed file of the watched tables, as text that changes when a newer one lands."""
    newest: tuple[int, str] | None = None
    for table in WATCHED:
        days = sorted((home.landing / table).glob("date=*"))[-2:]
        for entry in (entry for day in days for entry in os.scandir(day) if entry.name.endswith(".parquet")):
            stamp = (entry.stat().st_mtime_ns, f"{table}/{entry.name}")
            newest = max(newest, stamp) if newest else stamp
    return f"{newest[0]} {newest[1]}" if newest else None
