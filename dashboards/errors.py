"""What goes wrong, when, and whose fault it is."""

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import TIME_AXIS, moment, ranked, say
from dashboards.grain import RANKED, fit_grain, largest
from dashboards.numbers import safe
from dashboards.theme import BLAME, MUTED, SERIES, canvas

_OUTCOMES_SHOWN = 7


def error_mix(frame: pl.DataFrame) -> go.Figure:
    """Return failed attempts over time, stacked by outcome; rare outcomes are summed and say so.

    Args:
        frame: grain, at, outcome, attempts; one row per grain, moment and outcome.
    """
    fit = fit_grain(frame)
    if fit.frame.is_empty():
        return canvas()
    totals = fit.frame.group_by("outcome").agg(pl.col("attempts").sum()).iter_rows()
    shown = largest(totals, _OUTCOMES_SHOWN)
    rows = (
        fit.frame.with_columns(pl.when(pl.col("outcome").is_in(shown)).then("outcome").otherwise(pl.lit("other")))
        .group_by("outcome", "at")
        .agg(pl.col("attempts").sum())
        .sort("at", "outcome")
    )
    rare = fit.frame.get_column("outcome").n_unique() - len(shown)
    figure = canvas(300, barmode="stack", hovermode="x unified", yaxis={"title": {"text": "attempts"}})
    for at, outcome in enumerate([*shown, *(["other"] if rare else [])]):
        part = rows.filter(pl.col("outcome") == outcome)
        figure.add_bar(
            x=[moment(when) for when in part.get_column("at")],
            y=part.get_column("attempts").to_list(),
            name=safe(outcome),
            marker={"color": MUTED if outcome == "other" else SERIES[at % len(SERIES)], "line": {"width": 0}},
            hovertemplate="%{y:,}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(**TIME_AXIS)
    figure.update_traces(width=fit.step.total_seconds() * 900, offset=0)
    return say(figure, f"One bar per {fit.grain}.", f"{rare} rare outcomes are summed as “other”." if rare > 0 else "")


def blame_split(frame: pl.DataFrame) -> go.Figure:
    """Return failed attempts per endpoint, stacked by blame, most on top.

    Args:
        frame: endpoint_id, blame, is_counted, attempts.
    """
    if frame.is_empty():
        return canvas()
    totals = frame.group_by("endpoint_id").agg(pl.col("attempts").sum()).rows()
    names = largest(totals, RANKED)
    figure = ranked(names, barmode="stack", xaxis={"title": {"text": "attempts, 7 days"}})
    for blame, tone in BLAME.items():
        rows = frame.filter((pl.col("blame") == blame) & pl.col("endpoint_id").is_in(names))
        part = dict(rows.group_by("endpoint_id").agg(pl.col("attempts").sum()).sort("endpoint_id").iter_rows())
        if part:
            figure.add_bar(
                x=list(part.values()),
                y=list(part),
                orientation="h",
                name=safe(blame),
                marker={"color": tone, "line": {"width": 0}},
                hovertemplate="%{y}<br>%{x:,} attempts<extra>%{fullData.name}</extra>",
            )
    more = f"The first {RANKED} of {len(totals):,} are drawn; the CSV has all." if len(totals) > RANKED else ""
    return say(figure, more)


def _mix(where: str) -> str:
    return sql_text(f"""
        select 'hour' as grain, hour_at as "at", outcome, any_value(blame) as blame, bool_or(is_counted) as is_counted,
            sum(attempts)::bigint as attempts
        from fct_error
        where {where}hour_at > cast($as_of as timestamptz) - interval 7 day
        group by all
        union all
        select 'day', date_trunc('day', hour_at at time zone 'UTC') at time zone 'UTC', outcome, any_value(blame),
            bool_or(is_counted), sum(attempts)::bigint
        from fct_error
        where {where}hour_at > cast($as_of as timestamptz) - interval 90 day
        group by all
        order by grain, "at", outcome
    """)  # noqa: S608 built from this module's own literals


CHARTS = (
    Chart(
        key="error_mix",
        title="What goes wrong, and when?",
        reading="Each colour is one class of the error taxonomy, decided from the wire. Tap a class to hide it.",
        empty="Nothing has failed yet. The first failed attempt appears here with the next build.",
        counted="attempts",
        noun="failed or not counted attempts",
        figure=error_mix,
        sql=_mix(""),
    ),
    Chart(
        key="blame_split",
        title="Whose fault is it, per endpoint, over seven days?",
        reading="Provider and network count against uptime. “us” (a refused key, our own overload), “shared” (rate "
        "limits), “catalog” (the model is gone), “policy” and “probe” do not: they alarm on their own.",
        empty="Nothing has failed in seven days.",
        counted="attempts",
        noun="failed or not counted attempts",
        figure=blame_split,
        sql=sql_text("""
            select endpoint_id, provider, blame, is_counted, sum(attempts)::bigint as attempts
            from fct_error
            where hour_at > cast($as_of as timestamptz) - interval 7 day
            group by all
            order by attempts desc, endpoint_id, blame
        """),
    ),
    Chart(
        key="error_examples",
        title="What did the errors say?",
        reading="The latest message of each class per endpoint over seven days, redacted where it was recorded.",
        empty="No error has been recorded in seven days.",
        noun="classes",
        sql=sql_text("""
            select endpoint_id, outcome, blame, sum(attempts)::bigint as attempts, min(first_at) as first_at,
                max(last_at) as last_at, arg_max(example_message, last_at) as message,
                arg_max(example_probe_id, last_at) as probe_id
            from fct_error
            where hour_at > cast($as_of as timestamptz) - interval 7 day
            group by all
            order by last_at desc, endpoint_id
        """),
    ),
)

ENDPOINT_CHARTS = (
    Chart(
        key="endpoint_errors",
        title="What went wrong here?",
        reading="Each colour is one class of the error taxonomy, decided from the wire.",
        empty="Nothing has failed here yet.",
        counted="attempts",
        noun="failed or not counted attempts",
        figure=error_mix,
        sql=_mix("endpoint_id = $endpoint_id and "),
    ),
)
