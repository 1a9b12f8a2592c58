from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.notify import outbox
from pipelines.notify.incidents import AlertState
from pipelines.notify.model import DeliveryResult, Outgoing
from tests.unit.notify.kit import MINUTE, NOW, Watch, fleet, incident, notice, policy, seen

SLACK = {"type": "slack", "webhook_url_env": "HOOK"}
TWO = {
    "channels": {"team": SLACK, "console": {"type": "console"}},
    "routes": [{"channels": ["team"], "owners": ["ann"]}],
}


def outcome(outgoing: Outgoing, *, error: str | None = None, **more: Any) -> DeliveryResult:
    said = outgoing.notice
    fields = {
        "notice_id": said.notice_id,
        "channel": said.channel,
        "kind": said.kind,
        "incident_ids": tuple(i.incident_id for i in said.incidents),
        "at": NOW,
        "attempt": outgoing.tries + 1,
        "is_delivered": error is None,
        "error": error,
    }
    return DeliveryResult(**(fields | more))


def down() -> Watch:
    watch = Watch(policy(**TWO))
    watch.step(seen("BBB", NOW))
    return watch


def test_a_notice_waits_until_its_channel_took_it() -> None:
    watch = down()
    (waiting,) = outbox.due(watch.state, NOW)
    assert watch.notices == [waiting.notice]
    made = outbox.delivered(watch.state, outcome(waiting), NOW, watch.policy)
    assert made.state.outbox == ()
    assert made.events == ()
    assert made.state.incidents == watch.state.incidents


def test_a_failed_notice_keeps_its_id_and_waits_longer_each_time() -> None:
    watch, state, now, waits = down(), None, NOW, []
    state = watch.state
    first = state.outbox[0].notice
    for _ in range(8):
        (waiting,) = (o for o in outbox.due(state, now) if o.notice.channel == "team")
        assert waiting.notice == first
        state = outbox.failed(state, outcome(waiting, error="HTTP 500"), now, watch.policy).state
        again = next(o for o in state.outbox if o.notice.channel == "team")
        assert again.last_error == "HTTP 500"
        waits.append((again.next_try_at - now).total_seconds())
        assert again not in outbox.due(state, now)
        now = again.next_try_at
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800]


@given(st.integers(0, 10**6), st.one_of(st.none(), st.floats(0, 1e9)))
def test_a_wait_is_never_shorter_than_the_first_nor_longer_than_the_longest(tries: int, asked: float | None) -> None:
    assert outbox.FIRST_WAIT <= outbox.wait_after(tries, asked) <= outbox.LONGEST_WAIT


def test_a_channel_may_ask_for_more_time() -> None:
    assert outbox.wait_after(1, 300) == timedelta(minutes=5)
    assert outbox.wait_after(1, 10**9) == outbox.LONGEST_WAIT


def test_after_about_a_day_it_is_given_up_and_said_so() -> None:
    watch = down()
    state, now, events = watch.state, NOW, []
    while any(o.notice.channel == "team" for o in state.outbox):
        waiting = next(o for o in state.outbox if o.notice.channel == "team")
        now = max(now, waiting.next_try_at)
        made = outbox.failed(state, outcome(waiting, error="HTTP 500"), now, watch.policy)
        state = made.state
        events += [event for event in made.events if event.state_to == "GIVEN_UP"]
    assert timedelta(hours=23) < now - NOW < timedelta(hours=25)
    assert "given up after 54 tries: HTTP 500" in events[0].summary


def test_a_channel_that_keeps_failing_is_told_on_the_others_and_so_is_its_end() -> None:
    watch = down()
    state, told = watch.state, []
    for k in range(4):
        waiting = next(o for o in state.outbox if o.notice.channel == "team")
        made = outbox.failed(state, outcome(waiting, error="HTTP 500"), NOW + k * MINUTE, watch.policy)
        state, told = made.state, told + list(made.notices)
        assert len(told) == (k >= 2)
    assert (told[0].channel, told[0].incidents[0].promise, told[0].incidents[0].subject) == (
        "console",
        "channel_delivers",
        "team",
    )
    assert "HTTP 500" in told[0].incidents[0].summary
    waiting = next(o for o in state.outbox if o.notice.channel == "team")
    made = outbox.delivered(state, outcome(waiting), NOW + 9 * MINUTE, watch.policy)
    assert [(n.kind, n.channel) for n in made.notices] == [("resolved", "console")]
    assert made.state.failing == {}


def test_one_success_begins_the_count_anew() -> None:
    watch = down()
    state = watch.state
    lone = state.outbox[0]
    for error in ("a", "b", None, "c", "d"):
        state = state.model_copy(update={"outbox": (lone,)})
        state = outbox.settle(state, [outcome(lone, error=error)], NOW, watch.policy).state
    assert [i.promise for i in state.incidents] == ["endpoint_available"]


