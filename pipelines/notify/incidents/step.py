"""The step function: (state, new verdicts, commands, now) to (state, events, notices). Pure, and safe to repeat.

Evaluations are taken in the order in which they are handed on, each once; several at a time give the same as one at
a time. The shell lands the events, delivers the outbox, and stores the state last: whatever is repeated after a crash
carries the same ids.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from pipelines.fleet.models import Severity
from pipelines.notify import outbox
from pipelines.notify.incidents import machine, notices
from pipelines.notify.incidents.commands import Command, apply_command
from pipelines.notify.incidents.edges import Change, Scene, compare, described, resolve
from pipelines.notify.incidents.events import Event
from pipelines.notify.incidents.notices import Edge, Told
from pipelines.notify.incidents.policy import Policy, promise_of
from pipelines.notify.incidents.result import Step
from pipelines.notify.incidents.state import AlertState, Tracker, key_of
from pipelines.notify.model import Notice, State
from pipelines.notify.promises.verdict import Verdict

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEVELS = ("check_passes", "monitor_not_blind", "fleet_file_valid")
"""Promises that are judged again at every look where nothing else is: such verdicts are not remembered one by one."""


@dataclass
class _Fold:
    """The step while it is made."""

    state: AlertState
    policy: Policy
    events: list[Event] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def accept(self, told: Told) -> None:
        self.state = told.state
        self.notices += told.notices

    def change(self, key: str, change: Change) -> Tracker:
        self.events += change.events
        self.edges += change.edges
        for closed in change.closed:
            self.state = self.state.close(*closed)
        self.state = self.state.track(key, change.tracker)
        return change.tracker


def step(
    state: AlertState,
    verdicts: Iterable[Verdict],
    commands: Iterable[Command],
    now: datetime,
    policy: Policy,
) -> Step:
    """Return the state after the verdicts and commands, as seen at ``now``.

    ``verdicts`` are whole evaluations, oldest first (:func:`pipelines.notify.promises.verdicts_of`); one that was
    taken in before is skipped. Commands are applied at their own moments between them.
    """
    fold = _Fold(state, policy)
    waiting = sorted((c for c in commands if not state.has_seen(c.command_id)), key=lambda c: c.at)
    for batch, group in groupby(verdicts, key=lambda verdict: verdict.batch):
        taken = list(group)
        at = taken[0].evaluated_at
        while waiting and waiting[0].at <= at:
            _command(fold, waiting.pop(0))
        _batch(fold, batch, taken, at)
    for command in waiting:
        _command(fold, command)
    _finish(fold, now)
    return Step(fold.state, tuple(fold.events), tuple(fold.notices))


def _command(fold: _Fold, command: Command) -> None:
    fold.state, events = apply_command(fold.state, command)
    fold.events += events


def _batch(fold: _Fold, batch: str, verdicts: Sequence[Verdict], at: datetime) -> None:
    is_level = all(verdict.promise in _LEVELS for verdict in verdicts)
    if not is_level and fold.state.has_seen(batch):
        return
    # A level may have been judged long ago; what it changes is told as of what was taken in since.
    told_at = max(at, fold.state.through or at) if is_level else at
    fold.accept(notices.release(fold.state, fold.policy, told_at))
    for verdict in verdicts:
        if verdict.promise == "endpoint_available":
            _take_attempts(fold, verdict)
        else:
            _take_verdict(fold, verdict)
    if not is_level:
        through = max(at, fold.state.through or at)
        fold.state = fold.state.saw(batch).model_copy(update={"through": through})
    _tell(fold, told_at)


def _take_attempts(fold: _Fold, verdict: Verdict) -> None:
    """Feed one endpoint's new attempts to its tracker, then what the window rules say."""
    subject, at = verdict.subject, verdict.evaluated_at
    key, limits = key_of(verdict.promise, subject), fold.policy.limits(subject)
    unknown: State = "UP" if subject in fold.state.known else "UNKNOWN"
    tracker = fold.state.trackers.get(key) or Tracker(core=unknown)
    rule = verdict.detail.get("rule")
    errors = list(verdict.detail.get("errors", ()))

    def go(after: Tracker, moment: datetime) -> Tracker:
        scene = Scene(verdict, fold.policy, fold.state)
        severity: Severity = "critical" if after.core == "DOWN" else "major"
        return fold.change(key, compare(scene, tracker, after, moment, severity))

    def clean(current: Tracker) -> bool:
        return rule is None if "DEGRADED" in (current.core, current.fell_to) else rule != "half"

    for symbol, moment in zip(verdict.attempts, _moments(verdict), strict=True):
        tracker = go(_maintain(fold, tracker, subject, moment), moment)
        after = machine.attempt(tracker, symbol, moment, limits, is_clean=clean(tracker))
        if symbol == "B" and errors and (outcome := errors.pop(0)) and not after.is_maintained:
            after = after.model_copy(update={"mix": after.mix | {outcome: after.mix.get(outcome, 0) + 1}})
        tracker = go(machine.flap(after, moment), moment)
    tracker = go(_maintain(fold, tracker, subject, at), at)
    if not tracker.is_maintained:
        after = machine.settle(tracker, at, limits, is_clean=clean(tracker))
        since = _since(verdict)
        if rule in ("half", "consecutive") and after.core in ("UNKNOWN", "UP", "SUSPECT", "DEGRADED"):
            after = machine.fall(after, "DOWN", at, since=since)
        elif rule == "some" and after.core in ("UNKNOWN", "UP", "SUSPECT"):
            after = machine.fall(after, "DEGRADED", at, since=since)
        tracker = go(machine.flap(after, at), at)
    if tracker.core != "UNKNOWN" and subject not in fold.state.known:
        fold.state = fold.state.model_copy(update={"known": fold.state.known.add([subject])})
    _refresh(fold, key, verdict)


