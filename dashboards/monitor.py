"""Is the monitor itself to be trusted: was it awake, was it in its own way, does it fit on the disk."""

from datetime import datetime, timedelta
from math import log10

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import LOG_TICKS, TIME_AXIS, moment, say
from dashboards.grain import LIMIT, fit_grain, largest, newest, runs
from dashboards.numbers import safe, span
from dashboards.theme import BLAME, MUTED, SERIES, canvas

_SPOILED_MS = 250
"""Event-loop lag from which an attempt is our own fault."""


def _lines(
    frame: pl.DataFrame, columns: dict[str, str], unit: str, *, by: str = "location", step_line: bool = False
) -> go.Figure:
    fit = fit_grain(frame, points_per_row=len(columns))
    figure = canvas(260, yaxis={"title": {"text": unit}, "rangemode": "tozero"})
    several = not frame.is_empty() and frame.get_column(by).n_unique() > 1
    at = 0
    for key in sorted(fit.frame.get_column(by).unique()) if not fit.frame.is_empty() else []:
        for column, name in columns.items():
            rows = fit.frame.filter((pl.col(by) == key) & pl.col(column).is_not_null()).sort("at")
            if rows.is_empty():
                continue
            moments, values = rows.get_column("at").to_list(), rows.get_column(column).to_list()
            x: list[str | None] = []
            y: list[float | None] = []
            for run in runs(moments, fit.step):
                x += [*(moment(moments[index]) for index in run), None]
                y += [*(values[index] for index in run), None]
            figure.add_scatter(
                x=x[:-1],
                y=y[:-1],
                name=f"{name}, {safe(key)}" if several else name,
                mode="lines+markers",
                marker={"size": 3, "color": SERIES[at % len(SERIES)]},
                line={"width": 1.6, "color": SERIES[at % len(SERIES)], "shape": "hv" if step_line else "linear"},
                hovertemplate=f"%{{x}}<br>%{{y:,.1f}} {unit}<extra>%{{fullData.name}}</extra>",
            )
            at += 1
    figure.update_xaxes(**TIME_AXIS)
    return say(figure, fit.note)


def tick_time(frame: pl.DataFrame) -> go.Figure:
    """Return how long sweeps took and how late they began: the worst of each hour.

    Args:
        frame: grain, at, location, ticks, wall_max_s, wall_p50_s, start_lag_max_s.
    """
    return _lines(
        frame,
        {"wall_max_s": "longest sweep", "wall_p50_s": "median sweep", "start_lag_max_s": "latest start"},
        "s",
    )


def own_error(frame: pl.DataFrame) -> go.Figure:
    """Return our own measurement error: the loopback reference, and the event-loop lag that spoils attempts.

    Args:
        frame: grain, at, location, reference_error_p50_ms, reference_error_max_ms, loop_lag_max_ms.
    """
    figure = _lines(
        frame,
        {
            "reference_error_p50_ms": "TTFT error of the reference, median",
            "reference_error_max_ms": "TTFT error of the reference, worst",
            "loop_lag_max_ms": "event-loop lag, worst",
        },
        "ms",
    )
    if figure.data:
        figure.add_shape(
            type="line",
            xref="paper",
            x0=0,
            x1=1,
            y0=_SPOILED_MS,
            y1=_SPOILED_MS,
            line={"dash": "dot", "width": 1.4, "color": BLAME["provider"]},
        )
        figure.add_annotation(
            text=f"lag above {_SPOILED_MS} ms: the attempt does not count",
            xref="paper",
            x=1,
            xanchor="right",
            y=log10(_SPOILED_MS),  # plotly takes an annotation's place on a log axis as an exponent
            yanchor="bottom",
            showarrow=False,
        )
        figure.update_yaxes(type="log", rangemode="normal", **LOG_TICKS)
    return figure


def blind_gaps(frame: pl.DataFrame) -> go.Figure:
    """Return the times without a sweep, as bars on a time line: nothing is known about them.

    Args:
        frame: location, blind_from_at, blind_until_at, gap_s, as_of; one row per gap.
    """
    if frame.is_empty():
        return canvas()
    rows, note = newest(frame, "blind_from_at", LIMIT)
    figure = canvas(170, yaxis={"type": "category", "showgrid": False})
    until: datetime = frame.get_column("as_of")[0]
    starts: list[datetime] = rows.get_column("blind_from_at").to_list()
    figure.add_bar(
        base=[f"{start:%Y-%m-%d %H:%M:%S}" for start in starts],
        x=[1000.0 * gap for gap in rows.get_column("gap_s")],
        y=[safe(place) for place in rows.get_column("location")],
        orientation="h",
        width=0.5,
        marker={"color": MUTED, "line": {"color": MUTED, "width": 1.5}},
        customdata=[
            [f"{start:%d %b %H:%M} UTC", span(gap)] for start, gap in zip(starts, rows.get_column("gap_s"), strict=True)
        ],
        hovertemplate="%{y}<br>blind from %{customdata[0]} for %{customdata[1]}<extra></extra>",
    )
    figure.update_xaxes(type="date", range=[moment(until - timedelta(days=30)), moment(until)])
    return say(figure, note)


