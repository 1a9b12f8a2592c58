"""What a person says about alerts: acknowledged, silenced until, not silenced any more."""

from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pipelines.fleet.units import Frozen
from pipelines.notify.incidents.events import Event, event_of
from pipelines.notify.incidents.state import AlertState, Silence

LEAST_PREFIX = 6
"""Characters of an incident id that are enough to name it."""
_FOR_EVER = timedelta(days=3650)


class Command(Frozen):
    """The typed form of a landed ``alert_commands`` row."""

    command_id: str
    at: datetime
    action: Literal["ack", "silence", "unsilence"]
    target: str
    """An incident id or the beginning of one (ack), or a pattern of subjects (silence, unsilence)."""
    until: datetime | None = None
    by: str
    note: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Return the command of a landed row."""
        return cls(**{name: row[name] for name in cls.model_fields})


def apply_command(state: AlertState, command: Command) -> tuple[AlertState, tuple[Event, ...]]:
    """Return the state after a command, and its events.

    Acknowledging stops reminders and escalation; the incident stays open, and nothing new is opened by it.
    """
    state = state.saw(command.command_id)
    return _acknowledge(state, command) if command.action == "ack" else _silence(state, command)


def _acknowledge(state: AlertState, command: Command) -> tuple[AlertState, tuple[Event, ...]]:
    events = []
    for key, tracker in state.trackers.items():
        opened = tracker.opened
        if opened is None or opened.incident.acknowledged_at is not None:
            continue
        name = opened.incident.incident_id
        if name == command.target or (len(command.target) >= LEAST_PREFIX and name.startswith(command.target)):
            update = {"acknowledged_at": command.at, "acknowledged_by": command.by}
            incident = opened.incident.model_copy(update=update)
            kept = tracker.model_copy(update={"opened": opened.model_copy(update={"incident": incident})})
            state = state.track(key, kept)
            events.append(
                event_of(
                    incident,
                    "acknowledged",
                    command.at,
                    tracker.state,
                    sequence=command.command_id,
                    by=command.by,
                    note=command.note,
                )
            )
    return state, tuple(events)


def _silence(state: AlertState, command: Command) -> tuple[AlertState, tuple[Event, ...]]:
    others = tuple(silence for silence in state.silences if silence.pattern != command.target)
    until = command.until or command.at + _FOR_EVER
    is_on = command.action == "silence"
    silences = (*others, Silence(pattern=command.target, until=until)) if is_on else others
    words = f"until {until.isoformat(timespec='minutes')}" if is_on else "no more"
    event = Event(
        incident_id=f"silence-{command.command_id}",
        at=command.at,
        kind="silenced",
        promise="silence",
        subject=command.target,
        severity="minor",
        state_from="" if is_on else "SILENCED",
        state_to="SILENCED" if is_on else "",
        summary=f"notices about {command.target} silenced {words} by {command.by}",
        detail={"by": command.by, "note": command.note, "until": until.isoformat() if is_on else None},
        sequence=command.command_id,
    )
    return state.model_copy(update={"silences": silences}), (event,)
