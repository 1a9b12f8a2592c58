"""The transitions of the reference's state machine, one test each."""

from datetime import datetime, timedelta

import pytest

from pipelines.notify.incidents import AlertState, Policy
from tests.unit.notify.kit import MINUTE, NOW, A, Watch, endpoint, fleet, judged, policy, seen


def test_an_endpoint_is_unknown_until_its_first_good_attempt() -> None:
    watch = Watch()
    assert watch.shown() == "UNKNOWN"
    watch.feed("-")
    assert watch.shown() == "UNKNOWN"
    watch.feed("G", NOW + MINUTE)
    assert watch.shown() == "UP"
    assert watch.path() == [("UNKNOWN", "UP")]
    assert watch.notices == []


def test_one_bad_attempt_is_suspicion_that_nobody_hears_of() -> None:
    watch = Watch()
    watch.feed("GB")
    assert watch.shown() == "SUSPECT"
    watch.feed("G", NOW + 2 * MINUTE)
    assert watch.path()[1:] == [("UP", "SUSPECT"), ("SUSPECT", "UP")]
    assert watch.notices == []
    assert "opened" not in watch.kinds()


def test_three_bad_in_a_row_open_an_incident_since_the_first_of_them() -> None:
    watch = Watch()
    watch.feed("GGBBB")
    (notice,) = watch.notices
    (incident,) = notice.incidents
    assert watch.shown() == "DOWN"
    assert (notice.kind, incident.severity, incident.state) == ("opened", "critical", "DOWN")
    assert incident.started_at == NOW + 2 * MINUTE
    assert incident.opened_at == NOW + 4 * MINUTE
    assert incident.summary.startswith("3 of 3 attempts failed since 14:02 UTC (server_error ×3)")


def test_confirmations_of_the_same_sweep_count() -> None:
    watch = Watch()
    watch.step(seen("G", NOW), seen("BBB", NOW + MINUTE))
    assert [kind for kind, _ in watch.told()] == ["opened"]


def test_excluded_attempts_neither_break_nor_make_a_run() -> None:
    watch = Watch()
    watch.feed("GB-B-")
    assert watch.shown() == "SUSPECT"
    watch.feed("B", NOW + 10 * MINUTE)
    assert watch.shown() == "DOWN"


def test_the_thresholds_are_those_of_the_endpoint() -> None:
    own = endpoint(A, promises={"fail_threshold": 1, "recover_threshold": 1})
    watch = Watch(Policy.of(fleet(), [own]))
    watch.feed("GB")
    assert watch.shown() == "DOWN"
    watch.feed("G", NOW + 2 * MINUTE)
    assert watch.shown() == "UP"
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved"]


def test_recovery_takes_two_good_attempts_and_tells_the_end_once() -> None:
    watch = Watch()
    watch.feed("GBBBG")
    assert watch.shown() == "RECOVERING"
    watch.feed("G", NOW + 5 * MINUTE)
    assert watch.shown() == "UP"
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved"]
    ended = watch.notices[-1].incidents[0]
    assert ended.resolved_at == NOW + 5 * MINUTE
    assert ended.detail["attempts"] == 4
    assert ended.detail["failed"] == 3


def test_a_relapse_is_the_same_incident_without_a_new_notice() -> None:
    watch = Watch()
    watch.feed("GBBBGB")
    assert watch.shown() == "DOWN"
    assert len(watch.notices) == 1
    assert watch.path()[-2:] == [("DOWN", "RECOVERING"), ("RECOVERING", "DOWN")]
    watch.feed("GG", NOW + 6 * MINUTE)
    assert len({event.incident_id for event in watch.events if event.kind in ("opened", "resolved")}) == 1


def test_it_is_not_well_again_while_half_of_the_window_is_bad() -> None:
    watch = Watch()
    watch.feed("GBBB")
    watch.step(seen("GG", NOW + 5 * MINUTE, rule="half", since=NOW.isoformat()))
    assert watch.shown() == "RECOVERING"
    watch.step(seen("", NOW + 6 * MINUTE))
    assert watch.shown() == "UP"


def test_half_a_window_of_failures_opens_without_a_run() -> None:
    watch = Watch()
    watch.feed("GGB")
    watch.step(seen("G", NOW + 3 * MINUTE))
    watch.step(seen("B", NOW + 4 * MINUTE, rule="half", since=(NOW + 2 * MINUTE).isoformat(), sentence="3 of 6 failed"))
    assert watch.shown() == "DOWN"
    assert watch.notices[0].incidents[0].summary == "3 of 6 failed"


