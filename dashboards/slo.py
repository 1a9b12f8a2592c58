"""Promises: how much of each error budget is left, how fast it burns, and what is kept."""

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import colour, dash, ranked, say, with_room
from dashboards.grain import fit_grain, foremost
from dashboards.numbers import percent, safe
from dashboards.theme import SEVERITY, VERDICT, canvas

_WINDOWS = ("5m", "30m", "1h", "6h", "3d")
_MIN_N = 5
"""Attempts that a burn-rate window must hold to be read at all."""
_BURN_STEPS = (
    ("< 1", 0.0, "#8fc3e0"),
    ("1-6", 1.0, "#f2cf7c"),
    ("6-14.4", 6.0, "#ee9a55"),
    ("≥ 14.4", 14.4, "#e5705f"),
)


def budget_left(frame: pl.DataFrame) -> go.Figure:
    """Return the share of each error budget that is left, least on top; overspent ones run to the left of zero.

    Args:
        frame: endpoint_id, availability_slo, counted, bad, budget_bad, budget_left (share, below 0 when overspent),
            verdict, is_supported.
    """
    rows = frame.filter(pl.col("budget_left").is_not_null() & pl.col("is_supported")).sort("budget_left", "endpoint_id")
    unsupported = (
        frame.filter(~pl.col("is_supported").fill_null(value=False)).get_column("endpoint_id").sort().to_list()
    )
    named = ", ".join(unsupported[:5]) + (f" and {len(unsupported) - 5} more" if len(unsupported) > 5 else "")
    note = (
        f"Not drawn: {named}: at this probe rate the window holds too few attempts to show the promise at all."
        if unsupported
        else ""
    )
    if rows.is_empty():
        return say(canvas(), note)
    rows, more = foremost(rows)
    names = rows.get_column("endpoint_id").to_list()
    figure = ranked(names, barmode="overlay")
    for verdict, tone in VERDICT.items():
        part = rows.filter(pl.col("verdict") == verdict)
        if part.is_empty():
            continue
        figure.add_bar(
            x=[max(-1.0, left) for left in part.get_column("budget_left")],
            y=part.get_column("endpoint_id").to_list(),
            orientation="h",
            name=verdict,
            marker={"color": tone, "line": {"width": 0}},
            customdata=[
                [percent(slo), _spent(left), bad, f"{budget:.1f}", counted]
                for slo, left, bad, budget, counted in part.select(
                    "availability_slo", "budget_left", "bad", "budget_bad", "counted"
                ).iter_rows()
            ],
            hovertemplate="%{y}<br>promised %{customdata[0]}: %{customdata[1]}<br>%{customdata[2]} bad of "
            "%{customdata[3]} allowed<br>n = %{customdata[4]:,}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(tickformat=".0%", range=[min(-0.05, *(max(-1.0, left) for left in rows["budget_left"])), 1.02])
    clipped = rows.filter(pl.col("budget_left") < -1).height
    return say(
        figure, note, more, f"{clipped} overspent by more than a whole budget, drawn as -100 %." if clipped else ""
    )


def _spent(left: float) -> str:
    return f"{percent(left)} left" if left >= 0 else f"overspent by {-left:.0%} of the budget"


def burn_down(frame: pl.DataFrame) -> go.Figure:
    """Return the share of the budget left at the end of each day, one line per endpoint.

    Args:
        frame: endpoint_id, started_on, bad, bad_cumulative, budget_bad, budget_left.
    """
    rows = frame.filter(pl.col("budget_left").is_not_null()).with_columns(grain=pl.lit("day"), at=pl.col("started_on"))
    fit = fit_grain(rows)
    if fit.frame.is_empty():
        return canvas()
    figure = canvas(300, yaxis={"title": {"text": "budget left"}, "tickformat": ".0%"})
    for at, name in enumerate(sorted(fit.frame.get_column("endpoint_id").unique())):
        part = fit.frame.filter(pl.col("endpoint_id") == name).sort("at")
        figure.add_scatter(
            x=[day.isoformat() for day in part.get_column("at")],
            y=part.get_column("budget_left").to_list(),
            name=safe(name),
            mode="lines",
            line={"shape": "hv", "width": 1.8, "color": colour(at), "dash": dash(at)},
            customdata=part.select("bad", "bad_cumulative", "budget_bad").rows(),
            hovertemplate="%{x|%a %d %b}<br>%{y:.0%} left<br>%{customdata[0]} bad that day, %{customdata[1]} so far, "
            "%{customdata[2]:.1f} allowed<extra>%{fullData.name}</extra>",
        )
    figure.add_hline(y=0, line={"width": 1.4, "dash": "dot", "color": SEVERITY["critical"]})
    figure.update_xaxes(type="date")
    return with_room(say(figure, fit.note))


def burn_rates(frame: pl.DataFrame) -> go.Figure:
    """Return the burn rate per endpoint and window; windows with fewer than five attempts stay empty.

    Args:
        frame: endpoint_id, and burn_*, n_*, bad_* for 5m, 30m, 1h, 6h, 3d.
    """
    rows, note = foremost(frame.sort("burn_1h", "endpoint_id", descending=[True, False], nulls_last=True))
    known = [
        [
            row[f"burn_{window}"] if (row[f"n_{window}"] or 0) >= _MIN_N else None
            for window in _WINDOWS
        ]
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    if not any(value is not None for line in known for value in line):
        return canvas()
    names = rows.get_column("endpoint_id").to_list()
    figure = ranked(names, row_px=26, head_px=48)
    edges = len(_BURN_STEPS)
    figure.add_heatmap(
        x=list(_WINDOWS),
        y=names,
        z=[[None if value is None else _step(value) for value in line] for line in known],
        text=[["" if value is None else f"{value:.1f}" for value in line] for line in known],
        texttemplate="%{text}",
        customdata=[
            [[row[f"n_{window}"] or 0, row[f"bad_{window}"] or 0] for window in _WINDOWS]
            for row in rows.iter_rows(named=True)
        ],
        hovertemplate="%{y}, last %{x}<br>burn %{text}<br>%{customdata[1]} bad, n = %{customdata[0]}<extra></extra>",
        zmin=-0.5,
        zmax=edges - 0.5,
        colorscale=[[edge / edges, tone] for at, (_, _, tone) in enumerate(_BURN_STEPS) for edge in (at, at + 1)],
        xgap=3,
        ygap=3,
        showscale=False,
        textfont={"color": "#11161d", "size": 11},
    )
    figure.update_xaxes(type="category", side="bottom", showgrid=False)
    return say(figure, note, legend=[(word, tone) for word, _, tone in _BURN_STEPS])


def _step(burn: float) -> int:
    return max(at for at, (_, floor, _) in enumerate(_BURN_STEPS) if burn >= floor)


_SLO_COLUMNS = """endpoint_id, provider, availability_slo, window_start_at, window_end_at, counted, bad, uptime,
    uptime_low, uptime_high, budget_bad, budget_spent, budget_left, is_supported, verdict"""
_BURN_COLUMNS = ",\n    ".join(f"burn_{window}, n_{window}, bad_{window}" for window in _WINDOWS)
_BURN_SQL = f"""select endpoint_id, provider,
    {_BURN_COLUMNS}
from fct_slo
order by burn_1h desc nulls last, endpoint_id"""  # noqa: S608 built from this module's own literals

CHARTS = (
    Chart(
        key="budget_left",
        title="How much of each error budget is left?",
        reading="The budget is what may fail in the whole window under the promise. Grey is unproven: too early.",
        empty="Appears with the first build after an endpoint with an availability promise was probed.",
        counted="counted",
        noun="counted attempts",
        figure=budget_left,
        sql=f"select {_SLO_COLUMNS}\nfrom fct_slo\norder by budget_left nulls last, endpoint_id",
    ),
    Chart(
        key="burn_down",
        title="When was the budget spent?",
        reading="Each step down is a day with bad attempts; below zero the promise is broken for this window.",
        empty="The first day appears with the first build.",
        counted="counted",
        noun="counted attempts",
        split_by="provider",
        figure=burn_down,
        sql=sql_text("""
            select daily.endpoint_id, slo.provider, daily.started_on, daily.counted, daily.bad, daily.bad_cumulative,
                daily.budget_bad, daily.budget_left
            from fct_slo_burndown as daily
            join fct_slo as slo using (endpoint_id)
            order by slo.provider, daily.endpoint_id, daily.started_on
        """),
    ),
    Chart(
        key="burn_rates",
        title="How fast is the budget burning now?",
        reading="1 spends the budget exactly over its window. Pages at 14.4 (1 h and 5 min) or 6 (6 h and 30 min), a "
        "ticket at 1 (3 d and 6 h).",
        empty="Appears when a window holds five counted attempts.",
        suppressed="Windows with fewer than 5 attempts stay empty.",
        noun="endpoints",
        figure=burn_rates,
        sql=_BURN_SQL,
    ),
    Chart(
        key="promises",
        title="Which promises are kept, as last judged?",
        reading="Broken first. “insufficient” means there are too few attempts to judge.",
        empty="Appears after the first promise was judged.",
        noun="promises",
        sql=sql_text("""
            select promise, subject, verdict, severity, observed, allowed, unit, n, bad, evaluated_at, last_good_at
            from fct_promise
            order by case verdict when 'broken' then 0 when 'insufficient' then 1 else 2 end, promise, subject
        """),
    ),
)
