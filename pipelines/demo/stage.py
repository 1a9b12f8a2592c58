"""What the demo server knows while it runs: scripted outages, and the truth about every request it served."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pipelines.demo.personas import PERSONAS, Take, take

_KEPT = 20_000
"""Requests remembered: two weeks of ten endpoints probed every five minutes are 40,000, an hour of tests is less."""


@dataclass
class Truth:
    """What really happened to one request; times are monotonic seconds since its last byte was read."""

    request_id: str
    at: str
    dialect: str
    model: str
    fault: str
    outcome: str
    """The verdict that a right prober reaches."""
    status: int | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    ended_s: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    token_events: int = 0


class Stage:
    """Mutable state of one server; everything else about it is a pure function."""

    def __init__(self, seed: int, wall: Callable[[], datetime]) -> None:
        self.seed = seed
        self.wall = wall
        self._truths: deque[Truth] = deque(maxlen=_KEPT)
        self._scripted: dict[str, tuple[str, datetime]] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        self.served = 0

    def direct(self, model: str, fault: str, lasting: timedelta) -> datetime:
        """Give a model a fault for a while (``*`` is every model; ``none`` heals); return until when."""
        until = self.wall() + lasting
        self._scripted[model] = (fault, until)
        return until

    def draw(self, model: str) -> Take:
        """Return what the next request to a model gets: a scripted fault if one is on, else its persona's own."""
        now = self.wall()
        second = int(now.timestamp())
        nth = self._counts[model, second]
        if len(self._counts) > _KEPT:
            self._counts.clear()
        self._counts[model, second] = nth + 1
        drawn = take(PERSONAS[model], self.seed, now, nth)
        for name in (model, "*"):
            fault, until = self._scripted.get(name, ("", now))
            if fault and now < until:
                return Take(drawn.ttft_s, drawn.tps, fault)
        return drawn

    def remember(self, truth: Truth) -> None:
        """Keep the truth about a request."""
        self._truths.append(truth)

    def recall(self, since: int = 0) -> list[dict[str, Any]]:
        """Return what was served, oldest first, from the ``since``-th request kept on."""
        return [asdict(truth) for truth in list(self._truths)[since:]]
