"""The alert state: what the sensor's cursor holds. Small, frozen, JSON both ways; healthy subjects leave a token.

Dagster stores the cursor with every tick of the sensor, so each byte here is paid a thousand times a day.
"""

import base64
import hashlib
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from pydantic import ValidationError

from pipelines.fleet.units import Frozen
from pipelines.notify.incidents.events import Event
from pipelines.notify.model import Incident, Outgoing, State

VERSION = 1
_TOKEN = 4
_SEEN_KEPT, _CLOSED_KEPT = 128, 32
REREAD = timedelta(minutes=15)
"""How far before the newest evaluation the shell reads again, so that a row landed late is not missed."""


class Tokens(Frozen):
    """A bounded set of names in four characters each (24 bits of a hash), the newest last."""

    text: str = ""

    @staticmethod
    def _of(name: str) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()[:3]).decode()

    def _all(self) -> list[str]:
        return [self.text[at : at + _TOKEN] for at in range(0, len(self.text), _TOKEN)]

    def __contains__(self, name: str) -> bool:
        """Return whether the name was added; one in 16 million strangers is taken for it."""
        return self._of(name) in self._all()

    def add(self, names: Iterable[str], *, keep: int | None = None) -> Self:
        """Return the set with the names; beyond ``keep`` the oldest are forgotten."""
        tokens = list(dict.fromkeys([*self._all(), *(self._of(name) for name in names)]))
        return self.model_copy(update={"text": "".join(tokens[-keep:] if keep else tokens)})

    def only(self, names: Iterable[str]) -> Self:
        """Return the set without what is not among the names."""
        wanted = {self._of(name) for name in names}
        return self.model_copy(update={"text": "".join(token for token in self._all() if token in wanted)})


class Opened(Frozen):
    """An open incident and what was said of it so far."""

    incident: Incident
    told: int = 0
    """Notices made of it: 0 means that nobody was told, and nobody will hear of its end."""
    told_at: datetime | None = None
    is_escalated: bool = False
    """Told to the channels of ``alerting.escalate_to`` already."""


class Tracker(Frozen):
    """Where one promise of one subject stands. A healthy one is not stored."""

    core: State = "UP"
    """One of UNKNOWN, UP, SUSPECT, DOWN, DEGRADED, STALE, RECOVERING: what the last attempts say."""
    fell_to: State = "DOWN"
    """What it recovers from."""
    is_flapping: bool = False
    is_maintained: bool = False
    bad: int = 0
    good: int = 0
    attempts: int = 0
    failed: int = 0
    mix: dict[str, int] = {}
    """Attempts, failures and their outcomes since the first bad one."""
    first_bad_at: datetime | None = None
    last_good_at: datetime | None = None
    flips: tuple[datetime, ...] = ()
    """Transitions between UP and DOWN of the last hour."""
    tail: str = ""
    """The last attempts made during maintenance."""
    opened: Opened | None = None

    @property
    def state(self) -> State:
        """Return the state as people see it: maintenance hides flapping, flapping hides the rest."""
        return "MAINTENANCE" if self.is_maintained else "FLAPPING" if self.is_flapping else self.core

    @property
    def is_healthy(self) -> bool:
        """Return whether nothing would be lost by forgetting it."""
        return self.state in ("UP", "UNKNOWN") and not self.flips and self.opened is None


class Group(Frozen):
    """Notices of one kind about one provider that are being gathered."""

    since: datetime
    held: tuple[tuple[Incident, int], ...] = ()
    """Incidents with the number of their notice, told together when the group closes."""


class Silence(Frozen):
    """No notice of these endpoints until then."""

    pattern: str
    until: datetime


class AlertState(Frozen):
    """Open incidents, undelivered notices and what keeps both from being made twice."""

    version: Literal[1] = 1
    through: datetime | None = None
    """Moment of the newest evaluation that was taken in."""
    seen: Tokens = Tokens()
    """Evaluations and commands that were taken in."""
    known: Tokens = Tokens()
    """Endpoints that are no longer UNKNOWN."""
    closed: dict[str, int] = {}
    """When incidents were resolved, in seconds since 1970: an older evaluation never opens them again."""
    trackers: dict[str, Tracker] = {}
    """By ``promise|subject``; what is absent is UP."""
    groups: dict[str, Group] = {}
    silences: tuple[Silence, ...] = ()
    outbox: tuple[Outgoing, ...] = ()
    failing: dict[str, int] = {}
    """Tries in a row that failed, by channel."""

    @property
    def read_from(self) -> datetime | None:
        """Return the moment from which the shell reads evaluations and commands; None when nothing was taken in.

        After an absence everything since then is read, so that what began and ended meanwhile is told.
        """
        return self.through - REREAD if self.through else None

    def reads_from(self, now: datetime) -> datetime:
        """Return the same for a shell that knows the time: a fresh state does not tell old outages as news."""
        return min(self.through or now, now) - REREAD

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Return the open incidents, oldest first."""
        found = [tracker.opened.incident for tracker in self.trackers.values() if tracker.opened]
        return tuple(sorted(found, key=lambda incident: (incident.opened_at, incident.incident_id)))

    def has_seen(self, name: str) -> bool:
        """Return whether an evaluation batch or a command was taken in."""
        return name in self.seen

    def saw(self, name: str) -> Self:
        """Return the state that remembers having taken it in."""
        return self.model_copy(update={"seen": self.seen.add([name], keep=_SEEN_KEPT)})

    def close(self, incident_id: str, at: datetime) -> Self:
        """Return the state that never opens this incident again from an evaluation of then or before."""
        kept = [(name, when) for name, when in self.closed.items() if name != incident_id][-_CLOSED_KEPT + 1 :]
        return self.model_copy(update={"closed": dict([*kept, (incident_id, math.ceil(at.timestamp()))])})

    def track(self, key: str, tracker: Tracker) -> Self:
        """Return the state with this tracker, or without it when it is healthy."""
        trackers = dict(self.trackers)
        if tracker.is_healthy:
            trackers.pop(key, None)
        else:
            trackers[key] = tracker
        return self.model_copy(update={"trackers": trackers})

    def to_json(self) -> str:
        """Return the cursor: compact, defaults left out, the version always in."""
        text = self.model_dump_json(exclude_defaults=True)
        return '{"version":1' + ("," + text[1:] if text != "{}" else "}")


def key_of(promise: str, subject: str) -> str:
    """Return the key of a tracker."""
    return f"{promise}|{subject}"


def load_state(text: str | None, *, now: datetime) -> tuple[AlertState, tuple[Event, ...]]:
    """Return the state of a cursor, and an event if it could not be read.

    An unreadable cursor (damaged, or of another version) is answered by an empty state: what is broken now opens
    again under the same incident ids, because they follow from the first bad attempt; notices that were waiting in
    the lost outbox are made again with it. Never raises: a sensor that crashes tells nobody anything.
    """
    if not text:
        return AlertState(), ()
    try:
        return AlertState.model_validate_json(text), ()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        return AlertState(), (
            Event(
                incident_id=f"alert-state-{hashlib.sha256(text.encode()).hexdigest()[:12]}",
                at=now.astimezone(UTC),
                kind="state",
                promise="alert_state_readable",
                subject="fleet",
                severity="major",
                state_from="UNREADABLE",
                state_to="UNKNOWN",
                summary=f"the stored alert state could not be read ({place}: {first['msg']}); started afresh",
                detail={"bytes": len(text)},
            ),
        )
