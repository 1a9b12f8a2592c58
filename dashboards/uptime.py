"""Uptime: a calendar of days, and the share over thirty days with its interval."""

from datetime import date, timedelta
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import bar_days, ranked, say
from dashboards.grain import LIMIT, foremost, newest
from dashboards.numbers import interval, percent, safe, wilson
from dashboards.theme import GOOD, MUTED, UPTIME_BANDS, canvas

_BLIND, _NOT_COUNTED = 0, 1
_FLOORS = (0.0, 0.80, 0.95, 0.99, 1.0)


def _band(good: int, counted: int) -> int:
    share = good / counted
    return 2 + max(at for at, floor in enumerate(_FLOORS) if share >= floor)


def _by_step(frame: pl.DataFrame, step: str) -> pl.DataFrame:
    counts = ("attempts", "counted", "good", "bad", "excluded")
    return (
        frame.with_columns(pl.col("started_on").dt.truncate(step))
        .group_by("endpoint_id", "provider", "started_on")
        .agg(pl.col(name).sum() for name in counts)
        .sort("provider", "endpoint_id", "started_on")
    )


def uptime_calendar(frame: pl.DataFrame) -> go.Figure:
    """Return day x endpoint as steps of uptime; blind and not counted are their own steps, never 0 %.

    Args:
        frame: endpoint_id, provider, started_on, attempts, counted, good, bad, excluded; one row per endpoint and day.
    """
    if frame.is_empty():
        return canvas()
    grain, unit, step = "day", "1d", timedelta(days=1)
    for grain, unit, step in (("day", "1d", timedelta(days=1)), ("week", "1w", timedelta(days=7))):  # noqa: B007 the last one tried is used
        rows = _by_step(frame, unit)
        first, last = rows.get_column("started_on").min(), rows.get_column("started_on").max()
        days = _days(first, last, step)
        names = rows.get_column("endpoint_id").unique(maintain_order=True).to_list()
        if len(days) * len(names) <= LIMIT:
            break
    note = f"One cell per {grain} (UTC)."
    if len(days) * len(names) > LIMIT:
        kept = max(1, LIMIT // len(names))
        note += f" The most recent {kept} of {len(days)} {grain}s are drawn, the CSV has all."
        days = days[-kept:]
    cells = {(row["endpoint_id"], row["started_on"]): row for row in rows.iter_rows(named=True)}
    began = dict(rows.group_by("endpoint_id").agg(pl.col("started_on").min()).iter_rows())
    steps, hovers = [], []
    for name in names:
        judged = [_judge(cells.get((name, day)), is_watched=day >= began[name]) for day in days]
        steps.append([step for step, _ in judged])
        hovers.append([text for _, text in judged])
    figure = ranked(names, row_px=22, head_px=48)
    figure.add_heatmap(
        x=[day.isoformat() for day in days],
        y=names,
        z=steps,
        text=hovers,
        hovertemplate="%{y}<br>%{x|%a %d %b %Y}<br>%{text}<extra></extra>",
        zmin=-0.5,
        zmax=len(UPTIME_BANDS) - 0.5,
        colorscale=_steps(),
        xgap=1,
        ygap=2,
        showscale=False,
    )
    figure.update_xaxes(type="date", showgrid=False, hoverformat="%a %d %b %Y")
    return say(figure, note, legend=list(reversed(UPTIME_BANDS)))


def _days(first: Any, last: Any, step: timedelta) -> list[date]:
    return [first + step * at for at in range((last - first) // step + 1)]


def _judge(row: dict[str, Any] | None, *, is_watched: bool) -> tuple[int | None, str]:
    if row is None:
        return (_BLIND, "blind: no attempt was made") if is_watched else (None, "not watched yet")
    if not row["counted"]:
        return _NOT_COUNTED, f"{row['attempts']} attempts, none of them counts (see errors by blame)"
    bounds = wilson(row["good"], row["counted"])
    assert bounds is not None
    text = (
        f"uptime {percent(row['good'] / row['counted'])} (95 %: {interval(*bounds)})"
        f"<br>n = {row['counted']}, bad {row['bad']}, not counted {row['excluded']}"
    )
    return _band(row["good"], row["counted"]), text


def _steps() -> list[list[Any]]:
    count = len(UPTIME_BANDS)
    return [[edge / count, colour] for at, (_, colour) in enumerate(UPTIME_BANDS) for edge in (at, at + 1)]


def uptime_ranking(frame: pl.DataFrame) -> go.Figure:
    """Return each endpoint's uptime with its Wilson interval and its promise, worst on top.

    Args:
        frame: endpoint_id, availability_slo, counted, good; shares 0..1.
    """
    rows = frame.filter(pl.col("counted") > 0).with_columns(uptime=pl.col("good") / pl.col("counted"))
    if rows.is_empty():
        return canvas()
    rows, note = foremost(rows.sort("uptime", "endpoint_id"))
    names = rows.get_column("endpoint_id").to_list()
    bounds = [wilson(good, counted) or (0.0, 1.0) for good, counted in rows.select("good", "counted").iter_rows()]
    shares = rows.get_column("uptime").to_list()
    figure = ranked(names)
    figure.add_scatter(
        x=shares,
        y=names,
        mode="markers",
        name="uptime, 95 % interval",
        marker={"size": 9, "color": GOOD},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - share for (_, high), share in zip(bounds, shares, strict=True)],
            "arrayminus": [share - low for (low, _), share in zip(bounds, shares, strict=True)],
            "color": GOOD,
            "thickness": 1.4,
            "width": 3,
        },
        customdata=[
            [percent(share), interval(*bound), counted]
            for share, bound, counted in zip(shares, bounds, rows.get_column("counted"), strict=True)
        ],
        hovertemplate="%{y}<br>%{customdata[0]} (95 %: %{customdata[1]})<br>n = %{customdata[2]}<extra></extra>",
    )
    figure.add_scatter(
        x=rows.get_column("availability_slo").to_list(),
        y=names,
        mode="markers",
        name="promised",
        marker={"symbol": "line-ns-open", "size": 14, "color": MUTED, "line": {"width": 2}},
        hovertemplate="%{y}<br>promised %{x:.3%}<extra></extra>",
    )
    figure.update_xaxes(tickformat=".4~p")
    return say(figure, note)


def uptime_strip(frame: pl.DataFrame) -> go.Figure:
    """Return one endpoint's uptime per day with its interval; days without a counted attempt stay empty.

    Args:
        frame: started_on, attempts, counted, good, bad, excluded.
    """
    rows, note = newest(frame.filter(pl.col("counted") > 0), "started_on", LIMIT)
    rows = rows.sort("started_on")
    if rows.is_empty():
        return canvas()
    figure = canvas(240)
    judged = [_judge(row, is_watched=True) for row in rows.iter_rows(named=True)]
    shares = [good / counted for good, counted in rows.select("good", "counted").iter_rows()]
    bounds = [wilson(good, counted) or (0.0, 1.0) for good, counted in rows.select("good", "counted").iter_rows()]
    figure.add_bar(
        x=[day.isoformat() for day in rows.get_column("started_on")],
        y=shares,
        marker={"color": [UPTIME_BANDS[step or 0][1] for step, _ in judged]},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - share for (_, high), share in zip(bounds, shares, strict=True)],
            "arrayminus": [share - low for (low, _), share in zip(bounds, shares, strict=True)],
            "color": MUTED,
            "thickness": 1,
            "width": 0,
        },
        customdata=[safe(text).replace("&lt;br&gt;", "<br>") for _, text in judged],
        hovertemplate="%{x|%a %d %b}<br>%{customdata}<extra></extra>",
    )
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    bar_days(figure, rows.rename({"started_on": "at"}))
    return say(figure, "One bar per day (UTC).", note)


