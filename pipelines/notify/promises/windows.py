"""From raw attempts to one row of facts per endpoint: everything heavy, in polars, in one pass.

Windows that should hold a few attempts grow with the probe interval, so that a fleet probed every five minutes is
judged as well as one probed every minute; where the interval is one minute they are those of the probing reference.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.fleet.models import Maintenance
from pipelines.notify.promises.inputs import Inputs

LIVE_KINDS = ("scheduled", "confirm")
"""Attempts that promises are judged by: neither those made by hand nor history filled in afterwards."""
REACH = timedelta(days=3)
"""The longest window."""
MOST_FIRST = 10
"""Attempts handed on for an endpoint that was never evaluated: old outages are not told as news."""

COLUMNS = (
    "probe_id",
    "tick_id",
    "endpoint_id",
    "kind",
    "started_at",
    "outcome",
    "is_counted",
    "is_good",
    "t_token_us",
    "t_output_us",
    "t_last_us",
    "output_tokens",
    "first_event_tokens",
    "is_answer_right",
    "is_model_allowed",
    "error_message",
    "response_model",
)
_US = 1_000_000
MINUTE, HOUR, DAY = 60 * _US, 3600 * _US, 86_400 * _US

MODEL_RAN = pl.col("is_good") | pl.col("outcome").is_in(["content_filter", "reasoning_only", "empty"])
"""Attempts that prove that the key, the model's name and the request were accepted: the model was run."""


def in_window(us: int | pl.Expr, *, ending: int | pl.Expr = 0) -> pl.Expr:
    """Return whether an attempt is at most ``ending`` + ``us`` microseconds old, and older than ``ending``."""
    return (pl.col("age_us") >= ending) & (pl.col("age_us") < ending + us)


def scaled(minimum_us: int, attempts: int) -> pl.Expr:
    """Return a window of ``minimum_us``, or longer where that many attempts take longer."""
    return pl.max_horizontal(pl.lit(minimum_us), pl.col("interval_us") * attempts)


HALF_WINDOW = scaled(5 * MINUTE, 4)
SOME_WINDOW = scaled(10 * MINUTE, 8)
SPEED_WINDOW = scaled(10 * MINUTE, 6)
ANSWER_WINDOW = scaled(HOUR, 10)


