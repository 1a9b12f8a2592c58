"""What a step of the state machine, or a round of deliveries, returns."""

from dataclasses import dataclass

from pipelines.notify.incidents.events import Event
from pipelines.notify.incidents.state import AlertState
from pipelines.notify.model import Notice


@dataclass(frozen=True)
class Step:
    """The next state, the events to land, and the notices that joined the outbox."""

    state: AlertState
    events: tuple[Event, ...] = ()
    notices: tuple[Notice, ...] = ()