def _refresh(fold: _Fold, key: str, verdict: Verdict) -> None:
    """Bring the words and figures of an open incident up to date."""
    tracker = fold.state.trackers.get(key)
    if tracker is None or tracker.opened is None or tracker.is_flapping or tracker.is_maintained:
        return
    incident = tracker.opened.incident
    update = described(tracker, verdict, verdict.evaluated_at)
    if verdict.verdict != "broken" or tracker.core == "RECOVERING":
        # What was wrong stays said; only the counts go on.
        counts = {name: update["detail"][name] for name in ("attempts", "failed", "error_mix") if tracker.failed}
        update = {"detail": incident.detail | counts}
    opened = tracker.opened.model_copy(update={"incident": incident.model_copy(update=update)})
    fold.state = fold.state.track(key, tracker.model_copy(update={"opened": opened}))


def _maintain(fold: _Fold, tracker: Tracker, subject: str, at: datetime) -> Tracker:
    is_maintained = fold.policy.is_maintained(subject, at)
    if is_maintained and not tracker.is_maintained:
        return machine.enter_maintenance(tracker)
    if tracker.is_maintained and not is_maintained:
        return machine.flap(machine.leave_maintenance(tracker, at, fold.policy.limits(subject)), at)
    return tracker


def _moments(verdict: Verdict) -> list[datetime]:
    given = verdict.detail.get("attempt_at")
    if given is None or len(given) != len(verdict.attempts):
        return [verdict.evaluated_at] * len(verdict.attempts)
    return [_EPOCH + timedelta(microseconds=us) for us in given]


def _since(verdict: Verdict) -> datetime:
    text = verdict.detail.get("since")
    return datetime.fromisoformat(text) if text else verdict.evaluated_at


