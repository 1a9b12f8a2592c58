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
"""The endpoint whose time to first token is five times as long for a while; see ``history.regression_of``."""
DULLER = "steady-2"
"""The endpoint that gives one wrong answer in three for as long."""
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
    for row in sorted((row for row in results if row["is_counted"]), key=_started_at):
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
            events.append(_event("resolved", first, moment, ("RECOVERING", "UP"), _bad(recent)))
            seen.clear()
    return events


def regression_rows(
    results: list[dict[str, Any]], state: dict[str, dict[str, Any]], *, opens_at: datetime, closes_at: datetime
) -> list[dict[str, Any]]:
    """Return the edges of the two regressions among these attempts, each at the first attempt from its moment on.

    ``state`` maps an endpoint to the attempt that opened its incident; carried and changed as in `incident_rows`.
    """
    events: list[dict[str, Any]] = []
    for row in sorted((row for row in results if row["model"] in _REGRESSIONS), key=_started_at):
        at, regression = row["started_at"], _REGRESSIONS[row["model"]]
        first = state.get(row["endpoint_id"])
        if first is None and opens_at <= at < closes_at:
            state[row["endpoint_id"]] = row
            events.append(_event("opened", row, at, ("UP", "DEGRADED"), [], regression=regression))
        elif first is not None and at >= closes_at:
            del state[row["endpoint_id"]]
            events.append(_event("resolved", first, at, ("DEGRADED", "UP"), [], regression=regression))
    return events


def handover_rows(
    state: dict[str, list[dict[str, Any]]], turned: dict[str, dict[str, Any]], at: datetime
) -> list[dict[str, Any]]:
    """Return the end, at a moment, of every incident still open: the live state machine knows none of them.

    An outage that lasts is opened again by the live fleet, within a few of its own attempts.
    """
    down = [seen[1:] for _, seen in sorted(state.items()) if seen and "event_id" in seen[0]]
    return [_event("resolved", seen[0], at, ("DOWN", "UNKNOWN"), _bad(seen)) for seen in down] + [
        _event("resolved", first, at, ("DEGRADED", "UNKNOWN"), [], regression=_REGRESSIONS[first["model"]])
        for _, first in sorted(turned.items())
    ]


def _started_at(row: dict[str, Any]) -> datetime:
    at: datetime = row["started_at"]
    return at


def _bad(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not row["is_good"]]


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
    lasted = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    if kind == "opened":
        summary = f"{subject}: {words}"
    elif states[1] == "UNKNOWN":
        summary = f"{subject}: the history ends here, after {lasted}"
    else:
        summary = f"{subject} is {'well' if regression else 'up'} again after {lasted}"
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
