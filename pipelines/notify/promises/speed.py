"""Is it as fast as promised, and as fast as it was: percentiles over two windows running.

A promise about speed is broken when this window and the one before it both miss; when only this one does, nothing is
said yet. Only good attempts are measured: an outage is another promise's business.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from pipelines.notify.promises.case import Case
from pipelines.notify.promises.catalog import PromiseName
from pipelines.notify.promises.verdict import Verdict
from pipelines.notify.promises.windows import SPEED_WINDOW, in_window

LEAST_BASELINE_DAYS = 3
"""A baseline of fewer days is not yet a habit."""

_NOW = in_window(SPEED_WINDOW)
_BEFORE = in_window(SPEED_WINDOW, ending=SPEED_WINDOW)


def _figures(name: str, column: str, quantile: float) -> list[pl.Expr]:
    return [
        expression
        for window, inside in (("now", _NOW), ("before", _BEFORE))
        for expression in (
            pl.col(column).filter(inside).quantile(quantile, "linear").alias(f"{name}_{window}"),
            pl.col(column).filter(inside).count().alias(f"{name}_n_{window}"),
        )
    ]


EXPRESSIONS: tuple[pl.Expr, ...] = (
    *_figures("ttft", "ttft_ms", 0.95),
    *_figures("ttfo", "ttfo_ms", 0.95),
    *_figures("tps", "tps", 0.5),
)


class _Limit(NamedTuple):
    """A figure that both windows must respect."""

    promise: PromiseName
    figure: str
    words: str
    allowed: float
    is_floor: bool
    """True when the figure must not fall below it."""


def judge(case: Case, baseline: Mapping[str, Any] | None) -> Iterator[Verdict]:
    """Yield a verdict for each promise about speed that this endpoint has."""
    assert case.endpoint is not None
    promises = case.endpoint.promises
    if promises.ttft_p95 is not None:
        allowed = promises.ttft_p95.total_seconds() * 1000
        yield _judge(case, _Limit("ttft_p95_within_slo", "ttft", "p95 time to first token", allowed, is_floor=False))
    if promises.ttfo_p95 is not None:
        allowed = promises.ttfo_p95.total_seconds() * 1000
        yield _judge(case, _Limit("ttfo_p95_within_slo", "ttfo", "p95 time to first output", allowed, is_floor=False))
    if promises.tps_p50 is not None:
        yield _judge(case, _Limit("tps_p50_within_slo", "tps", "median decode speed", promises.tps_p50, is_floor=True))
    if baseline is None or (baseline.get("days") or 0) < LEAST_BASELINE_DAYS:
        return
    if (usual := baseline.get("ttft_p95_ms")) is not None:
        allowed = max(promises.latency_factor * usual, promises.latency_floor.total_seconds() * 1000)
        limit = _Limit("ttft_near_baseline", "ttft", "p95 time to first token", allowed, is_floor=False)
        yield _judge(case, limit, usual=usual)
    if (usual := baseline.get("tps_decode_p50")) is not None:
        limit = _Limit(
            "tps_near_baseline", "tps", "median decode speed", promises.throughput_factor * usual, is_floor=True
        )
        yield _judge(case, limit, usual=usual)


def _judge(case: Case, limit: _Limit, usual: float | None = None) -> Verdict:
    assert case.endpoint is not None
    least = case.endpoint.promises.min_samples
    facts = case.facts
    observed, n = facts.get(f"{limit.figure}_now"), facts.get(f"{limit.figure}_n_now") or 0
    before, n_before = facts.get(f"{limit.figure}_before"), facts.get(f"{limit.figure}_n_before") or 0
    common: dict[str, Any] = {"observed": observed, "allowed": limit.allowed, "n": n, "usual": usual}
    if observed is None or n < least:
        return case.say(limit.promise, "insufficient", sentence=f"{n} of {least} measurements needed", **common)
    if not _misses(limit, observed):
        return case.say(limit.promise, "kept", **common)
    if before is None or n_before < least or not _misses(limit, before):
        return case.say(limit.promise, "insufficient", sentence="one window missed; a second decides", **common)
    unit = "tokens/s" if limit.figure == "tps" else "ms"
    compared = f"{limit.allowed:,.0f} {unit} is the limit" + (f"; usually {usual:,.0f}" if usual is not None else "")
    sentence = f"{limit.words} {observed:,.0f} {unit} over {n} attempts, {before:,.0f} before ({compared})"
    return case.say(limit.promise, "broken", previous=before, sentence=sentence, **common)


def _misses(limit: _Limit, value: float) -> bool:
    return value < limit.allowed if limit.is_floor else value > limit.allowed
