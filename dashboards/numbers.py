"""Figures as people read them, and the interval of a rate. Null is a dash, never a zero."""

import html
from datetime import UTC, date, datetime
from decimal import Decimal
from math import sqrt

DASH = "–"
_Z95 = 1.959964


def wilson(good: int, counted: int) -> tuple[float, float] | None:
    """Return the Wilson 95 % interval of a rate, as shares; None where nothing was counted."""
    if counted <= 0:
        return None
    share, z2 = good / counted, _Z95**2
    centre = (share + z2 / (2 * counted)) / (1 + z2 / counted)
    half = _Z95 * sqrt(share * (1 - share) / counted + z2 / (4 * counted**2)) / (1 + z2 / counted)
    return max(0.0, centre - half), min(1.0, centre + half)


def percent(share: float | None, digits: int | None = None) -> str:
    """Return a share as percent, finer near 100 %, and never rounded up to 100 % or down to 0 %."""
    if share is None:
        return DASH
    points = 100 * share
    if digits is None:
        digits = _digits(share)
    text = f"{points:.{digits}f}"
    if share < 1 and float(text) >= 100:
        text = f"{100 - 10**-digits:.{digits}f}" if digits else "> 99"
    elif share > 0 and float(text) <= 0:
        text = f"< {10**-digits:g}"
    elif "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} %"


def _digits(share: float) -> int:
    return 1 if share < 0.99 else 2 if share < 0.999 else 3


def interval(low: float | None, high: float | None) -> str:
    """Return an interval of shares: ``98.1–99.9 %``, both ends equally fine."""
    if low is None or high is None:
        return DASH
    digits = _digits(low)
    return f"{percent(low, digits).removesuffix(' %')}–{percent(high, digits)}"


def milliseconds(value: float | None) -> str:
    """Return a duration in ms, in seconds from one second up."""
    if value is None:
        return DASH
    if value >= 1_000:
        return f"{value / 1000:.{2 if value < 10_000 else 1}f} s"
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def dollars(value: Decimal | float | None) -> str:
    """Return an amount with enough digits to be told from nothing."""
    if value is None:
        return DASH
    amount = float(value)
    if amount == 0:
        return "$0"
    return f"${amount:,.2f}" if abs(amount) >= 1 else f"${amount:.4f}" if abs(amount) >= 0.01 else f"${amount:.2g}"


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units: ``2 d 4 h``, ``3 min``."""
    if seconds is None:
        return DASH
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes = rest // 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    while parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number)


def stamp(at: datetime | None) -> str:
    """Return a moment in UTC to the minute."""
    return DASH if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def since(at: datetime, as_of: datetime) -> str:
    """Return a moment as short as it is clear: only the time on the same day."""
    at, as_of = at.astimezone(UTC), as_of.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == as_of.date() else f"{at:%d %b %H:%M} UTC"


def safe(text: object) -> str:
    """Return text for a figure: plotly reads a subset of HTML in labels and hovers, so data is escaped."""
    return html.escape(str(text), quote=False)


_SUFFIXES = (
    ("_ms", "ms"),
    ("_usd", "USD"),
    ("_at", "UTC"),
    ("_on", "UTC day"),
)


def heading(column: str) -> str:
    """Return a column's name as a table heading, with its unit."""
    for suffix, unit in _SUFFIXES:
        if column.endswith(suffix):
            return f"{column.removesuffix(suffix).replace('_', ' ')} ({unit})"
    return column.removesuffix("_s").replace("_", " ")


_SHARES = ("uptime", "ratio", "_left", "_spent", "_slo", "share")


def cell(column: str, value: object) -> str:
    """Return one value of a table as text, by its column's unit."""
    match value:
        case None:
            return DASH
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
        case date():
            return value.isoformat()
        case _ if column.endswith("_usd") and isinstance(value, Decimal | float | int):
            return dollars(value)
        case float() | int() if column.endswith("_s"):
            return span(value)
        case float() if any(mark in column for mark in _SHARES) and not column.endswith("_ms"):
            return percent(value)
        case float():
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
