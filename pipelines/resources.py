"""What assets are handed: the home, its landing, and the fleet as it stands at this moment."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from pipelines.fleet import Endpoint, Fleet, resolve
from pipelines.fleet.load import FleetStatus, load_or_last_good
from pipelines.home import Home
from pipelines.landing import Landed, Landing

DAILY = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_offset=1)
"""Facts by UTC day; today's partition is open and is materialized many times."""

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class HomeResource(dg.ConfigurableResource):  # type: ignore[type-arg]  # dagster's own resources leave it bare
    """The home that the environment names (ARGUSLAB_HOME, ARGUSLAB_FLEET), unless paths are given."""

    root: str | None = None
    fleet_file: str | None = None

    @property
    def home(self) -> Home:
        """The paths."""
        located = Home.locate()
        return Home(
            Path(self.root).resolve() if self.root else located.root,
            Path(self.fleet_file).resolve() if self.fleet_file else located.fleet_file,
        )

    @property
    def landing(self) -> Landing:
        """The door for facts."""
        return Landing(str(self.home.root))

    def fleet(self) -> Fleet:
        """Return fleet.yaml as it is now, or as it last was when an edit broke it."""
        return self.fleet_status().fleet

    def fleet_status(self) -> FleetStatus:
        """Return the fleet together with what is wrong with the file, if anything is."""
        return load_or_last_good(self.home.fleet_file, self.home.state)

    def endpoints(self, fleet: Fleet) -> tuple[Endpoint, ...]:
        """Return every endpoint that the fleet names or that the last successful discovery found."""
        asked = {name for name, provider in fleet.providers.items() if provider.models.discover}
        listed = self._listed(datetime.now(UTC).date() - timedelta(days=2))
        if asked - listed.keys():
            listed = self._listed(None) | listed  # a provider that has not answered for days keeps its last models
        return resolve(fleet, listed)

    def _listed(self, since: date | None) -> dict[str, list[str]]:
        columns = ("discovered_at", "provider", "outcome", "models_json")
        found = self.landing.read("discovery_results", since, None, columns=columns).filter(outcome="ok")
        latest = found.sort("discovered_at").group_by("provider").agg(pl.col("models_json").last()).collect()
        return {row["provider"]: kept_models(row["models_json"]) for row in latest.to_dicts()}


def kept_models(models_json: str) -> list[str]:
    """Return the chat-capable models of one landed discovery."""
    return [model["id"] for model in json.loads(models_json) if model["kept"]]


def is_running(instance: dg.DagsterInstance, job: str) -> bool:
    """Return whether a run of a job is queued or under way."""
    return bool(instance.get_run_records(dg.RunsFilter(job_name=job, statuses=UNDER_WAY), limit=1))


def landed_metadata(landed: Landed, preview: pl.DataFrame | None = None) -> dict[str, Any]:
    """Return an asset's metadata: how many rows went where, what was rejected, and a small preview."""
    metadata: dict[str, Any] = {
        "dagster/row_count": landed.rows,
        "files": dg.MetadataValue.json([file.rsplit("/", 3)[-3:] for file in landed.files]),
        "rejected_rows": landed.rejected,
    }
    if landed.rejected_file:
        metadata["rejected_file"] = dg.MetadataValue.path(landed.rejected_file)
        metadata["rejected_because"] = "; ".join(landed.reasons)
    if preview is not None and preview.height:
        metadata["preview"] = dg.MetadataValue.md(markdown_table(preview.columns, preview.head(8).rows()))
    return metadata


def schema_check_spec(asset: str) -> dg.AssetCheckSpec:
    """Return the check that every row of an asset's landed partition keeps its contract."""
    return dg.AssetCheckSpec(
        "keeps_its_schema",
        asset=asset,
        description="Every landed row keeps its contract (schemas.py). If not: read the rejected rows' file.",
    )


def schema_check(*landed: Landed) -> dg.AssetCheckResult:
    """Return that check's result: the door has validated every row, and kept apart what it refused."""
    rejected = sum(one.rejected for one in landed)
    files = [one.rejected_file for one in landed if one.rejected_file]
    return dg.AssetCheckResult(
        check_name="keeps_its_schema",
        passed=not rejected,
        metadata={
            "rows": sum(one.rows for one in landed),
            "rejected": rejected,
            "reasons": "; ".join(reason for one in landed for reason in one.reasons)[:1000],
            "files": dg.MetadataValue.json(files),
        },
    )


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; cells are text with bars escaped, null is a dash."""

    def cell(value: object) -> str:
        return "–" if value is None else str(value).replace("|", "\\|").replace("\n", " ")

    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines)
