from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fleet.models import Maintenance
from pipelines.notify.promises import (
    EVALUATED,
    PROMISES,
    FleetFile,
    Inputs,
    Verdict,
    Watermark,
    evaluate,
    rows_of,
    verdicts_of,
    watermarks_of,
)
from pipelines.notify.promises.windows import openings
from pipelines.schemas import TABLES, Evaluation, polars_schema
from tests.unit.notify.kit import MINUTE, NOW, A, B, C, endpoint, fleet, rows, series


def judge(attempts: list[dict[str, Any]], *, endpoints: Any = None, **more: Any) -> dict[tuple[str, str], Verdict]:
    chosen = endpoints or [endpoint(A)]
    verdicts = evaluate(Inputs(more.pop("fleet", fleet()), chosen, rows(attempts), more.pop("now", NOW), **more))
    return {(v.promise, v.subject): v for v in verdicts}


def of(attempts: list[dict[str, Any]], promise: str, subject: str = A, **more: Any) -> Verdict:
    return judge(attempts, **more)[promise, subject]


def test_every_promise_has_a_question_and_a_remedy() -> None:
    assert set(EVALUATED) < set(PROMISES)
    for promise in PROMISES.values():
        assert promise.question.endswith("?")
        assert promise.remedy.endswith(".")


def test_verdicts_are_rows_of_the_landed_schema_and_come_back_the_same() -> None:
    verdicts = list(judge(series("GGBBB")).values())
    frame = pl.DataFrame(rows_of(verdicts), schema=polars_schema(TABLES["evaluations"]))
    Evaluation.validate(frame)
    assert verdicts_of(pl.concat([frame, frame])) == verdicts


def test_three_bad_in_a_row_break_availability_and_say_since_when() -> None:
    verdict = of(series("GGG" + "BBB"), "endpoint_available")
    assert (verdict.verdict, verdict.severity, verdict.detail["rule"]) == ("broken", "critical", "consecutive")
    assert verdict.detail["sentence"] == (
        "3 of 3 attempts failed since 13:58 UTC (server_error ×3); last good 13:57 UTC"
    )
    assert verdict.last_good_at == NOW - 3 * MINUTE


def test_excluded_attempts_are_dashes_and_break_no_run() -> None:
    verdict = of(series("GBRBRB"), "endpoint_available")
    assert verdict.attempts == "GB-B-B"
    assert verdict.detail["rule"] == "consecutive"


def test_half_of_five_minutes_bad_is_critical_without_a_run() -> None:
    verdict = of(series("G" * 60 + "BGBGB"), "endpoint_available")
    assert (verdict.verdict, verdict.severity, verdict.detail["rule"]) == ("broken", "critical", "half")
    assert (verdict.bad, verdict.n) == (3, 5)


def test_confirmations_of_one_blip_are_no_half_window() -> None:
    blip = series("G" * 60, NOW - 5 * MINUTE) + [
        {"probe_id": f"x{k}", "started_at": NOW - timedelta(seconds=9 - k), "tick_id": "one", "outcome": outcome}
        for k, outcome in enumerate(["server_error", "server_error", "ok"])
    ]
    assert of(blip, "endpoint_available").verdict == "kept"


def test_scattered_failures_are_major_only_where_they_are_unusual() -> None:
    recent = "GGBGGBGGBG"
    assert of(series("G" * 300 + recent), "endpoint_available").detail["rule"] == "some"
    assert of(series("G" * 300 + recent), "endpoint_available").severity == "major"
    usual = ("G" * 19 + "B") * 20
    assert of(series(usual + recent), "endpoint_available").verdict == "kept"


def test_an_outage_that_is_over_is_not_degradation() -> None:
    assert of(series("G" * 300 + "BBB" + "GGGGGG"), "endpoint_available").verdict == "kept"


def test_windows_grow_with_the_interval() -> None:
    slow = endpoint(A, interval=timedelta(minutes=5))
    attempts = series("G" * 60 + "BGBB", every=timedelta(minutes=5))
    assert of(attempts, "endpoint_available", endpoints=[slow]).detail["rule"] == "half"


