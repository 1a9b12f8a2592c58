"""One sweep of the fleet: every due endpoint at once, failures confirmed, all of it within a wall budget.

The tick's budget binds in three ways. An attempt that cannot start in time is reported as skipped. A scheduled
attempt that the budget cuts short of its own timeouts is ours (``client_fault``), never the provider's. A confirming
attempt shares what is left with the confirmations after it, and running out of that counts: the scheduled attempt
before it had its full time.
"""

import asyncio
import gc
import hashlib
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pipelines.fleet.models import Timeouts
from pipelines.wire.attempt import Attempt, Decode, Job, Kind, read_tape, uncompiled
from pipelines.wire.gate import StartGate
from pipelines.wire.limits import Limiter
from pipelines.wire.live import live_reading
from pipelines.wire.network import Resolve, Resolver
from pipelines.wire.outcomes import OUTCOMES
from pipelines.wire.prices import PriceMap, cost_of, price_map
from pipelines.wire.reading import Reading
from pipelines.wire.record import MAX_BYTES, record
from pipelines.wire.reference import Reference
from pipelines.wire.slot import Slot, proxy_for, tls_context
from pipelines.wire.tape import EndReason, Tape

_LARGE_BYTES: Final = 64 << 10
"""Decoding more than this takes milliseconds and goes to a thread, so that open streams keep their stamps."""
_TIMED_OUT: Final[frozenset[EndReason]] = frozenset(
    {"timeout_connect", "timeout_first_byte", "timeout_idle", "timeout_total"}
)


@dataclass(frozen=True)
class SweepSettings:
    """How one sweep is run; durations in seconds."""

    tick_id: str
    kind: Kind = "scheduled"
    budget_s: float = 45.0
    reserve_s: float = 1.0
    """Kept back from the budget for decoding and closing."""
    jitter_s: float = 0.01
    """Starts are spread by this much per endpoint, evenly and always in the same order…"""
    jitter_share: float = 0.05
    """…and over this share of the budget at most."""
    confirm_after_s: tuple[float, ...] = (2.0, 3.0)
    """Pauses before the first, second… confirmation; the last one repeats."""
    min_attempt_s: float = 3.0
    """An attempt that would have less time than this is not started."""
    max_bytes: int = MAX_BYTES
    with_reference: bool = True
    proxy_env: dict[str, str] = field(default_factory=dict)
    """The environment, when its proxy variables are to be honoured."""
    ca_file: str | None = None
    """Certificate bundle of this machine, such as ``SSL_CERT_FILE`` names."""


@dataclass(frozen=True)
class SweepResult:
    """What one sweep measured, and what it could not."""

    attempts: tuple[Attempt, ...]
    skipped_no_time: tuple[str, ...]
    """Ids of due endpoints whose scheduled attempt never started."""
    unconfirmed: tuple[str, ...]
    """Ids of endpoints that failed and whose confirmations the budget did not allow in full."""
    started_at: datetime
    ended_at: datetime
    reference_error_p50_ns: int | None
    reference_error_max_ns: int | None
    loop_lag_max_ns: int


Progress = Callable[[int, int], object]