def disk_use(frame: pl.DataFrame) -> go.Figure:
    """Return the bytes of each part of the home over time, stacked.

    Args:
        frame: grain, at, part, files, bytes.
    """
    fit = fit_grain(frame)
    if fit.frame.is_empty():
        return canvas()
    figure = canvas(260, yaxis={"title": {"text": "bytes"}, "tickformat": ".3~s", "rangemode": "tozero"})
    parts = largest(fit.frame.group_by("part").agg(pl.col("bytes").max()).iter_rows(), LIMIT)
    for at, part in enumerate(parts):
        rows = fit.frame.filter(pl.col("part") == part).sort("at")
        figure.add_scatter(
            x=[moment(when) for when in rows.get_column("at")],
            y=rows.get_column("bytes").to_list(),
            name=safe(part),
            mode="lines+markers",
            marker={"size": 3},
            line={"width": 1.2, "color": SERIES[at % len(SERIES)]},
            stackgroup="bytes",
            customdata=rows.get_column("files").to_list(),
            hovertemplate="%{x}<br>%{y:.3s}B in %{customdata:,} files<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(**TIME_AXIS)
    return say(figure, fit.note)


def _two_grains(columns: str, table: str, stamp: str, key: str) -> str:
    def part(grain: str, days: int) -> str:
        return sql_text(f"""
            select '{grain}' as grain, date_trunc('{grain}', {stamp} at time zone 'UTC') at time zone 'UTC' as "at",
                {key}, {columns}
            from {table}
            where {stamp} > cast($as_of as timestamptz) - interval {days} day
            group by all
        """)  # noqa: S608 built from this module's own literals

    return f"{part('hour', 7)}\nunion all\n{part('day', 90)}\norder by 1, 3, 2"


CHARTS = (
    Chart(
        key="tick_time",
        title="Did every sweep end in time?",
        reading="A sweep that takes longer than its interval delays the next one; a late start is a busy machine.",
        empty="Appears after the first sweep.",
        counted="ticks",
        noun="sweeps",
        figure=tick_time,
        sql=_two_grains(
            "count(*) as ticks, max(wall_s) as wall_max_s, median(wall_s) as wall_p50_s,\n"
            "    max(start_lag_s) as start_lag_max_s",
            "fct_tick",
            "started_at",
            "location",
        ),
    ),
    Chart(
        key="own_error",
        title="How large is our own measurement error?",
        reading="A server on loopback with known times is probed in the same loop: its error is the error bar of every "
        "other figure.",
        empty="Appears after the first sweep.",
        counted="ticks",
        noun="sweeps",
        figure=own_error,
        sql=_two_grains(
            "count(*) as ticks, median(reference_error_p50_us) / 1000.0 as reference_error_p50_ms,\n"
            "    max(reference_error_max_us) / 1000.0 as reference_error_max_ms,\n"
            "    max(loop_lag_max_us) / 1000.0 as loop_lag_max_ms",
            "fct_tick",
            "started_at",
            "location",
        ),
    ),
    Chart(
        key="blind_gaps",
        title="When were we blind, over 30 days?",
        reading="A gap of more than 3 times the usual distance between sweeps (and 10 minutes): nothing is known about "
        "it, and it counts as neither up nor down.",
        empty="No gap in 30 days: the monitor was always awake.",
        noun="gaps",
        figure=blind_gaps,
        sql=sql_text("""
            with gaps as (
                select location, lag(ended_at) over (partition by location order by started_at) as blind_from_at,
                    started_at as blind_until_at,
                    epoch(started_at) - lag(epoch(ended_at)) over (partition by location order by started_at) as gap_s
                from fct_tick
                where started_at > cast($as_of as timestamptz) - interval 30 day
            ),
            usual as (
                select location, median(gap_s) as usual_s
                from gaps
                group by all
            )
            select gaps.location, gaps.blind_from_at, gaps.blind_until_at, gaps.gap_s,
                cast($as_of as timestamptz) as as_of
            from gaps
            join usual using (location)
            where gaps.gap_s > greatest(600, 3 * usual.usual_s)
            order by gaps.blind_from_at desc
        """),
    ),
    Chart(
        key="disk_use",
        title="How much disk does it take?",
        reading="Measured by housekeeping; retention is set in fleet.yaml.",
        empty="Appears after the first housekeeping run.",
        noun="measurements",
        figure=disk_use,
        sql=sql_text("""
            select 'day' as grain, date_trunc('day', measured_at at time zone 'UTC') at time zone 'UTC' as "at", part,
                max(files) as files, max(bytes) as bytes
            from fct_disk_use
            where measured_at > cast($as_of as timestamptz) - interval 90 day
            group by all
            order by part, 2
        """),
    ),
    Chart(
        key="discovery",
        title="Do the providers' model lists answer?",
        reading="The latest answer of each provider. A refused key is an error, never “no models”.",
        empty="Appears after the first discovery.",
        noun="providers",
        sql=sql_text("""
            select provider, arg_max(outcome, discovered_at) as outcome, max(discovered_at) as asked_at,
                max(discovered_at) filter (where outcome = 'ok') as last_ok_at,
                arg_max(models_listed, discovered_at) as models_listed,
                arg_max(models_kept, discovered_at) as models_kept,
                arg_max(message, discovered_at) as message
            from fct_discovery
            group by all
            order by provider
        """),
    ),
)