def test_new_attempts_are_those_after_the_watermark_however_often_the_run_is_repeated() -> None:
    attempts = series("GGGB")
    first = of(attempts, "endpoint_available")
    marks = watermarks_of(pl.DataFrame(rows_of([first]), schema=polars_schema(TABLES["evaluations"])))
    again = attempts + attempts[-2:] + series("BG", NOW + 2 * MINUTE)
    second = of(again, "endpoint_available", watermarks=marks, now=NOW + 2 * MINUTE)
    assert (first.attempts, second.attempts) == ("GGGB", "BG")
    assert len(second.detail["attempt_at"]) == 2
    third = of(again, "endpoint_available", watermarks={A: Watermark(NOW + 2 * MINUTE, again[-1]["probe_id"])})
    assert third.attempts == ""
    assert third.detail["watermark"][1] == again[-1]["probe_id"]


def test_judging_a_tick_again_gives_the_same_row() -> None:
    first = of(series("GGGB"), "endpoint_available", tick_id="t9")
    frame = pl.DataFrame(rows_of([first]), schema=polars_schema(TABLES["evaluations"]))
    marks = watermarks_of(frame, judging_tick="t9")
    again = of(series("GGGB"), "endpoint_available", tick_id="t9", watermarks=marks)
    assert again == first
    assert watermarks_of(frame) != {}


def test_a_watermark_ahead_of_a_clock_set_back_does_not_blind() -> None:
    attempts = series("GB", tick_id="now")
    verdict = of(
        attempts, "endpoint_available", tick_id="now", watermarks={A: Watermark(NOW + timedelta(hours=2), "z")}
    )
    assert verdict.attempts == "GB"


@settings(max_examples=30, deadline=None)
@given(st.text("GBR", min_size=1, max_size=40), st.lists(st.integers(1, 39), max_size=6))
def test_no_attempt_is_handed_on_twice_or_lost(symbols: str, cuts: list[int]) -> None:
    attempts = series("G" * 12 + symbols, NOW + len(symbols) * MINUTE)
    marks, said = {A: Watermark(attempts[11]["started_at"], attempts[11]["probe_id"])}, ""
    for end in sorted({*(c for c in cuts if c < len(symbols)), len(symbols)}):
        verdict = of(attempts[: 12 + end], "endpoint_available", watermarks=marks, now=NOW + end * MINUTE)
        said += verdict.attempts
        at, name = verdict.detail["watermark"]
        marks = {A: Watermark(datetime.fromisoformat(at), name)}
    assert said == symbols.replace("R", "-")


def test_manual_and_backfilled_attempts_are_not_judged() -> None:
    attempts = series("GGGG") + series("BBBB", kind="manual") + series("BBBB", kind="backfill")
    for k, row in enumerate(attempts[4:]):
        row["probe_id"] = f"other{k}"
    verdict = of(attempts, "endpoint_available")
    assert (verdict.verdict, verdict.attempts) == ("kept", "GGGG")


def test_maintenance_is_left_out_of_the_figures_but_not_of_the_attempts() -> None:
    window = {"name": "m", "start": NOW - 5 * MINUTE, "end": NOW + MINUTE}
    verdict = of(series("GGGGG" + "BBBBB"), "endpoint_available", fleet=fleet(maintenance=[window]))
    assert (verdict.verdict, verdict.attempts) == ("kept", "GGGGGBBBBB")


# Hypothesis takes naive bounds and adds the zone.
BEGIN, END = datetime(2026, 1, 5), datetime(2026, 12, 20)  # noqa: DTZ001
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
WINDOWS = st.builds(
    lambda days, hour, hours, zone: Maintenance.model_validate(
        {"name": "m", "days": days, "from": f"{hour:02}:30", "for": f"{hours}h", "timezone": zone}
    ),
    st.lists(st.sampled_from(["mon", "tue", "sat", "sun"]), unique=True),
    st.integers(0, 23),
    st.integers(1, 24),
    ZONES,
)


@settings(max_examples=80, deadline=None)
@given(WINDOWS, st.datetimes(BEGIN, END, timezones=st.just(UTC)), st.integers(0, 3 * 1440))
def test_the_openings_of_a_window_are_when_it_covers(window: Maintenance, end: datetime, back: int) -> None:
    until = end
    moment = until - timedelta(minutes=back)
    spans = openings(window, until - timedelta(days=3), until + MINUTE)
    assert any(start <= moment < stop for start, stop in spans) == window.covers(moment)


