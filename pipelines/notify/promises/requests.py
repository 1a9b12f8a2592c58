"""Is our request accepted, and is the answer what we asked for: promises about what the provider says, not whether.

A promise is judged by the attempts that prove something about it: the refusal itself, or an outcome that shows that
the model was run. A timeout says nothing of a key.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from pipelines.notify.promises.case import Case
from pipelines.notify.promises.catalog import PromiseName
from pipelines.notify.promises.verdict import Verdict
from pipelines.notify.promises.windows import ANSWER_WINDOW, MODEL_RAN, in_window

ANSWER_FACTOR, ANSWER_LEAST_WRONG, ANSWER_LEAST_OLDER = 3.0, 3, 20


class _Refusal(NamedTuple):
    """An outcome that breaks a promise once it comes this many times running."""

    promise: PromiseName
    outcome: str
    running: int
    words: str


_REFUSALS = (
    _Refusal("key_accepted", "auth", 1, "the key is refused"),
    _Refusal("quota_left", "quota", 1, "quota or credit is used up"),
    _Refusal("model_exists", "model_not_found", 2, "the model is not served any more"),
    _Refusal("request_accepted", "bad_request", 2, "the request is refused as malformed"),
)


def _refusal_facts(refusal: _Refusal) -> list[pl.Expr]:
    is_it = pl.col("outcome") == refusal.outcome
    proof = pl.col("index").filter(MODEL_RAN).max().fill_null(-1)
    running = is_it & (pl.col("index") > proof)
    return [
        running.sum().alias(f"{refusal.outcome}_run"),
        pl.col("started_at").filter(running).first().alias(f"{refusal.outcome}_since"),
        pl.col("error_message").filter(running).last().alias(f"{refusal.outcome}_message"),
    ]


_JUDGED = pl.col("is_answer_right").is_not_null()
_WRONG = ~pl.col("is_answer_right").fill_null(value=True)
_INSIDE = in_window(ANSWER_WINDOW)
_OTHER_MODEL = ~pl.col("is_model_allowed").fill_null(value=True)
_OTHER_RUN = _OTHER_MODEL & (
    pl.col("index") > pl.col("index").filter(pl.col("is_model_allowed").fill_null(value=False)).max().fill_null(-1)
)

EXPRESSIONS: tuple[pl.Expr, ...] = (
    MODEL_RAN.sum().alias("n_proof"),
    *(e for refusal in _REFUSALS for e in _refusal_facts(refusal)),
    (_JUDGED & _INSIDE).sum().alias("n_answers"),
    (_WRONG & _INSIDE).sum().alias("wrong_answers"),
    pl.col("started_at").filter(_WRONG & _INSIDE).first().alias("wrong_since"),
    (_JUDGED & ~_INSIDE).sum().alias("n_answers_older"),
    (_WRONG & ~_INSIDE).sum().alias("wrong_answers_older"),
    pl.col("is_model_allowed").count().alias("n_models"),
    _OTHER_RUN.sum().alias("other_models"),
    pl.col("started_at").filter(_OTHER_RUN).first().alias("other_since"),
    pl.col("response_model").filter(_OTHER_RUN).last().alias("other_model"),
)


def judge(case: Case) -> Iterator[Verdict]:
    """Yield the verdicts on one endpoint."""
    for refusal in _REFUSALS:
        yield _refused(case, refusal)
    yield _answers(case)
    yield _model(case)


def _refused(case: Case, refusal: _Refusal) -> Verdict:
    facts = case.facts
    run = facts.get(f"{refusal.outcome}_run") or 0
    if run >= refusal.running:
        since = facts[f"{refusal.outcome}_since"]
        message = facts[f"{refusal.outcome}_message"]
        sentence = f"{refusal.words}: {run} of {run} attempts since {case.clock(since)}"
        return case.say(
            refusal.promise,
            "broken",
            observed=run,
            allowed=refusal.running - 1,
            n=run,
            bad=run,
            since=since.isoformat(),
            error_mix={refusal.outcome: run},
            sentence=sentence + (f" ({message[:160]})" if message else ""),
        )
    n = facts.get("n_proof") or 0
    known = n and not run
    return case.say(
        refusal.promise,
        "kept" if known else "insufficient",
        observed=run,
        allowed=refusal.running - 1,
        n=n,
        bad=run,
    )


def _answers(case: Case) -> Verdict:
    assert case.endpoint is not None
    facts, promises = case.facts, case.endpoint.promises
    n, bad = facts.get("n_answers") or 0, facts.get("wrong_answers") or 0
    if n < promises.min_samples:
        return case.say("answers_right", "insufficient", n=n, bad=bad, allowed=promises.wrong_answer)
    share = bad / n
    n_older = facts["n_answers_older"]
    usual = facts["wrong_answers_older"] / n_older if n_older >= ANSWER_LEAST_OLDER else None
    common: dict[str, Any] = {"observed": share, "n": n, "bad": bad, "usual": usual}
    # A share of zero has no multiple: the relative rule then needs the least count alone.
    relative = usual is not None and bad >= ANSWER_LEAST_WRONG and share > ANSWER_FACTOR * usual
    if bad and (share >= promises.wrong_answer or relative):
        since = facts["wrong_since"]
        limit = f"{promises.wrong_answer:.0%} is the limit" + (f", usually {usual:.1%}" if usual is not None else "")
        return case.say(
            "answers_right",
            "broken",
            allowed=promises.wrong_answer,
            since=since.isoformat(),
            sentence=f"{bad} of {n} canary answers wrong since {case.clock(since)} ({share:.0%}; {limit})",
            **common,
        )
    return case.say("answers_right", "kept", allowed=promises.wrong_answer, **common)


def _model(case: Case) -> Verdict:
    facts = case.facts
    n, run = facts.get("n_models") or 0, facts.get("other_models") or 0
    if run >= 2:
        since = facts["other_since"]
        return case.say(
            "model_as_asked",
            "broken",
            observed=run,
            allowed=1,
            n=n,
            bad=run,
            since=since.isoformat(),
            response_model=facts["other_model"],
            sentence=f"{facts['other_model']!r} answered {run} attempts since {case.clock(since)}",
        )
    return case.say(
        "model_as_asked", "kept" if n and not run else "insufficient", observed=run, allowed=1, n=n, bad=run
    )
