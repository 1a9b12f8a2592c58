"""Feed past evaluations to a policy and list the incidents that it would have opened. Nothing is told or landed."""

from datetime import datetime
from typing import Any

import polars as pl

from pipelines.notify.incidents import AlertState, Policy, step
from pipelines.notify.model import Incident
from pipelines.notify.promises.verdict import verdicts_of

_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "incident_id": pl.String,
    "promise": pl.String,
    "subject": pl.String,
    "severity": pl.String,
    "started_at": pl.Datetime("us", "UTC"),
    "opened_at": pl.Datetime("us", "UTC"),
    "resolved_at": pl.Datetime("us", "UTC"),
    "notices": pl.Int64,
    "summary": pl.String,
}
SCHEMA = pl.Schema(_COLUMNS)


def replay(evaluations: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Return one row per incident that the policy would have opened, oldest first.

    ``evaluations`` are landed rows. Thresholds in a row, flapping, maintenance, grouping, routes and silence follow
    ``policy``; the verdicts of windows stay as they were judged then. ``notices`` counts messages over all channels;
    ``resolved_at`` is null for what would still be open at the end.
    """
    state = AlertState()
    found: dict[str, dict[str, Any]] = {}
    batches: dict[str, list[Any]] = {}
    for verdict in verdicts_of(evaluations):
        batches.setdefault(verdict.batch, []).append(verdict)
    for verdicts in batches.values():
        now: datetime = verdicts[0].evaluated_at
        made = step(state, verdicts, (), now, policy)
        state = made.state.model_copy(update={"outbox": ()})
        for event in made.events:
            if event.kind == "opened":
                found[event.incident_id] = event.model_dump(include=set(SCHEMA) - {"opened_at", "resolved_at"}) | {
                    "opened_at": event.at,
                    "resolved_at": None,
                    "notices": 0,
                }
            elif event.kind == "resolved" and event.incident_id in found:
                found[event.incident_id] |= {"resolved_at": event.at, "summary": event.summary}
            elif event.kind == "escalated" and event.incident_id in found:
                found[event.incident_id]["severity"] = event.severity
        for incident in (incident for notice in made.notices for incident in notice.incidents):
            _count(found, incident)
    return pl.DataFrame([{name: row[name] for name in SCHEMA} for row in found.values()], schema=SCHEMA)


def _count(found: dict[str, dict[str, Any]], incident: Incident) -> None:
    if incident.incident_id in found:
        found[incident.incident_id]["notices"] += 1
