"""Which channels hear of an incident: the routes of fleet.yaml, in order."""

from fnmatch import fnmatchcase

from pipelines.fleet.models import Channel, ConsoleChannel, Fleet, Route
from pipelines.notify.model import Incident

CONSOLE = "console"


def channels_of(fleet: Fleet) -> dict[str, Channel]:
    """Return every channel by name; a console is among them whatever the file says."""
    channels = dict(fleet.channels)
    if not any(isinstance(channel, ConsoleChannel) for channel in channels.values()):
        channels.setdefault(CONSOLE, ConsoleChannel(type="console"))
    return channels


def channels_for(incident: Incident, fleet: Fleet) -> tuple[str, ...]:
    """Return the names of the channels that hear of an incident, in the order of the routes.

    No route that matches means every channel: nobody is forgotten because of a gap in the routes. A channel that
    fails does not hear of its own failure.
    """
    chosen: list[str] = []
    for route in fleet.routes:
        if _matches(route, incident):
            chosen += route.channels
            if route.final:
                break
    broken = incident.subject if incident.promise == "channel_delivers" else None
    names = [name for name in dict.fromkeys(chosen) if name != broken]
    return tuple(names) or tuple(name for name in channels_of(fleet) if name != broken)


def _matches(route: Route, incident: Incident) -> bool:
    return (
        (not route.projects or incident.project in route.projects)
        and (not route.severities or incident.severity in route.severities)
        and (not route.owners or any(fnmatchcase(incident.owner or "", owner) for owner in route.owners))
    )