def test_scattered_failures_degrade_and_a_run_makes_it_worse() -> None:
    watch = Watch()
    watch.feed("GG")
    scattered = {"rule": "some", "since": NOW.isoformat(), "sentence": "3 of 40 failed"}
    watch.step(seen("G", NOW + 2 * MINUTE, **scattered))
    assert watch.shown() == "DEGRADED"
    assert watch.notices[0].incidents[0].severity == "major"
    watch.step(seen("BBB", NOW + 3 * MINUTE, rule="consecutive", since=NOW.isoformat()))
    assert watch.shown() == "DOWN"
    assert [kind for kind, _ in watch.told()] == ["opened", "escalated"]
    assert watch.notices[-1].incidents[0].severity == "critical"
    assert len({event.incident_id for event in watch.events if event.kind in ("opened", "escalated")}) == 1


def test_degraded_recovers_only_once_no_window_rule_holds() -> None:
    watch = Watch()
    watch.feed("GG")
    scattered = {"rule": "some", "since": NOW.isoformat()}
    watch.step(seen("G", NOW + 2 * MINUTE, **scattered), seen("GG", NOW + 3 * MINUTE, **scattered))
    assert watch.shown() == "RECOVERING"
    watch.step(seen("G", NOW + 4 * MINUTE))
    assert watch.shown() == "UP"


def test_a_verdict_of_a_run_opens_even_when_its_attempts_were_lost() -> None:
    watch = Watch()
    watch.step(seen("", NOW, rule="consecutive", since=(NOW - 9 * MINUTE).isoformat(), sentence="9 of 9"))
    assert watch.shown() == "DOWN"
    assert watch.notices[0].incidents[0].started_at == NOW - 9 * MINUTE


def flap(watch: Watch, cycles: int, start: datetime = NOW) -> datetime:
    for _ in range(cycles):
        start = watch.feed("BBBGG", start)
    return start


def test_four_transitions_in_half_an_hour_are_flapping_said_once_then_silence() -> None:
    watch = Watch()
    watch.feed("G", NOW - MINUTE)
    at = flap(watch, 2)
    assert watch.shown() == "FLAPPING"
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved", "opened", "flapping"]
    flap(watch, 3, at)
    assert len(watch.notices) == 4
    assert watch.kinds().count("flapping") == 1


def test_flapping_ends_with_the_incident_when_it_stays_up() -> None:
    watch = Watch()
    at = flap(watch, 3)
    while watch.shown() == "FLAPPING" and at < NOW + timedelta(hours=3):
        at = watch.feed("G", at)
    assert watch.shown() == "UP"
    assert [kind for kind, _ in watch.told()][-1] == "resolved"
    assert watch.state.incidents == ()
    # The last transition but one is an hour old.
    assert timedelta(hours=1) < at - (NOW + 12 * MINUTE) < timedelta(hours=1, minutes=3)


def test_flapping_that_ends_down_is_told_as_worse() -> None:
    watch = Watch()
    at = flap(watch, 2)
    at = watch.feed("BBB" + "B" * 70, at)
    assert watch.shown() == "DOWN"
    assert [kind for kind, _ in watch.told()][-1] == "escalated"


MAINTENANCE = [{"name": "move", "start": NOW + MINUTE, "end": NOW + 10 * MINUTE, "endpoints": ["openai/*"]}]


def test_nobody_hears_of_failures_during_maintenance() -> None:
    watch = Watch(policy(maintenance=MAINTENANCE))
    watch.feed("GBBBBB")
    assert watch.shown() == "MAINTENANCE"
    watch.feed("BGG", NOW + 6 * MINUTE)
    watch.feed("G", NOW + 10 * MINUTE)
    assert watch.shown() == "UP"
    assert watch.notices == []
    assert "opened" not in watch.kinds()


def test_an_endpoint_still_down_after_maintenance_opens_from_its_last_attempts() -> None:
    watch = Watch(policy(maintenance=MAINTENANCE))
    watch.feed("GBBBBB")
    watch.step(seen("", NOW + 10 * MINUTE))
    assert watch.shown() == "DOWN"
    assert [kind for kind, _ in watch.told()] == ["opened"]


def test_an_incident_open_before_maintenance_may_end_with_it() -> None:
    watch = Watch(policy(maintenance=MAINTENANCE))
    watch.feed("BBB", NOW - 3 * MINUTE)
    watch.feed("-BGGG", NOW)
    assert [kind for kind, _ in watch.told()] == ["opened"]
    watch.step(seen("", NOW + 10 * MINUTE))
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved"]
    assert watch.shown() == "UP"


