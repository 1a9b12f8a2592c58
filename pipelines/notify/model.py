"""What the state machine says and the channels deliver. Frozen, and JSON both ways: it lives in a sensor's cursor."""

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
    """``error_mix`` {outcome: count}, ``observed``, ``allowed``, ``unit``, ``n``, ``bad``, ``attempts``."""
    is_demo: bool = False


class Notice(Frozen):
    """One message to one channel: an edge of one incident, or of several that opened together."""

    notice_id: str
    """Stable de-duplication key: incident ids, kind, sequence and channel."""
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
