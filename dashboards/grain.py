"""How much a figure may hold: the finest grain that fits, and never a point dropped without saying so."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

LIMIT = 5_000
"""Points in one figure: what a phone draws at once."""
RANKED = 200
"""Rows in one ranking: more is a list, and the table and the CSV are better at that."""
GRAINS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


@dataclass(frozen=True)
class Fit:
    """The rows to draw, their grain (``hour``, ``day`` or ``week``), and a sentence that says so."""

    frame: pl.DataFrame
    grain: str
    note: str

    @property
    def step(self) -> timedelta:
        """Distance between neighbouring rows of one series."""
        return GRAINS[self.grain]


def fit_grain(frame: pl.DataFrame, *, points_per_row: int = 1, limit: int = LIMIT) -> Fit:
    """Return the rows of the finest grain that fits.

    Args:
        frame: columns ``grain`` and ``at``; each grain computed on its own in the marts, never averaged here.
        points_per_row: points that one row becomes in the figure.
        limit: points in the figure.

    Where not even the coarsest grain fits, its most recent moments that do, and the note tells how many are left out.
    """
    present = [grain for grain in GRAINS if not frame.filter(pl.col("grain") == grain).is_empty()]
    if not present:
        return Fit(frame.clear(), "hour", "")
    for grain in present:
        rows = frame.filter(pl.col("grain") == grain)
        if rows.height * points_per_row <= limit:
            return Fit(rows, grain, f"One point per {grain}.")
    rows = frame.filter(pl.col("grain") == present[-1])
    moments = rows.get_column("at").unique().sort(descending=True)
    kept = rows
    for count in range(len(moments) - 1, 0, -1):
        kept = rows.filter(pl.col("at") >= moments[count - 1])
        if kept.height * points_per_row <= limit:
            break
    else:
        count = 1
    if kept.height * points_per_row > limit:
        kept = kept.head(limit // points_per_row)
    return Fit(
        kept,
        present[-1],
        f"One point per {present[-1]}; the most recent {count} of {len(moments)} are drawn, the CSV has all.",
    )


def newest(frame: pl.DataFrame, by: str, limit: int) -> tuple[pl.DataFrame, str]:
    """Return the newest rows that fit, and a sentence where some do not."""
    if frame.height <= limit:
        return frame, ""
    return frame.sort(by, descending=True).head(limit), f"The newest {limit:,} of {frame.height:,}; the CSV has all."


def foremost(frame: pl.DataFrame, limit: int = RANKED) -> tuple[pl.DataFrame, str]:
    """Return the first rows of a ranking, and a sentence where there are more."""
    if frame.height <= limit:
        return frame, ""
    return frame.head(limit), f"The first {limit} of {frame.height:,} are drawn; the CSV has all."


def largest(names: Iterable[tuple[str, float]], limit: int) -> list[str]:
    """Return the names with the largest weights, heaviest first, ties by name."""
    return [name for name, _ in sorted(names, key=lambda pair: (-pair[1], pair[0]))[:limit]]


def runs(moments: list[datetime], step: timedelta) -> Iterator[range]:
    """Yield the index ranges without a hole: a line across a hole would invent measurements."""
    start = 0
    for at in range(1, len(moments) + 1):
        if at == len(moments) or moments[at] - moments[at - 1] > step * 1.5:
            yield range(start, at)
            start = at