def _take_verdict(fold: _Fold, verdict: Verdict) -> None:
    """Let a verdict drive the tracker of its promise; nothing is judged under maintenance."""
    at, row = verdict.evaluated_at, promise_of(verdict.promise)
    if fold.policy.is_maintained(verdict.subject, at):
        return
    key = key_of(verdict.promise, verdict.subject)
    before = fold.state.trackers.get(key) or Tracker()
    after = machine.judged(before, verdict.verdict, row, at, _since(verdict))
    severity: Severity = verdict.severity if verdict.verdict == "broken" else "minor"
    change = compare(Scene(verdict, fold.policy, fold.state), before, after, at, severity)
    if change.tracker.opened is None and change.tracker.core not in ("UP", "UNKNOWN"):
        return  # An old evaluation of an incident that was resolved since: nothing of it is kept.
    fold.change(key, change)
    if verdict.verdict == "broken":
        _refresh(fold, key, verdict)


def _tell(fold: _Fold, at: datetime) -> None:
    """Make the notices of the edges so far: first what opened, then what changed, then what ended."""
    edges, fold.edges = fold.edges, []
    resolved = {e.opened.incident.incident_id: e for e in edges if e.kind == "resolved"}
    brief = []
    for edge in edges:
        incident = edge.opened.incident
        ended = resolved.get(incident.incident_id)
        is_first = edge.kind == "opened" and not edge.opened.told
        if is_first and ended is not None and not fold.policy.is_suppressed(incident, fold.state, at):
            # Opened and resolved within one evaluation: both are told, in order.
            brief.append(Edge(notices.opening_kind(edge.opened), edge.opened))
            resolved[incident.incident_id] = Edge("resolved", ended.opened.model_copy(update={"told": 1}))
    fold.accept(notices.gather(fold.state, fold.policy, brief, at))
    fold.accept(notices.untold(fold.state, fold.policy, at))
    changed = []
    for edge in edges:
        key = key_of(edge.opened.incident.promise, edge.opened.incident.subject)
        is_open = (tracker := fold.state.trackers.get(key)) is not None and tracker.opened is not None
        is_hushed = fold.policy.is_suppressed(edge.opened.incident, fold.state, at)
        if edge.kind in ("escalated", "flapping") and is_open and not is_hushed:
            changed.append(edge)
            fold.state = notices.mark_told(fold.state, key, at)
    ended_edges = [e for e in resolved.values() if e.opened.told and not _is_hushed(fold, e, at)]
    fold.accept(
        notices.release(fold.state, fold.policy, at, force=[e.opened.incident.incident_id for e in ended_edges])
    )
    fold.accept(notices.gather(fold.state, fold.policy, [*changed, *ended_edges], at))


def _is_hushed(fold: _Fold, edge: Edge, at: datetime) -> bool:
    """Return whether the end of an incident is kept quiet: a silence or maintenance, but never a wider incident."""
    alone = fold.state.model_copy(update={"trackers": {}})
    return fold.policy.is_suppressed(edge.opened.incident, alone, at)


def _finish(fold: _Fold, now: datetime) -> None:
    _drop_unwatched(fold, now)
    state = fold.state
    silences = tuple(silence for silence in state.silences if silence.until > now)
    # After the clock was set back, reading starts from where the clock is now.
    through = min(state.through, now) if state.through else None
    endpoints = [name for name in fold.policy.endpoints if name in state.known]
    known = state.known.only(endpoints) if len(endpoints) * 4 != len(state.known.text) else state.known
    fold.state = state.model_copy(update={"silences": silences, "through": through, "known": known})
    fold.accept(notices.release(fold.state, fold.policy, now))
    _tell(fold, now)
    told, events = notices.remind(fold.state, fold.policy, now)
    fold.accept(told)
    fold.events += events
    pruned = outbox.prune(fold.state, now, fold.policy)
    fold.state = pruned.state
    fold.events += pruned.events


def _drop_unwatched(fold: _Fold, now: datetime) -> None:
    for key, tracker in list(fold.state.trackers.items()):
        promise, subject = key.split("|", 1)
        if fold.policy.is_watched(promise, subject):
            continue
        if tracker.opened is not None:
            fold.change(key, resolve(tracker, now, tracker.state, "no longer watched"))
        trackers = {name: value for name, value in fold.state.trackers.items() if name != key}
        fold.state = fold.state.model_copy(update={"trackers": trackers})
