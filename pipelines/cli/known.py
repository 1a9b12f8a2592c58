"""What was landed before, as the commands need it: listed models, endpoint ids, open incidents."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipelines.home import Home
from pipelines.landing import Landing

RECENT = timedelta(days=400)
"""How far back an open incident is looked for; incidents are kept for two years."""


def listed_models(home: Home) -> dict[str, list[str]]:
    """Return, per provider, the chat models of its last successful discovery."""
    found = Landing(str(home.root)).read("discovery_results").filter(pl.col("outcome") == "ok").sort("discovered_at")
    latest = found.group_by("provider").agg(pl.col("models_json").last()).collect()
    return {
        row["provider"]: [model["id"] for model in json.loads(row["models_json"]) if model["kept"]]
        for row in latest.to_dicts()
    }


def catalog_ids(home: Home) -> list[str]:
    """Return the ids of the last catalog that are not retired, sorted."""
    catalog = Landing(str(home.root)).read("endpoint_catalog").collect()
    if catalog.is_empty():
        return []
    latest = catalog.filter(pl.col("refreshed_at") == pl.col("refreshed_at").max(), ~pl.col("is_retired"))
    return sorted(latest["endpoint_id"])


def open_incidents(home: Home, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return the last event of every incident that is not resolved, oldest incident first."""
    start = ((now or datetime.now(UTC)) - RECENT).date()
    events = Landing(str(home.root)).read("incident_events", start).sort("at", "event_id").collect()
    if events.is_empty():
        return []
    acknowledged = set(events.filter(pl.col("kind") == "acknowledged")["incident_id"])
    acknowledged |= {row["target"] for row in commands(home) if row["action"] == "ack"}
    # Silences and changes of state below an incident are events too.
    events = events.filter(pl.col("promise") != "silence", pl.col("kind") != "state")
    last = events.group_by("incident_id", maintain_order=True).last()
    rows = last.filter(pl.col("kind") != "resolved").sort("started_at", nulls_last=True).to_dicts()
    return [row | {"is_acknowledged": row["incident_id"] in acknowledged} for row in rows]


def commands(home: Home) -> list[dict[str, Any]]:
    """Return everything that people said about alerts, oldest first."""
    return Landing(str(home.root)).read("alert_commands").sort("at").collect().to_dicts()


def silences(home: Home, now: datetime) -> list[dict[str, Any]]:
    """Return the silences in force."""
    standing: dict[str, dict[str, Any]] = {}
    for command in commands(home):
        if command["action"] == "silence":
            standing[command["target"]] = command
        elif command["action"] == "unsilence":
            standing.pop(command["target"], None)
    return [command for command in standing.values() if command["until"] is None or command["until"] > now]
