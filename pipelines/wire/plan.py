"""Plan: which endpoints one sweep asks, and which it leaves out because their project's purse is empty. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from pipelines.fleet.models import Endpoint, Fleet, Project


@dataclass(frozen=True)
class Plan:
    """What one sweep is to do, and what it leaves out."""

    tick_id: str
    """Location and scheduled moment: a tick that is run again replaces its own rows."""
    scheduled_at: datetime
    endpoints: int
    due: tuple[Endpoint, ...]
    over_budget: tuple[Endpoint, ...]


def is_due(endpoint: Endpoint, at: datetime) -> bool:
    """Return whether the endpoint's interval ends in the minute of ``at``; every location agrees on the minute."""
    every = max(1, math.ceil(endpoint.interval.total_seconds() / 60))
    return int(at.timestamp()) // 60 % every == 0


def plan_sweep(
    fleet: Fleet,
    endpoints: Sequence[Endpoint],
    *,
    spent: Mapping[str, Decimal],
    now: datetime,
    scheduled_at: datetime | None = None,
    only: Sequence[str] = (),
) -> Plan:
    """Return what is due, without the projects that have spent their day's budget; free endpoints are always probed.

    Args:
        fleet: The fleet.
        endpoints: Its resolved endpoints.
        spent: US dollars of probing since midnight UTC, by project.
        now: The present moment.
        scheduled_at: The schedule's tick; None asks every endpoint now, due or not.
        only: Ids of the endpoints that may be asked; none means all.
    """
    wanted = [
        endpoint
        for endpoint in endpoints
        if (not only or endpoint.endpoint_id in only) and (scheduled_at is None or is_due(endpoint, scheduled_at))
    ]
    empty = {
        name
        for name in {endpoint.project for endpoint in wanted}
        if spent.get(name, Decimal(0)) >= fleet.projects.get(name, Project()).probe_budget.usd_per_day
    }
    over = [endpoint for endpoint in wanted if endpoint.project in empty and not endpoint.is_free]
    moment = scheduled_at or now
    return Plan(
        tick_id=f"{fleet.location}-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        scheduled_at=moment,
        endpoints=len(endpoints),
        due=tuple(endpoint for endpoint in wanted if endpoint not in over),
        over_budget=tuple(over),
    )