def openings(window: Maintenance, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Return when a maintenance window is open between two moments, as ``Maintenance.covers`` decides it."""
    if window.start is not None and window.end is not None:
        return [(window.start, window.end)] if window.start < until and window.end > since else []
    assert window.from_ is not None
    assert window.lasts is not None
    hour, minute = (int(part) for part in window.from_.split(":"))
    zone = ZoneInfo(window.timezone)
    day = since.astimezone(zone) - timedelta(days=2)
    found = []
    while (opened := day.replace(hour=hour, minute=minute, second=0, microsecond=0)) < until:
        if not window.days or opened.strftime("%a").lower() in window.days:
            start = opened.astimezone(since.tzinfo)
            if start + window.lasts > since:
                found.append((start, start + window.lasts))
        day += timedelta(days=1)
    return found


def _is_maintained(inputs: Inputs) -> pl.Expr:
    """Return whether an attempt was made in a maintenance window: no promise is judged by it."""
    masks = [
        pl.col("endpoint_id").is_in(names)
        & pl.any_horizontal(
            (pl.col("started_at") >= start) & (pl.col("started_at") < end)
            for start, end in openings(window, inputs.now - REACH, inputs.now + timedelta(minutes=1))
        )
        for window in inputs.fleet.maintenance
        if openings(window, inputs.now - REACH, inputs.now + timedelta(minutes=1))
        and (names := [e.endpoint_id for e in inputs.endpoints if window.concerns(e.endpoint_id)])
    ]
    return pl.any_horizontal(masks) if masks else pl.lit(value=False)


def attempts_of(inputs: Inputs) -> pl.DataFrame:
    """Return the live attempts of the watched endpoints, oldest first within each, once each, with derived columns."""
    watched = pl.DataFrame(
        {
            "endpoint_id": [e.endpoint_id for e in inputs.endpoints],
            "interval_us": [int(e.interval.total_seconds() * _US) for e in inputs.endpoints],
            "fail_threshold": [e.promises.fail_threshold for e in inputs.endpoints],
        },
        schema={"endpoint_id": pl.String, "interval_us": pl.Int64, "fail_threshold": pl.Int64},
    )
    tpot_tokens = pl.col("output_tokens") - pl.col("first_event_tokens").fill_null(1)
    decode_s = (pl.col("t_last_us") - pl.col("t_token_us")) / _US
    attempts = (
        inputs.results.lazy()
        .select(COLUMNS)
        .filter(
            pl.col("kind").is_in(LIVE_KINDS),
            pl.col("started_at") >= inputs.now - REACH,
            # A row from the future was stamped by a clock that has since been set back.
            pl.col("started_at") <= inputs.now + timedelta(minutes=1),
        )
        .join(watched.lazy(), on="endpoint_id", how="inner")
        .unique("probe_id", keep="any")
        .sort("endpoint_id", "started_at", "probe_id")
        .with_columns(
            age_us=(pl.lit(inputs.now) - pl.col("started_at")).dt.total_microseconds().clip(lower_bound=0),
            is_maintained=_is_maintained(inputs),
        )
        .with_columns(
            is_bad=pl.col("is_counted") & ~pl.col("is_good"),
            index=pl.int_range(pl.len()),
            run_id=pl.col("is_good").cum_sum(),
            ttft_ms=pl.when("is_good").then(pl.col("t_token_us") / 1000),
            ttfo_ms=pl.when("is_good").then(pl.col("t_output_us") / 1000),
            tps=pl.when(pl.col("is_good") & (tpot_tokens >= 1) & (decode_s > 0)).then(tpot_tokens / decode_s),
        )
        .collect()
    )
    # Failures between the same two good attempts are a run; run_id alone may span two endpoints.
    runs = attempts.filter("is_bad").group_by("endpoint_id", "run_id").agg(run_length=pl.len())
    return attempts.join(runs, on=("endpoint_id", "run_id"), how="left", maintain_order="left").with_columns(
        is_scattered=pl.col("is_bad") & (pl.col("run_length") < pl.col("fail_threshold"))
    )


def facts_of(attempts: pl.DataFrame, expressions: Sequence[pl.Expr]) -> dict[str, dict[str, Any]]:
    """Return one row of facts by endpoint, over the attempts outside maintenance."""
    base = (
        pl.len().alias("n"),
        pl.col("started_at").filter("is_good").max().alias("last_good_at"),
        pl.col("started_at").max().alias("last_attempt_at"),
    )
    table = (
        attempts.lazy()
        .filter(~pl.col("is_maintained"))
        .group_by("endpoint_id", maintain_order=True)
        .agg(*base, *expressions)
        .collect()
    )
    return {row["endpoint_id"]: row for row in table.iter_rows(named=True)}


def new_attempts(inputs: Inputs, attempts: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return, by endpoint, the attempts after its watermark, oldest first; maintenance or not."""
    names = [e.endpoint_id for e in inputs.endpoints]
    marks = [inputs.watermarks.get(name) for name in names]
    # The newest attempts of an endpoint that nothing was ever said of: enough to tell whether it is down now.
    first = {e.endpoint_id: max(MOST_FIRST, e.promises.fail_threshold) for e in inputs.endpoints}
    table = pl.DataFrame(
        {
            "endpoint_id": names,
            "mark_at": [mark.started_at if mark else None for mark in marks],
            "mark_id": [mark.probe_id if mark else None for mark in marks],
            "first": [first[name] for name in names],
        },
        schema={
            "endpoint_id": pl.String,
            "mark_at": pl.Datetime("us", "UTC"),
            "mark_id": pl.String,
            "first": pl.Int64,
        },
    )
    is_after = (pl.col("started_at") > pl.col("mark_at")) | (
        (pl.col("started_at") == pl.col("mark_at")) & (pl.col("probe_id") > pl.col("mark_id"))
    )
    is_ahead = pl.col("mark_at") > inputs.now + timedelta(minutes=1)
    from_end = pl.col("index").max().over("endpoint_id") - pl.col("index")
    is_new = (
        pl.when(pl.col("mark_at").is_null())
        .then(from_end < pl.col("first"))
        # The clock was set back behind the watermark: this tick's own attempts are the news.
        .when(is_ahead)
        .then(pl.col("tick_id") == pl.lit(inputs.tick_id, pl.String))
        .otherwise(is_after)
    )
    rows = (
        attempts.lazy()
        .join(table.lazy(), on="endpoint_id", how="inner")
        .with_columns(is_new=is_new)
        .filter("is_new")
        .sort("index")
        .select("endpoint_id", "probe_id", "started_at", "outcome", "is_counted", "is_good")
        .collect()
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["endpoint_id"], []).append(row)
    return found
