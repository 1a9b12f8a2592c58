"""Incidents: a pure state machine around a small JSON state, its events and its notices."""

from pipelines.notify.incidents.commands import Command
from pipelines.notify.incidents.events import Event
from pipelines.notify.incidents.policy import Policy
from pipelines.notify.incidents.result import Step
from pipelines.notify.incidents.state import AlertState, load_state
from pipelines.notify.incidents.step import step

__all__ = ["AlertState", "Command", "Event", "Policy", "Step", "load_state", "step"]
