"""The first figures, at once: discovery, one sweep, marts, pages; then the schedules carry on.

Runs beside the Dagster services that are still starting, in the same instance, so its runs are in the UI. Each line
that starts with ``»`` is progress for `arguslab up`.
"""

import sys
from datetime import UTC, datetime

import dagster as dg

from pipelines.home import Home

TAGS = {"arguslab/first": "yes"}


def main() -> int:
    """Materialize everything once; return 1 when a step failed."""
    mark = Home.locate().first_mark
    mark.touch()
    try:
        return materialize()
    finally:
        mark.unlink(missing_ok=True)


def materialize() -> int:
    """Run the three jobs, one after the other; return 1 when one failed."""
    from pipelines import watch

    today = f"{datetime.now(UTC):%Y-%m-%d}"
    with dg.DagsterInstance.get() as instance:
        for job, words in (("discover", "discovering models"), ("probe", "probing every endpoint")):
            say(f"{words} …")
            result = watch.defs.resolve_job_def(job).execute_in_process(
                instance=instance, partition_key=today, tags=TAGS
            )
            if not result.success:
                return 1
            say(_summary(result))
        say("building marts and pages …")
        from pipelines import insight

        result = insight.defs.resolve_job_def("refresh").execute_in_process(instance=instance, tags=TAGS)
        say("first figures are in marts.duckdb and on the site" if result.success else "the refresh failed")
        return 0 if result.success else 1


def say(words: str) -> None:
    """Print one line of progress."""
    print(f"» {words}", flush=True)


def _summary(result: dg.ExecuteInProcessResult) -> str:
    for event in result.get_asset_materialization_events():
        summary = event.materialization.metadata.get("summary")
        if summary is not None:
            return f"  {summary.value}"
    return "  done"


if __name__ == "__main__":
    sys.exit(main())
