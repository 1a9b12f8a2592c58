"""The last resort: an endpoint that cannot be compiled, timed through LiteLLM's own stream (``clock = "sdk"``).

Its figures carry LiteLLM's own delay, its stamps are taken after parsing, and its word on the stream's health is
taken as it is: such attempts are never charted together with the others.
"""

import asyncio
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pipelines.fleet.models import Timeouts
from pipelines.wire.answer import is_right
from pipelines.wire.attempt import Ask, LiveCall
from pipelines.wire.capture import load_litellm
from pipelines.wire.lag import LagMonitor
from pipelines.wire.outcomes import OUTCOMES, Outcome
from pipelines.wire.reading import Reading, Usage
from pipelines.wire.redact import redact

_BY_STATUS: Final[Mapping[int, Outcome]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "model_not_found",
    408: "timeout_total",
    429: "rate_limited",
    529: "overloaded",
}


async def live_reading(
    ask: Ask,
    timeouts: Timeouts,
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Reading, datetime, int]:
    """Return what LiteLLM's stream said, when it was asked, and the largest event-loop lag in nanoseconds.

    The budgets of first token, idle and total hold; LiteLLM tells nothing of the connection.
    """
    assert ask.live is not None
    litellm = load_litellm()
    heard = _Heard(ask, timeouts, clock)
    with LagMonitor.of(asyncio.get_running_loop()) as lag, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations are not ours
        started_at, heard.start = now(), clock()
        outcome: Outcome = "ok"
        message: str | None = None
        status: int | None = None
        try:
            async with asyncio.timeout(timeouts.total.total_seconds()):
                outcome = await heard.listen(litellm, ask.live)
        except TimeoutError:
            outcome = "timeout_total"
        except Exception as error:  # noqa: BLE001  LiteLLM raises a provider's every error, and TypeErrors of its own
            outcome, status, message = _failure(litellm, error)
        reading = heard.reading(outcome, status, message, ask.live)
        return reading, started_at, lag.largest_ns(heard.start)


class _Heard:
    """What the stream said so far."""

    def __init__(self, ask: Ask, timeouts: Timeouts, clock: Callable[[], int]) -> None:
        self._ask = ask
        self._timeouts = timeouts
        self._clock = clock
        self.start = 0
        self._stamps: dict[str, int] = {}
        self._answer: list[str] = []
        self._token_events = 0
        self._finish: str | None = None
        self._model: str | None = None
        self._id: str | None = None
        self._usage = Usage()

    async def listen(self, litellm: Any, call: LiveCall) -> Outcome:
        """Read the stream to its end and return the outcome that it supports."""
        try:
            async with asyncio.timeout(self._timeouts.first_token.total_seconds()):
                stream = await litellm.acompletion(**call.arguments)
        except TimeoutError:
            return "timeout_first_token"
        chunks = aiter(stream)
        while True:
            is_first = "token" not in self._stamps
            budget = self._timeouts.first_token if is_first else self._timeouts.idle
            try:
                async with asyncio.timeout(budget.total_seconds()):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                return "timeout_first_token" if is_first else "timeout_idle"
            if chunk is None:
                return self._judged()
            self._take(chunk)

    def _judged(self) -> Outcome:
        if self._finish == "content_filter":
            return "content_filter"
        if "token" not in self._stamps:
            return "empty"
        if "output" not in self._stamps:
            return "reasoning_only" if self._finish == "length" else "empty"
        expect = self._ask.probe.expect
        return "ok" if expect is None or is_right("".join(self._answer), expect) else "wrong_answer"

    def _take(self, chunk: Any) -> None:
        at = self._clock() - self.start
        self._stamps.setdefault("event", at)
        self._model = getattr(chunk, "model", None) or self._model
        self._id = getattr(chunk, "id", None) or self._id
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self._usage = Usage(
                input_tokens=getattr(usage, "prompt_tokens", None),
                output_tokens=getattr(usage, "completion_tokens", None),
            )
        for choice in getattr(chunk, "choices", ()):
            delta = choice.delta
            content = getattr(delta, "content", None)
            thought = getattr(delta, "reasoning_content", None)
            if content or thought or getattr(delta, "tool_calls", None):
                self._token_events += 1
                self._stamps.setdefault("token", at)
                self._stamps["last"] = at
                if not thought or content:
                    self._stamps.setdefault("output", at)
                self._answer.append(content or "")
            self._finish = getattr(choice, "finish_reason", None) or self._finish

    def reading(self, outcome: Outcome, status: int | None, message: str | None, call: LiveCall) -> Reading:
        """Return everything heard as a reading."""
        pattern = OUTCOMES[outcome].error_type
        answer = "".join(self._answer)
        expect = self._ask.probe.expect
        tokens = self._usage.output_tokens
        return Reading(
            outcome=outcome,
            error_type=None if pattern is None else pattern.format(status=status or "_OTHER"),
            error_message=None if message is None else redact(message, call.secrets)[:500],
            event_ns=self._stamps.get("event"),
            token_ns=self._stamps.get("token"),
            output_ns=self._stamps.get("output"),
            last_ns=self._stamps.get("last"),
            end_ns=self._clock() - self.start,
            token_events=self._token_events,
            finish_reason=self._finish,
            response_model=self._model,
            request_id=self._id,
            usage=self._usage,
            output_tokens=tokens if tokens is not None else self._token_events or None,
            output_tokens_source="usage" if tokens is not None else "chunks" if self._token_events else None,
            answer=answer,
            is_answer_right=is_right(answer, expect) if expect is not None and answer else None,
            decoded_by="litellm",
        )


def _failure(litellm: Any, error: Exception) -> tuple[Outcome, int | None, str]:
    status = getattr(error, "status_code", None)
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, litellm.ContentPolicyViolationError):
        return "content_filter", status, message
    if isinstance(error, litellm.APIConnectionError) or "Cannot connect" in message:
        return "connect", status, message  # LiteLLM does not say which phase failed
    if isinstance(error, litellm.Timeout):
        return "timeout_total", status, message
    if not isinstance(status, int):
        return "unknown", None, message
    usual: Outcome = "server_error" if status >= 500 else "bad_request"
    return _BY_STATUS.get(status, usual), status, message
