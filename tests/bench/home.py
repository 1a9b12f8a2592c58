"""A home of the bench's own: prepared as `arguslab up` prepares one, with a fleet of loopback endpoints."""

import importlib
import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.home import Home
from pipelines.landing import Landing
from tests.bench.options import ROOT, BenchError, environment


def prepared(root: Path, fleet: str = "version: 1\nproviders: {}\n") -> Home:
    """Return a home with its folders, its Dagster instance and a fleet.yaml."""
    home = Home(root, root / "fleet.yaml")
    for folder in (home.landing, home.archive, home.warehouse, home.site, home.dagster, home.state, home.logs):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "pipelines" / "deploy" / "dagster.yaml", home.dagster / "dagster.yaml")
    home.fleet_file.write_text(fleet, encoding="utf-8")
    Landing(str(root)).prepare()
    return home


def fleet_yaml(bases: dict[str, list[str]], *, more: str = "") -> str:
    """Return a fleet of servers that speak OpenAI's dialect: base URL to its models."""
    providers = {
        f"provider-{number}": {
            "type": "custom_openai_compatible",
            "base_url": base,
            "models": models,
            "limits": {"concurrency": 256, "per_model": 1},
        }
        for number, (base, models) in enumerate(bases.items())
    }
    # JSON is YAML.
    return f"version: 1\ninterval: 1m\nproviders: {json.dumps(providers)}\n{more}"


@dataclass(frozen=True)
class JobRun:
    """One run of a Dagster job in a fresh process, as the run launcher starts one."""

    seconds: float
    """Wall time of the whole process, imports and all."""
    job_s: float
    """Of the job alone."""
    steps_s: dict[str, float]
    events: int
    """Entries that the run left in Dagster's event log."""
    peak_bytes: int
    """Largest resident set of the process or of a child of it, such as dbt."""


def run_job(home: Home, location: str, job: str, *, timeout_s: float = 1_800, **env: str) -> JobRun:
    """Run a job of a code location in a fresh process on a home. Raises BenchError when it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.home", location, job],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(**home.environment(), **env),
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        words = [line.strip() for line in done.stderr.splitlines() if "Error" in line]
        raise BenchError(f"the job {job} failed: {' / '.join(words[-3:]) or done.stderr[-300:]}")
    return JobRun(seconds=time.perf_counter() - began, **json.loads(done.stdout.splitlines()[-1]))


def stored_bytes(folder: Path) -> int:
    """Return the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def fingerprints(database: Path) -> dict[str, tuple[int, int]]:
    """Return (rows, order-free hash over all columns) of every mart of a build."""
    with duckdb.connect(str(database), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        names = con.execute(
            "select table_name from duckdb_tables() where database_name = current_database() "
            "and schema_name = 'main' and not internal order by table_name"
        ).fetchall()
        return {
            name: con.execute(f'select count(*), coalesce(sum(hash(t)::hugeint), 0) from "{name}" t').fetchall()[0]
            for (name,) in names
        }


def _main(location: str, job: str) -> None:
    import dagster as dg  # only the child needs it

    module = importlib.import_module(f"pipelines.{location}")
    with dg.DagsterInstance.get() as instance:
        before = time.time()
        job_def = module.defs.resolve_job_def(job)
        partition = f"{datetime.now(UTC):%Y-%m-%d}" if job_def.partitions_def else None
        result = job_def.execute_in_process(instance=instance, partition_key=partition, raise_on_error=False)
        after = time.time()
        steps = {
            one.step_key: one.end_time - one.start_time
            for one in instance.get_run_step_stats(result.run_id)
            if one.start_time and one.end_time
        }
        events = len(instance.all_logs(result.run_id))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024
    print(json.dumps({"job_s": after - before, "steps_s": steps, "events": events, "peak_bytes": peak}))
    sys.exit(0 if result.success else 1)


if __name__ == "__main__":
    _main(*sys.argv[1:3])
