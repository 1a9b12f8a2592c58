"""What one sweep is to do: due by the minute, within each project's purse."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pipelines.fleet import Endpoint, Fleet
from pipelines.wire.plan import is_due, plan_sweep

NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)


def endpoint(name: str, *, minutes: float = 5, project: str = "default", is_free: bool = False) -> Endpoint:
    return Endpoint(
        endpoint_id=f"p/{name}",
        provider="p",
        provider_type="openai",
        litellm_provider="openai",
        model=name,
        dialect="openai",
        base_url="http://127.0.0.1:1",
        api_key_env=None,
        interval=timedelta(minutes=minutes),
        project=project,
        is_free=is_free,
    )


@given(st.integers(1, 1440), st.integers(0, 10**6))
def test_an_endpoint_is_due_exactly_once_in_each_interval(minutes: int, start: int) -> None:
    one = endpoint("a", minutes=minutes)
    first = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=start)
    due = [minute for minute in range(2 * minutes) if is_due(one, first + timedelta(minutes=minute))]
    assert len(due) == 2
    assert due[1] - due[0] == minutes


def test_an_interval_between_minutes_is_rounded_up() -> None:
    one = endpoint("a", minutes=1.5)
    assert [is_due(one, NOON + timedelta(minutes=minute)) for minute in range(4)] == [True, False, True, False]


def test_by_hand_everything_is_asked_now_and_by_schedule_what_is_due() -> None:
    endpoints = [endpoint("a"), endpoint("b", minutes=7)]
    by_hand = plan_sweep(Fleet(location="here"), endpoints, spent={}, now=NOON)
    assert [one.model for one in by_hand.due] == ["a", "b"]
    assert by_hand.tick_id == "here-20261120T120030Z"
    at = NOON.replace(minute=5, second=0)
    scheduled = plan_sweep(Fleet(location="here"), endpoints, spent={}, now=NOON, scheduled_at=at)
    assert [one.model for one in scheduled.due] == ["a"]
    assert scheduled.tick_id == "here-20261120T120500Z"
    assert scheduled.endpoints == 2


def test_only_the_named_endpoints_are_asked() -> None:
    plan = plan_sweep(Fleet(), [endpoint("a"), endpoint("b")], spent={}, now=NOON, only=["p/b"])
    assert [one.model for one in plan.due] == ["b"]


def test_a_project_that_has_spent_its_budget_is_not_probed_but_its_free_endpoints_are() -> None:
    fleet = Fleet.model_validate({"projects": {"lab": {"probe_budget": "$2/day"}}})
    endpoints = [
        endpoint("paid", project="lab"),
        endpoint("free", project="lab", is_free=True),
        endpoint("other"),
    ]
    just_under = plan_sweep(fleet, endpoints, spent={"lab": Decimal("1.999999")}, now=NOON)
    assert just_under.over_budget == ()
    spent = plan_sweep(fleet, endpoints, spent={"lab": Decimal(2)}, now=NOON)
    assert [one.model for one in spent.over_budget] == ["paid"]
    assert [one.model for one in spent.due] == ["free", "other"]


def test_a_project_that_fleet_yaml_does_not_spell_out_has_the_usual_budget() -> None:
    fleet = Fleet.model_validate({"projects": {"lab": {}}})
    plan = plan_sweep(fleet, [endpoint("a")], spent={"default": Decimal(1)}, now=NOON)
    assert [one.model for one in plan.over_budget] == ["a"]
