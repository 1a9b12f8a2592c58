"""Incidents: when, how long, whether anybody was told."""

from datetime import datetime, timedelta

import plotly.graph_objects as go
import polars as pl

from dashboards.chart import Chart, sql_text
from dashboards.draw import moment, ranked, say
from dashboards.grain import newest
from dashboards.numbers import safe, span
from dashboards.theme import SEVERITY, canvas

_BARS = 1_500


def incident_timeline(frame: pl.DataFrame) -> go.Figure:
    """Return one bar per incident on the row of its subject, from its first bad attempt until it was resolved.

    Args:
        frame: promise, subject, severity, started_at, resolved_at (null while open), as_of, is_open, summary.
    """
    if frame.is_empty():
        return canvas()
    rows, note = newest(frame, "started_at", _BARS)
    names = rows.sort("started_at", descending=True).get_column("subject").unique(maintain_order=True).to_list()
    figure = ranked(names, row_px=28, barmode="overlay")
    for severity, tone in SEVERITY.items():
        part = list(rows.filter(pl.col("severity") == severity).iter_rows(named=True))
        if not part:
            continue
        ends: list[datetime] = [row["resolved_at"] or row["as_of"] for row in part]
        lengths = [(end - row["started_at"]).total_seconds() for end, row in zip(ends, part, strict=True)]
        figure.add_bar(
            base=[f"{row['started_at']:%Y-%m-%d %H:%M:%S}" for row in part],
            x=[1000 * max(length, 0) for length in lengths],
            y=[row["subject"] for row in part],
            orientation="h",
            name=severity,
            width=0.55,
            marker={
                "color": tone,
                "line": {"width": 1.5, "color": tone},
                "pattern": {"shape": ["/" if row["is_open"] else "" for row in part], "fgopacity": 0.7},
            },
            customdata=[
                [
                    safe(row["promise"]),
                    f"{row['started_at']:%d %b %H:%M} UTC",
                    ("open for " if row["is_open"] else "lasted ") + span(length),
                    safe(_short(row["summary"])),
                ]
                for row, length in zip(part, lengths, strict=True)
            ],
            hovertemplate="%{y}<br><b>%{customdata[0]}</b> since %{customdata[1]}, %{customdata[2]}"
            "<br>%{customdata[3]}<extra>%{fullData.name}</extra>",
        )
    until: datetime = rows.get_column("as_of")[0]
    figure.update_xaxes(type="date", range=[moment(until - timedelta(days=30)), moment(until + timedelta(hours=6))])
    return say(figure, note, "Striped bars are still open." if rows.get_column("is_open").any() else "")


def _short(text: str, limit: int = 140) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


_COLUMNS = """subject, promise, severity, last_state as state, started_at, duration_s, summary, resolved_at,
                opened_at, is_open, is_flapping, acknowledged_at, owner, incident_id"""

CHARTS = (
    Chart(
        key="incident_timeline",
        title="When was which promise broken, over 30 days?",
        reading="One bar per incident, from the first bad attempt until it was well again.",
        empty="No promise has been broken in 30 days. An incident appears here when it opens.",
        noun="incidents",
        figure=incident_timeline,
        sql=sql_text("""
            select incident_id, promise, subject, provider, severity, started_at, resolved_at, duration_s, is_open,
                summary, cast($as_of as timestamptz) as as_of
            from fct_incident
            where coalesce(resolved_at, cast($as_of as timestamptz)) > cast($as_of as timestamptz) - interval 30 day
            order by started_at desc
        """),
    ),
    Chart(
        key="incident_table",
        title="What happened, in words?",
        reading="Newest first; an incident without an end is still open.",
        empty="No incident yet.",
        noun="incidents",
        sql=sql_text(f"""
            select {_COLUMNS}
            from fct_incident
            where coalesce(resolved_at, cast($as_of as timestamptz)) > cast($as_of as timestamptz) - interval 90 day
            order by is_open desc, started_at desc
        """),  # noqa: S608 built from this module's own literals
    ),
    Chart(
        key="deliveries",
        title="Did the messages get out?",
        reading="One row per channel and kind over 30 days; undelivered messages are retried until they arrive.",
        empty="No message has been sent yet: the first incident sends one.",
        counted="tries",
        noun="tries",
        sql=sql_text("""
            select channel, kind, count(distinct notification_id) as messages, count(*) as tries,
                count(distinct notification_id) filter (where is_delivered) as delivered,
                max("at") filter (where is_delivered) as last_delivered_at, arg_max(error, "at") as last_error
            from fct_delivery
            where "at" > cast($as_of as timestamptz) - interval 30 day
            group by all
            order by channel, kind
        """),
    ),
)

ENDPOINT_CHARTS = (
    Chart(
        key="endpoint_incidents",
        title="Which promises were broken here?",
        reading="Newest first, 90 days.",
        empty="No promise has been broken here in 90 days.",
        noun="incidents",
        sql=sql_text(f"""
            select {_COLUMNS}
            from fct_incident
            where subject = $endpoint_id
                and coalesce(resolved_at, cast($as_of as timestamptz)) > cast($as_of as timestamptz) - interval 90 day
            order by is_open desc, started_at desc
        """),  # noqa: S608 built from this module's own literals
    ),
)
