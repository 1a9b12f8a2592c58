"""From edges to notices: grouped by provider, absorbed by a wider incident, routed, put into the outbox.

Grouping does not delay the first word: the incidents of one evaluation go out together at once, and those of the same
provider that follow within ``alerting.group_within`` are gathered into one more notice when that time is over. What is
gathered depends on the moments of the edges alone, so a step repeated after a crash makes the same notices.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.notify.incidents.events import Event, event_of
from pipelines.notify.incidents.policy import Policy
from pipelines.notify.incidents.state import AlertState, Group, Opened
from pipelines.notify.model import Incident, Notice, NoticeKind, Outgoing
from pipelines.notify.routing import channels_for


@dataclass(frozen=True)
class Edge:
    """Something to say of an incident; ``opened`` is what was said before."""

    kind: NoticeKind
    opened: Opened


@dataclass(frozen=True)
class Told:
    """The state with its outbox, and the new notices."""

    state: AlertState
    notices: tuple[Notice, ...] = ()

    def and_then(self, other: "Told") -> "Told":
        """Return both, one after the other."""
        return Told(other.state, (*self.notices, *other.notices))


def notice_id(incident: Incident, kind: NoticeKind, seq: int, channel: str) -> str:
    """Return the stable id of a notice by its first incident."""
    return hashlib.sha256(f"{incident.incident_id}|{kind}|{seq}|{channel}".encode()).hexdigest()[:20]


def emit(
    state: AlertState,
    policy: Policy,
    kind: NoticeKind,
    said: Sequence[tuple[Incident, int]],
    at: datetime,
    *,
    to: Sequence[str] | None = None,
) -> Told:
    """Return the state with one notice for each channel that hears of at least one of the incidents."""
    by_channel: dict[str, list[tuple[Incident, int]]] = {}
    for incident, seq in sorted(said, key=lambda pair: (pair[0].opened_at, pair[0].subject, pair[0].promise)):
        for channel in to if to is not None else channels_for(incident, policy.fleet):
            by_channel.setdefault(channel, []).append((incident, seq))
    notices = tuple(
        Notice(
            notice_id=notice_id(pairs[0][0], kind, pairs[0][1], channel),
            kind=kind,
            channel=channel,
            at=at,
            location=policy.fleet.location,
            incidents=tuple(incident for incident, _ in pairs),
        )
        for channel, pairs in by_channel.items()
    )
    waiting = {outgoing.notice.notice_id for outgoing in state.outbox}
    fresh = tuple(notice for notice in notices if notice.notice_id not in waiting)
    outbox = (*state.outbox, *(Outgoing(notice=notice, next_try_at=at) for notice in fresh))
    return Told(state.model_copy(update={"outbox": outbox}), fresh)


def gather(state: AlertState, policy: Policy, edges: Iterable[Edge], at: datetime) -> Told:
    """Return the state in which every edge was told, or is held until its group closes."""
    leading: dict[str, list[tuple[Incident, int]]] = {}
    groups = dict(state.groups)
    for edge in edges:
        pair = (edge.opened.incident, edge.opened.told)
        key = _group_key(edge.kind, edge.opened.incident)
        group = groups.get(key)
        if group is not None and key not in leading:
            groups[key] = group.model_copy(update={"held": (*group.held, pair)})
        else:
            leading.setdefault(key, []).append(pair)
            groups[key] = Group(since=at)
    told = Told(state.model_copy(update={"groups": groups}))
    for key, pairs in leading.items():
        told = told.and_then(emit(told.state, policy, _kind_of(key), pairs, at))
    return told


def release(state: AlertState, policy: Policy, at: datetime, *, force: Iterable[str] = ()) -> Told:
    """Return the state with the groups that are over told and closed; ``force`` names incidents that cannot wait."""
    within, forced = policy.fleet.alerting.group_within, frozenset(force)
    told = Told(state)
    for key, group in state.groups.items():
        # A group that began in the future was begun before the clock was set back.
        is_over = at - group.since > within or group.since - at > within
        is_forced = any(incident.incident_id in forced for incident, _ in group.held)
        if not is_over and not is_forced:
            continue
        groups = dict(told.state.groups)
        del groups[key]
        closed_at = min(at, group.since + within) if at >= group.since else at
        if group.held:
            # Followers begin a group of their own: a slow trickle is one message per interval, not one each.
            groups[key] = Group(since=closed_at)
        told = Told(told.state.model_copy(update={"groups": groups}), told.notices)
        if group.held:
            told = told.and_then(emit(told.state, policy, _kind_of(key), group.held, closed_at))
    return told


def _group_key(kind: NoticeKind, incident: Incident) -> str:
    return f"{kind}|{incident.provider or incident.promise}"


def _kind_of(key: str) -> NoticeKind:
    kind: NoticeKind = key.split("|", 1)[0]  # type: ignore[assignment]  # written by _group_key
    return kind


def opening_kind(opened: Opened) -> NoticeKind:
    """Return how an incident is first told."""
    if opened.incident.state == "FLAPPING":
        return "flapping"
    return "blind" if opened.incident.promise == "monitor_not_blind" else "opened"


def mark_told(state: AlertState, key: str, at: datetime) -> AlertState:
    """Return the state that knows that one more notice was made of an open incident."""
    tracker = state.trackers[key]
    assert tracker.opened is not None
    opened = tracker.opened.model_copy(update={"told": tracker.opened.told + 1, "told_at": at})
    return state.track(key, tracker.model_copy(update={"opened": opened}))


def untold(state: AlertState, policy: Policy, at: datetime) -> Told:
    """Tell of every open incident that nobody was told of and that nothing suppresses (any more)."""
    edges = []
    for key, tracker in state.trackers.items():
        opened = tracker.opened
        if opened is None or opened.told or tracker.state in ("RECOVERING", "MAINTENANCE"):
            continue
        if not policy.is_suppressed(opened.incident, state, at):
            edges.append(Edge(opening_kind(opened), opened))
            state = mark_told(state, key, at)
    return gather(state, policy, edges, at)


def remind(state: AlertState, policy: Policy, now: datetime) -> tuple[Told, tuple[Event, ...]]:
    """Tell again of what is open for long, and escalate what nobody acknowledged."""
    alerting = policy.fleet.alerting
    reminders: dict[str, list[tuple[Incident, int]]] = {}
    events: list[Event] = []
    told = Told(state)
    for key, tracker in state.trackers.items():
        opened = tracker.opened
        if opened is None or not opened.told or opened.told_at is None or opened.incident.acknowledged_at is not None:
            continue
        if tracker.state in ("FLAPPING", "MAINTENANCE", "RECOVERING"):
            continue
        incident = opened.incident
        if policy.is_suppressed(incident, state, now):
            continue
        due = alerting.escalate_after is not None and now - incident.opened_at >= alerting.escalate_after
        if due and alerting.escalate_to and not opened.is_escalated:
            events.append(event_of(incident, "escalated", now, incident.state, sequence="unacknowledged"))
            after = mark_told(told.state, key, now)
            tracker_after = after.trackers[key]
            assert tracker_after.opened is not None
            escalated = tracker_after.opened.model_copy(update={"is_escalated": True})
            after = after.track(key, tracker_after.model_copy(update={"opened": escalated}))
            sent = emit(after, policy, "escalated", [(incident, opened.told)], now, to=alerting.escalate_to)
            told = Told(told.state, told.notices).and_then(sent)
        elif incident.severity != "minor" and now - opened.told_at >= alerting.reminder:
            events.append(event_of(incident, "reminder", now, incident.state, sequence=f"reminder-{opened.told}"))
            reminders.setdefault(_group_key("reminder", incident), []).append((incident, opened.told))
            told = Told(mark_told(told.state, key, now), told.notices)
    for pairs in reminders.values():
        told = told.and_then(emit(told.state, policy, "reminder", pairs, now))
    return told, tuple(events)
