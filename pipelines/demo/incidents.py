"""The incidents that simulated attempts would have opened: down after three bad in a row, up after two good.

The rules are the default promise's, reduced to availability; the live state machine takes over where the history ends.
"""

import hashlib
import json
from collections import Counter
from datetime import datetime
from typing import Any

_OPEN_AFTER = 3
_CLOSE_AFTER = 2
_PROMISE = "endpoint_available"

SLOWER = "local-1"
"""The endpoint whose time to first token is five times as long in the last fifth of the span."""
DULLER = "steady-2"
"""The endpoint that gives one wrong answer in three in the last fifth of the span."""
_REGRESSIONS = {
    SLOWER: ("ttft_near_baseline", "p95 time to first token is five times its baseline"),
    DULLER: ("answers_right", "one answer in three is wrong"),
}


def incident_rows(results: list[dict[str, Any]], state: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the opened and resolved events of some attempts, in order of time.

    ``state`` maps an endpoint to the counted attempts that its next verdict rests on; it is carried from day to day
    and changed in place. An endpoint with an open incident has the ``opened`` event first in its list.
    """
    events: list[dict[str, Any]] = []
    for row in sorted((row for row in results if row["is_counted"]), key=lambda row: row["started_at"]):
        seen = state.setdefault(row["endpoint_id"], [])
        seen.append(row)
        is_open = "event_id" in seen[0]
        recent = seen[1:] if is_open else seen
        if not is_open:
            if row["is_good"]:
                seen.clear()
            elif len(recent) == _OPEN_AFTER:
                opened = _event("opened", recent[0], row["started_at"], ("SUSPECT", "DOWN"), recent)
                events.append(opened)
                seen.insert(0, opened)
        elif len(recent) >= _CLOSE_AFTER and all(item["is_good"] for item in recent[-_CLOSE_AFTER:]):
            first, moment = recent[0], row["started_at"]
            bad = [item for item in recent if not item["is_good"]]
            events.append(_event("resolved", first, moment, ("RECOVERING", "UP"), bad))
            seen.clear()
    return events


def regression_rows(results: list[dict[str, Any]], *, opens_at: datetime) -> list[dict[str, Any]]:
    """Return the opening of the two regressions, if their moment falls among these attempts; neither is over yet."""
    due: dict[str, dict[str, Any]] = {}
    for row in results:
        is_first = row["started_at"] >= opens_at and row["started_at"].date() == opens_at.date()
        if row["model"] in _REGRESSIONS and is_first:
            due.setdefault(row["model"], row)
    return [
        _event("opened", row, row["started_at"], ("UP", "DEGRADED"), [], regression=_REGRESSIONS[model])
        for model, row in sorted(due.items())
    ]


def _event(
    kind: str,
    first: dict[str, Any],
    at: datetime,
    states: tuple[str, str],
    bad: list[dict[str, Any]],
    *,
    regression: tuple[str, str] | None = None,
) -> dict[str, Any]:
    subject = first["endpoint_id"]
    promise, words = regression or (_PROMISE, f"{len(bad)} bad attempts in a row")
    digest = hashlib.sha256(f"{promise}|{subject}|{first['started_at'].isoformat()}".encode()).hexdigest()[:12]
    mix = Counter(row["outcome"] for row in bad)
    minutes = (at - first["started_at"]).total_seconds() / 60
    summary = f"{subject}: {words}" if kind == "opened" else f"{subject} is up again after {minutes:.0f} min"
    return {
        "event_id": f"backfill-{digest}-{kind}-0",
        "incident_id": f"backfill-{digest}",
        "at": at,
        "kind": kind,
        "promise": promise,
        "subject": subject,
        "provider": first["provider"],
        "project": first["project"],
        "owner": None,
        "severity": "major" if regression else "critical",
        "state_from": states[0],
        "state_to": states[1],
        "started_at": first["started_at"],
        "summary": f"{summary} (simulated)",
        "detail_json": json.dumps({"error_mix": dict(mix), "bad": len(bad)}, sort_keys=True),
        "is_demo": True,
    }