def test_other_promises_are_not_judged_under_maintenance() -> None:
    watch = Watch(policy(maintenance=MAINTENANCE))
    watch.step(judged("key_accepted", "broken", NOW + MINUTE))
    assert watch.events == []


def test_blindness_is_an_incident_of_its_own_and_no_downtime() -> None:
    watch = Watch()
    watch.feed("G")
    watch.step(seen("", NOW + 5 * MINUTE), judged("monitor_not_blind", "broken", NOW + 5 * MINUTE, sentence="no probe"))
    assert watch.shown() == "UP"
    (incident,) = watch.state.incidents
    assert (incident.promise, incident.state) == ("monitor_not_blind", "STALE")
    assert watch.told() == [("blind", [A])]
    watch.step(judged("monitor_not_blind", "kept", NOW + 6 * MINUTE))
    assert [kind for kind, _ in watch.told()] == ["blind", "resolved"]


@pytest.mark.parametrize("promise", ["key_accepted", "quota_left"])
def test_a_refused_key_or_an_empty_purse_is_told_at_once(promise: str) -> None:
    watch = Watch()
    watch.step(judged(promise, "broken", NOW, since=NOW.isoformat(), sentence="the key is refused"))
    assert [kind for kind, _ in watch.told()] == ["opened"]
    watch.step(judged(promise, "insufficient", NOW + MINUTE))
    assert watch.state.incidents
    watch.step(judged(promise, "kept", NOW + 2 * MINUTE))
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved"]


def test_a_slow_endpoint_is_degraded_and_well_after_two_windows() -> None:
    watch = Watch()
    watch.step(judged("ttft_p95_within_slo", "broken", NOW))
    assert watch.state.incidents[0].state == "DEGRADED"
    watch.step(judged("ttft_p95_within_slo", "kept", NOW + MINUTE))
    watch.step(judged("ttft_p95_within_slo", "broken", NOW + 2 * MINUTE))
    watch.step(judged("ttft_p95_within_slo", "kept", NOW + 3 * MINUTE))
    assert [kind for kind, _ in watch.told()] == ["opened"]
    watch.step(judged("ttft_p95_within_slo", "kept", NOW + 4 * MINUTE))
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved"]


def test_insufficient_never_opens() -> None:
    watch = Watch()
    watch.step(judged("ttft_p95_within_slo", "insufficient", NOW), judged("error_budget_burn", "insufficient", NOW))
    assert watch.events == []


def test_a_rising_severity_is_told_and_a_falling_one_is_not() -> None:
    watch = Watch()
    watch.step(judged("error_budget_burn", "broken", NOW, severity="minor"))
    watch.step(judged("error_budget_burn", "broken", NOW + MINUTE, severity="critical"))
    watch.step(judged("error_budget_burn", "broken", NOW + 2 * MINUTE, severity="major"))
    watch.step(judged("error_budget_burn", "insufficient", NOW + 3 * MINUTE, severity="critical"))
    assert [kind for kind, _ in watch.told()] == ["opened", "escalated"]
    assert watch.state.incidents[0].severity == "critical"


def test_a_failed_check_of_any_asset_is_an_incident() -> None:
    watch = Watch()
    failed = judged("check_passes", "broken", NOW, "marts/fct_probe:not_null", sentence="12 rows")
    watch.step(failed)
    watch.step(failed, at=NOW + MINUTE)
    watch.step(judged("check_passes", "kept", NOW + 2 * MINUTE, "marts/fct_probe:not_null"))
    assert watch.told() == [("opened", ["marts/fct_probe:not_null"]), ("resolved", ["marts/fct_probe:not_null"])]


def test_an_endpoint_taken_out_of_the_fleet_closes_its_incident() -> None:
    watch = Watch()
    watch.feed("BBB")
    watch.policy = policy("anthropic/claude")
    watch.step(at=NOW + 5 * MINUTE)
    assert watch.state.incidents == ()
    assert watch.notices[-1].kind == "resolved"
    assert watch.notices[-1].incidents[0].detail["reason"] == "no longer watched"
    assert watch.state.trackers == {}
    assert watch.state.known.text == ""


def test_a_healthy_fleet_leaves_almost_nothing_in_the_state() -> None:
    names = [f"provider-{k % 9}/some-model-name-{k}" for k in range(200)]
    watch = Watch(policy(*names, providers={f"provider-{k}": {"type": "openai"} for k in range(9)}))
    for k in range(3):
        watch.step(*[seen("G", NOW + k * MINUTE, name) for name in names])
    assert len(watch.state.to_json()) < 1000
    assert AlertState.model_validate_json(watch.state.to_json()).trackers == {}
