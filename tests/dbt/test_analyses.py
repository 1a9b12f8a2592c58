"""Every query that analysts are given runs on the marts alone and says what the fixture fleet did."""

from typing import Any

import polars as pl
import pytest

from tests.dbt.rows import PROJECT, DbtHome

QUERIES = {path.stem[:2]: path for path in sorted((PROJECT / "analyses").glob("*.sql"))}


def _answer(built: DbtHome, number: str) -> list[dict[str, Any]]:
    with built.marts() as con:
        frame: pl.DataFrame = con.sql(QUERIES[number].read_text()).pl()
    return frame.to_dicts()


def test_there_are_ten_and_each_states_its_question_and_how_to_read_it() -> None:
    assert len(QUERIES) == 10
    for path in QUERIES.values():
        text = path.read_text()
        assert text.startswith("-- Question: "), path.name
        assert "\n-- Reading: " in text, path.name
        assert "{{" not in text, path.name


def test_the_endpoint_with_an_outage_broke_its_promise_but_not_certainly(built: DbtHome) -> None:
    (row,) = _answer(built, "01")
    assert (row["endpoint_id"], row["counted"], row["bad"]) == ("acme/one", 123, 3)
    assert row["is_certain"] is False


def test_ttft_by_model_and_week_has_n(built: DbtHome) -> None:
    rows = {(row["model"], str(row["week"])): row for row in _answer(built, "02")}
    assert rows["one", "2026-03-09"]["n"] == 80
    assert rows["one", "2026-03-09"]["ttft_p95_ms"] == 200.0
    assert rows["two", "2026-03-02"]["ttft_p50_ms"] == 422.5


def test_errors_are_split_by_blame(built: DbtHome) -> None:
    rows = {row["outcome"]: row for row in _answer(built, "03")}
    assert (rows["timeout_first_token"]["blame"], rows["timeout_first_token"]["attempts"]) == ("provider", 3)
    assert rows["rate_limited"]["attempts"] == 3
    assert rows["rate_limited"]["is_counted"] is False
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1, abs=0.001)


def test_incidents_last_from_the_first_bad_attempt(built: DbtHome) -> None:
    (row,) = _answer(built, "04")
    assert (row["incidents"], row["still_open"], row["subjects"]) == (2, 1, ["acme/one"])
    assert row["minutes"] == pytest.approx(20 + 10, abs=0.11)  # the newest sweep ends 3 s past noon


def test_the_slowest_hour_has_enough_attempts(built: DbtHome) -> None:
    rows = {row["endpoint_id"]: row for row in _answer(built, "05")}
    assert rows["slow/two"]["n"] >= 20
    assert (rows["slow/two"]["hour_of_day"], rows["slow/two"]["slowdown"]) == (9, 1.02)


def test_availability_has_an_interval(built: DbtHome) -> None:
    rows = {row["provider"]: row for row in _answer(built, "06")}
    assert rows["slow"]["uptime"] == 1.0
    assert rows["slow"]["uptime_low"] == pytest.approx(121 / (121 + 1.96**2), abs=0.0001)
    assert rows["acme"]["uptime_low"] < rows["acme"]["uptime"] < rows["acme"]["uptime_high"]


def test_probing_costs_what_its_attempts_cost(built: DbtHome) -> None:
    today = {row["project"]: row for row in _answer(built, "07") if str(row["started_on"]) == "2026-03-10"}
    assert float(today["default"]["cost_usd"]) == pytest.approx(0.00043)
    assert today["lab"]["unpriced"] == 40


def test_reasoning_is_found_behind_the_first_token(built: DbtHome) -> None:
    (row,) = _answer(built, "08")
    assert (row["endpoint_id"], row["hidden_ms"], row["reasoning_share"]) == ("slow/two", 500.0, 0.5)


def test_the_wrong_answer_is_shown(built: DbtHome) -> None:
    (row,) = _answer(built, "09")
    assert (row["probe_id"], row["answer_preview"], row["is_answer_wrong"]) == ("two-0-wrong", "390", True)


def test_the_monitor_accounts_for_its_own_gaps(built: DbtHome) -> None:
    rows = _answer(built, "10")
    assert [str(row["started_on"]) for row in rows] == ["2026-03-10", "2026-03-09", "2026-03-08"]
    assert rows[0]["sweeps"] == 43
    assert rows[0]["longest_gap_s"] == pytest.approx(86_400 - 42 * 300 - 3)
    assert rows[0]["reference_error_p50_ms"] == 0.3