def test_a_result_of_an_unknown_notice_changes_nothing() -> None:
    watch = down()
    stranger = outcome(watch.state.outbox[0], error="x", notice_id="gone")
    assert outbox.failed(watch.state, stranger, NOW, watch.policy).state == watch.state


def test_a_clock_set_back_does_not_hold_a_notice_for_ever() -> None:
    later = Outgoing(notice=notice(), next_try_at=NOW + timedelta(hours=5))
    assert outbox.due(AlertState(outbox=(later,)), NOW) == (later,)


def test_notices_of_a_channel_that_is_gone_and_beyond_the_limit_are_given_up() -> None:
    many = tuple(
        Outgoing(notice=notice(incident(incident_id=f"{k:016}"), notice_id=f"n{k}", channel="console"), next_try_at=NOW)
        for k in range(outbox.MOST_WAITING + 2)
    )
    gone = Outgoing(notice=notice(channel="old"), next_try_at=NOW)
    made = outbox.prune(AlertState(outbox=(gone, *many), failing={"old": 9}), NOW, policy())
    assert len(made.state.outbox) == outbox.MOST_WAITING
    assert made.state.outbox[0].notice.notice_id == "n2"
    assert len(made.events) == 3
    assert made.state.failing == {}


def test_killed_between_delivery_and_saving_the_message_goes_again_under_the_same_id() -> None:
    watch = Watch(policy(**TWO))
    watch.step(seen("G", NOW))
    saved = watch.state.to_json()
    delivered_once = watch.step(seen("BBB", NOW + MINUTE)).notices
    watch.state = AlertState.model_validate_json(saved)
    again = watch.step(seen("BBB", NOW + MINUTE), seen("B", NOW + 2 * MINUTE)).notices
    assert again == delivered_once


def test_the_rows_of_deliveries_fit_the_landed_schema() -> None:
    import polars as pl

    from pipelines.schemas import TABLES, IncidentEvent, Notification, polars_schema

    watch = down()
    waiting = watch.state.outbox[0]
    tried = [outcome(waiting, error="HTTP 500"), outcome(waiting, attempt=2)]
    Notification.validate(pl.DataFrame([r.to_row() for r in tried], schema=polars_schema(TABLES["notifications"])))
    IncidentEvent.validate(
        pl.DataFrame([e.to_row() for e in watch.events], schema=polars_schema(TABLES["incident_events"]))
    )


def test_a_fleet_without_channels_of_that_name_still_settles() -> None:
    assert outbox.prune(AlertState(), NOW, policy()).state == AlertState()
    assert "console" in fleet().channels


def test_the_end_waits_for_the_beginning() -> None:
    watch = down()
    state = outbox.failed(watch.state, outcome(watch.state.outbox[0], error="x"), NOW, watch.policy).state
    watch.state = state
    watch.step(seen("GG", NOW + timedelta(seconds=10)))
    at = NOW + timedelta(seconds=10)
    assert [o.notice.kind for o in watch.state.outbox] == ["opened", "resolved"]
    assert outbox.due(watch.state, at) == ()
    assert [o.notice.kind for o in outbox.due(watch.state, at + MINUTE)] == ["opened"]


def waiting_for(*channels: str) -> AlertState:
    return AlertState(
        outbox=tuple(
            Outgoing(notice=notice(incident(incident_id=f"{k}"), notice_id=f"n{k}", channel=channel), next_try_at=NOW)
            for k, channel in enumerate(channels)
        )
    )


def test_a_failing_channel_costs_one_try_a_round_and_the_others_are_served() -> None:
    state, asked = waiting_for("team", "team", "console", "team"), []

    def send(outgoing: Outgoing) -> DeliveryResult:
        asked.append(outgoing.notice.notice_id)
        return outcome(outgoing, error="HTTP 500" if outgoing.notice.channel == "team" else None)

    made = outbox.send_due(state, send, NOW, policy(**TWO))
    assert asked == ["n0", "n2"]
    assert [result.is_delivered for result in made.results] == [False, True]
    outbox.send_due(made.step.state, send, NOW, policy(**TWO))
    assert asked == ["n0", "n2", "n1"]


def test_a_notice_that_a_channel_never_takes_does_not_block_the_rest() -> None:
    state, now = waiting_for("team", "team", "team"), NOW

    def send(outgoing: Outgoing) -> DeliveryResult:
        return outcome(outgoing, error="HTTP 400" if outgoing.notice.notice_id == "n0" else None)

    for _ in range(3):
        state = outbox.send_due(state, send, now, policy(**TWO)).step.state
        now += timedelta(seconds=5)
    assert [o.notice.notice_id for o in state.outbox] == ["n0"]
