"""The characters of the demo fleet: how fast each one is and how it fails. Deterministic by seed and time.

The live server and the simulated history draw from the same functions, so that they tell the same story.
"""

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from pipelines.demo.dialects import DemoDialect

Habit = Literal["none", "mixed", "limited", "daily", "cut", "wrong"]


@dataclass(frozen=True)
class Persona:
    """One simulated endpoint."""

    model: str
    dialect: DemoDialect
    what: str
    ttft_s: float
    """Median time to first token; single values are log-normal around it."""
    tps: float
    """Tokens per second once it speaks."""
    spread: float = 0.12
    """Standard deviation of the logarithm of the time to first token."""
    tokens_per_event: int = 1
    reasoning_tokens: int = 0
    habit: Habit = "none"
    rate: float = 0.0
    """Share of attempts that the habit spoils; for ``daily`` the length of the outage in hours."""


class Take(NamedTuple):
    """What one attempt gets."""

    ttft_s: float
    tps: float
    fault: str
    """A name in ``FAULTS``."""


_ROWS = (
    Persona("steady-2", "openai", "fast and dull, as one would wish", 0.18, 60.0),
    Persona("bundling-1", "openai", "sends eight tokens in every event", 0.30, 80.0, tokens_per_event=8),
    Persona("reasoning-3", "openai", "thinks for sixty tokens before it answers", 0.35, 110.0, reasoning_tokens=60),
    Persona("flaky-1", "openai", "fails one time in twelve", 0.25, 45.0, 0.35, habit="mixed", rate=0.08),
    Persona("rate-limited-1", "openai", "refuses a third of its busy minutes", 0.22, 50.0, habit="limited", rate=0.3),
    Persona("wrong-answer-1", "openai", "cannot always multiply", 0.20, 70.0, habit="wrong", rate=0.12),
    Persona("slow-2", "anthropic", "two seconds to its first token", 2.0, 25.0, 0.2),
    Persona("daily-outage-1", "anthropic", "out of order once a day", 0.40, 55.0, habit="daily", rate=0.75),
    Persona("disconnecting-1", "ollama", "hangs up in one answer of seven", 0.15, 40.0, habit="cut", rate=0.15),
    Persona("local-1", "ollama", "a small model on this machine", 0.10, 35.0, 0.2),
)  # fmt: skip

PERSONAS: dict[str, Persona] = {persona.model: persona for persona in _ROWS}
"""Every simulated model by name."""

_MIXED = ("server_error", "empty", "error_in_stream", "truncated", "overloaded_503", "bad_json", "disconnect")
_BUCKET = timedelta(minutes=10)


def take(persona: Persona, seed: int, at: datetime, nth: int = 0) -> Take:
    """Return what the ``nth`` attempt at a moment gets; the same arguments give the same take for ever."""
    dice = random.Random(f"{seed}:{persona.model}:{int(at.timestamp())}:{nth}")  # noqa: S311  reproducible on purpose
    ttft_s = persona.ttft_s * math.exp(dice.gauss(0.0, persona.spread)) * rush(at)
    tps = persona.tps * (1 + dice.uniform(-0.06, 0.06)) / rush(at)
    return Take(ttft_s, tps, _fault(persona, seed, at, dice))


def rush(at: datetime) -> float:
    """Return how much slower everything is at this hour: 1 at night, up to 1.25 in the European afternoon."""
    hour = at.astimezone(UTC).hour + at.minute / 60
    return 1 + 0.25 * max(0.0, math.cos((hour - 14.5) / 24 * 2 * math.pi)) ** 2


def outage_of_day(persona: Persona, seed: int, at: datetime) -> tuple[datetime, datetime]:
    """Return start and end of the outage on the UTC day of a moment; it never crosses midnight."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    dice = random.Random(f"{seed}:{persona.model}:{day:%Y-%m-%d}")  # noqa: S311  as above
    start = day + timedelta(minutes=dice.randrange(60, 22 * 60))
    return start, start + timedelta(hours=persona.rate * dice.uniform(0.6, 1.3))


def _bad_day(persona: Persona, seed: int, at: datetime) -> float:
    """Return how many times more often a flaky endpoint fails today: one day in five is a bad one."""
    if persona.habit != "mixed":
        return 1.0
    day = at.astimezone(UTC).date()
    return 4.0 if random.Random(f"{seed}:{persona.model}:bad:{day}").random() < 0.2 else 1.0  # noqa: S311  as above


def _fault(persona: Persona, seed: int, at: datetime, dice: random.Random) -> str:
    match persona.habit:
        case "none":
            return "none"
        case "daily":
            start, end = outage_of_day(persona, seed, at)
            return "overloaded_529" if start <= at < end else "none"
        case "limited":
            bucket = int(at.timestamp() // _BUCKET.total_seconds())
            is_busy = random.Random(f"{seed}:{persona.model}:{bucket}").random() < 0.5  # noqa: S311  as above
            return "rate_limited" if is_busy and dice.random() < persona.rate * 2 else "none"
    if dice.random() >= persona.rate * _bad_day(persona, seed, at):
        return "none"
    return {"wrong": "wrong_answer", "cut": "disconnect"}.get(persona.habit) or dice.choice(_MIXED)
