"""What the state machine says and the channels deliver. Frozen, and JSON both ways: it lives in a sensor's cursor."""

import json
from datetime import datetime
from typing import Any, Literal

from pipelines.fleet.models import Severity
from pipelines.fleet.units import Frozen

State = Literal["UNKNOWN", "UP", "SUSPECT", "DOWN", "DEGRADED", "RECOVERING", "FLAPPING", "MAINTENANCE", "STALE"]
NoticeKind = Literal["opened", "escalated", "reminder", "resolved", "flapping", "blind"]


class Incident(Frozen):
    """One broken promise of one subject, from its first bad attempt until it is kept again."""

    incident_id: str
    """Stable: derived from promise, subject and the moment of the first bad attempt."""
    promise: str
    subject: str
    """An endpoint id, a provider, a project, ``fleet``, or ``asset:check`` for any other asset check."""
    provider: str | None = None
    project: str | None = None
    owner: str | None = None
    severity: Severity
    state: State
    started_at: datetime
    """First bad attempt."""
    opened_at: datetime
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    last_good_at: datetime | None = None
    summary: str
    """One sentence: what is wrong, with the observed and the allowed figure."""
    remedy: str = ""
    """One sentence: what to do next."""
    detail: dict[str, Any] = {}
    """``error_mix`` {outcome: count}, ``observed``, ``allowed``, ``unit``, ``n``, ``bad``, ``attempts``, ``failed``,
    ``endpoints``, and ``reason`` once it is resolved."""
    is_demo: bool = False


class Notice(Frozen):
    """One message to one channel: an edge of one incident, or of several that opened together."""

    notice_id: str
    """Stable de-duplication key: first incident, kind, sequence and channel. A message sent again keeps it."""
    kind: NoticeKind
    channel: str
    at: datetime
    location: str
    incidents: tuple[Incident, ...]


class Outgoing(Frozen):
    """A notice on its way out, with the tries so far."""

    notice: Notice
    tries: int = 0
    next_try_at: datetime
    last_error: str | None = None


class DeliveryResult(Frozen):
    """What came of one try to tell one channel."""

    notice_id: str
    channel: str
    kind: NoticeKind
    incident_ids: tuple[str, ...]
    at: datetime
    attempt: int
    is_delivered: bool
    error: str | None = None
    """In our words, without the channel's URL or any secret."""
    retry_after_s: float | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the row as ``schemas.Notification`` describes it."""
        return {
            "delivery_id": f"{self.notice_id}-{self.attempt}",
            "notification_id": self.notice_id,
            "at": self.at,
            "channel": self.channel,
            "kind": self.kind,
            "incident_ids_json": json.dumps(self.incident_ids),
            "attempt": self.attempt,
            "is_delivered": self.is_delivered,
            "error": self.error,
        }
