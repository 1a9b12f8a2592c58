"""Is the endpoint up, and is its error budget spent slowly: the two promises about counted attempts.

Windowed rules need their bad attempts in at least two sweeps: the confirmations of one blip are not corroboration.
The rule of scattered failures leaves out failures in a row that are long enough to be an outage of their own, so that
an outage that is over is not told again as degradation.
Burn rates: Google SRE Workbook, chapter 5, with the least counts of the project's probing reference.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipelines.fleet.models import Severity
from pipelines.notify.promises.case import Case, error_mix, mix_text
from pipelines.notify.promises.verdict import Verdict
from pipelines.notify.promises.windows import DAY, HALF_WINDOW, HOUR, MINUTE, SOME_WINDOW, in_window

HALF_SHARE, HALF_LEAST = 0.5, 3
SOME_SHARE, SOME_LEAST, SOME_BASELINE = 0.05, 3, 0.01


@dataclass(frozen=True)
class Burn:
    """One multi-window rule: the budget is spent this many times too fast over both windows."""

    factor: float
    long_us: int
    short_us: int
    severity: Severity
    words: str


BURNS = (
    Burn(14.4, HOUR, 5 * MINUTE, "critical", "1 h and 5 min"),
    Burn(6.0, 6 * HOUR, 30 * MINUTE, "major", "6 h and 30 min"),
    Burn(1.0, 3 * DAY, 6 * HOUR, "minor", "3 d and 6 h"),
)
BURN_LEAST, BURN_LONG_BAD, BURN_SHORT_BAD = 5, 3, 2
_LEAST_BUDGET = 1e-6
"""Stands in for the empty budget of a 100 % objective, so that any failure burns it at once."""

_COUNTED, _BAD = pl.col("is_counted"), pl.col("is_bad")
_RUN = _BAD & (pl.col("index") > pl.col("index").filter("is_good").max().fill_null(-1))
_OLDER = (pl.col("age_us") >= SOME_WINDOW) & _COUNTED


def _window(name: str, us: int | pl.Expr) -> list[pl.Expr]:
    inside = in_window(us)
    return [(inside & _COUNTED).sum().alias(f"n_{name}"), (inside & _BAD).sum().alias(f"bad_{name}")]


EXPRESSIONS: tuple[pl.Expr, ...] = (
    _RUN.sum().alias("run"),
    pl.col("outcome").filter(_RUN).tail(500).alias("run_outcomes"),
    pl.col("started_at").filter(_RUN).first().alias("run_since"),
    pl.col("outcome").filter(_BAD & in_window(SOME_WINDOW)).tail(500).alias("some_outcomes"),
    pl.col("started_at").filter(_BAD & in_window(SOME_WINDOW)).first().alias("some_since"),
    (pl.col("is_scattered") & in_window(SOME_WINDOW)).sum().alias("scattered"),
    pl.col("tick_id").filter(_BAD & in_window(HALF_WINDOW)).n_unique().alias("half_sweeps"),
    pl.col("tick_id").filter(pl.col("is_scattered") & in_window(SOME_WINDOW)).n_unique().alias("some_sweeps"),
    _OLDER.sum().alias("n_older"),
    (_OLDER & _BAD).sum().alias("bad_older"),
    *_window("half", HALF_WINDOW),
    *_window("some", SOME_WINDOW),
    *(e for us in sorted({us for burn in BURNS for us in (burn.long_us, burn.short_us)}) for e in _window(str(us), us)),
)


def judge(case: Case, news: list[dict[str, Any]]) -> Iterator[Verdict]:
    """Yield the verdicts on one endpoint; ``news`` are its attempts since the last evaluation."""
    yield _available(case, news)
    yield _burn(case)


def _available(case: Case, news: list[dict[str, Any]]) -> Verdict:
    facts, endpoint = case.facts, case.endpoint
    assert endpoint is not None
    common: dict[str, Any] = {
        "attempts": "".join("-" if not row["is_counted"] else "G" if row["is_good"] else "B" for row in news),
        "attempt_at": [_epoch_us(row["started_at"]) for row in news] or None,
        "errors": [row["outcome"] for row in news if row["is_counted"] and not row["is_good"]] or None,
        "watermark": _watermark(case, news),
    }
    if not facts or not facts["n_some"] + facts["run"] + facts["n_older"]:
        return case.say("endpoint_available", "insufficient", sentence="no counted attempt yet", **common)
    threshold = endpoint.promises.fail_threshold
    run, last_good = facts["run"], facts["last_good_at"]
    tail = f"; last good {case.clock(last_good)}" if last_good else "; never good while watched"
    if run >= threshold:
        mix = error_mix(facts["run_outcomes"])
        return case.say(
            "endpoint_available",
            "broken",
            severity="critical",
            observed=run,
            allowed=threshold - 1,
            n=run,
            bad=run,
            rule="consecutive",
            since=facts["run_since"].isoformat(),
            error_mix=mix,
            sentence=f"{run} of {run} attempts failed since {case.clock(facts['run_since'])} ({mix_text(mix)}){tail}",
            **common,
        )
    rule, n, bad = _windowed(facts)
    if rule is not None:
        mix = error_mix(facts["some_outcomes"])
        since = facts["some_since"]
        return case.say(
            "endpoint_available",
            "broken",
            severity="critical" if rule == "half" else "major",
            observed=bad,
            allowed=n * HALF_SHARE if rule == "half" else n * SOME_SHARE,
            n=n,
            bad=bad,
            rule=rule,
            since=since.isoformat(),
            error_mix=mix,
            sentence=f"{bad} of the last {n} attempts failed since {case.clock(since)} ({mix_text(mix)}){tail}",
            **common,
        )
    return case.say(
        "endpoint_available",
        "kept",
        observed=run,
        allowed=threshold - 1,
        n=facts["n_some"],
        bad=facts["bad_some"],
        error_mix=error_mix(facts["some_outcomes"]) or None,
        since=facts["run_since"].isoformat() if facts["run_since"] else None,
        **common,
    )


def _windowed(facts: Any) -> tuple[str | None, int, int]:
    n, bad = facts["n_half"], facts["bad_half"]
    if n >= HALF_LEAST and bad >= HALF_SHARE * n and facts["half_sweeps"] >= 2:
        return "half", n, bad
    n, bad = facts["n_some"], facts["scattered"]
    usual = facts["bad_older"] / facts["n_older"] if facts["n_older"] else 0.0
    if bad >= SOME_LEAST and bad > SOME_SHARE * n and facts["some_sweeps"] >= 2 and usual < SOME_BASELINE:
        return "some", n, facts["bad_some"]
    return None, n, bad


def _epoch_us(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def _watermark(case: Case, news: list[dict[str, Any]]) -> list[str] | None:
    if news:
        return [news[-1]["started_at"].isoformat(), news[-1]["probe_id"]]
    assert case.endpoint is not None
    old = case.inputs.watermarks.get(case.endpoint.endpoint_id)
    return [old.started_at.isoformat(), old.probe_id] if old else None


def _burn(case: Case) -> Verdict:
    facts, endpoint = case.facts, case.endpoint
    assert endpoint is not None
    slo = endpoint.promises.availability
    budget = max(1 - slo, _LEAST_BUDGET)
    judged: list[tuple[float, Burn, int, int]] = []
    for burn in BURNS if facts else ():
        n, bad = facts[f"n_{burn.long_us}"], facts[f"bad_{burn.long_us}"]
        n_short, bad_short = facts[f"n_{burn.short_us}"], facts[f"bad_{burn.short_us}"]
        if min(n, n_short) < BURN_LEAST:
            continue
        rate = min(bad / n, bad_short / n_short) / budget
        judged.append((rate, burn, n, bad))
        if rate >= burn.factor and bad >= BURN_LONG_BAD and bad_short >= BURN_SHORT_BAD:
            return case.say(
                "error_budget_burn",
                "broken",
                severity=burn.severity,
                observed=rate,
                allowed=burn.factor,
                n=n,
                bad=bad,
                slo=slo,
                sentence=f"the error budget of {slo:.3%} burns {rate:.1f}× too fast over {burn.words}"
                f" ({bad} of {n} attempts failed; {burn.factor:g}× is the limit)",
            )
    if not judged:
        return case.say("error_budget_burn", "insufficient", slo=slo, sentence="too few attempts in every window")
    rate, burn, n, bad = max(judged, key=lambda item: item[0] / item[1].factor)
    return case.say("error_budget_burn", "kept", observed=rate, allowed=burn.factor, n=n, bad=bad, slo=slo)
