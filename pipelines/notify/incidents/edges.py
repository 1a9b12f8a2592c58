"""From a tracker before and after to what happened: incidents opened, escalated, resolved, and events of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.fleet.models import Severity
from pipelines.notify.incidents.events import Event, event_of, incident_id
from pipelines.notify.incidents.notices import Edge
from pipelines.notify.incidents.policy import Policy, promise_of
from pipelines.notify.incidents.state import AlertState, Opened, Tracker
from pipelines.notify.model import Incident
from pipelines.notify.promises.case import clock_text, mix_text
from pipelines.notify.promises.verdict import Verdict

_RANK: dict[Severity, int] = {"minor": 0, "major": 1, "critical": 2}
_OPEN = ("DOWN", "DEGRADED", "STALE")
_FACTS = ("error_mix", "endpoints", "usual", "response_model", "rule", "slo", "previous")


@dataclass(frozen=True)
class Change:
    """The tracker after an edge, and what is to be landed and told of it."""

    tracker: Tracker
    events: tuple[Event, ...] = ()
    edges: tuple[Edge, ...] = ()
    closed: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True)
class Scene:
    """What an edge is described from: the verdict, the fleet, what was closed before, and when."""

    verdict: Verdict
    policy: Policy
    state: AlertState

    def closed_at(self, name: str) -> float | None:
        """Return when an incident was resolved, in seconds since 1970, or None if it was not."""
        return self.state.closed.get(name)


def compare(scene: Scene, before: Tracker, after: Tracker, at: datetime, severity: Severity) -> Change:
    """Return what one transition means. ``severity`` is that of the state that ``after`` is in."""
    opened = after.opened
    is_worse = opened is not None and after.core in _OPEN and _RANK[severity] > _RANK[opened.incident.severity]
    if after == before and not is_worse:
        return Change(after)
    if opened is None and after.core in _OPEN and not after.is_maintained:
        return _open(scene, before, after, at, severity)
    if opened is not None and after.core in ("UP", "UNKNOWN") and not after.is_flapping and not after.is_maintained:
        return resolve(after, at, before.state)
    if opened is None:
        return Change(after, _state_events(scene, before, after, at))
    if after.is_flapping and not before.is_flapping:
        return _flapping(after, opened, at, before.state)
    incident = opened.incident
    if is_worse and not after.is_maintained:
        return _escalate(scene, before, after, at, severity)
    if after.state == before.state:
        return Change(after)
    changed = incident.model_copy(update={"state": after.state})
    kept = after.model_copy(update={"opened": opened.model_copy(update={"incident": changed})})
    if before.is_flapping and not after.is_flapping:
        # People were told that it goes up and down; that it now stays down is news.
        edge = (Edge("escalated", kept.opened or opened),) if opened.told else ()
        return Change(kept, (event_of(changed, "escalated", at, before.state),), edge)
    return Change(kept, (event_of(changed, "state", at, before.state),))


def _open(scene: Scene, before: Tracker, after: Tracker, at: datetime, severity: Severity) -> Change:
    verdict = scene.verdict
    started = after.first_bad_at or at
    name = incident_id(verdict.promise, verdict.subject, started)
    if (closed_at := scene.closed_at(name)) is not None:
        if at.timestamp() <= closed_at:
            return Change(after)
        # A window that still reaches back to the first failure of an incident that is over: a new one begins now.
        started = at
        name = incident_id(verdict.promise, verdict.subject, started)
    incident = Incident(
        incident_id=name,
        promise=verdict.promise,
        subject=verdict.subject,
        severity=severity,
        state=after.state,
        started_at=started,
        opened_at=max(at, started),
        last_good_at=_last_good(verdict, started),
        remedy=promise_of(verdict.promise).remedy,
        is_demo=verdict.is_demo,
        **_placed(scene),
        **described(after, verdict, at),
    )
    opened = Opened(incident=incident)
    events: tuple[Event, ...] = (event_of(incident, "opened", at, before.state),)
    if after.is_flapping:
        events += (event_of(incident, "flapping", at, before.state),)
    return Change(after.model_copy(update={"opened": opened}), events, (Edge("opened", opened),))


def resolve(after: Tracker, at: datetime, state_from: str, reason: str | None = None) -> Change:
    """Return the tracker without its incident, which is resolved now; ``reason`` where it did not get well."""
    opened = after.opened
    assert opened is not None
    detail = opened.incident.detail | ({"reason": reason} if reason else {})
    incident = opened.incident.model_copy(
        update={"state": "UP", "resolved_at": max(at, opened.incident.opened_at), "detail": detail}
    )
    edge = Edge("resolved", opened.model_copy(update={"incident": incident}))
    duration = (incident.resolved_at or at) - incident.started_at
    event = event_of(incident, "resolved", at, state_from, duration_s=max(duration.total_seconds(), 0.0))
    return Change(after.model_copy(update={"opened": None}), (event,), (edge,), ((incident.incident_id, at),))


def _flapping(after: Tracker, opened: Opened, at: datetime, state_from: str) -> Change:
    summary = f"went up and down {len(after.flips)} times within the hour; silent until it is steady"
    incident = opened.incident.model_copy(update={"state": "FLAPPING", "summary": summary})
    kept = opened.model_copy(update={"incident": incident})
    event = event_of(incident, "flapping", at, state_from)
    # Where nobody heard of the incident yet, its first notice is the one that says flapping.
    edges = (Edge("flapping", kept),) if opened.told else ()
    return Change(after.model_copy(update={"opened": kept}), (event,), edges)


def _escalate(scene: Scene, before: Tracker, after: Tracker, at: datetime, severity: Severity) -> Change:
    assert after.opened is not None
    update = {"severity": severity, "state": after.state, **described(after, scene.verdict, at)}
    incident = after.opened.incident.model_copy(update=update)
    opened = after.opened.model_copy(update={"incident": incident})
    event = event_of(incident, "escalated", at, before.state, sequence=severity)
    edges = (Edge("escalated", opened),) if opened.told and not after.is_flapping else ()
    return Change(after.model_copy(update={"opened": opened}), (event,), edges)


def _state_events(scene: Scene, before: Tracker, after: Tracker, at: datetime) -> tuple[Event, ...]:
    if before.state == after.state:
        return ()
    verdict = scene.verdict
    started = after.first_bad_at or before.first_bad_at
    event = Event(
        incident_id=incident_id(verdict.promise, verdict.subject, started or at),
        at=at,
        kind="state",
        promise=verdict.promise,
        subject=verdict.subject,
        severity="minor",
        state_from=before.state,
        state_to=after.state,
        started_at=started,
        summary=f"{before.state} to {after.state}",
        detail={"error_mix": after.mix or before.mix} if after.mix or before.mix else {},
        is_demo=verdict.is_demo,
        **_placed(scene),
    )
    return (event,)


def described(tracker: Tracker, verdict: Verdict, at: datetime) -> dict[str, Any]:
    """Return ``summary`` and ``detail`` of an incident, from the attempts counted or from the verdict's sentence."""
    detail: dict[str, Any] = {key: verdict.detail[key] for key in _FACTS if key in verdict.detail}
    figures = {"observed": verdict.observed, "allowed": verdict.allowed, "n": verdict.n, "bad": verdict.bad}
    detail |= {key: value for key, value in figures.items() if value is not None} | {"unit": verdict.unit}
    sentence = verdict.detail.get("sentence") or f"{promise_of(verdict.promise).question} No"
    if verdict.promise == "endpoint_available" and tracker.failed:
        mix: Mapping[str, int] = tracker.mix
        detail |= {"attempts": tracker.attempts, "failed": tracker.failed, "error_mix": dict(mix)}
        # After a lost state the verdict knows of more failures than the tracker counted.
        is_counted = verdict.detail.get("rule") in (None, "consecutive") and verdict.n <= tracker.attempts
        if tracker.core == "DOWN" and (is_counted or verdict.verdict != "broken"):
            since = tracker.first_bad_at or at
            last = _last_good(verdict, since)
            sentence = f"{tracker.failed} of {tracker.attempts} attempts failed since {clock_text(since, at)}" + (
                f" ({mix_text(mix)})" if mix else ""
            )
            sentence += f"; last good {clock_text(last, at)}" if last else "; never good while watched"
    return {"summary": sentence, "detail": detail}


def _last_good(verdict: Verdict, started: datetime) -> datetime | None:
    return verdict.last_good_at if verdict.last_good_at and verdict.last_good_at < started else None


def _placed(scene: Scene) -> dict[str, str | None]:
    provider, project, owner = scene.policy.place(scene.verdict.promise, scene.verdict.subject)
    return {"provider": provider, "project": project, "owner": owner}
