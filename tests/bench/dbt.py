"""dbt on a home as the refresh runs it, without Dagster around it: what is killed, and what readers must not notice."""

import subprocess

from pipelines.home import Home
from pipelines.marts import BUILD, DBT, PROJECT_DIR, target_dir
from tests.bench.options import ROOT, BenchError, environment


def start_build(home: Home) -> subprocess.Popen[str]:
    """Start `dbt build` on a home that a refresh has prepared, in a process group of its own."""
    target = target_dir(home) / "run"
    where = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    return subprocess.Popen(
        [DBT, "--quiet", *BUILD, *where, "--target-path", str(target), "--log-path", str(target / "logs")],
        cwd=ROOT,
        env=environment(**home.environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def build(home: Home) -> None:
    """Build to the end. Raises BenchError when it fails."""
    process = start_build(home)
    words, _ = process.communicate()
    if process.returncode:
        raise BenchError(f"dbt build failed: {' '.join(words.split())[-400:]}")
