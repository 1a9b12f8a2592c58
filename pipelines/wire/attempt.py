"""One attempt against one endpoint, from the question asked to the judged answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pipelines.fleet.models import Endpoint
from pipelines.wire.credentials import CompileError
from pipelines.wire.decode import decode
from pipelines.wire.outcomes import Outcome
from pipelines.wire.prompt import Probe
from pipelines.wire.reading import Reading
from pipelines.wire.tape import Tape, WireRequest

Kind = Literal["scheduled", "confirm", "manual", "backfill"]


@dataclass(frozen=True)
class LiveCall:
    """A call of LiteLLM itself: its arguments, and what must not survive into a message."""

    arguments: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Ask:
    """One question: compiled, or a live call where only LiteLLM itself can ask it."""

    probe: Probe
    request: WireRequest | None = None
    live: LiveCall | None = None


@dataclass(frozen=True)
class Job:
    """One endpoint that is due. ``asks[0]`` is its scheduled attempt, the others would confirm a failure."""

    endpoint: Endpoint
    max_tokens: int
    asks: tuple[Ask, ...] = ()
    error: CompileError | None = None
    """Why there is nothing to ask; the attempt is landed as ours."""


@dataclass(frozen=True)
class Attempt:
    """What one attempt was and what came of it."""

    job: Job = field(repr=False)
    number: int
    """0 is the scheduled attempt."""
    kind: Kind
    probe_id: str
    confirm_of: str | None
    started_at: datetime
    reading: Reading
    tape: Tape | None = field(default=None, repr=False)
    """None where no request was made by us: it could not be compiled, or LiteLLM made it."""
    cost_usd: Decimal | None = None
    price_source: str | None = None
    clock: Literal["wire", "sdk"] = "wire"
    loop_lag_max_ns: int = 0
    reference_error_ns: int | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that was asked."""
        return self.job.endpoint


Decode = Callable[[Job, int, Tape], Reading]
"""(job, attempt number, tape) to what the tape says."""


def read_tape(job: Job, number: int, tape: Tape) -> Reading:
    """Return what a tape says, judged by the endpoint's own expectations."""
    endpoint = job.endpoint
    return decode(
        tape,
        expect=job.asks[number].probe.expect,
        allowed_models=endpoint.allowed_models,
        # An Azure deployment's name is free; it says nothing of the model behind it.
        requested_model=None if endpoint.litellm_provider == "azure" else endpoint.model,
        timeouts=endpoint.timeouts,
        litellm_model=f"{endpoint.litellm_provider}/{endpoint.model}",
    )


def uncompiled(error: CompileError) -> Reading:
    """Return the reading of an attempt whose request could not be made: ours, and never counted."""
    outcome: Outcome = "auth" if error.reason == "missing_key" else "bad_request"
    return Reading(outcome=outcome, error_type=error.reason, error_message=error.remedy)
