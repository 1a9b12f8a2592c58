"""Which verdicts land: everything once an hour, and between what carries attempts, is broken, or lately was."""

from datetime import UTC, datetime, timedelta

import polars as pl

from pipelines.notify.promises import Verdict, newsworthy, rows_of
from pipelines.schemas import TABLES, polars_schema

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def verdict(promise: str, finding: str, *, at: datetime = NOW, attempts: str = "") -> Verdict:
    return Verdict.model_validate(
        {
            "promise": promise,
            "subject": "p/a",
            "evaluated_at": at,
            "verdict": finding,
            "severity": "major",
            "attempts": attempts,
        }
    )


def landed(*verdicts: Verdict) -> pl.DataFrame:
    return pl.DataFrame(rows_of(verdicts), schema=polars_schema(TABLES["evaluations"]), orient="row")


ALL = [
    verdict("endpoint_available", "kept", attempts="G"),
    verdict("endpoint_available", "kept"),
    verdict("key_accepted", "kept"),
    verdict("quota_left", "broken"),
    verdict("answers_right", "insufficient"),
]


def test_the_first_evaluation_of_an_hour_lands_whole() -> None:
    assert newsworthy(ALL, landed(), NOW) == ALL
    last_hour = landed(verdict("key_accepted", "kept", at=NOW - timedelta(minutes=31)))
    assert newsworthy(ALL, last_hour, NOW) == ALL


def test_between_only_attempts_and_what_is_broken_land() -> None:
    this_hour = landed(verdict("key_accepted", "kept", at=NOW - timedelta(minutes=5)))
    assert newsworthy(ALL, this_hour, NOW) == [ALL[0], ALL[3]]


def test_what_was_broken_within_the_hour_lands_while_it_is_kept_so_that_it_can_be_resolved() -> None:
    this_hour = landed(
        verdict("answers_right", "kept", at=NOW - timedelta(minutes=5)),
        verdict("key_accepted", "broken", at=NOW - timedelta(minutes=50)),
    )
    assert ALL[2] in newsworthy(ALL, this_hour, NOW)
    long_ago = landed(
        verdict("answers_right", "kept", at=NOW - timedelta(minutes=5)),
        verdict("key_accepted", "broken", at=NOW - timedelta(minutes=61)),
    )
    assert ALL[2] not in newsworthy(ALL, long_ago, NOW)
