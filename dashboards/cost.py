"""What the probing itself costs, against its budget. An unknown price is counted, never zero."""

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import bar_days, colour, ranked, say
from dashboards.grain import fit_grain, foremost, largest
from dashboards.numbers import dollars, safe
from dashboards.theme import ACCENT, SEVERITY, canvas

_PROJECTS_SHOWN = 8


def cost_daily(frame: pl.DataFrame) -> go.Figure:
    """Return what probing cost per day, stacked by project, with the sum of their daily budgets.

    Args:
        frame: project, started_on, attempts, cost_usd, unpriced, budget_usd_per_day (null when none).
    """
    rows = frame.filter(pl.col("cost_usd").is_not_null())
    if rows.is_empty():
        return canvas()
    shown = largest(rows.group_by("project").agg(pl.col("cost_usd").sum()).iter_rows(), _PROJECTS_SHOWN)
    rare = rows.get_column("project").n_unique() - len(shown)
    rows = (
        rows.with_columns(
            pl.when(pl.col("project").is_in(shown)).then("project").otherwise(pl.lit("other projects")),
            grain=pl.lit("day"),
            at=pl.col("started_on"),
        )
        .group_by("project", "grain", "at")
        .agg(pl.col("cost_usd", "attempts").sum())
        .sort("at", "project")
    )
    fit = fit_grain(rows)
    figure = canvas(300, barmode="stack", hovermode="x unified", yaxis={"tickprefix": "$", "rangemode": "tozero"})
    for at, project in enumerate([*shown, *(["other projects"] if rare else [])]):
        part = fit.frame.filter(pl.col("project") == project)
        figure.add_bar(
            x=[day.isoformat() for day in part.get_column("at")],
            y=part.get_column("cost_usd").to_list(),
            name=safe(project),
            marker={"color": colour(at), "line": {"width": 0}},
            customdata=[[dollars(cost), tries] for cost, tries in part.select("cost_usd", "attempts").iter_rows()],
            hovertemplate="%{customdata[0]} in %{customdata[1]:,} attempts<extra>%{fullData.name}</extra>",
        )
    budget = frame.group_by("project").agg(pl.col("budget_usd_per_day").drop_nulls().last())["budget_usd_per_day"].sum()
    if budget:
        figure.add_hline(
            y=float(budget),
            line={"dash": "dot", "width": 1.4, "color": SEVERITY["critical"]},
            annotation_text=f"budget {dollars(budget)} a day",
        )
    bar_days(figure, fit.frame)
    return say(figure, fit.note, _unpriced(frame), f"{rare} small projects are summed." if rare > 0 else "")


def cost_by_endpoint(frame: pl.DataFrame) -> go.Figure:
    """Return what each endpoint cost to probe over 30 days, dearest on top.

    Args:
        frame: endpoint_id, attempts, cost_usd (null when no attempt has a known price), unpriced.
    """
    rows, note = foremost(frame.filter(pl.col("cost_usd").is_not_null()).sort("cost_usd", descending=True))
    if rows.is_empty():
        return say(canvas(), _unpriced(frame))
    figure = ranked(rows.get_column("endpoint_id").to_list(), xaxis={"tickprefix": "$", "rangemode": "tozero"})
    figure.add_bar(
        x=rows.get_column("cost_usd").to_list(),
        y=rows.get_column("endpoint_id").to_list(),
        orientation="h",
        marker={"color": ACCENT, "line": {"width": 0}},
        customdata=[
            [dollars(cost), tries, unpriced]
            for cost, tries, unpriced in rows.select("cost_usd", "attempts", "unpriced").iter_rows()
        ],
        hovertemplate="%{y}<br>%{customdata[0]} in %{customdata[1]:,} attempts"
        "<br>%{customdata[2]:,} of them without a known price<extra></extra>",
    )
    return say(figure, note, _unpriced(frame))


def _unpriced(frame: pl.DataFrame) -> str:
    count = int(frame.get_column("unpriced").sum() or 0)
    return f"{count:,} attempts have no known price and are in no amount." if count else ""


CHARTS = (
    Chart(
        key="cost_daily",
        title="What does the monitoring itself cost per day?",
        reading="Tokens that providers reported, at list price. At the budget probing stops, and says so.",
        empty="The first day appears with the first build.",
        counted="attempts",
        noun="attempts",
        figure=cost_daily,
        sql=sql_text("""
            select project, started_on, sum(attempts)::bigint as attempts, sum(cost_usd) as cost_usd,
                sum(unpriced)::bigint as unpriced, max(budget_usd_per_day) as budget_usd_per_day
            from fct_probe_cost
            where started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - 90
            group by all
            order by started_on, project
        """),
    ),
    Chart(
        key="cost_by_endpoint",
        title="Which endpoints are dearest to watch, over 30 days?",
        reading="Local and free models cost nothing and stand at the bottom.",
        empty="Appears with the first priced attempt.",
        counted="attempts",
        noun="attempts",
        figure=cost_by_endpoint,
        sql=sql_text("""
            select endpoint_id, project, sum(attempts)::bigint as attempts, sum(cost_usd) as cost_usd,
                sum(unpriced)::bigint as unpriced
            from fct_probe_cost
            where started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - 30
            group by all
            order by cost_usd desc nulls last, endpoint_id
        """),
    ),
)
