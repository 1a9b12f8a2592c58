from datetime import datetime, timedelta
from typing import Any

import pytest

from pipelines.notify.incidents import AlertState, Command, load_state
from pipelines.notify.routing import channels_for
from tests.unit.notify.kit import MINUTE, NOW, A, B, C, Watch, fleet, incident, judged, policy, seen

SLACK = {"type": "slack", "webhook_url_env": "HOOK"}


def test_models_of_one_provider_that_fail_together_are_one_message() -> None:
    watch = Watch()
    watch.step(*[seen("BBB", NOW, name) for name in (A, B, C)])
    assert sorted(subjects for _, subjects in watch.told()) == [[C], [A, B]]
    watch.step(*[seen("GG", NOW + MINUTE, name) for name in (A, B, C)])
    assert sorted(subjects for kind, subjects in watch.told() if kind == "resolved") == [[C], [A, B]]


def test_the_first_word_is_not_delayed_and_what_follows_is_gathered() -> None:
    names = [f"openai/m{k}" for k in range(4)]
    watch = Watch(policy(*names))
    watch.step(seen("BBB", NOW, names[0]))
    assert watch.told() == [("opened", [names[0]])]
    watch.step(seen("BBB", NOW + MINUTE, names[1]), seen("BBB", NOW + MINUTE, names[2]))
    watch.step(seen("BBB", NOW + 2 * MINUTE, names[3]))
    assert len(watch.notices) == 1
    watch.step(at=NOW + 2 * MINUTE + timedelta(seconds=1))
    assert [len(subjects) for _, subjects in watch.told()] == [1, 3]


def test_what_is_gathered_is_told_before_its_end() -> None:
    watch = Watch()
    watch.step(seen("BBB", NOW, A))
    watch.step(seen("BBB", NOW + timedelta(seconds=30), B))
    watch.step(seen("GG", NOW + timedelta(seconds=60), B))
    assert watch.told() == [("opened", [A]), ("opened", [B]), ("resolved", [B])]


def test_a_provider_that_is_down_speaks_for_its_endpoints() -> None:
    watch = Watch()
    down = judged("provider_up", "broken", NOW, "openai", since=NOW.isoformat(), endpoints=[A, B])
    watch.step(seen("BBB", NOW, A), seen("BBB", NOW, B), down)
    assert watch.told() == [("opened", ["openai"])]
    assert watch.kinds().count("opened") == 3
    at = NOW + MINUTE
    watch.step(seen("GG", at, A), seen("GG", at, B), judged("provider_up", "kept", at, "openai"))
    at += MINUTE
    watch.step(seen("G", at, A), seen("G", at, B), judged("provider_up", "kept", at, "openai"))
    assert watch.told() == [("opened", ["openai"]), ("resolved", ["openai"])]
    assert watch.state.incidents == ()


def test_an_endpoint_still_down_is_told_when_its_provider_is_well() -> None:
    watch = Watch()
    watch.step(seen("BBB", NOW, A), seen("BBB", NOW, B), judged("provider_up", "broken", NOW, "openai"))
    for k in (1, 3):
        at = NOW + k * MINUTE
        watch.step(seen("G", at, A), seen("B", at, B), judged("provider_up", "kept", at, "openai"))
    assert watch.told()[-2:] == [("opened", [B]), ("resolved", ["openai"])]


def test_a_blind_fleet_is_one_message() -> None:
    watch = Watch()
    watch.step(*[judged("monitor_not_blind", "broken", NOW, subject) for subject in ("fleet", A, B, C)])
    assert watch.told() == [("blind", ["fleet"])]


def ack(at: datetime, target: str, **more: Any) -> Command:
    return Command(command_id=f"c-{at}", at=at, action="ack", target=target, by="ann", **more)


def test_reminders_come_every_four_hours_until_acknowledged() -> None:
    watch = Watch()
    watch.step(seen("BBB", NOW))
    for hours in (1, 3.9, 4, 5, 8, 11):
        watch.step(at=NOW + timedelta(hours=hours))
    assert [kind for kind, _ in watch.told()] == ["opened", "reminder", "reminder"]
    name = watch.state.incidents[0].incident_id
    watch.step(at=NOW + timedelta(hours=11.5), commands=[ack(NOW + timedelta(hours=11.4), name[:8])])
    watch.step(at=NOW + timedelta(hours=20))
    assert [kind for kind, _ in watch.told()] == ["opened", "reminder", "reminder"]
    assert watch.state.incidents[0].acknowledged_by == "ann"


