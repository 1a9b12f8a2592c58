"""A small fleet and short ways to say what it did."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipelines.fleet.models import Endpoint, Fleet, Promises
from pipelines.notify.incidents import AlertState, Policy, Step, step
from pipelines.notify.model import Incident, Notice
from pipelines.notify.promises import PROMISES, Verdict
from pipelines.schemas import TABLES, polars_schema
from pipelines.wire.outcomes import OUTCOMES

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
A, B, C = "openai/gpt-4o", "openai/gpt-5", "anthropic/claude"
MINUTE = timedelta(minutes=1)


def fleet(**changes: Any) -> Fleet:
    return Fleet.model_validate(
        {
            "interval": "1m",
            "providers": {"openai": {"type": "openai"}, "anthropic": {"type": "anthropic"}},
            "projects": {"default": {"owner": "ann"}, "shop": {}},
            "channels": {"console": {"type": "console"}},
        }
        | changes
    )


def endpoint(name: str, **changes: Any) -> Endpoint:
    provider, model = name.split("/", 1)
    fields = {
        "endpoint_id": name,
        "provider": provider,
        "provider_type": provider,
        "litellm_provider": provider,
        "model": model,
        "dialect": "openai",
        "base_url": None,
        "api_key_env": None,
        "owner": "ann",
        "interval": MINUTE,
        "promises": Promises(),
    }
    return Endpoint(**(fields | changes))


def policy(*names: str, **changes: Any) -> Policy:
    return Policy.of(fleet(**changes), [endpoint(name) for name in names or (A, B, C)])


def us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def seen(
    attempts: str, at: datetime, name: str = A, *, spacing: timedelta = timedelta(seconds=1), **detail: Any
) -> Verdict:
    """An evaluation of availability whose attempts end at its moment."""
    moments = [at - spacing * (len(attempts) - 1 - k) for k in range(len(attempts))]
    more: dict[str, Any] = {"attempt_at": [us(moment) for moment in moments]} if attempts else {}
    more["errors"] = ["server_error"] * attempts.count("B")
    return Verdict(
        promise="endpoint_available",
        subject=name,
        evaluated_at=at,
        verdict="broken" if detail.get("rule") else "kept",
        severity="critical",
        attempts=attempts,
        unit="attempts",
        detail=more | detail,
    )


def judged(
    promise: str, verdict: str, at: datetime, subject: str = A, severity: str | None = None, **detail: Any
) -> Verdict:
    row = PROMISES[promise]
    return Verdict(
        promise=promise,
        subject=subject,
        evaluated_at=at,
        verdict=verdict,
        severity=severity or row.severity,
        unit=row.unit,
        detail=detail,
    )


class Watch:
    """A state that is stepped, and everything that came of it."""

    def __init__(self, rules: Policy | None = None, state: AlertState | None = None) -> None:
        self.policy = rules or policy()
        self.state = state or AlertState()
        self.events: list[Any] = []
        self.notices: list[Notice] = []

    def step(self, *verdicts: Verdict, at: datetime | None = None, commands: Sequence[Any] = ()) -> Step:
        now = at or (verdicts[-1].evaluated_at if verdicts else NOW)
        made = step(self.state, verdicts, commands, now, self.policy)
        self.state = AlertState.model_validate_json(made.state.to_json())
        assert self.state == made.state, "the state survives its JSON"
        self.events += made.events
        self.notices += made.notices
        return made

    def feed(self, attempts: str, start: datetime = NOW, name: str = A, every: timedelta = MINUTE) -> datetime:
        """One evaluation per attempt; returns the moment after the last."""
        for k, symbol in enumerate(attempts):
            self.step(seen(symbol, start + every * k, name))
        return start + every * len(attempts)

    def shown(self, name: str = A) -> str:
        tracker = self.state.trackers.get(f"endpoint_available|{name}")
        return tracker.state if tracker else "UP" if name in self.state.known else "UNKNOWN"

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def told(self, channel: str = "console") -> list[tuple[str, list[str]]]:
        return [(n.kind, [i.subject for i in n.incidents]) for n in self.notices if n.channel == channel]

    def path(self, name: str = A) -> list[tuple[str, str]]:
        return [(e.state_from, e.state_to) for e in self.events if e.subject == name and e.state_from != e.state_to]


def rows(attempts: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """probe_results rows from the columns that matter; the rest is null or harmless."""
    schema = polars_schema(TABLES["probe_results"])
    made = []
    for k, given in enumerate(attempts):
        outcome = OUTCOMES[given.get("outcome", "ok")]
        row: dict[str, Any] = dict.fromkeys(schema) | {
            "probe_id": f"p{k:06d}",
            "tick_id": f"t{us(given['started_at']) // 60_000_000}",
            "endpoint_id": A,
            "kind": "scheduled",
            "outcome": outcome.outcome,
            "is_counted": outcome.is_counted,
            "is_good": outcome.is_good,
        }
        if outcome.is_good:
            row |= {"t_token_us": 200_000, "t_output_us": 200_000, "t_last_us": 500_000}
            row |= {"output_tokens": 16, "first_event_tokens": 1, "is_answer_right": True, "is_model_allowed": True}
        made.append(row | given)
    return pl.DataFrame(made, schema=schema)


def series(
    symbols: str, until: datetime = NOW, every: timedelta = MINUTE, name: str = A, **more: Any
) -> list[dict[str, Any]]:
    """Attempts that end at a moment: ``G`` ok, ``B`` server_error, ``R`` rate_limited."""
    outcomes = {"G": "ok", "B": "server_error", "R": "rate_limited"}
    return [
        {
            "probe_id": f"{name}-{us(until - every * (len(symbols) - 1 - k))}",
            "endpoint_id": name,
            "started_at": until - every * (len(symbols) - 1 - k),
            "outcome": outcomes[symbol],
            **more,
        }
        for k, symbol in enumerate(symbols)
    ]


def incident(**changes: Any) -> Incident:
    fields: dict[str, Any] = {
        "incident_id": "0123456789abcdef",
        "promise": "endpoint_available",
        "subject": A,
        "provider": "openai",
        "project": "default",
        "owner": "ann",
        "severity": "critical",
        "state": "DOWN",
        "started_at": NOW - 2 * MINUTE,
        "opened_at": NOW,
        "last_good_at": NOW - 7 * MINUTE,
        "summary": "3 of 3 attempts failed since 13:58 UTC (server_error ×3); last good 13:53 UTC",
        "remedy": "Look.",
        "detail": {
            "error_mix": {"server_error": 3},
            "observed": 3,
            "allowed": 2,
            "unit": "attempts",
            "attempts": 3,
            "failed": 3,
        },
    }
    return Incident(**(fields | changes))


def notice(*incidents: Incident, **changes: Any) -> Notice:
    fields = {"notice_id": "n1", "kind": "opened", "channel": "team", "at": NOW, "location": "home"}
    return Notice(**(fields | changes), incidents=incidents or (incident(),))
