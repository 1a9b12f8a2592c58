"""What the state machine must know of the fleet: thresholds, owners, maintenance, silence, and who speaks for whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Self

from pipelines.fleet.models import Endpoint, Fleet
from pipelines.notify.incidents.machine import Thresholds
from pipelines.notify.incidents.state import AlertState, key_of
from pipelines.notify.model import Incident
from pipelines.notify.promises.catalog import FLEET, PROMISES, Promise, Scope
from pipelines.notify.routing import channels_of

ABSORBED = ("endpoint_available", "error_budget_burn")
"""Promises of endpoints that a provider's outage breaks by itself."""


@dataclass(frozen=True)
class Policy:
    """The fleet as the state machine sees it."""

    fleet: Fleet
    endpoints: Mapping[str, Endpoint]

    @classmethod
    def of(cls, fleet: Fleet, endpoints: Iterable[Endpoint]) -> Self:
        """Return the policy of a fleet and its resolved endpoints.

        Hand on the last endpoints known when discovery fails: incidents of endpoints that are missing are closed.
        """
        return cls(fleet, {endpoint.endpoint_id: endpoint for endpoint in endpoints})

    def limits(self, endpoint_id: str) -> Thresholds:
        """Return how many attempts in a row decide for an endpoint."""
        endpoint = self.endpoints.get(endpoint_id)
        promises = endpoint.promises if endpoint else self.fleet.promises
        return Thresholds(promises.fail_threshold, promises.recover_threshold)

    def is_maintained(self, subject: str, at: datetime) -> bool:
        """Return whether an endpoint is under maintenance at a moment."""
        return self.fleet.is_maintained(subject, at)

    def place(self, promise: str, subject: str) -> tuple[str | None, str | None, str | None]:
        """Return provider, project and owner of a subject."""
        if (endpoint := self.endpoints.get(subject)) is not None:
            return endpoint.provider, endpoint.project, endpoint.owner
        if scope_of(promise, subject) == "provider" and (provider := self.fleet.providers.get(subject)) is not None:
            project = self.fleet.projects.get(provider.project)
            return subject, provider.project, provider.owner or (project.owner if project else None)
        if scope_of(promise, subject) == "project":
            project = self.fleet.projects.get(subject)
            return None, subject, project.owner if project else None
        return None, None, None

    def is_watched(self, promise: str, subject: str) -> bool:
        """Return whether the subject is still part of the fleet; asset checks are never judged gone from here."""
        scope = scope_of(promise, subject)
        if scope == "endpoint":
            return subject in self.endpoints
        if scope == "provider":
            return subject in self.fleet.providers
        if scope == "project":
            return subject == "default" or subject in self.fleet.projects
        return subject in channels_of(self.fleet) if scope == "channel" else True

    def is_suppressed(self, incident: Incident, state: AlertState, at: datetime) -> bool:
        """Return whether nobody is told of an incident now: silenced, under maintenance, or said by a wider one."""
        return (
            any(at < silence.until and fnmatchcase(incident.subject, silence.pattern) for silence in state.silences)
            or self.is_maintained(incident.subject, at)
            or self._is_absorbed(incident, state)
        )

    @staticmethod
    def _is_absorbed(incident: Incident, state: AlertState) -> bool:
        parent = None
        if incident.promise == "error_budget_burn":
            # An outage that was told burns the budget by itself: that is not a second message, now or once it is over.
            outage = state.trackers.get(key_of("endpoint_available", incident.subject))
            if outage is not None and (outage.opened is not None or outage.flips):
                return True
        if incident.promise in ABSORBED and incident.provider is not None:
            parent = state.trackers.get(key_of("provider_up", incident.provider))
        elif incident.promise == "monitor_not_blind" and incident.subject != FLEET:
            parent = state.trackers.get(key_of("monitor_not_blind", FLEET))
        return parent is not None and parent.opened is not None


def promise_of(name: str) -> Promise:
    """Return the promise; one that this version does not know is treated like any other asset check."""
    return PROMISES.get(name) or PROMISES["check_passes"]


def scope_of(promise: str, subject: str) -> Scope:
    """Return what kind of thing a subject is; blindness may concern one endpoint or all."""
    if promise == "monitor_not_blind" and subject != FLEET:
        return "endpoint"
    return promise_of(promise).scope
