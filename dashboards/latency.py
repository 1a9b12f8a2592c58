"""Latency and throughput: who is fast now, and how it changed, each figure with its interval."""

from collections.abc import Callable

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import (
    LOG_TICKS,
    TIME_AXIS,
    add_interval_line,
    colour,
    dash,
    moment,
    ranked,
    say,
    series,
    with_room,
)
from dashboards.grain import fit_grain, foremost
from dashboards.numbers import safe
from dashboards.theme import ACCENT, MUTED, SERIES, canvas

_TTFT = "Time to first token, any channel, of good attempts timed on the wire."


def ttft_ranking(frame: pl.DataFrame) -> go.Figure:
    """Return each endpoint's median TTFT with its interval, its p95 and its promise, fastest on top.

    Args:
        frame: endpoint_id, n_ttft, ttft_p50_ms, ttft_p50_low_ms, ttft_p50_high_ms, ttft_p95_ms, ttft_p95_adj_ms,
            is_ttft_p95_adj_unbounded, ttft_slo_ms;
            null where n is too small.
    """
    rows, note = foremost(frame.filter(pl.col("ttft_p50_ms").is_not_null()).sort("ttft_p50_ms", "endpoint_id"))
    if rows.is_empty():
        return canvas()
    names, mid = rows.get_column("endpoint_id").to_list(), rows.get_column("ttft_p50_ms").to_list()
    lows, highs = rows.get_column("ttft_p50_low_ms").to_list(), rows.get_column("ttft_p50_high_ms").to_list()
    figure = ranked(names)
    figure.add_scatter(
        x=mid,
        y=names,
        mode="markers",
        name="p50, 95 % interval",
        marker={"size": 9, "color": ACCENT},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [None if high is None else high - at for high, at in zip(highs, mid, strict=True)],
            "arrayminus": [None if low is None else at - low for low, at in zip(lows, mid, strict=True)],
            "color": ACCENT,
            "thickness": 1.4,
            "width": 3,
        },
        customdata=rows.select("ttft_p50_low_ms", "ttft_p50_high_ms", "n_ttft").rows(),
        hovertemplate="%{y}<br>p50 %{x:,.0f} ms (95 %: %{customdata[0]:,.0f}–%{customdata[1]:,.0f})"
        "<br>n = %{customdata[2]}<extra></extra>",
    )
    for column, name, symbol, tone in (
        ("ttft_p95_ms", "p95", "diamond-open", SERIES[1]),
        ("ttft_p95_adj_ms", "p95, failures counted as endless", "triangle-right-open", SERIES[2]),
        ("ttft_slo_ms", "promised p95", "line-ns-open", MUTED),
    ):
        known = rows.filter(pl.col(column).is_not_null())
        if not known.is_empty():
            figure.add_scatter(
                x=known.get_column(column).to_list(),
                y=known.get_column("endpoint_id").to_list(),
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 10, "color": tone, "line": {"width": 2}},
                hovertemplate=f"%{{y}}<br>{name} %{{x:,.0f}} ms<extra></extra>",
            )
    figure.update_xaxes(title_text="ms, log scale", type="log", **LOG_TICKS)
    short = rows.filter(pl.col("ttft_p95_ms").is_null()).height
    endless = rows.filter(pl.col("is_ttft_p95_adj_unbounded").fill_null(value=False)).height
    return say(
        figure,
        note,
        f"{short} without a p95: fewer than 20 good attempts." if short else "",
        f"{endless} without a p95 that counts failures: more than 5 % of their attempts failed." if endless else "",
    )


