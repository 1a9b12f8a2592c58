"""What a provider's model list says, once read: each model kept or dropped by a named rule, or why there is no list."""

from dataclasses import dataclass
from typing import Any, Literal

DiscoveryOutcome = Literal[
    "ok", "not_supported", "auth", "rate_limited", "unreachable", "server_error", "malformed", "no_key"
]


@dataclass(frozen=True)
class Listed:
    """One model of a provider's list."""

    id: str
    kept: bool
    """Whether it can be asked in a chat, and so is watched unless fleet.yaml says otherwise."""
    rule: str
    """Why it was kept or dropped."""


@dataclass(frozen=True)
class Discovered:
    """One provider's answer. ``models`` is complete when, and only when, the outcome is ``ok``."""

    outcome: DiscoveryOutcome
    models: tuple[Listed, ...] = ()
    pages: int = 0
    message: str | None = None
    """What went wrong and what to do; None when nothing did."""

    @property
    def kept(self) -> tuple[str, ...]:
        """The models that can be asked in a chat."""
        return tuple(model.id for model in self.models if model.kept)


class DiscoveryError(Exception):
    """A list could not be had; caught where a provider is discovered, and nowhere else."""

    def __init__(self, outcome: DiscoveryOutcome, message: str, pages: int = 0) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message
        self.pages = pages


@dataclass(frozen=True)
class Entry:
    """A model as its provider describes it: what the keeping rules look at."""

    id: str
    facts: dict[str, Any]
