"""A chart as a page shows it: figures, table, n, notes, SQL with its literals, downloads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, readable_sql
from dashboards.embed import csv_bytes, figure_json, parquet_bytes, plain, slug

Files = dict[str, bytes]
_BESIDE, _ALONE = 60, 250
"""Rows of a table beside a figure, and of one that stands alone; the CSV always has all."""
_TIMES = ("at", "started_on", "started_at", "hour_at", "blind_from_at")


@dataclass(frozen=True)
class Drawn:
    """One figure of a chart."""

    id: str
    label: str
    height: int
    legend: tuple[tuple[str, str], ...]
    """Word and colour of each step of a heat map."""
    json: dict[str, Any]


@dataclass(frozen=True)
class View:
    """Everything that the template shows of one chart."""

    chart: Chart
    sql: str
    n: int
    figures: tuple[Drawn, ...]
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    table_note: str
    csv: str | None
    parquet: str | None
    is_open: bool
    """The table stands open: there is no figure."""


def view(chart: Chart, frame: pl.DataFrame | None, parameters: Mapping[str, object], folder: str, files: Files) -> View:
    """Return the chart ready to render, and add its downloads to the files.

    The frame is the result of the chart's SQL with exactly these parameters, None when it was not run; the folder is
    where the downloads go, relative to the site.
    """
    exact = frame if frame is not None else pl.DataFrame()
    drawable = plain(exact)
    figures, notes = _draw(chart, drawable)
    csv = parquet = None
    if not exact.is_empty():
        csv, parquet = f"{folder}/{chart.key}.csv", f"{folder}/{chart.key}.parquet"
        files[csv], files[parquet] = csv_bytes(exact), parquet_bytes(exact)
    table, table_note = _table(exact, _BESIDE if chart.figure else _ALONE)
    return View(
        chart=chart,
        sql=readable_sql(chart.sql, parameters),
        n=_count(chart, drawable),
        figures=tuple(figures),
        notes=tuple(dict.fromkeys(notes)),
        columns=tuple(table.columns),
        rows=tuple(table.rows()),
        table_note=table_note,
        csv=csv,
        parquet=parquet,
        is_open=chart.figure is None and not exact.is_empty(),
    )


def _draw(chart: Chart, frame: pl.DataFrame) -> tuple[list[Drawn], list[str]]:
    figures: list[Drawn] = []
    notes: list[str] = []
    if chart.figure is None or frame.is_empty():
        return figures, notes
    for label, part in _parts(chart, frame):
        figure: go.Figure = chart.figure(part)
        said = figure.layout.meta or {}
        notes += said.get("notes", [])
        if figure.data:
            name = f"plot-{chart.key}-{slug(label)}" if label else f"plot-{chart.key}"
            steps = tuple((word, tone) for word, tone in said.get("legend", ()))
            figures.append(Drawn(name, label, int(figure.layout.height or 320), steps, figure_json(figure)))
    return figures, notes


def _parts(chart: Chart, frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    if chart.split_by is None:
        yield "", frame
        return
    for (value,), part in sorted(frame.group_by(chart.split_by), key=lambda pair: str(pair[0])):
        yield str(value), part


def _count(chart: Chart, frame: pl.DataFrame) -> int:
    """Count each measurement once: where several grains hold the same ones, those of the coarsest."""
    if frame.is_empty():
        return 0
    if not chart.counted:
        return frame.height
    if "grain" in frame.columns:
        frame = frame.filter(pl.col("grain") == frame.get_column("grain").sort()[0])
    return int(frame.get_column(chart.counted).sum() or 0)


def _table(frame: pl.DataFrame, limit: int) -> tuple[pl.DataFrame, str]:
    time = next((name for name in _TIMES if name in frame.columns), None)
    ordered = frame.sort(time, descending=True, maintain_order=True) if time and frame.height > limit else frame
    note = "" if frame.height <= limit else f"{limit} of {frame.height:,} rows; the downloads have all."
    return ordered.head(limit), note
