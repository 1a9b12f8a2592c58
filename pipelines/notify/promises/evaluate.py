"""Judge every promise of a fleet at one moment. Pure: the shell reads the frames and lands the verdicts."""

from collections.abc import Collection, Iterator
from typing import Any

import polars as pl

from pipelines.notify.promises import availability, requests, speed, wider
from pipelines.notify.promises.case import Case
from pipelines.notify.promises.catalog import EVALUATED, PromiseName
from pipelines.notify.promises.inputs import Inputs
from pipelines.notify.promises.verdict import Verdict
from pipelines.notify.promises.windows import attempts_of, facts_of, new_attempts

_EXPRESSIONS = (*availability.EXPRESSIONS, *speed.EXPRESSIONS, *requests.EXPRESSIONS)


def evaluate(inputs: Inputs, *, only: Collection[PromiseName] = EVALUATED) -> list[Verdict]:
    """Return a verdict for each promise that applies to each subject; ``only`` narrows what is returned.

    All verdicts carry ``inputs.now`` and form one batch of the state machine: hand them on together. A promise that
    an endpoint does not have (no objective, no baseline) yields nothing.
    """
    return [verdict for verdict in _all(inputs) if verdict.promise in only]


def _all(inputs: Inputs) -> Iterator[Verdict]:
    attempts = attempts_of(inputs)
    facts = facts_of(attempts, _EXPRESSIONS)
    news = new_attempts(inputs, attempts)
    baselines = _baselines(inputs)
    for endpoint in inputs.endpoints:
        case = Case(inputs, endpoint, facts.get(endpoint.endpoint_id, {}))
        yield from availability.judge(case, news.get(endpoint.endpoint_id, []))
        yield from speed.judge(case, baselines.get(endpoint.endpoint_id))
        yield from requests.judge(case)
    yield from wider.providers(inputs, facts)
    yield from wider.budgets(inputs)
    # Attempts made during maintenance are not judged, but they show that the monitor sees.
    last = attempts.group_by("endpoint_id").agg(pl.col("started_at").max())
    yield from wider.blindness(inputs, dict(last.iter_rows()))
    yield wider.measurement(inputs, attempts)
    yield from wider.discovery(inputs)
    yield wider.fleet_file(inputs)


def _baselines(inputs: Inputs) -> dict[str, dict[str, Any]]:
    if inputs.baselines is None or inputs.baselines.is_empty():
        return {}
    rows = inputs.baselines.filter(pl.col("hour") == inputs.now.hour)
    return {row["endpoint_id"]: row for row in rows.iter_rows(named=True)}
