"""The shapes that charts share: lines with an interval, ranked values with an interval, stacked bars."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboards.grain import runs
from dashboards.numbers import safe
from dashboards.theme import SERIES, canvas, faded

DAY_MS = 86_400_000
_FEW = 72
"""Up to here each point of a line gets a dot."""
TIME_AXIS: dict[str, Any] = {"type": "date", "hoverformat": "%a %d %b %H:%M UTC"}
_STEPS = [digit * 10**power for power in range(-1, 7) for digit in (1, 2, 5)]
LOG_TICKS: dict[str, Any] = {"tickvals": _STEPS, "ticktext": [f"{step:,.{0 if step >= 1 else 1}f}" for step in _STEPS]}
"""1, 2, 5 of each decade in full: plotly's own logarithmic ticks leave the zeros away."""


def moment(at: datetime) -> str:
    """Return a UTC moment as plotly reads it; shorter than ISO, and without a zone that a browser would shift."""
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"


def say(figure: go.Figure, *notes: str, **facts: Any) -> go.Figure:
    """Write down what the page must say beside the figure."""
    said = dict(figure.layout.meta or {})
    said["notes"] = [*said.get("notes", []), *(note for note in notes if note)]
    figure.update_layout(meta={**said, **facts})
    return figure


def series(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each endpoint's rows in time order; the location is named only where there are several."""
    if frame.is_empty():
        return
    several = frame.get_column("location").n_unique() > 1
    for keys, rows in sorted(frame.group_by("endpoint_id", "location"), key=lambda pair: str(pair[0])):
        yield f"{keys[0]} · {keys[1]}" if several else str(keys[0]), rows.sort("at")


def add_interval_line(
    figure: go.Figure,
    rows: pl.DataFrame,
    *,
    name: str,
    value: str,
    low: str,
    high: str,
    n: str,
    unit: str,
    step: timedelta,
    colour: str,
    stroke: str = "solid",
    digits: int = 0,
) -> None:
    """Add a line with its interval as a band; both stop where measurements are missing.

    The hover says the value, its 95 % interval and n. Two traces: the band (a polygon per run) and the line.
    """
    rows = rows.filter(pl.col(value).is_not_null())
    if rows.is_empty():
        return
    moments = rows.get_column("at").to_list()
    x, y, facts = [moment(at) for at in moments], rows.get_column(value).to_list(), rows.select(low, high, n).rows()
    lows, highs = rows.get_column(low).to_list(), rows.get_column(high).to_list()
    line_x: list[str | None] = []
    line_y: list[float | None] = []
    line_facts: list[tuple[Any, ...]] = []
    ring_x: list[str | None] = []
    ring_y: list[float | None] = []
    has_lone = False
    for run in runs(moments, step):
        has_lone |= len(run) == 1
        line_x += [*(x[at] for at in run), None]
        line_y += [*(y[at] for at in run), None]
        line_facts += [*(facts[at] for at in run), (None, None, None)]
        known = [at for at in run if lows[at] is not None and highs[at] is not None]
        if len(known) > 1:
            ring_x += [*(x[at] for at in known), *(x[at] for at in reversed(known)), None]
            ring_y += [*(highs[at] for at in known), *(lows[at] for at in reversed(known)), None]
    if ring_x:
        figure.add_scatter(
            x=ring_x[:-1],
            y=ring_y[:-1],
            name=f"{safe(name)} 95 %",
            legendgroup=safe(name),
            showlegend=False,
            fill="toself",
            fillcolor=faded(colour, 0.16),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=line_x[:-1],
        y=line_y[:-1],
        customdata=line_facts[:-1],
        name=safe(name),
        legendgroup=safe(name),
        mode="lines+markers" if has_lone or len(x) <= _FEW else "lines",
        marker={"size": 4, "color": colour},
        line={"width": 1.6, "color": colour, "dash": stroke},
        hovertemplate=(
            f"%{{x}}<br>%{{y:,.{digits}f}} {unit} (95 %: %{{customdata[0]:,.{digits}f}}–%{{customdata[1]:,.{digits}f}})"
            "<br>n = %{customdata[2]}<extra>%{fullData.name}</extra>"
        ),
    )


def bar_days(figure: go.Figure, rows: pl.DataFrame) -> None:
    """Give day bars a true time axis, at least a week wide: one lonely day must not fill the page."""
    days: list[date] = rows.get_column("at").sort().to_list()
    first, last, half = days[0], days[-1], timedelta(hours=12)
    start, end = datetime.combine(min(first, last - timedelta(days=6)), time.min), datetime.combine(last, time.min)
    figure.update_xaxes(type="date", range=[moment(start - half), moment(end + half)])
    figure.update_traces(width=0.82 * DAY_MS, selector={"type": "bar"})


def colour(at: int) -> str:
    """Return the colour of the n-th series."""
    return SERIES[at % len(SERIES)]


def dash(at: int) -> str:
    """Return the stroke of the n-th series: a second round through the colours is dotted."""
    return ("solid", "dot", "dash")[at // len(SERIES) % 3]


def with_room(figure: go.Figure) -> go.Figure:
    """Return the figure made higher by the rows of its legend."""
    named = sum(1 for trace in figure.data if trace.showlegend is not False)
    return figure.update_layout(height=figure.layout.height + 10 * max(0, named - 2))


def ranked(names: Sequence[str], *, row_px: int = 26, head_px: int = 84, **layout: Any) -> go.Figure:
    """Return a canvas with one row per name, the first on top; names are escaped and shortened on a phone."""
    figure = canvas(max(140, head_px + row_px * len(names)), **layout)
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(reversed(names)),
        tickmode="array",
        tickvals=list(names),
        ticktext=[safe(name) for name in names],
        range=[-0.6, len(names) - 0.4],
        showgrid=False,
    )
    return say(figure, labels="y")


def points(figure: go.Figure) -> int:
    """Return how many marks a figure draws: cells of a heat map, values of any other trace."""
    total = 0
    for trace in figure.data:
        if trace.type == "heatmap":
            total += sum(len(row) for row in trace.z or ())
        else:
            total += sum(value is not None for value in trace.x or ())
    return total