def burn(symbols: str, every: timedelta = MINUTE, **promises: Any) -> Verdict:
    return of(
        series(symbols, every=every), "error_budget_burn", endpoints=[endpoint(A, promises=promises, interval=every)]
    )


def test_the_fast_burn_needs_both_windows_and_the_least_counts() -> None:
    assert burn("G" * 300 + "B" * 12).severity == "critical"
    # The hour burns, the last five minutes do not: the outage is over.
    assert burn("G" * 300 + "B" * 12 + "G" * 6).severity != "critical"
    # Two failures are never enough, however tight the objective.
    assert burn("G" * 300 + "BB", availability=0.9999).verdict == "kept"


def test_the_slow_burns_have_their_own_severity() -> None:
    every = timedelta(minutes=5)
    assert burn("G" * 72 + "B" * 6, every).severity == "major"
    assert burn(("G" * 40 + "B") * 21, every).severity == "minor"


def test_a_window_of_fewer_than_five_attempts_is_refused() -> None:
    verdict = burn("GBBB")
    assert verdict.verdict == "insufficient"


def test_a_perfect_objective_has_no_budget_to_divide_by() -> None:
    assert burn("G" * 60 + "BBB" + "GG", availability=1.0).verdict == "broken"


def paced(ttfts: list[int], *, promises: Any = None, **more: Any) -> dict[tuple[str, str], Verdict]:
    attempts = series("G" * len(ttfts))
    for row, ttft in zip(attempts, ttfts, strict=True):
        row |= {"t_token_us": ttft * 1000, "t_output_us": ttft * 1000, "t_last_us": ttft * 1000 + 300_000}
    return judge(attempts, endpoints=[endpoint(A, promises=promises or {})], **more)


def test_speed_is_judged_over_two_windows_running() -> None:
    slo = {"ttft_p95": timedelta(seconds=1)}
    found = [
        paced(t, promises=slo)["ttft_p95_within_slo", A] for t in ([200] * 20, [2000] * 20, [200] * 10 + [2000] * 10)
    ]
    assert [v.verdict for v in found] == ["kept", "broken", "insufficient"]
    assert found[1].observed == 2000
    assert found[1].detail["sentence"].startswith("p95 time to first token 2,000 ms over 10 attempts, 2,000 before")
    assert paced([2000] * 4, promises=slo)["ttft_p95_within_slo", A].verdict == "insufficient"


def test_an_objective_that_is_not_set_is_not_judged() -> None:
    assert ("ttft_p95_within_slo", A) not in paced([200] * 20)


def baseline(ttft: float | None, tps: float | None, days: int = 7, hour: int = NOW.hour) -> pl.DataFrame:
    return pl.DataFrame(
        [{"endpoint_id": A, "hour": hour, "ttft_p95_ms": ttft, "tps_decode_p50": tps, "days": days}],
        schema_overrides={"ttft_p95_ms": pl.Float64, "tps_decode_p50": pl.Float64},
    )


def test_three_times_the_baseline_and_above_the_floor_is_slow() -> None:
    promise = ("ttft_near_baseline", A)
    assert paced([1500] * 20, baselines=baseline(400.0, 50.0))[promise].verdict == "broken"
    assert paced([900] * 20, baselines=baseline(200.0, 50.0))[promise].verdict == "kept"
    assert paced([1100] * 20, baselines=baseline(400.0, 50.0))[promise].verdict == "kept"
    for unfit in (baseline(400.0, 50.0, days=2), baseline(400.0, 50.0, hour=3), None):
        assert promise not in paced([1500] * 20, baselines=unfit)


def test_half_the_usual_speed_is_slow() -> None:
    # 15 tokens in 0.3 s are 50 a second.
    assert paced([200] * 20, baselines=baseline(None, 120.0))["tps_near_baseline", A].verdict == "broken"
    assert paced([200] * 20, baselines=baseline(None, 90.0))["tps_near_baseline", A].verdict == "kept"
    assert paced([200] * 20, promises={"tps_p50": 60.0})["tps_p50_within_slo", A].verdict == "broken"


