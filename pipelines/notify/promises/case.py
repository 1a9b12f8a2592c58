"""One subject before the judge: its facts, and the one way to make a verdict of them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.fleet.models import Endpoint, Severity
from pipelines.notify.promises.catalog import PROMISES, PromiseName
from pipelines.notify.promises.inputs import Inputs
from pipelines.notify.promises.verdict import Finding, Verdict


def error_mix(outcomes: Iterable[str]) -> dict[str, int]:
    """Return how often each outcome occurred, the most frequent first."""
    return dict(Counter(outcomes).most_common())


def mix_text(mix: Mapping[str, int]) -> str:
    """Return ``server_error ×2, timeout_first_token ×1``."""
    return ", ".join(f"{outcome} ×{count}" for outcome, count in sorted(mix.items(), key=lambda kv: (-kv[1], kv[0])))


def clock_text(moment: datetime, now: datetime) -> str:
    """Return ``14:02 UTC``, with the date when that is not today's."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    return f"{moment:%H:%M} UTC" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M} UTC"


def finite(value: float | None) -> float | None:
    """Return a number that JSON and SQL can hold, or None."""
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Case:
    """An endpoint (or nothing, for wider subjects) with its row of facts."""

    inputs: Inputs
    endpoint: Endpoint | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Empty when the endpoint has no attempt in reach."""

    def say(
        self,
        promise: PromiseName,
        verdict: Finding,
        *,
        subject: str | None = None,
        severity: Severity | None = None,
        attempts: str = "",
        observed: float | None = None,
        allowed: float | None = None,
        n: int = 0,
        bad: int = 0,
        **detail: Any,
    ) -> Verdict:
        """Return the verdict, with the promise's defaults; details that are None are left out."""
        row = PROMISES[promise]
        named = subject or (self.endpoint.endpoint_id if self.endpoint else None)
        assert named is not None
        return Verdict(
            promise=promise,
            subject=named,
            evaluated_at=self.inputs.now,
            tick_id=self.inputs.tick_id,
            verdict=verdict,
            severity=severity or row.severity,
            attempts=attempts,
            observed=finite(observed),
            allowed=finite(allowed),
            unit=row.unit,
            n=n,
            bad=bad,
            last_good_at=self.facts.get("last_good_at"),
            detail={key: value for key, value in detail.items() if value is not None},
            is_demo=self.inputs.fleet.demo,
        )

    def clock(self, moment: datetime) -> str:
        """Return a moment as the sentences write it."""
        return clock_text(moment, self.inputs.now)