def over_time(
    value: str, n: str, unit: str, *, low: str, high: str, digits: int = 0, points_per_row: int = 3
) -> Callable[[pl.DataFrame], go.Figure]:
    """Return a figure function: one line per endpoint with its interval, at the finest grain that fits."""

    def figure(frame: pl.DataFrame) -> go.Figure:
        fit = fit_grain(frame.filter(pl.col(value).is_not_null()), points_per_row=points_per_row)
        drawn = canvas(300, hovermode="closest", yaxis={"title": {"text": unit}, "rangemode": "tozero"})
        drawn.update_xaxes(**TIME_AXIS)
        for at, (name, rows) in enumerate(series(fit.frame)):
            add_interval_line(
                drawn,
                rows,
                name=name,
                value=value,
                low=low,
                high=high,
                n=n,
                unit=unit,
                step=fit.step,
                colour=colour(at),
                stroke=dash(at),
                digits=digits,
            )
        return with_room(say(drawn, fit.note))

    return figure


ttft_over_time = over_time("ttft_p50_ms", "n_ttft", "ms", low="ttft_p50_low_ms", high="ttft_p50_high_ms")
_ttft_with_p95 = over_time(
    "ttft_p50_ms", "n_ttft", "ms", low="ttft_p50_low_ms", high="ttft_p50_high_ms", points_per_row=4
)
tps_over_time = over_time(
    "tps_decode_p50", "n_tps", "tokens/s", digits=1, low="tps_decode_p50_low", high="tps_decode_p50_high"
)


def endpoint_ttft(frame: pl.DataFrame) -> go.Figure:
    """Return one endpoint's p50 with its interval, its p95 and its promise over time.

    Args:
        frame: as `ttft_over_time`, with ttft_p95_ms and ttft_slo_ms; one endpoint, any number of locations.
    """
    figure = _ttft_with_p95(frame)
    if not figure.data:
        return figure
    fit = fit_grain(frame.filter(pl.col("ttft_p50_ms").is_not_null()), points_per_row=4)
    if len(figure.data) <= 2:
        figure.data[-1].update(name="p50, 95 % interval")
    for name, rows in series(fit.frame):
        known = rows.filter(pl.col("ttft_p95_ms").is_not_null())
        if not known.is_empty():
            figure.add_scatter(
                x=[moment(at) for at in known.get_column("at")],
                y=known.get_column("ttft_p95_ms").to_list(),
                mode="markers",
                name="p95" if len(figure.data) <= 2 else f"p95 {safe(name)}",
                marker={"symbol": "diamond-open", "size": 6, "color": SERIES[1]},
                hovertemplate="%{x}<br>p95 %{y:,.0f} ms<extra></extra>",
            )
    promised = frame.get_column("ttft_slo_ms").drop_nulls()
    if not promised.is_empty():
        figure.add_hline(
            y=promised[-1], line={"dash": "dot", "width": 1.4, "color": MUTED}, annotation_text="promised p95"
        )
    return figure


def _grains(columns: str, where: str = "true", *, hours: int = 7 * 24, days: int = 90) -> str:
    return sql_text(f"""
        select 'hour' as grain, hour_at as "at", endpoint_id, provider, location,
            {columns}
        from fct_endpoint_hourly
        where {where} and hour_at > cast($as_of as timestamptz) - interval {hours} hour
        union all
        select 'day', cast(started_on as timestamp) at time zone 'UTC', endpoint_id, provider, location,
            {columns}
        from fct_endpoint_daily
        where {where} and started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - {days}
        order by grain, provider, endpoint_id, location, "at"
    """)  # noqa: S608 built from this module's own literals


_TTFT_COLUMNS = "n_ttft, ttft_p50_ms, ttft_p50_low_ms, ttft_p50_high_ms, ttft_p95_ms"
_TPS_COLUMNS = "n_tps, tps_decode_p50, tps_decode_p50_low, tps_decode_p50_high"

