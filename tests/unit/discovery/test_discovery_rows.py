"""The catalog over time: new models are watched, vanished ones retired, a failing list changes nothing."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.discovery import Discovered, Listed, catalog_rows, discovery_rows
from pipelines.fleet.models import Endpoint, Fleet
from pipelines.fleet.validate import load_text
from pipelines.landing import Landing

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FLEET = load_text(
    "providers:\n  o: {type: openai, project: team}\n  l: {type: ollama}\n  c: {type: cohere, models: [command]}\n"
    "projects: {team: {owner: ann, probe_budget: $7/week}}\npromises: {ttft_p95: 2s}\n"
).fleet


def ok(*ids: str, dropped: tuple[str, ...] = ()) -> Discovered:
    kept = tuple(Listed(one, kept=True, rule="kept: x") for one in ids)
    return Discovered("ok", (*kept, *(Listed(one, kept=False, rule="dropped: y") for one in dropped)), 1)


def prices(endpoint: Endpoint) -> tuple[Decimal | None, Decimal | None]:
    return (Decimal("0.000001"), Decimal("0.000002")) if endpoint.provider == "o" else (None, None)


def refresh(
    discovered: dict[str, Discovered], before: list[dict[str, Any]], fleet: Fleet = FLEET, at: int = 1
) -> list[dict[str, Any]]:
    return catalog_rows(fleet, discovered, before, NOW, prices, refresh_id=f"r{at}")


def standing(rows: list[dict[str, Any]]) -> dict[str, tuple[bool | None, bool]]:
    return {row["endpoint_id"]: (row["is_listed"], row["is_retired"]) for row in rows}


def test_new_models_are_watched_by_default() -> None:
    rows = refresh({"o": ok("gpt-a"), "l": ok("llama")}, [])
    assert standing(rows) == {"c/command": (None, False), "l/llama": (True, False), "o/gpt-a": (True, False)}
    rows = refresh({"o": ok("gpt-a", "gpt-b"), "l": ok("llama")}, rows)
    assert standing(rows)["o/gpt-b"] == (True, False)


def test_a_vanished_model_is_retired_and_comes_back() -> None:
    first = refresh({"o": ok("a", "b")}, [])
    second = refresh({"o": ok("a")}, first)
    assert standing(second)["o/b"] == (False, True)
    third = refresh({"o": ok("a")}, second)
    assert standing(third)["o/b"] == (False, True)
    assert standing(refresh({"o": ok("a", "b")}, third))["o/b"] == (True, False)


def test_a_failing_list_retires_nothing() -> None:
    first = refresh({"o": ok("a", "b")}, [])
    second = refresh({"o": ok("a")}, first)
    for outcome in ("auth", "rate_limited", "unreachable", "server_error", "malformed", "no_key", "not_supported"):
        assert standing(refresh({"o": Discovered(outcome)}, second)) == standing(second)  # type: ignore[arg-type]
    assert standing(refresh({}, second)) == standing(second)


def test_a_model_that_is_dropped_by_a_rule_or_by_the_file_is_not_retired_but_gone() -> None:
    first = refresh({"o": ok("a", "b")}, [])
    assert "o/b" not in standing(refresh({"o": ok("a", dropped=("b",))}, first))
    excluding = load_text("providers: {o: {type: openai, models: {exclude: [b]}}}").fleet
    assert standing(refresh({"o": ok("a")}, first, excluding)) == {"o/a": (True, False)}


def test_a_model_that_is_always_watched_is_never_retired() -> None:
    fleet = load_text("providers: {o: {type: openai, models: {also: [b]}}}").fleet
    first = refresh({"o": ok("a", "b")}, [], fleet)
    assert standing(refresh({"o": ok("a")}, first, fleet))["o/b"] == (False, False)


def test_the_rows_carry_promises_prices_and_budget() -> None:
    rows = {row["endpoint_id"]: row for row in refresh({"o": ok("a"), "l": ok("llama")}, [])}
    row = rows["o/a"]
    assert (row["entry_id"], row["project"], row["owner"], row["ttft_slo_ms"]) == ("r1:o/a", "team", "ann", 2000)
    assert (row["probe_budget_usd_per_day"], row["input_price_per_token_usd"]) == (Decimal(1), Decimal("0.000001"))
    assert rows["l/llama"]["input_price_per_token_usd"] == 0, "one's own hardware costs nothing per token"
    assert rows["c/command"]["output_price_per_token_usd"] is None, "an unknown price is null, never zero"


def test_the_rows_pass_the_contract_and_land(tmp_path: Path) -> None:
    discovered = {"o": ok("a", dropped=("e",)), "l": Discovered("unreachable", message="down")}
    landing = Landing(str(tmp_path))
    catalog = landing.append("endpoint_catalog", refresh(discovered, []), "r1")
    answers = landing.append("discovery_results", discovery_rows(FLEET, discovered, NOW, "r1"), "r1")
    assert (catalog.rows, catalog.rejected, answers.rows, answers.rejected) == (2, 0, 2, 0)
    row = landing.read("discovery_results").collect().filter(provider="o").to_dicts()[0]
    assert (row["models_listed"], row["models_kept"], row["outcome"]) == (2, 1, "ok")


_ANSWERS = st.one_of(
    st.sets(st.sampled_from("abcd")).map(lambda ids: ok(*sorted(ids))),
    st.sampled_from(["auth", "server_error"]).map(Discovered),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_ANSWERS, min_size=1, max_size=8))
def test_over_any_history_the_catalog_is_what_was_last_listed_plus_what_was_ever_watched(
    answers: list[Discovered],
) -> None:
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    listed: set[str] = set()
    for at, answer in enumerate(answers):
        rows = refresh({"o": answer}, rows, load_text("providers: {o: {type: openai}}").fleet, at)
        if answer.outcome == "ok":
            listed = set(answer.kept)
            seen |= listed
        now = standing(rows)
        assert {name for name, (_, retired) in now.items() if not retired} == {f"o/{one}" for one in listed}
        assert set(now) == {f"o/{one}" for one in seen}
