"""Small pictures without a library: a state's mark, a day as a strip, a badge for a README."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from dashboards.status import State

TONE: dict[State, str] = {
    "UP": "good",
    "DEGRADED": "warn",
    "SUSPECT": "warn",
    "RECOVERING": "warn",
    "FLAPPING": "warn",
    "MAINTENANCE": "calm",
    "STALE": "blind",
    "DOWN": "bad",
    "UNKNOWN": "blind",
    "RETIRED": "blind",
}
_BADGE = {"good": "#1f6f95", "warn": "#a85a08", "calm": "#5d55a5", "blind": "#5d6775", "bad": "#b23226"}
"""White text on each has a contrast of at least 4.5 : 1."""

_BADGE_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{name}: {word}">'
    '<title>{name}: {word}</title><rect width="{width}" height="20" rx="4" fill="#2c3440"/>'
    '<path d="M{edge} 0H{corner}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H{edge}z" fill="{fill}"/>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
    '<text x="{name_at}" y="14" textLength="{name_width}" lengthAdjust="spacingAndGlyphs">{name}</text>'
    '<text x="{word_at}" y="14" textLength="{word_width}" lengthAdjust="spacingAndGlyphs">{word}</text></g></svg>'
)

_MARKS: dict[State, str] = {
    "UP": '<circle cx="8" cy="8" r="7"/><path class="on" d="M4.6 8.3 7 10.7l4.5-5"/>',
    "DOWN": '<path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z"/><path class="on" d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2"/>',
    "DEGRADED": '<path d="M8 1 15.4 14.4H.6z"/><path class="on" d="M8 6v4m0 1.8v.4"/>',
    "SUSPECT": '<path d="M8 .8 15.2 8 8 15.2.8 8z"/>'
    '<path class="on" d="M6.3 6.6a1.8 1.8 0 1 1 2.6 1.6c-.6.3-.9.6-.9 1.3m0 1.7v.3"/>',
    "RECOVERING": '<circle cx="8" cy="8" r="7"/><path class="on" d="M8 11.5v-7M5 7.4l3-3 3 3"/>',
    "FLAPPING": '<path d="M8 1 15.4 14.4H.6z"/><path class="on" d="m4.8 11.8 2-3 2 2 2.4-3.4"/>',
    "MAINTENANCE": '<rect x="1" y="1" width="14" height="14" rx="3"/><path class="on" d="M6 4.8v6.4m4-6.4v6.4"/>',
    "STALE": '<circle cx="8" cy="8" r="6.4" class="hollow"/><path class="line" d="M8 4.4V8l2.6 1.6"/>',
    "UNKNOWN": '<circle cx="8" cy="8" r="6.4" class="hollow"/><path class="line" d="M5 8h6"/>',
    "RETIRED": '<circle cx="8" cy="8" r="6.4" class="hollow"/><path class="line" d="m3.6 12.4 8.8-8.8"/>',
}


def mark(state: State) -> Markup:
    """Return a state's own shape, 16 x 16, coloured by the page's style: told apart without colour."""
    return Markup('<svg class="mark" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">{}</svg>').format(
        Markup(_MARKS[state])  # noqa: S704 this module's own shapes
    )


def day_strip(hours: Sequence[Mapping[str, object]], as_of: datetime) -> Markup:
    """Return 24 hours as cells (up, partly, down, not counted, blind) under a line of the hourly median TTFT.

    Args:
        hours: rows of FLEET_HOURS of one endpoint: hour_at, counted, good, ttft_p50_ms.
        as_of: the last hour shown holds this moment.
    """
    last = as_of.replace(minute=0, second=0, microsecond=0)
    by_hour = {row["hour_at"]: row for row in hours}
    slots = [last - timedelta(hours=23 - at) for at in range(24)]
    values = [_number(by_hour[slot]["ttft_p50_ms"]) if slot in by_hour else None for slot in slots]
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    cells = []
    for at, slot in enumerate(slots):
        row = by_hour.get(slot)
        kind = "blind" if row is None else _kind(_number(row["counted"]) or 0, _number(row["good"]) or 0)
        cells.append(f'<rect class="h-{kind}" x="{at * 10}" y="29" width="9" height="7" rx="1"/>')
    lines, run = [], []
    for at, value in enumerate([*values, None]):
        if value is not None:
            run.append(f"{at * 10 + 4.5:g},{25 - 22 * value / top:.1f}")
        elif run:
            lines.append(f'<polyline points="{" ".join(run if len(run) > 1 else run * 2)}"/>')
            run = []
    counted, good = (sum(_number(row[key]) or 0 for row in hours) for key in ("counted", "good"))
    label = f"Last 24 hours: {good:.0f} of {counted:.0f} counted attempts good"
    return Markup(  # noqa: S704 numbers and own literals only
        f'<svg class="strip" viewBox="0 0 240 38" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{''.join(lines)}{''.join(cells)}</svg>"
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _kind(counted: float, good: float) -> str:
    if not counted:
        return "excluded"
    return "up" if good == counted else "partly" if good >= counted / 2 else "down"


def badge(label: str, state: State) -> str:
    """Return a status badge: label left, state right, in words and colour, with a title for screen readers."""
    text = _short(label)
    left, right = 12 + 6.6 * len(text), 12 + 7.2 * len(state)
    return _BADGE_SVG.format(
        name=html.escape(text),
        word=state,
        width=f"{left + right:.0f}",
        edge=f"{left:.1f}",
        corner=f"{left + right - 4:.1f}",
        fill=_BADGE[TONE[state]],
        name_at=f"{left / 2:.1f}",
        name_width=f"{left - 12:.0f}",
        word_at=f"{left + right / 2:.1f}",
        word_width=f"{right - 12:.0f}",
    )


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
