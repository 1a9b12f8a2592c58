"""Notices on their way: what is due, what was delivered, what failed and when it is tried again. Pure.

At least once: a notice leaves the outbox only after its channel took it, and keeps its id on every try. A channel
that fails three times running is an incident of its own, told on the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.notify.incidents import notices
from pipelines.notify.incidents.edges import Scene, compare
from pipelines.notify.incidents.events import Event
from pipelines.notify.incidents.machine import judged
from pipelines.notify.incidents.notices import Edge
from pipelines.notify.incidents.policy import Policy
from pipelines.notify.incidents.result import Step
from pipelines.notify.incidents.state import AlertState, Tracker, key_of
from pipelines.notify.model import DeliveryResult, Incident, Notice, Outgoing
from pipelines.notify.promises.catalog import PROMISES
from pipelines.notify.promises.verdict import Verdict
from pipelines.notify.routing import channels_of

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)
MOST_TRIES = 54
"""Six tries in the first half hour, then one every half hour: a day."""
BROKEN_AFTER = 3
MOST_WAITING = 200


def due(state: AlertState, now: datetime) -> tuple[Outgoing, ...]:
    """Return the notices to deliver now, in the order in which they were made.

    The end of an incident waits until its beginning was delivered, and a channel that is failing is asked with one
    notice at a time: a dead receiver costs one timeout a round.
    """
    ready: list[Outgoing] = []
    waiting: set[tuple[str, str]] = set()
    asked: set[str] = set()
    for outgoing in state.outbox:
        channel = outgoing.notice.channel
        incidents = {(channel, incident.incident_id) for incident in outgoing.notice.incidents}
        # A moment further away than the longest wait was set by a clock that has since been set back.
        is_time = outgoing.next_try_at <= now or outgoing.next_try_at - now > LONGEST_WAIT
        if is_time and not incidents & waiting and not (channel in asked and state.failing.get(channel)):
            ready.append(outgoing)
            asked.add(channel)
        waiting |= incidents
    return tuple(ready)


@dataclass(frozen=True)
class Round:
    """One round of deliveries: what it did to the state, and its results to land."""

    step: Step
    results: tuple[DeliveryResult, ...]


def send_due(
    state: AlertState,
    send: Callable[[Outgoing], DeliveryResult],
    now: datetime,
    policy: Policy,
    *,
    has_time: Callable[[], bool] = lambda: True,
) -> Round:
    """Send what is due and return the state after it; a channel that fails is left alone for the rest of the round.

    ``send`` tries one notice, with ``attempt = outgoing.tries + 1``, and does not raise. Once ``has_time`` says no,
    the rest waits for the next round.
    """
    results: list[DeliveryResult] = []
    broken: set[str] = set()
    for outgoing in due(state, now):
        if outgoing.notice.channel not in broken and has_time():
            result = send(outgoing)
            results.append(result)
            if not result.is_delivered:
                broken.add(result.channel)
    return Round(settle(state, results, now, policy), tuple(results))


def wait_after(tries: int, retry_after_s: float | None = None) -> timedelta:
    """Return how long to wait after that many failed tries; a channel may ask for more, up to the longest wait."""
    doublings = min(max(tries - 1, 0), 10)
    backoff = min(FIRST_WAIT * float(2**doublings), LONGEST_WAIT)
    return min(max(backoff, timedelta(seconds=retry_after_s or 0)), LONGEST_WAIT)


def delivered(state: AlertState, result: DeliveryResult, now: datetime, policy: Policy) -> Step:
    """Return the state without a notice that its channel took."""
    outbox = tuple(o for o in state.outbox if o.notice.notice_id != result.notice_id)
    failing = {name: count for name, count in state.failing.items() if name != result.channel}
    state = state.model_copy(update={"outbox": outbox, "failing": failing})
    return _channel(state, result, now, policy)


def failed(state: AlertState, result: DeliveryResult, now: datetime, policy: Policy) -> Step:
    """Return the state in which the notice is tried again later, or is given up after about a day."""
    outgoing = next((o for o in state.outbox if o.notice.notice_id == result.notice_id), None)
    if outgoing is None:
        return Step(state)
    tries = outgoing.tries + 1
    events: tuple[Event, ...] = ()
    if tries >= MOST_TRIES:
        outbox = tuple(o for o in state.outbox if o is not outgoing)
        events = given_up(outgoing, now, f"after {tries} tries: {result.error}")
    else:
        next_try_at = now + wait_after(tries, result.retry_after_s)
        later = outgoing.model_copy(
            update={"tries": tries, "next_try_at": next_try_at, "last_error": (result.error or "")[:200]}
        )
        outbox = tuple(later if o is outgoing else o for o in state.outbox)
    count = state.failing.get(result.channel, 0) + 1
    state = state.model_copy(update={"outbox": outbox, "failing": state.failing | {result.channel: count}})
    told = _channel(state, result, now, policy)
    return Step(told.state, (*events, *told.events), told.notices)


def settle(state: AlertState, results: Sequence[DeliveryResult], now: datetime, policy: Policy) -> Step:
    """Return the state after a round of deliveries, in order."""
    events: list[Event] = []
    made: list[Notice] = []
    for result in results:
        after = (delivered if result.is_delivered else failed)(state, result, now, policy)
        state = after.state
        events += after.events
        made += after.notices
    return Step(state, tuple(events), tuple(made))


def prune(state: AlertState, now: datetime, policy: Policy) -> Step:
    """Return the state without notices to channels that no longer exist, and without the oldest beyond the limit."""
    names = channels_of(policy.fleet)
    gone = [o for o in state.outbox if o.notice.channel not in names]
    kept = [o for o in state.outbox if o.notice.channel in names]
    surplus, kept = kept[: max(len(kept) - MOST_WAITING, 0)], kept[max(len(kept) - MOST_WAITING, 0) :]
    events = [event for o in gone for event in given_up(o, now, "its channel is no longer in fleet.yaml")]
    events += [event for o in surplus for event in given_up(o, now, f"more than {MOST_WAITING} notices wait")]
    failing = {name: count for name, count in state.failing.items() if name in names}
    return Step(state.model_copy(update={"outbox": tuple(kept), "failing": failing}), tuple(events))


def given_up(outgoing: Outgoing, now: datetime, why: str) -> tuple[Event, ...]:
    """Return an event for each incident whose notice is not tried any more."""
    notice = outgoing.notice
    return tuple(
        _given_up(incident, notice.notice_id, now, f"{notice.kind} to {notice.channel} given up {why}"[:300])
        for incident in notice.incidents
    )


def _given_up(incident: Incident, notice_id: str, now: datetime, summary: str) -> Event:
    return Event(
        incident_id=incident.incident_id,
        at=now,
        kind="state",
        promise=incident.promise,
        subject=incident.subject,
        provider=incident.provider,
        project=incident.project,
        owner=incident.owner,
        severity=incident.severity,
        state_from="PENDING",
        state_to="GIVEN_UP",
        started_at=incident.started_at,
        summary=summary,
        detail={"notification_id": notice_id},
        is_demo=incident.is_demo,
        sequence=f"given-up-{notice_id}",
    )


def _channel(state: AlertState, result: DeliveryResult, now: datetime, policy: Policy) -> Step:
    """Return the state in which the channel's own incident follows its failures."""
    channel, count, error = result.channel, state.failing.get(result.channel, 0), result.error
    key, row = key_of("channel_delivers", channel), PROMISES["channel_delivers"]
    before = state.trackers.get(key) or Tracker()
    finding = "kept" if not count else "broken" if count >= BROKEN_AFTER else "insufficient"
    if finding == "insufficient" or (finding == "kept" and before.opened is None):
        return Step(state)
    verdict = Verdict(
        promise=row.name,
        subject=channel,
        evaluated_at=now,
        verdict="broken" if finding == "broken" else "kept",
        severity=row.severity,
        observed=count,
        allowed=BROKEN_AFTER - 1,
        unit=row.unit,
        n=count,
        bad=count,
        detail={"sentence": f"{count} tries in a row failed: {error}"} if error else {},
        is_demo=policy.fleet.demo,
    )
    after = judged(before, finding, row, now, now)
    change = compare(Scene(verdict, policy, state), before, after, now, row.severity)
    state = state.track(key, change.tracker)
    for closed in change.closed:
        state = state.close(*closed)
    ended = [Edge("resolved", e.opened) for e in change.edges if e.kind == "resolved" and e.opened.told]
    told = notices.untold(state, policy, now)
    told = told.and_then(notices.gather(told.state, policy, ended, now))
    return Step(told.state, change.events, told.notices)
