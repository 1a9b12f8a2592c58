"""The one place that words a notice: title, facts and lines, plain and exact, for every channel."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

from pipelines.fleet.models import Alerting
from pipelines.notify.model import Incident, Notice
from pipelines.notify.promises.case import clock_text, mix_text

MOST_LISTED = 10
"""Incidents named in one message; the rest are counted."""
CHECK_ASSET = "probe_results"
"""The asset in Dagster that the promises are checks of."""

Tone = Literal["bad", "warning", "good"]


@dataclass(frozen=True)
class Link:
    """Where to look."""

    label: str
    url: str


@dataclass(frozen=True)
class Message:
    """What a notice says: one title, label and value pairs, lines for a list, links."""

    title: str
    tone: Tone
    facts: tuple[tuple[str, str], ...]
    """Of a single incident: label and value."""
    lines: tuple[str, ...]
    """Of a group: one per incident, then how many more."""
    context: str
    """Incident id, location, and SIMULATED where it is."""
    links: tuple[Link, ...]

    @property
    def body(self) -> str:
        """Return everything below the title as plain text."""
        facts = (f"{label}: {value}" for label, value in self.facts)
        links = (f"{link.label}: {link.url}" for link in self.links)
        return "\n".join([*self.lines, *facts, self.context, *links])


def compose(notice: Notice, alerting: Alerting) -> Message:
    """Return the words of a notice."""
    incidents = notice.incidents
    first = incidents[0]
    simulated = "SIMULATED · " if any(incident.is_demo for incident in incidents) else ""
    word = _word(notice)
    if len(incidents) == 1:
        return Message(
            title=f"{simulated}{word}: {first.subject} — {_headline(notice, first)}",
            tone=_tone(notice),
            facts=tuple(_facts(notice, first)),
            lines=(),
            context=f"{simulated}incident {first.incident_id} · location {notice.location}",
            links=tuple(links_of(first, alerting)),
        )
    what = f"{first.provider}: {len(incidents)} incidents" if first.provider else f"{len(incidents)} incidents"
    lines = [
        f"{incident.subject} ({incident.promise}) — {_headline(notice, incident)}"
        for incident in incidents[:MOST_LISTED]
    ]
    if len(incidents) > MOST_LISTED:
        lines.append(f"and {len(incidents) - MOST_LISTED} more")
    named = ", ".join(incident.incident_id for incident in incidents[:3])
    more = f" and {len(incidents) - 3} more" if len(incidents) > 3 else ""
    return Message(
        title=f"{simulated}{word}: {what} {_verb(notice)} {_clock(first.opened_at, notice)}",
        tone=_tone(notice),
        facts=(),
        lines=tuple(lines),
        context=f"{simulated}incidents {named}{more} · location {notice.location}",
        links=tuple(links_of(first, alerting)),
    )


def duration_text(length: timedelta) -> str:
    """Return ``45 s``, ``12 min``, ``3 h 5 min`` or ``2 d 4 h``; never negative."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def page_slug(endpoint_id: str) -> str:
    """Return the file name of an endpoint's page, as the site writes it (``dashboards.embed.slug``)."""
    readable = re.sub(r"[^a-z0-9]+", "-", endpoint_id.lower()).strip("-")[:60].strip("-") or "endpoint"
    return f"{readable}-{hashlib.sha256(endpoint_id.encode()).hexdigest()[:8]}"


def links_of(incident: Incident, alerting: Alerting) -> Iterator[Link]:
    """Yield the check in Dagster and, where the site is served, the endpoint's page."""
    asset, check = CHECK_ASSET, incident.promise
    base = alerting.dagster_base_url.rstrip("/")
    if incident.promise == "check_passes" and ":" in incident.subject:
        asset, check = incident.subject.rsplit(":", 1)
    if asset == "job":
        yield Link("Runs in Dagster", f"{base}/runs")
    elif incident.promise != "channel_delivers":
        path = quote(asset, safe="/")
        yield Link("Check in Dagster", f"{base}/assets/{path}?view=checks&checkDetail={quote(check, safe='')}")
    if alerting.page_base_url is not None:
        is_endpoint = "/" in incident.subject and incident.promise != "check_passes"
        page = f"endpoints/{page_slug(incident.subject)}.html" if is_endpoint else "index.html"
        yield Link("Page", f"{alerting.page_base_url.rstrip('/')}/{page}")


def _word(notice: Notice) -> str:
    first = notice.incidents[0]
    if notice.kind == "resolved":
        return "RESOLVED"
    if notice.kind == "reminder":
        return f"STILL {first.state}"
    return {"escalated": f"ESCALATED, {first.state}", "flapping": "FLAPPING", "blind": "BLIND"}.get(
        notice.kind, first.state
    )


def _verb(notice: Notice) -> str:
    return {"resolved": "over, the first opened", "reminder": "open, the first since"}.get(notice.kind, "opened")


def _tone(notice: Notice) -> Tone:
    if notice.kind == "resolved":
        return "good"
    return "bad" if any(incident.severity == "critical" for incident in notice.incidents) else "warning"


def _clock(moment: datetime, notice: Notice) -> str:
    return clock_text(moment, notice.at)


def _headline(notice: Notice, incident: Incident) -> str:
    if notice.kind != "resolved":
        return incident.summary
    reason = incident.detail.get("reason")
    lasted = duration_text((incident.resolved_at or notice.at) - incident.started_at)
    parts = [f"{reason} after {lasted}" if reason else f"well again after {lasted}"]
    if attempts := incident.detail.get("attempts"):
        parts.append(f"{incident.detail.get('failed', attempts)} of {attempts} attempts failed")
    mix = incident.detail.get("error_mix")
    return ", ".join(parts) + (f" ({mix_text(mix)})" if mix else "")


def _facts(notice: Notice, incident: Incident) -> Iterator[tuple[str, str]]:
    ended = incident.resolved_at or notice.at
    lasted = duration_text(ended - incident.started_at)
    yield "Promise", incident.promise
    yield ("Lasted" if incident.resolved_at else "Since"), f"{_clock(incident.started_at, notice)} ({lasted})"
    observed, allowed = incident.detail.get("observed"), incident.detail.get("allowed")
    if observed is not None:
        limit = f", {allowed:,.6g} allowed" if allowed is not None else ""
        yield "Observed", f"{observed:,.6g}{limit} {incident.detail.get('unit', '')}".rstrip()
    if mix := incident.detail.get("error_mix"):
        yield "Errors", mix_text(mix)
    if attempts := incident.detail.get("attempts"):
        yield "Attempts", f"{incident.detail.get('failed', attempts)} of {attempts} failed"
    if incident.last_good_at is not None:
        yield "Last good", _clock(incident.last_good_at, notice)
    if endpoints := incident.detail.get("endpoints"):
        yield "Endpoints", ", ".join(endpoints)
    owner = [incident.owner] if incident.owner else []
    if incident.project:
        owner.append(f"project {incident.project}")
    if owner:
        yield "Owner", ", ".join(owner)
    yield "Severity", incident.severity
    if incident.acknowledged_by:
        yield "Acknowledged", incident.acknowledged_by
    if incident.remedy and notice.kind != "resolved":
        yield "What to do", incident.remedy
