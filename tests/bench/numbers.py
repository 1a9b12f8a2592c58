"""Statistics of the bench: percentiles with intervals, and verdicts that say when nothing was shown."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "does not hold", "not shown", "not measured"]

RESAMPLES = 1_000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % bootstrap interval and the number of samples behind it."""

    value: float
    low: float
    high: float
    n: int

    def words(self, digits: int = 1) -> str:
        """Return ``1.2 (0.9–1.6)``."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by linear interpolation (numpy's default). Raises ValueError for no values."""
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean. Raises ValueError for no values."""
    if not values:
        raise ValueError("a mean of nothing")
    return sum(values) / len(values)


def estimate(runs: Sequence[Sequence[float]], share: float | None, *, seed: int = 1) -> Estimate:
    """Return a percentile (or the mean, for ``share=None``) over the pooled samples of several runs.

    The bootstrap draws runs first and samples within them second: samples of one run are not independent.
    """
    draws = _resampled(runs, share, random.Random(seed))
    pooled = [value for run in runs for value in run]
    return Estimate(_statistic(pooled, share), *_interval(draws), len(pooled))


def difference(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], share: float | None, *, seed: int = 1
) -> Estimate:
    """Return ours minus theirs of a percentile or the mean, with its interval; below zero means ours is smaller."""
    rng = random.Random(seed)
    left, right = _resampled(ours, share, rng), _resampled(theirs, share, rng)
    value = _statistic([one for run in ours for one in run], share) - _statistic(
        [one for run in theirs for one in run], share
    )
    n = sum(map(len, ours)) + sum(map(len, theirs))
    return Estimate(value, *_interval([a - b for a, b in zip(left, right, strict=True)]), n)


def at_most(measured: Estimate, bar: float) -> Verdict:
    """Return whether a measured value is shown to keep a bar; an interval that covers the bar shows nothing."""
    if measured.high <= bar:
        return "holds"
    return "does not hold" if measured.low > bar else "not shown"


def within(measured: Estimate, bar: float) -> Verdict:
    """Return whether a signed value is shown to lie between minus the bar and the bar."""
    if -bar <= measured.low and measured.high <= bar:
        return "holds"
    return "does not hold" if measured.low > bar or measured.high < -bar else "not shown"


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of a bar that has several parts: the worst of them."""
    order: tuple[Verdict, ...] = ("does not hold", "not measured", "not shown")
    for worst in order:
        if worst in verdicts:
            return worst
    return "holds" if verdicts else "not measured"


def of(kept: bool) -> Verdict:
    """Return the verdict of a count that is either right or wrong."""
    return "holds" if kept else "does not hold"


def _statistic(values: Sequence[float], share: float | None) -> float:
    return mean(values) if share is None else percentile(values, share)


def _resampled(runs: Sequence[Sequence[float]], share: float | None, rng: random.Random) -> list[float]:
    full = [run for run in runs if run]
    draws = []
    for _ in range(RESAMPLES):
        sample: list[float] = []
        for run in rng.choices(full, k=len(full)):
            sample += rng.choices(run, k=len(run))
        draws.append(_statistic(sample, share))
    return draws


def _interval(draws: Sequence[float]) -> tuple[float, float]:
    tail = (1 - _CONFIDENCE) / 2
    return percentile(draws, tail), percentile(draws, 1 - tail)
