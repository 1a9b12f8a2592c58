"""Durations, money and percentages as people write them: ``5m``, ``$2000/month``, ``99.9%``.

Each is an ``Annotated`` pydantic type: the file holds the words, the model holds the number.
"""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")

_MONEY_PATTERN = (
    r"^\s*(\$|[Uu][Ss][Dd]\s*)?\s*\d[\d,_]*(\.\d+)?\s*([Uu][Ss][Dd])?\s*(/|per)\s*(day|week|month|quarter|year)\s*$"
)

Period = Literal["day", "week", "month", "quarter", "year"]


class Frozen(BaseModel):
    """The base of every model of fleet.yaml: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_duration(value: Any) -> timedelta:
    """Return the duration written as ``500ms``, ``90s``, ``5m``, ``1h30m``, ``7d`` or ``2w``.

    Raises ValueError for a bare number (its unit is unknown) and for anything else unreadable.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        text = value.strip().lower()
        if text and not _PART.sub("", text).strip():
            seconds = sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))
            try:
                return timedelta(seconds=seconds)
            except OverflowError as error:
                raise ValueError(f"{value!r} is longer than any clock counts; write a shorter duration") from error
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9:
        raise ValueError(f"{value!r} has no unit; write {_spelled(value)} if you mean seconds, or 5m, 1h, 7d")
    raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as 30s, 5m, 1h or 7d")


def _spelled(seconds: float) -> str:
    for unit in ("w", "d", "h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds:g}s"


def parse_positive_duration(value: Any) -> timedelta:
    """Return a duration above zero; see :func:`parse_duration`."""
    duration = parse_duration(value)
    if duration <= timedelta(0):
        raise ValueError(f"{value!r} is no time at all; write a duration above zero, such as 5m")
    return duration


def parse_ratio(value: Any) -> float:
    """Return a share in 0..1 from ``99.9%`` or ``0.999``; a bare number above 1 is refused as ambiguous."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            ratio = float(Decimal(value.strip()[:-1].strip()) / 100)
        except InvalidOperation as error:
            raise ValueError(f"{value!r} is not a percentage; write one like 99.9%") from error
    elif isinstance(value, int | float) and not isinstance(value, bool):
        ratio = float(value)
    else:
        raise ValueError(f"{value!r} is not a percentage; write one like 99.9%")
    if not 0 <= ratio <= 1:
        raise ValueError(f"{value!r} is outside 0%..100%; write a percentage with its sign, such as 99.9%")
    return ratio


def _schema(example: str, pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[
    timedelta, BeforeValidator(parse_positive_duration), _schema("5m", r"^(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$")
]
Ratio = Annotated[
    float,
    BeforeValidator(parse_ratio),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}, {"type": "number", "minimum": 0, "maximum": 1}]}
    ),
]


class Money(Frozen):
    """An amount per period, in US dollars: ``$2000/month``, ``2.50 USD/day``."""

    usd: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    per: Period

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            # ValueError, not TypeError: only that becomes a validation error.
            raise ValueError(  # noqa: TRY004
                f"{value!r} has no period; write an amount per period, such as ${value:g}/day"
            )
        if not isinstance(value, str):
            return value
        match = re.fullmatch(
            r"\s*(?:\$|usd\s*)?\s*(\d[\d,_]*(?:\.\d+)?)\s*(?:usd)?\s*(?:/|per)\s*(day|week|month|quarter|year)\s*",
            value,
            re.I,
        )
        if not match:
            raise ValueError(f"{value!r} is not an amount per period; write one like $5/day or $2000/month")
        return {"usd": match[1].replace(",", "").replace("_", ""), "per": match[2].lower()}

    @property
    def usd_per_day(self) -> Decimal:
        """The amount per day, over a year of 365.25 days."""
        days: dict[str, int | Decimal] = {
            "day": 1,
            "week": 7,
            "month": Decimal("30.4375"),
            "quarter": Decimal("91.3125"),
            "year": Decimal("365.25"),
        }
        return self.usd / days[self.per]

    def __str__(self) -> str:
        """Return the amount as it is written in fleet.yaml."""
        return f"${self.usd}/{self.per}"


MoneyPerPeriod = Annotated[Money, WithJsonSchema({"type": "string", "pattern": _MONEY_PATTERN, "examples": ["$5/day"]})]