async def sweep(
    jobs: Sequence[Job],
    *,
    settings: SweepSettings,
    decode: Decode = read_tape,
    prices: PriceMap | None = None,
    resolve: Resolve | None = None,
    progress: Progress | None = None,
    on_attempt: Callable[[Attempt], object] | None = None,
    stop: asyncio.Event | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> SweepResult:
    """Ask every job's endpoint once, confirm what failed, and return it all within ``settings.budget_s``.

    ``progress`` hears (endpoints done, endpoints due); ``on_attempt`` hears each attempt as soon as it is judged, so
    that nothing measured is lost when the caller is cancelled. Setting ``stop`` ends the sweep early with what it has.
    """
    started_at = now()
    run = _Run(settings, decode, prices, resolve or Resolver(), on_attempt, now)
    total, done = len(jobs), 0
    live = [job for job in jobs if job.error is None and job.asks[0].request is None]
    wired = [job for job in jobs if job.error is not None or job.asks[0].request is not None]
    tasks: list[asyncio.Task[None]] = []

    def tell() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    async def one(job: Job) -> None:
        await run.endpoint(job)
        tell()

    async with Reference(resolve=run.resolve) as reference, _undisturbed():
        run.reference = reference
        if settings.with_reference:
            await reference.probe()  # at least one sample, however short the sweep
        run.warm(wired)
        sampler = asyncio.create_task(reference.keep_probing()) if settings.with_reference else None
        try:
            tasks = [asyncio.create_task(one(job)) for job in wired]
            await _all(tasks, run.deadline + settings.reserve_s / 2, stop)
            for job in live:  # after the wire, because LiteLLM keeps the event loop busy
                if stop is None or not stop.is_set():
                    await run.live(job)
                tell()
        finally:
            for task in [*tasks, *([sampler] if sampler is not None else [])]:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await run.aclose()
    measured = {attempt.endpoint.endpoint_id for attempt in run.attempts}
    return SweepResult(
        attempts=tuple(run.with_reference_errors()),
        skipped_no_time=tuple(job.endpoint.endpoint_id for job in jobs if job.endpoint.endpoint_id not in measured),
        unconfirmed=tuple(run.unconfirmed),
        started_at=started_at,
        ended_at=now(),
        reference_error_p50_ns=reference.error_p50_ns(),
        reference_error_max_ns=reference.error_max_ns(),
        loop_lag_max_ns=max((attempt.loop_lag_max_ns for attempt in run.attempts), default=0),
    )


@asynccontextmanager
async def _undisturbed() -> AsyncIterator[None]:
    """Keep the garbage collector off what was there before: with Dagster loaded, one full pass stops the loop 0.3 s."""
    gc.freeze()  # without a pass first: it would take its time from the sweep's budget
    try:
        yield
    finally:
        gc.unfreeze()


async def _all(tasks: Sequence[asyncio.Task[None]], by: float, stop: asyncio.Event | None) -> None:
    """Wait for the tasks, the moment, or the stop, whichever is first; a task's error is raised at once."""
    if not tasks:
        return
    gathered = asyncio.gather(*tasks)
    stopped = asyncio.ensure_future(stop.wait()) if stop is not None else None
    waited: set[asyncio.Future[Any]] = {gathered} if stopped is None else {gathered, stopped}
    try:
        left = max(0.0, by - asyncio.get_running_loop().time())
        await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if gathered.done():
            gathered.result()
    finally:
        if stopped is not None:
            stopped.cancel()
        gathered.cancel()
        with suppress(asyncio.CancelledError):
            await gathered


def offsets(endpoint_ids: Sequence[str], spread_s: float) -> dict[str, float]:
    """Return when each endpoint starts, in seconds: evenly over the spread, in the order of a hash of the id.

    The same endpoints get the same places in every sweep, models of one provider are strewn, and no two start at once.
    """
    order = sorted(endpoint_ids, key=lambda name: hashlib.sha256(name.encode()).digest())
    return {name: spread_s * place / len(order) for place, name in enumerate(order)}


@dataclass
class _Run:
    """The state of one sweep."""

    settings: SweepSettings
    decode: Decode
    prices: PriceMap | None
    resolve: Resolve
    on_attempt: Callable[[Attempt], object] | None
    now: Callable[[], datetime]
    reference: Reference | None = None
    attempts: list[Attempt] = field(default_factory=list)
    unconfirmed: list[str] = field(default_factory=list)
    limiter: Limiter = field(default_factory=Limiter)
    offsets: dict[str, float] = field(default_factory=dict)
    _starts: dict[str, int] = field(default_factory=dict)
    _idle: dict[str, list[Slot]] = field(default_factory=dict)
    _decoding: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.began = self._loop.time()
        self.deadline = self.began + self.settings.budget_s - self.settings.reserve_s

    def warm(self, jobs: Sequence[Job]) -> None:
        """Do beforehand what would hold up an open stream (TLS contexts, clients, prices), then plan the starts."""
        wanted: Counter[str] = Counter()
        for job in jobs:
            request = job.asks[0].request if job.asks else None
            wanted[job.endpoint.provider] += 1
            if request is not None and wanted[job.endpoint.provider] <= job.endpoint.limits.concurrency:
                with suppress(OSError, ValueError):  # told by the attempt itself
                    self._idle.setdefault(job.endpoint.provider, []).append(self._slot(job, request.url))
        if self.prices is None:
            self.prices = price_map()
        spread = min(self.settings.jitter_s * len(jobs), self.settings.jitter_share * self.settings.budget_s)
        self.offsets = offsets([job.endpoint.endpoint_id for job in jobs], spread)
        self.began = self._loop.time()

    async def endpoint(self, job: Job) -> None:
        """Ask one endpoint, and again where its failure is worth confirming."""
        if job.error is not None:
            self._keep(self._attempt(job, 0, uncompiled(job.error), None))
            return
        await asyncio.sleep(self.began + self.offsets[job.endpoint.endpoint_id] - self._loop.time())
        confirmations = min(len(job.asks), job.endpoint.promises.fail_threshold) - 1
        for number in range(confirmations + 1):
            if number > 0:
                pauses = self.settings.confirm_after_s
                await asyncio.sleep(pauses[min(number, len(pauses)) - 1])
            attempt = await self._ask(job, number, confirmations)
            if attempt is None:
                if number > 0:
                    self.unconfirmed.append(job.endpoint.endpoint_id)
                return
            self._keep(attempt)
            if not OUTCOMES[attempt.reading.outcome].confirms:
                return

    async def live(self, job: Job) -> None:
        """Ask an endpoint through LiteLLM itself, its own clock and all."""
        left = self.deadline - self._loop.time()
        if left < self.settings.min_attempt_s:
            return
        timeouts = _capped(job.endpoint.timeouts, left)
        reading, started_at, lag_ns = await live_reading(job.asks[0], timeouts, now=self.now)
        attempt = self._attempt(job, 0, reading, None)
        self._keep(replace(attempt, started_at=started_at, clock="sdk", loop_lag_max_ns=lag_ns))

    async def _ask(self, job: Job, number: int, confirmations: int) -> Attempt | None:
        sched_ns = time.perf_counter_ns()
        async with self.limiter.slot(job.endpoint, self.deadline - self.settings.min_attempt_s) as is_granted:
            left = self.deadline - self._loop.time()
            share = left if number == 0 else self._share(left, number, confirmations)
            if not is_granted or share < self.settings.min_attempt_s:
                return None
            tape = await self._record(job, number, sched_ns, share)
        if isinstance(tape, Reading):
            return self._attempt(job, number, tape, None)
        reading = await self._read(job, number, tape)
        if number == 0 and _is_cut(tape, job.endpoint.timeouts, share):
            reading = _cut(reading, share)
        return self._attempt(job, number, reading, tape)

    def _share(self, left: float, number: int, confirmations: int) -> float:
        """Return the part of what is left that one confirmation may take, the pauses after it set aside.

        Where the parts would be too short, the next one gets enough and the last ones go without.
        """
        pauses = self.settings.confirm_after_s
        later = sum(pauses[min(after, len(pauses)) - 1] for after in range(number + 1, confirmations + 1))
        even = (left - later) / (confirmations - number + 1)
        return max(even, min(left, self.settings.min_attempt_s))

    async def _record(self, job: Job, number: int, sched_ns: int, share: float) -> Tape | Reading:
        request = job.asks[number].request
        assert request is not None
        idle = self._idle.setdefault(job.endpoint.provider, [])
        try:
            # A confirmation opens a connection of its own: a kept one would hide that no new one can be made.
            slot = idle.pop() if idle and number == 0 else self._slot(job, request.url)
        except (OSError, ValueError) as error:
            return Reading(
                outcome="client_fault",
                error_type="client_fault",
                error_message=f"providers.{job.endpoint.provider}.tls or the proxy cannot be used: {error}",
            )
        try:
            timeouts = _capped(job.endpoint.timeouts, share)
            self._starts[_probe_id(self.settings, job, number)] = time.perf_counter_ns()
            return await record(
                request, timeouts, slot=slot, sched_ns=sched_ns, max_bytes=self.settings.max_bytes, wall=self.now
            )
        finally:
            if number == 0:
                idle.append(slot)
            else:
                await slot.aclose()

    def _slot(self, job: Job, url: str) -> Slot:
        context: ssl.SSLContext = tls_context(job.endpoint.tls, self.settings.ca_file)
        return Slot(context, resolve=self.resolve, proxy=proxy_for(url, self.settings.proxy_env))

    async def _read(self, job: Job, number: int, tape: Tape) -> Reading:
        """Decode, one tape per pass of the event loop, so that streams still open are delayed by one at most."""
        try:
            if sum(len(chunk.data) for chunk in tape.chunks) > _LARGE_BYTES:
                return await asyncio.to_thread(self.decode, job, number, tape)
            async with self._decoding:
                turn = await StartGate.of(self._loop).enter()  # not between another's timer zero and its request
                try:
                    reading = self.decode(job, number, tape)
                finally:
                    turn.release()
                await asyncio.sleep(0)
                return reading
        except Exception as error:  # noqa: BLE001  a decoder's bug on one answer must not blind the whole fleet
            problem = f"{type(error).__name__}: {error}"
            return Reading(
                outcome="client_fault",
                error_type="client_fault",
                error_message=f"the answer could not be decoded, please report its tape: {problem}",
                end_ns=tape.end_ns,
                body_bytes=sum(len(chunk.data) for chunk in tape.chunks),
            )

    def _attempt(self, job: Job, number: int, reading: Reading, tape: Tape | None) -> Attempt:
        cost, source = (None, None) if job.error else cost_of(job.endpoint, tape, reading, self.prices)
        return Attempt(
            job=job,
            number=number,
            kind="confirm" if number else self.settings.kind,
            probe_id=_probe_id(self.settings, job, number),
            confirm_of=_probe_id(self.settings, job, 0) if number else None,
            started_at=tape.started_at if tape is not None else self.now(),
            reading=reading,
            tape=tape,
            cost_usd=cost,
            price_source=source,
            loop_lag_max_ns=tape.loop_lag_max_ns if tape is not None else 0,
        )

    def _keep(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        if self.on_attempt is not None:
            self.on_attempt(attempt)

    def with_reference_errors(self) -> list[Attempt]:
        """Return the attempts, each with the error of the reference sample nearest to it in time."""
        assert self.reference is not None
        return [
            replace(attempt, reference_error_ns=self.reference.error_near_ns(self._starts[attempt.probe_id]))
            if attempt.probe_id in self._starts
            else attempt
            for attempt in self.attempts
        ]

    async def aclose(self) -> None:
        """Close every kept connection."""
        for slot in [slot for slots in self._idle.values() for slot in slots]:
            await slot.aclose()


def _probe_id(settings: SweepSettings, job: Job, number: int) -> str:
    return f"{settings.tick_id}:{job.endpoint.endpoint_id}:{number}"


def _capped(timeouts: Timeouts, seconds: float) -> Timeouts:
    limit = timedelta(seconds=seconds)
    return timeouts.model_copy(
        update={
            "first_token": min(timeouts.first_token, limit),
            "total": min(timeouts.total, limit),
        }
    )


def _is_cut(tape: Tape, timeouts: Timeouts, share: float) -> bool:
    """Return whether the sweep's budget ended an attempt that its own timeouts would have let run."""
    if tape.end_reason not in _TIMED_OUT or share >= timeouts.total.total_seconds():
        return False
    if tape.end_reason == "timeout_first_byte":
        return share < timeouts.first_token.total_seconds()
    return tape.end_reason == "timeout_total"


def _cut(reading: Reading, share: float) -> Reading:
    return replace(
        reading,
        outcome="client_fault",
        error_type="client_fault",
        error_message=f"cut after {share:.1f} s by the sweep's own wall budget; raise tick_budget or the limits",
    )