def test_acknowledging_opens_nothing_and_the_end_is_still_told() -> None:
    watch = Watch()
    watch.step(seen("BBB", NOW))
    name = watch.state.incidents[0].incident_id
    watch.step(at=NOW + MINUTE, commands=[ack(NOW + MINUTE, name)])
    watch.step(seen("BBB", NOW + 2 * MINUTE), commands=[ack(NOW + MINUTE, name)])
    watch.step(seen("GG", NOW + 3 * MINUTE))
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved"]
    assert watch.kinds().count("acknowledged") == 1


def test_minor_incidents_are_not_repeated() -> None:
    watch = Watch()
    watch.step(judged("ttft_near_baseline", "broken", NOW))
    watch.step(at=NOW + timedelta(hours=9))
    assert [kind for kind, _ in watch.told()] == ["opened"]


def test_what_nobody_acknowledges_is_escalated_once_to_others() -> None:
    rules = policy(
        channels={"team": SLACK, "boss": SLACK},
        routes=[{"channels": ["team"]}],
        alerting={"escalate_after": "30m", "escalate_to": ["boss"]},
    )
    watch = Watch(rules)
    watch.step(seen("BBB", NOW))
    for minutes in (29, 30, 60):
        watch.step(at=NOW + minutes * MINUTE)
    assert [(notice.kind, notice.channel) for notice in watch.notices] == [("opened", "team"), ("escalated", "boss")]


def silence(action: str, at: datetime, until: datetime | None = None, target: str = "openai/*") -> Command:
    return Command(command_id=f"{action}-{at}", at=at, action=action, target=target, until=until, by="ann")


def test_silence_records_incidents_and_tells_what_is_still_open_afterwards() -> None:
    watch = Watch()
    watch.step(seen("BBB", NOW, A), seen("BBB", NOW, C), commands=[silence("silence", NOW - MINUTE, NOW + 10 * MINUTE)])
    assert watch.told() == [("opened", [C])]
    assert watch.kinds().count("opened") == 2
    watch.step(at=NOW + 10 * MINUTE)
    assert watch.told()[-1] == ("opened", [A])


def test_silence_can_be_lifted_and_a_repeated_command_counts_once() -> None:
    first, lift = silence("silence", NOW - MINUTE), silence("unsilence", NOW + MINUTE)
    watch = Watch()
    watch.step(seen("BBB", NOW, A), commands=[first])
    watch.step(at=NOW + 2 * MINUTE, commands=[first, lift])
    watch.step(at=NOW + 3 * MINUTE, commands=[first, lift])
    assert watch.told() == [("opened", [A])]
    assert watch.kinds().count("silenced") == 2


def test_an_evaluation_handed_on_again_changes_nothing() -> None:
    watch = Watch()
    again = [seen("BBB", NOW), seen("G", NOW + MINUTE)]
    watch.step(*again)
    before = watch.state
    made = watch.step(*again)
    assert made.state == before
    assert (made.events, made.notices) == ((), ())


def test_an_old_evaluation_never_opens_a_resolved_incident_again() -> None:
    watch = Watch()
    watch.step(seen("BBB", NOW), seen("GG", NOW + MINUTE))
    watch.state = watch.state.model_copy(update={"seen": AlertState().seen})
    watch.step(seen("BBB", NOW), at=NOW + 2 * MINUTE)
    watch.step(seen("GG", NOW + MINUTE), at=NOW + 2 * MINUTE)
    assert [kind for kind, _ in watch.told()] == ["opened", "resolved"]
    assert watch.state.incidents == ()


def test_a_step_repeated_after_a_crash_makes_the_same_notice_ids() -> None:
    watch = Watch()
    watch.step(seen("G", NOW))
    before = watch.state
    first = watch.step(seen("BBB", NOW + MINUTE))
    watch.state = before
    later = watch.step(seen("BBB", NOW + MINUTE), seen("B", NOW + 2 * MINUTE), seen("BBB", NOW + 2 * MINUTE, B))
    assert later.notices[0].notice_id == first.notices[0].notice_id
    assert later.notices[0].incidents == first.notices[0].incidents
    assert {event.event_id for event in first.events} <= {event.event_id for event in later.events}


