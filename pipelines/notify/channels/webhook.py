"""The generic webhook: a documented JSON POST, signed with HMAC-SHA256 when a secret is named.

Headers: ``X-ArgusLab-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>." + body>`` and
``Idempotency-Key: <notice id>``. A message that is sent again has the same key and a new time stamp.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.fleet.models import Alerting
from pipelines.notify.message import compose, links_of
from pipelines.notify.model import Incident, Notice

SCHEMA = "arguslab.notice/1"
SIGNATURE_HEADER = "X-ArgusLab-Signature"
IDEMPOTENCY_HEADER = "Idempotency-Key"

_TEXT, _MOMENT = {"type": "string"}, {"type": "string", "format": "date-time"}
_MAYBE_TEXT, _MAYBE_MOMENT = {"type": ["string", "null"]}, {"type": ["string", "null"], "format": "date-time"}

JSON_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A notice of ArgusLab",
    "type": "object",
    "required": ["schema", "notice_id", "kind", "at", "location", "is_demo", "title", "text", "incidents"],
    "additionalProperties": False,
    "properties": {
        "schema": {"const": SCHEMA},
        "notice_id": {"type": "string", "description": "Stable: a message sent again has the same one"},
        "kind": {"enum": ["opened", "escalated", "reminder", "resolved", "flapping", "blind"]},
        "at": _MOMENT,
        "location": {"type": "string", "description": "Where the probes are sent from"},
        "is_demo": {"type": "boolean", "description": "True when the endpoints are simulated"},
        "title": _TEXT,
        "text": _TEXT,
        "incidents": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["incident_id", "promise", "subject", "severity", "state", "started_at", "summary"],
                "additionalProperties": False,
                "properties": {
                    "incident_id": {"type": "string", "description": "The same from opened to resolved"},
                    "promise": _TEXT,
                    "subject": _TEXT,
                    "provider": _MAYBE_TEXT,
                    "project": _MAYBE_TEXT,
                    "owner": _MAYBE_TEXT,
                    "severity": {"enum": ["critical", "major", "minor"]},
                    "state": _TEXT,
                    "started_at": _MOMENT,
                    "opened_at": _MOMENT,
                    "resolved_at": _MAYBE_MOMENT,
                    "acknowledged_at": _MAYBE_MOMENT,
                    "acknowledged_by": _MAYBE_TEXT,
                    "last_good_at": _MAYBE_MOMENT,
                    "duration_s": {"type": "number", "minimum": 0},
                    "summary": _TEXT,
                    "remedy": _TEXT,
                    "detail": {"type": "object"},
                    "is_demo": {"type": "boolean"},
                    "links": {"type": "object", "additionalProperties": _TEXT},
                },
            },
        },
    },
}
"""The schema of the body. A change that could break a receiver makes a new version of ``SCHEMA``."""


def webhook_payload(notice: Notice, alerting: Alerting) -> dict[str, Any]:
    """Return the JSON body of the message, as ``JSON_SCHEMA`` describes it."""
    message = compose(notice, alerting)
    return {
        "schema": SCHEMA,
        "notice_id": notice.notice_id,
        "kind": notice.kind,
        "at": notice.at.astimezone(UTC).isoformat(),
        "location": notice.location,
        "is_demo": any(incident.is_demo for incident in notice.incidents),
        "title": message.title,
        "text": message.body,
        "incidents": [_incident(incident, notice, alerting) for incident in notice.incidents],
    }


def _incident(incident: Incident, notice: Notice, alerting: Alerting) -> dict[str, Any]:
    lasted = (incident.resolved_at or notice.at) - incident.started_at
    return incident.model_dump(mode="json") | {
        "duration_s": max(lasted.total_seconds(), 0.0),
        "links": {link.label: link.url for link in links_of(incident, alerting)},
    }


def webhook_body(notice: Notice, alerting: Alerting) -> bytes:
    """Return the exact bytes that are sent and signed."""
    return json.dumps(webhook_payload(notice, alerting), ensure_ascii=False, sort_keys=True).encode()


def signature(secret: str, body: bytes, at: datetime) -> str:
    """Return the value of the signature header for a body sent at a moment."""
    stamp = int(at.timestamp())
    return f"t={stamp},v1={_digest(secret, stamp, body)}"


def verify_signature(
    secret: str, body: bytes, header: str, *, now: datetime, tolerance: timedelta = timedelta(minutes=5)
) -> bool:
    """Return whether a header signs exactly this body with this secret, not longer ago than ``tolerance``.

    For receivers: compare before parsing the body, and answer 401 otherwise.
    """
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    stamp, given = parts.get("t", ""), parts.get("v1", "")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12 and given.isascii()):
        return False
    is_fresh = abs(now.timestamp() - int(stamp)) <= tolerance.total_seconds()
    return is_fresh and hmac.compare_digest(_digest(secret, int(stamp), body), given)


def _digest(secret: str, stamp: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
