"""One edge of the state machine: the typed form of a landed ``incident_events`` row."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Literal

from pipelines.fleet.models import Severity
from pipelines.fleet.units import Frozen
from pipelines.notify.model import Incident

EventKind = Literal[
    "opened", "escalated", "reminder", "resolved", "flapping", "blind", "acknowledged", "silenced", "state"
]


class Event(Frozen):
    """What happened to an incident, or to a state that may become one."""

    incident_id: str
    at: datetime
    kind: EventKind
    promise: str
    subject: str
    provider: str | None = None
    project: str | None = None
    owner: str | None = None
    severity: Severity
    state_from: str
    state_to: str
    started_at: datetime | None = None
    summary: str
    detail: dict[str, Any] = {}
    is_demo: bool = False
    sequence: str = ""
    """Tells apart what has no moment of its own: the number of a reminder, the id of a command."""

    @property
    def event_id(self) -> str:
        """Return the row id: the same edge found again after a crash has the same one."""
        what = self.sequence or f"{self.state_from}>{self.state_to}@{self.at.astimezone(UTC).isoformat()}"
        return hashlib.sha256(f"{self.incident_id}|{self.kind}|{what}".encode()).hexdigest()[:24]

    def to_row(self) -> dict[str, Any]:
        """Return the row as ``schemas.IncidentEvent`` describes it."""
        row = self.model_dump(exclude={"detail", "sequence"})
        return row | {"event_id": self.event_id, "detail_json": json.dumps(self.detail, sort_keys=True, default=str)}


def incident_id(promise: str, subject: str, started_at: datetime) -> str:
    """Return the id of the incident whose first bad attempt was made then."""
    moment = started_at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(f"{promise}|{subject}|{moment}".encode()).hexdigest()[:16]


def event_of(
    incident: Incident, kind: EventKind, at: datetime, state_from: str, *, sequence: str = "", **detail: Any
) -> Event:
    """Return an event of an incident; its detail is the incident's, with more."""
    return Event(
        incident_id=incident.incident_id,
        at=at,
        kind=kind,
        promise=incident.promise,
        subject=incident.subject,
        provider=incident.provider,
        project=incident.project,
        owner=incident.owner,
        severity=incident.severity,
        state_from=state_from,
        state_to=incident.state,
        started_at=incident.started_at,
        summary=incident.summary,
        detail=incident.detail | detail,
        is_demo=incident.is_demo,
        sequence=sequence,
    )
