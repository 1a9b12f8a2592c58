"""Which verdicts are worth landing: not each promise of each endpoint at each sweep."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from pipelines.notify.promises.verdict import Verdict


def newsworthy(verdicts: Sequence[Verdict], landed: pl.DataFrame, now: datetime) -> list[Verdict]:
    """Return the verdicts to land: all of them once an hour, else what carries attempts, is broken, or lately was.

    ``landed`` holds the evaluations of the last hour. 100 endpoints a minute would else be 2 million rows a day.
    """
    recent = landed.filter(pl.col("evaluated_at") >= now - timedelta(hours=1))
    has_snapshot = recent.filter(
        pl.col("evaluated_at").dt.truncate("1h") == now.replace(minute=0, second=0, microsecond=0)
    )
    if has_snapshot.is_empty():
        return list(verdicts)
    unkept = recent.filter(pl.col("verdict") != "kept").select("promise", "subject").unique()
    lately = set(unkept.iter_rows())
    return [
        verdict
        for verdict in verdicts
        if verdict.verdict == "broken"
        or (verdict.promise == "endpoint_available" and verdict.attempts)
        or (verdict.verdict == "kept" and (verdict.promise, verdict.subject) in lately)
    ]
