import polars as pl

from pipelines.notify.promises import Verdict, rows_of
from pipelines.notify.replay import replay
from pipelines.schemas import TABLES, polars_schema
from tests.unit.notify.kit import MINUTE, NOW, A, B, policy, seen


def history(symbols: str, name: str = A) -> list[Verdict]:
    return [seen(symbol, NOW + k * MINUTE, name) for k, symbol in enumerate(symbols)]


def frame(verdicts: list[Verdict]) -> pl.DataFrame:
    return pl.DataFrame(rows_of(verdicts), schema=polars_schema(TABLES["evaluations"]))


def test_a_stricter_policy_would_have_opened_more() -> None:
    past = frame(history("GGBBGG" + "GBBBBGG"))
    lenient = replay(past, policy(A))
    assert lenient.height == 1
    assert lenient["opened_at"][0] == NOW + 9 * MINUTE
    assert lenient["resolved_at"][0] == NOW + 12 * MINUTE
    assert lenient["notices"][0] == 2
    strict = policy(A)
    quick = strict.endpoints[A].model_copy(
        update={"promises": strict.endpoints[A].promises.model_copy(update={"fail_threshold": 2})}
    )
    assert replay(past, type(strict).of(strict.fleet, [quick])).height == 2


def test_what_would_still_be_open_has_no_end() -> None:
    past = frame(sorted(history("GBBB") + history("GGGG", B), key=lambda verdict: verdict.evaluated_at))
    (row,) = replay(past, policy(A, B)).to_dicts()
    assert (row["subject"], row["severity"], row["resolved_at"]) == (A, "critical", None)


def test_no_history_is_an_empty_frame_of_the_same_shape() -> None:
    assert replay(frame([]), policy(A)).schema == replay(frame(history("GBBB")), policy(A)).schema