CHARTS = (
    Chart(
        key="ttft_ranking",
        title="Which endpoints answer first, on their latest day?",
        reading="The dot is the median, the bar its 95 % interval; the diamond is p95, the triangle p95 with failures "
        "counted. Two endpoints whose bars overlap are not shown to differ. " + _TTFT,
        empty="A row per endpoint appears after its first good attempt.",
        suppressed="p95 needs 20 good attempts.",
        counted="n_ttft",
        noun="good attempts",
        figure=ttft_ranking,
        sql=sql_text("""
            with latest as (
                select endpoint_id, location, max(started_on) as started_on
                from fct_endpoint_daily
                where n_ttft > 0 and started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - 2
                group by all
            )
            select daily.endpoint_id || case when count(*) over (partition by daily.endpoint_id) > 1
                    then ' · ' || daily.location else '' end as endpoint_id,
                daily.provider, daily.started_on, daily.n_ttft, daily.ttft_p50_ms, daily.ttft_p50_low_ms,
                daily.ttft_p50_high_ms, daily.ttft_p95_ms, daily.ttft_p95_adj_ms,
                daily.is_ttft_p95_adj_unbounded, endpoint.ttft_slo_ms
            from fct_endpoint_daily as daily
            join latest using (endpoint_id, location, started_on)
            left join dim_endpoint as endpoint using (endpoint_id)
            order by daily.ttft_p50_ms
        """),
    ),
    Chart(
        key="ttft_over_time",
        title="How has the time to first token changed?",
        reading="The line is the median, the band its 95 % interval; a gap is a time without a good attempt. "
        "Tap a name to hide it. " + _TTFT,
        empty="A line per endpoint appears after the first build; hours join it as they end.",
        suppressed="No interval is drawn where there are too few attempts for one.",
        counted="n_ttft",
        noun="good attempts",
        split_by="provider",
        figure=ttft_over_time,
        sql=_grains(_TTFT_COLUMNS),
    ),
    Chart(
        key="tps_over_time",
        title="How has the decode speed changed?",
        reading="Tokens per second after the first token (median, 95 % band), without the wait for the first.",
        empty="A line per endpoint appears after answers of two tokens or more.",
        suppressed="Answers that arrive in one event have no decode speed.",
        counted="n_tps",
        noun="good attempts",
        split_by="provider",
        figure=tps_over_time,
        sql=_grains(_TPS_COLUMNS),
    ),
)


def _one_endpoint(grain: str, at: str, table: str, since: str) -> str:
    return sql_text(f"""
        select '{grain}' as grain, {at} as "at", measured.endpoint_id, measured.provider, measured.location,
            {_TTFT_COLUMNS}, endpoint.ttft_slo_ms
        from {table} as measured
        left join dim_endpoint as endpoint using (endpoint_id)
        where measured.endpoint_id = $endpoint_id and {since}
        order by measured.location, "at"
    """)  # noqa: S608 built from this module's own literals


ENDPOINT_CHARTS = (
    Chart(
        key="endpoint_ttft_hourly",
        title="How long until the first token, hour by hour?",
        reading="Line: median with its 95 % band. Diamonds: p95. " + _TTFT,
        empty="The first hour appears with the build after the first good attempt.",
        suppressed="p95 needs 20 good attempts in the hour.",
        counted="n_ttft",
        noun="good attempts",
        figure=endpoint_ttft,
        sql=_one_endpoint(
            "hour", "hour_at", "fct_endpoint_hourly", "hour_at > cast($as_of as timestamptz) - interval 14 day"
        ),
    ),
    Chart(
        key="endpoint_ttft_daily",
        title="Has the time to first token changed over the quarter?",
        reading="Line: median per day with its 95 % band. Diamonds: p95.",
        empty="One point per day; the first appears with the first build.",
        suppressed="p95 needs 20 good attempts in the day.",
        counted="n_ttft",
        noun="good attempts",
        figure=endpoint_ttft,
        sql=_one_endpoint(
            "day",
            "cast(started_on as timestamp) at time zone 'UTC'",
            "fct_endpoint_daily",
            "started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - 90",
        ),
    ),
    Chart(
        key="endpoint_tps",
        title="How fast does it write?",
        reading="Decode speed after the first token: median with its 95 % band.",
        empty="Appears after the first answer of two tokens or more.",
        suppressed="Answers that arrive in one event have no decode speed.",
        counted="n_tps",
        noun="good attempts",
        figure=tps_over_time,
        sql=_grains(_TPS_COLUMNS, "endpoint_id = $endpoint_id", hours=14 * 24),
    ),
)