_READING = "Blue is good, orange and red are bad; pale grey is a day on which the monitor was blind."

CHARTS = (
    Chart(
        key="uptime_calendar",
        title="On which days was each endpoint up?",
        reading=_READING + " Hover for n and the interval. Attempts that fail through our own fault never count.",
        empty="One cell per endpoint and day appears after the first probe and the next build.",
        suppressed="Days with no counted attempt are grey, not 0 %.",
        counted="counted",
        noun="counted attempts",
        figure=uptime_calendar,
        sql=sql_text("""
            select endpoint_id, provider, started_on,
                sum(attempts)::bigint as attempts, sum(counted)::bigint as counted, sum(good)::bigint as good,
                sum(bad)::bigint as bad, sum(excluded)::bigint as excluded
            from fct_endpoint_daily
            where started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - 90
            group by all
            order by provider, endpoint_id, started_on
        """),
    ),
    Chart(
        key="uptime_ranking",
        title="Which endpoints keep their promised availability over 30 days?",
        reading="The dot is what was measured, the bar its 95 % interval (Wilson), the tick what was promised. "
        "A promise is shown broken only when the whole bar lies left of the tick.",
        empty="A row per endpoint appears after its first counted attempt.",
        suppressed="Few attempts give a wide bar: 100 % of 96 attempts is at least 96.2 %.",
        counted="counted",
        noun="counted attempts",
        figure=uptime_ranking,
        sql=sql_text("""
            select daily.endpoint_id, endpoint.provider, endpoint.availability_slo,
                sum(daily.counted)::bigint as counted, sum(daily.good)::bigint as good,
                sum(daily.good) / nullif(sum(daily.counted), 0) as uptime
            from fct_endpoint_daily as daily
            join dim_endpoint as endpoint using (endpoint_id)
            where daily.started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - 30
            group by all
            order by uptime, daily.endpoint_id
        """),
    ),
)