@pytest.mark.parametrize(
    ("promise", "outcome", "running"),
    [
        ("key_accepted", "auth", 1),
        ("quota_left", "quota", 1),
        ("model_exists", "model_not_found", 2),
        ("request_accepted", "bad_request", 2),
    ],
)
def test_a_refusal_breaks_its_promise_once_it_came_often_enough(promise: str, outcome: str, running: int) -> None:
    good = series("GG", NOW - 5 * MINUTE)
    refused = [{"probe_id": f"r{k}", "started_at": NOW - (3 - k) * MINUTE, "outcome": outcome} for k in range(2)]
    timeout = [{"probe_id": "t", "started_at": NOW, "outcome": "timeout_idle"}]
    assert of(good, promise).verdict == "kept"
    assert of(good + refused[: running - 1] + timeout, promise).verdict == ("kept" if running == 1 else "insufficient")
    assert of(good + refused[:running] + timeout, promise).verdict == "broken"
    assert of(good + refused + series("G"), promise).verdict == "kept"
    assert of(timeout, promise).verdict == "insufficient"


def answered(rights: str) -> list[dict[str, Any]]:
    return [
        {
            "probe_id": f"a{k}",
            "started_at": NOW - (len(rights) - 1 - k) * MINUTE,
            "is_answer_right": right == "1",
            "outcome": "ok" if right == "1" else "wrong_answer",
        }
        for k, right in enumerate(rights)
    ]


def test_wrong_answers_are_judged_by_share_and_against_what_is_usual() -> None:
    assert of(answered("1" * 60), "answers_right").verdict == "kept"
    assert of(answered("10" * 30), "answers_right").verdict == "broken"
    assert of(answered("1" * 200 + "1" * 40 + "0" * 4), "answers_right").verdict == "broken"
    assert of(answered("1111111110" * 25), "answers_right").verdict == "kept"
    assert of(answered("10"), "answers_right").verdict == "insufficient"


def test_another_model_answering_twice_breaks_the_promise() -> None:
    odd = [
        {
            "probe_id": f"m{k}",
            "started_at": NOW - (1 - k) * MINUTE,
            "outcome": "wrong_model",
            "is_model_allowed": False,
            "response_model": "mini",
        }
        for k in range(2)
    ]
    assert of(series("GG", NOW - 3 * MINUTE) + odd[:1], "model_as_asked").verdict == "insufficient"
    verdict = of(series("GG", NOW - 3 * MINUTE) + odd, "model_as_asked")
    assert verdict.verdict == "broken"
    assert "'mini' answered 2 attempts" in verdict.detail["sentence"]


PAIR = [endpoint(A), endpoint(B), endpoint(C)]


def test_a_provider_is_down_when_all_its_endpoints_are() -> None:
    down = series("GBBB", name=A) + series("GBBB", name=B)
    verdict = of(down, "provider_up", "openai", endpoints=PAIR)
    assert (verdict.verdict, verdict.detail["endpoints"]) == ("broken", [A, B])
    assert (
        of(series("GBBB", name=A) + series("GBBG", name=B), "provider_up", "openai", endpoints=PAIR).verdict == "kept"
    )
    assert (
        of(series("GBBB", name=A) + series("GBB", name=B), "provider_up", "openai", endpoints=PAIR).verdict
        == "insufficient"
    )
    # One endpoint speaks for itself.
    assert ("provider_up", "anthropic") not in judge(down, endpoints=PAIR)


def test_the_probe_budget_is_kept_per_project() -> None:
    found = judge(series("G"), cost_today={"default": Decimal("1.5")})
    assert found["probe_budget_kept", "default"].verdict == "broken"
    assert found["monitor_not_blind", A].verdict == "insufficient"
    assert judge(series("G"), cost_today={"default": Decimal("0.5")})["probe_budget_kept", "default"].verdict == "kept"
    free = fleet(projects={"default": {"probe_budget": "$0/day"}})
    assert judge(series("G"), fleet=free)["probe_budget_kept", "default"].verdict == "kept"


