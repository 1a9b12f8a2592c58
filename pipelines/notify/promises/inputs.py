"""Everything that judging the promises takes, and the watermark that keeps attempts from being counted twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import polars as pl

from pipelines.fleet.models import Endpoint, Fleet


@dataclass(frozen=True, order=True)
class Watermark:
    """The newest attempt of an endpoint that an evaluation has handed on.

    Attempts are ordered by (started_at, probe_id): a run that was repeated yields the same ids and adds nothing.
    A row that lands late with an older start still counts in every window, but is no new attempt.
    """

    started_at: datetime
    probe_id: str


@dataclass(frozen=True)
class FleetFile:
    """Whether the fleet.yaml on the disk is the one in use."""

    is_valid: bool = True
    invalid_since: datetime | None = None
    message: str | None = None


@dataclass(frozen=True)
class Inputs:
    """The facts of one evaluation. Frames may be empty; None means that there is no such record yet."""

    fleet: Fleet
    endpoints: Sequence[Endpoint]
    results: pl.DataFrame
    """``probe_results`` of the last three days."""
    now: datetime
    tick_id: str | None = None
    watermarks: Mapping[str, Watermark] = field(default_factory=dict)
    """By endpoint id, from :func:`watermarks_of` the evaluations before this one."""
    baselines: pl.DataFrame | None = None
    """endpoint_id, hour (0..23, UTC), ttft_p95_ms, tps_decode_p50, days: medians over the last seven days."""
    ticks: pl.DataFrame | None = None
    """The newest ``probe_ticks``, at least the last two."""
    discovery: pl.DataFrame | None = None
    """``discovery_results`` with at least the last two refreshes of each provider."""
    cost_today: Mapping[str, Decimal] = field(default_factory=dict)
    """US dollars of probing since midnight UTC, by project."""
    fleet_file: FleetFile = FleetFile()
    watching_since: datetime | None = None
    """When probing began on this home; before an endpoint's first attempt, blindness is judged from here."""


def watermarks_of(evaluations: pl.DataFrame, *, judging_tick: str | None = None) -> dict[str, Watermark]:
    """Return the newest watermark by endpoint from landed ``endpoint_available`` rows.

    Rows of ``judging_tick`` itself are left out, so that a repeated evaluation yields the same attempts again,
    under the same evaluation id.
    """
    rows = evaluations.filter(pl.col("promise") == "endpoint_available")
    if judging_tick is not None:
        rows = rows.filter(pl.col("tick_id").ne_missing(judging_tick))
    marked = (
        rows.select(
            "subject",
            at=pl.col("detail_json").str.json_path_match("$.watermark[0]"),
            probe_id=pl.col("detail_json").str.json_path_match("$.watermark[1]"),
        )
        .drop_nulls()
        # ISO moments of one zone sort as text.
        .sort("at", "probe_id")
        .group_by("subject")
        .last()
    )
    return {
        subject: Watermark(datetime.fromisoformat(at), probe_id)
        for subject, at, probe_id in marked.select("subject", "at", "probe_id").iter_rows()
    }
