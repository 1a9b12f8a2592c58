"""Single attempts of one endpoint: the newest ones in words, and where the time to first token goes."""

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import bar_days, say
from dashboards.grain import fit_grain
from dashboards.theme import SERIES, canvas
from dashboards.uptime import uptime_strip

_PHASES = {
    "dns_ms": "DNS",
    "tcp_ms": "TCP",
    "tls_ms": "TLS",
    "wait_ms": "waiting for headers and first byte",
    "token_ms": "first byte to first token",
    "visible_ms": "reasoning before visible output",
}


def phases(frame: pl.DataFrame) -> go.Figure:
    """Return the mean time of each phase until the first visible output, stacked, per day.

    Args:
        frame: started_on, attempts, and the mean of each phase in ms over good attempts; null where never observed.
    """
    rows = frame.with_columns(grain=pl.lit("day"), at=pl.col("started_on"))
    fit = fit_grain(rows, points_per_row=len(_PHASES))
    if fit.frame.is_empty():
        return canvas()
    figure = canvas(280, barmode="stack", hovermode="x unified", yaxis={"title": {"text": "ms"}})
    for at, (column, name) in enumerate(_PHASES.items()):
        part = fit.frame.filter(pl.col(column).is_not_null()).sort("at")
        if part.is_empty() or not part.get_column(column).max():
            continue
        figure.add_bar(
            x=[day.isoformat() for day in part.get_column("at")],
            y=part.get_column(column).to_list(),
            name=name,
            marker={"color": SERIES[at % len(SERIES)], "line": {"width": 0}},
            customdata=part.get_column("attempts").to_list(),
            hovertemplate="%{y:,.0f} ms (n = %{customdata:,})<extra>%{fullData.name}</extra>",
        )
    bar_days(figure, fit.frame)
    return say(figure, fit.note)


UPTIME = Chart(
    key="endpoint_uptime",
    title="Was it up?",
    reading="Share of counted attempts that were good, per day; the whisker is its 95 % interval (Wilson).",
    empty="The first day appears with the first build after a counted attempt.",
    suppressed="Days without a counted attempt stay empty, they are not 0 %.",
    counted="counted",
    noun="counted attempts",
    figure=uptime_strip,
    sql=sql_text("""
        select started_on, sum(attempts)::bigint as attempts, sum(counted)::bigint as counted,
            sum(good)::bigint as good, sum(bad)::bigint as bad, sum(excluded)::bigint as excluded
        from fct_endpoint_daily
        where endpoint_id = $endpoint_id
            and started_on > cast(cast($as_of as timestamptz) at time zone 'UTC' as date) - 90
        group by all
        order by started_on
    """),
)

CHARTS = (
    Chart(
        key="endpoint_phases",
        title="Where does the time to the first visible token go?",
        reading="Means, because means add up (medians do not). DNS, TCP and TLS are zero on a reused connection.",
        empty="Appears after the first good attempt that was timed on the wire.",
        counted="attempts",
        noun="good attempts",
        figure=phases,
        sql=sql_text("""
            select started_on, count(*) as attempts,
                avg(coalesce(dns_ms, 0)) as dns_ms, avg(coalesce(tcp_ms, 0)) as tcp_ms,
                avg(coalesce(tls_ms, 0)) as tls_ms,
                avg(ttfb_ms - coalesce(dns_ms, 0) - coalesce(tcp_ms, 0) - coalesce(tls_ms, 0)) as wait_ms,
                avg(ttft_ms - ttfb_ms) as token_ms, avg(ttfo_ms - ttft_ms) as visible_ms
            from fct_probe
            where endpoint_id = $endpoint_id and is_good and is_counted and clock = 'wire' and ttft_ms is not null
                and ttfb_ms is not null and kind in ('scheduled', 'confirm', 'backfill')
                and started_at > cast($as_of as timestamptz) - interval 30 day
            group by all
            order by started_on
        """),
    ),
    Chart(
        key="endpoint_attempts",
        title="What were the last fifty attempts?",
        reading="Newest first. A confirm is an immediate second look after a failure.",
        empty="The first attempt appears with the next build.",
        noun="attempts",
        sql=sql_text("""
            select started_at, kind, outcome, coalesce(error_message, answer_preview) as said, ttft_ms, ttfo_ms, e2e_ms,
                tps_decode, output_tokens, status_code, response_model, blame, is_counted, is_maintained, cost_usd,
                probe_id
            from fct_probe
            where endpoint_id = $endpoint_id and started_at > cast($as_of as timestamptz) - interval 90 day
            order by started_at desc
            limit 50
        """),
    ),
)