def test_two_intervals_and_a_timeout_without_an_attempt_are_blindness() -> None:
    attempts = series("G", NOW - timedelta(minutes=3)) + series("G", NOW, name=B)
    found = judge(attempts, endpoints=[endpoint(A), endpoint(B)], now=NOW + timedelta(seconds=1))
    assert found["monitor_not_blind", A].verdict == "broken"
    assert found["monitor_not_blind", B].verdict == "kept"
    assert found["monitor_not_blind", "fleet"].verdict == "kept"
    later = judge(attempts, endpoints=[endpoint(A), endpoint(B)], now=NOW + timedelta(minutes=4))
    assert later["monitor_not_blind", "fleet"].severity == "critical"
    assert later["monitor_not_blind", "fleet"].verdict == "broken"


def test_an_endpoint_that_was_never_probed_is_judged_from_when_watching_began() -> None:
    assert of([], "monitor_not_blind").verdict == "insufficient"
    assert of([], "monitor_not_blind", watching_since=NOW - MINUTE).verdict == "insufficient"
    assert of([], "monitor_not_blind", watching_since=NOW - timedelta(hours=1)).verdict == "broken"


def ticks(*pairs: tuple[int, int | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"started_at": NOW - (len(pairs) - k) * MINUTE, "loop_lag_max_us": lag, "reference_error_p50_us": error}
            for k, (lag, error) in enumerate(pairs)
        ]
    )


@pytest.mark.parametrize(
    ("sweeps", "finding"),
    [
        (((1000, 500), (1000, 500)), "kept"),
        (((300_000, 500), (1000, 500)), "kept"),
        (((300_000, 500), (300_000, 500)), "broken"),
        (((1000, -60_000), (1000, 70_000)), "broken"),
        (((1000, None), (1000, 70_000)), "kept"),
    ],
)
def test_two_bad_sweeps_make_the_measurement_untrustworthy(sweeps: Any, finding: str) -> None:
    assert of(series("GG"), "measurement_trustworthy", "fleet", ticks=ticks(*sweeps)).verdict == finding


def test_our_own_faults_make_the_measurement_untrustworthy() -> None:
    ours = [{"probe_id": f"c{k}", "started_at": NOW - k * MINUTE, "outcome": "client_fault"} for k in range(3)]
    assert of(series("GGGGG") + ours, "measurement_trustworthy", "fleet").verdict == "broken"


def refreshes(*outcomes: str) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "provider": "openai",
                "discovered_at": NOW - (len(outcomes) - k) * MINUTE,
                "outcome": outcome,
                "message": "no",
            }
            for k, outcome in enumerate(outcomes)
        ]
    )


@pytest.mark.parametrize(
    ("outcomes", "finding"),
    [
        (("ok",), "kept"),
        (("auth", "not_supported"), "kept"),
        (("ok", "auth"), "broken"),
        (("ok", "unreachable"), "insufficient"),
        (("unreachable", "server_error"), "broken"),
    ],
)
def test_discovery_is_told_at_once_of_a_refused_key_and_otherwise_after_two(outcomes: str, finding: str) -> None:
    assert of(series("G"), "discovery_working", "openai", discovery=refreshes(*outcomes)).verdict == finding


def test_an_invalid_fleet_file_is_told_with_its_message() -> None:
    file = FleetFile(is_valid=False, invalid_since=NOW, message="line 3: unknown key")
    verdict = of(series("G"), "fleet_file_valid", "fleet", fleet_file=file)
    assert verdict.verdict == "broken"
    assert "line 3: unknown key" in verdict.detail["sentence"]


def test_nothing_at_all_is_judged_without_a_crash() -> None:
    assert {v.verdict for v in judge([]).values()} <= {"insufficient", "kept"}
    assert evaluate(Inputs(fleet(), [], rows([]), NOW), only=("fleet_file_valid",))[0].verdict == "kept"


def test_only_narrows_what_is_returned() -> None:
    found = evaluate(Inputs(fleet(), [endpoint(A)], rows(series("G")), NOW), only=("monitor_not_blind",))
    assert {v.promise for v in found} == {"monitor_not_blind"}


def test_evaluation_ids_tell_promise_subject_and_tick_apart() -> None:
    base = Verdict(promise="p", subject="s", evaluated_at=NOW, verdict="kept", severity="minor")
    others = [
        base.model_copy(update=u)
        for u in ({"promise": "q"}, {"subject": "t"}, {"tick_id": "x"}, {"evaluated_at": NOW + MINUTE})
    ]
    assert len({v.evaluation_id for v in [base, *others]}) == 5