def test_an_unreadable_state_starts_afresh_and_says_so() -> None:
    for text in ("{", "[]", '{"version":2}', '{"version":1,"surprise":1}', '{"trackers":{"a":{"core":"UPSIDE"}}}'):
        state, (event,) = load_state(text, now=NOW)
        assert state == AlertState()
        assert event.state_from == "UNREADABLE"
        assert "started afresh" in event.summary
    assert load_state(None, now=NOW) == (AlertState(), ())
    assert load_state("", now=NOW) == (AlertState(), ())


def test_a_lost_state_opens_the_same_incident_under_the_same_id() -> None:
    watch, since = Watch(), (NOW - 2 * MINUTE).isoformat()
    watch.step(seen("BBB", NOW, spacing=MINUTE))
    fresh = Watch()
    fresh.step(seen("B", NOW + MINUTE, rule="consecutive", since=since, sentence="4 of 4"))
    assert fresh.state.incidents[0].incident_id == watch.state.incidents[0].incident_id


@pytest.mark.parametrize("jump", [-timedelta(days=400), -timedelta(hours=3), -timedelta(seconds=1), timedelta(days=30)])
def test_a_clock_that_jumps_neither_crashes_nor_repeats_an_edge(jump: timedelta) -> None:
    watch = Watch()
    at = watch.feed("GBBB")
    at = watch.feed("BBGG", at + jump)
    watch.feed("GBBBGG", at - jump + timedelta(hours=1))
    ids = [event.event_id for event in watch.events]
    assert len(ids) == len(set(ids))
    assert [kind for kind in watch.kinds() if kind in ("opened", "resolved")] == ["opened", "resolved"] * 2
    assert watch.state.incidents == ()


def test_routes_choose_by_project_severity_and_owner() -> None:
    rules = fleet(
        channels={"pager": SLACK, "shop": SLACK, "log": {"type": "console"}},
        routes=[
            {"channels": ["pager"], "severities": ["critical"]},
            {"channels": ["shop"], "projects": ["shop"], "final": True},
            {"channels": ["log"], "owners": ["ann"]},
        ],
    )
    assert channels_for(incident(), rules) == ("pager", "log")
    assert channels_for(incident(project="shop"), rules) == ("pager", "shop")
    assert channels_for(incident(severity="minor"), rules) == ("log",)
    # A gap in the routes: everybody hears.
    assert channels_for(incident(severity="minor", owner=None), rules) == ("pager", "shop", "log")
    assert channels_for(incident(promise="channel_delivers", subject="pager"), rules) == ("log",)


def test_a_console_exists_even_if_the_file_names_none() -> None:
    assert channels_for(incident(), fleet(channels={"pager": SLACK})) == ("pager", "console")


def test_each_channel_hears_its_own_part_of_a_group() -> None:
    rules = policy(
        channels={"all": SLACK, "critical": SLACK},
        routes=[{"channels": ["all"]}, {"channels": ["critical"], "severities": ["critical"]}],
    )
    watch = Watch(rules)
    watch.step(seen("BBB", NOW, A), seen("G", NOW, B, rule="some", since=NOW.isoformat()))
    assert watch.told("critical") == [("opened", [A])]
    assert watch.told("all") == [("opened", [A, B])]


def test_reading_begins_shortly_before_what_was_taken_in_and_never_with_old_history() -> None:
    assert AlertState().read_from is None
    assert AlertState().reads_from(NOW) == NOW - timedelta(minutes=15)
    watch = Watch()
    watch.step(seen("G", NOW))
    assert watch.state.reads_from(NOW + timedelta(days=2)) == NOW - timedelta(minutes=15)
    assert watch.state.reads_from(NOW - timedelta(days=2)) == NOW - timedelta(days=2, minutes=15)


def test_a_check_that_was_judged_long_ago_disturbs_nothing_that_is_gathered() -> None:
    watch, old = Watch(), judged("check_passes", "kept", NOW - timedelta(hours=5), "disk_use:disk_has_room")
    watch.step(seen("BBB", NOW, A), old, at=NOW)
    watch.step(seen("BBB", NOW + MINUTE, B), old, at=NOW + MINUTE)
    assert watch.told() == [("opened", [A])]
    failed = judged("check_passes", "broken", NOW - timedelta(hours=5), "disk_use:disk_has_room", sentence="full")
    watch.step(failed, at=NOW + MINUTE)
    assert watch.told()[-1] == ("opened", ["disk_use:disk_has_room"])
    watch.step(failed, at=NOW + 3 * MINUTE)
    assert watch.told()[-1] == ("opened", [B])
