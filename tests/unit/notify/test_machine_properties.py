"""Whatever happens, and however it is cut into batches and steps."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.notify.incidents import AlertState, Command, Event, Policy, step
from pipelines.notify.model import Notice
from pipelines.notify.promises import Verdict
from tests.unit.notify.kit import MINUTE, NOW, A, B, C, judged, policy, seen, us

POLICY = policy(
    maintenance=[{"name": "m", "start": NOW + 40 * MINUTE, "end": NOW + 55 * MINUTE, "endpoints": ["openai/gpt-5"]}]
)
FEW = settings(max_examples=60, deadline=None)


def cut(symbols: str, cuts: Iterable[int], name: str = A) -> list[Verdict]:
    """The attempts as evaluations that end at the given places; each attempt has its own minute."""
    edges = sorted({0, len(symbols), *(c for c in cuts if c < len(symbols))})
    found = []
    for start, end in pairwise(edges):
        moments = [NOW + k * MINUTE for k in range(start, end)]
        found.append(seen(symbols[start:end], moments[-1], name, attempt_at=[us(m) for m in moments]))
    return found


def run(batches: Any, rules: Policy = POLICY) -> tuple[AlertState, list[Event], list[Notice]]:
    """Steps of one or more evaluations each; returns state, events, notices."""
    state, events, notices = AlertState(), [], []
    for verdicts in batches:
        made = step(state, verdicts, (), verdicts[-1].evaluated_at, rules)
        state = AlertState.model_validate_json(made.state.to_json())
        assert state == made.state
        events += made.events
        notices += made.notices
    return state, events, notices


@FEW
@given(st.text("GGGBBB-", min_size=1, max_size=60), st.lists(st.integers(1, 59)))
def test_any_split_of_attempts_gives_the_same_state_as_one_at_a_time(symbols: str, cuts: Iterable[int]) -> None:
    whole = run([[verdict] for verdict in cut(symbols, cuts)])
    single = run([[verdict] for verdict in cut(symbols, range(60))])
    tracked = [{k: (t.state, t.bad, t.good, t.flips, t.mix) for k, t in s[0].trackers.items()} for s in (whole, single)]
    assert tracked[0] == tracked[1]
    assert [i.incident_id for i in whole[0].incidents] == [i.incident_id for i in single[0].incidents]
    edges = [
        [(e.kind, e.event_id) for e in s[1] if e.kind in ("opened", "resolved", "flapping")] for s in (whole, single)
    ]
    assert edges[0] == edges[1]


SAYINGS = st.tuples(
    st.sampled_from([A, B, C]),
    st.sampled_from(
        [
            "G",
            "B",
            "GG",
            "BBB",
            "-",
            "",
            "half",
            "some",
            "key_accepted",
            "ttft_p95_within_slo",
            "error_budget_burn",
            "up",
        ]
    ),
    st.sampled_from(["broken", "kept", "insufficient"]),
    st.sampled_from(["critical", "major", "minor"]),
)


def sayings(given_: Any, at: datetime) -> list[Verdict]:
    found = {}
    for name, what, finding, severity in given_:
        if what in ("half", "some"):
            found[name, "a"] = seen("B", at, name, rule=what, since=at.isoformat())
        elif what == "up":
            provider = name.split("/", 1)[0]
            found[provider, what] = judged("provider_up", finding, at, provider, severity)
        elif "_" in what:
            found[name, what] = judged(what, finding, at, name, severity)
        else:
            found[name, "a"] = seen(what, at, name)
    return list(found.values())


TIMELINES = st.lists(st.lists(SAYINGS, min_size=1, max_size=6), min_size=1, max_size=40)


@FEW
@given(TIMELINES, st.lists(st.integers(1, 39)))
def test_evaluations_at_once_or_one_by_one_give_the_same_edges(timeline: Any, cuts: Iterable[int]) -> None:
    batches = [sayings(given_, NOW + k * MINUTE) for k, given_ in enumerate(timeline)]
    edges = sorted({0, len(batches), *(c for c in cuts if c < len(batches))})
    lumps = [[v for b in batches[i:j] for v in b] for i, j in pairwise(edges)]
    one, many = run(batches), run(lumps)
    assert one[0].trackers == many[0].trackers
    assert one[0].closed == many[0].closed
    assert [e.event_id for e in one[1]] == [e.event_id for e in many[1]]
    kinds = ("opened", "blind", "resolved", "flapping")
    told = [{(n.notice_id, n.kind, n.channel) for n in s[2] if n.kind in kinds} for s in (one, many)]
    assert told[0] == told[1]


@FEW
@given(TIMELINES)
def test_edges_alternate_and_no_promise_is_open_twice(timeline: Any) -> None:
    state, events, notices = run([sayings(given_, NOW + k * MINUTE) for k, given_ in enumerate(timeline)])
    open_now = {}
    for event in events:
        key = (event.promise, event.subject)
        if event.kind == "opened":
            assert key not in open_now, "opened while open"
            open_now[key] = event.incident_id
        elif event.kind == "resolved":
            assert open_now.pop(key) == event.incident_id, "resolved what was not open"
        elif event.kind in ("escalated", "flapping"):
            assert open_now[key] == event.incident_id
    assert {(i.promise, i.subject): i.incident_id for i in state.incidents} == open_now
    ids = [event.event_id for event in events]
    assert len(ids) == len(set(ids))
    opened = [event.incident_id for event in events if event.kind == "opened"]
    assert len(opened) == len(set(opened))
    told = [notice.notice_id for notice in notices]
    assert len(told) == len(set(told))


@FEW
@given(TIMELINES)
def test_the_end_is_told_of_exactly_what_was_told_and_ended(timeline: Any) -> None:
    state, events, notices = run([sayings(given_, NOW + k * MINUTE) for k, given_ in enumerate(timeline)])
    begun = [i.incident_id for n in notices if n.kind in ("opened", "blind") for i in n.incidents]
    begun += [i.incident_id for n in notices if n.kind == "flapping" for i in n.incidents if i.incident_id not in begun]
    ended = [i.incident_id for n in notices if n.kind == "resolved" for i in n.incidents]
    assert len(begun) == len(set(begun))
    assert len(ended) == len(set(ended))
    resolved = {event.incident_id for event in events if event.kind == "resolved"}
    held = {i.incident_id for group in state.groups.values() for i, _ in group.held}
    assert set(ended) - held <= set(begun)
    assert {name for name in begun if name in resolved} <= set(ended) | held


@FEW
@given(TIMELINES, st.data())
def test_what_is_delivered_again_changes_nothing(timeline: Any, data: st.DataObject) -> None:
    batches = [sayings(given_, NOW + k * MINUTE) for k, given_ in enumerate(timeline)]
    state, _, _ = run(batches)
    now = batches[-1][-1].evaluated_at
    again = data.draw(st.lists(st.sampled_from(batches), max_size=5))
    made = step(state, [verdict for batch in again for verdict in batch], (), now, POLICY)
    assert made.state == state
    assert made.events == ()
    assert made.notices == ()


@FEW
@given(TIMELINES, st.lists(st.integers(-(10**6), 10**6), min_size=40, max_size=40))
def test_any_clock_is_survived(timeline: Any, offsets: list[int]) -> None:
    state = AlertState()
    ids = []
    for k, given_ in enumerate(timeline):
        at = NOW + timedelta(seconds=offsets[k], microseconds=k)
        commands = [Command(command_id=f"c{k}", at=at, action="silence", target="openai/*", until=at, by="x")]
        made = step(state, sayings(given_, at), commands, at, POLICY)
        state = made.state
        ids += [event.event_id for event in made.events]
    assert len(ids) == len(set(ids))
    assert AlertState.model_validate_json(state.to_json()) == state
