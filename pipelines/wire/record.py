"""Record: send one compiled request and write the tape of what came back, every read stamped at arrival.

Nothing is parsed while a stream is open. Four budgets are kept apart: connection (DNS, TCP and TLS together),
first body byte, silence between reads, and the whole attempt.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import httpx

from pipelines.fleet.models import Timeouts
from pipelines.fleet.providers import Dialect
from pipelines.wire.gate import StartGate
from pipelines.wire.lag import LagMonitor
from pipelines.wire.network import Clock, Moments, Wire, WireFailure
from pipelines.wire.redact import redact
from pipelines.wire.slot import Slot
from pipelines.wire.tape import Chunk, EndReason, Tape, WireRequest

MAX_BYTES: Final = 8 << 20
_MAX_CHUNKS: Final = 100_000  # a flood of one-byte chunks is bounded too: each costs some 130 bytes
STALLED_CLOSE_NS: Final = 12_000_000_000
"""A stream whose terminal marker was seen is left open this long: past the 10 s that the taxonomy calls stalled."""
_TAIL_BYTES: Final = 4096

_TERMINAL: Final[dict[Dialect, tuple[bytes, ...]]] = {
    "openai": (b"[DONE]",),
    "anthropic": (b"message_stop",),
    "gemini": (b'"finishReason"',),
    "ollama": (b'"done":true', b'"done": true'),
    "bedrock": (b"messageStop", b'"stopReason"'),
    "litellm": (b"[DONE]",),
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Watchdog:
    """One timer for a stream's budgets, moved lazily: a read costs nothing, an expired timer looks again."""

    def __init__(
        self,
        *,
        dialect: Dialect,
        timeouts: Timeouts,
        start_ns: int,
        moments: Moments,
        chunks: list[tuple[int, bytes]],
        clock: Clock,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._moments = moments
        self._chunks = chunks
        self._markers = _TERMINAL[dialect]
        self._first_by = start_ns + _ns(timeouts.first_token.total_seconds())
        self._total_by = start_ns + _ns(timeouts.total.total_seconds())
        self._idle = _ns(timeouts.idle.total_seconds())
        self._timer: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """Look again when the nearest budget can run out."""
        self.stop()
        self._arm_at(min(self._due()[0], self._total_by))

    def stop(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm_at(self, due_ns: int) -> None:
        self._timer = self._loop.call_later(max(0.001, (due_ns - self._clock()) / 1e9), self._look)

    def _due(self) -> tuple[int, EndReason]:
        if not self._chunks:
            return self._first_by, "timeout_first_byte"
        wire = self._moments.wire
        quiet_since = max(self._chunks[-1][0], wire.arrived_ns if wire is not None else 0)
        return quiet_since + min(self._idle, STALLED_CLOSE_NS), "timeout_idle"

    def _look(self) -> None:
        wire = self._moments.wire
        if wire is None:
            self._arm_at(self._clock() + 50_000_000)  # still connecting, which has a budget of its own
            return
        now = self._clock()
        due, reason = self._due()
        if now >= self._total_by:
            wire.fail(WireFailure("timeout_total", "the attempt's total budget ran out"))
        elif wire.has_unread:
            self._arm_at(now + 20_000_000)  # bytes have arrived and their reader has not run: our delay, not a silence
        elif now < due:
            self._arm_at(min(due, self._total_by))
        elif reason == "timeout_first_byte":
            wire.fail(WireFailure(reason, "no byte of the body within the first-token budget"))
        else:
            # Only after this much silence is anything looked at; it decides how long the silence may last.
            allowed = STALLED_CLOSE_NS if self._has_terminal() else self._idle
            due += allowed - min(self._idle, STALLED_CLOSE_NS)
            if now < due:
                self._arm_at(min(due, self._total_by))
            else:
                wire.fail(WireFailure(reason, "the stream went silent for longer than the idle budget"))

    def _has_terminal(self) -> bool:
        tail = b""
        for _, data in reversed(self._chunks):
            tail = data[-_TAIL_BYTES:] + tail
            if len(tail) >= _TAIL_BYTES:
                break
        return any(marker in tail for marker in self._markers)


async def record(
    request: WireRequest,
    timeouts: Timeouts,
    *,
    slot: Slot,
    sched_ns: int | None = None,
    max_bytes: int = MAX_BYTES,
    wall: Callable[[], datetime] = _utc_now,
) -> Tape:
    """Return the tape of one attempt; a failure is on the tape, never raised.

    ``sched_ns`` is the moment of the slot's clock at which the schedule wanted the request sent. Bodies are kept as
    sent, content encoding not undone, up to ``max_bytes``. No retry, no redirect, whatever happens.
    """
    clock = slot.clock
    loop = asyncio.get_running_loop()
    message = httpx.Request(
        request.method, request.url, headers=list(request.headers), content=request.body, extensions={"timeout": {}}
    )
    moments = slot.backend.moments = Moments()
    previous: Wire | None = slot.wire
    chunks: list[tuple[int, bytes]] = []
    response: httpx.Response | None = None
    headers_ns = 0
    reason: EndReason = "complete"
    error: str | None = None
    turn = await StartGate.of(loop).enter()
    moments.on_sent = turn.release
    with LagMonitor.of(loop) as lag:
        started_at = wall()
        start = clock()
        connect_s, total_s = timeouts.connect.total_seconds(), timeouts.total.total_seconds()
        moments.connect_by = loop.time() + min(connect_s, total_s)
        moments.connect_reason = "timeout_connect" if connect_s <= total_s else "timeout_total"
        moments.wire = previous
        watchdog = _Watchdog(
            dialect=request.dialect,
            timeouts=timeouts,
            start_ns=start,
            moments=moments,
            chunks=chunks,
            clock=clock,
        )
        watchdog.arm()
        try:
            response = await slot.client.send(message, stream=True)
            wire = moments.wire
            assert wire is not None
            headers_ns = wire.read_ns
            reason = await _read_body(response, wire, chunks, watchdog, max_bytes)
        except (WireFailure, httpx.TransportError, OSError) as failure:
            reason, error = _explain(failure, moments)
        finally:
            turn.release()
            watchdog.stop()
            end = clock()
            if response is not None:
                await response.aclose()
        lag_ns = lag.largest_ns(start)
    slot.wire = moments.wire if reason == "complete" else None
    is_reused = previous is not None and moments.wire is previous
    return Tape(
        request=request,
        started_at=started_at,
        sched_lag_ns=None if sched_ns is None else start - sched_ns,
        end_reason=reason,
        end_ns=end - start,
        error=None if error is None else redact(error, request.secrets),
        dns_ns=_since(start, moments.dns),
        tcp_ns=_since(start, moments.tcp),
        tls_ns=_since(start, moments.tls),
        conn_ns=0 if is_reused else _connected(request.url, start, moments),
        conn_reused=is_reused if moments.wire is not None else None,
        sent_ns=_since(start, moments.sent),
        headers_ns=_since(start, headers_ns),
        http_version=response.http_version if response is not None else None,
        status_code=response.status_code if response is not None else None,
        headers=_headers(response),
        chunks=tuple(Chunk(at - start, data) for at, data in chunks),
        loop_lag_max_ns=lag_ns,
    )


def _explain(failure: Exception, moments: Moments) -> tuple[EndReason, str]:
    if isinstance(failure, WireFailure):
        return failure.reason, str(failure)
    message = f"{type(failure).__name__}: {failure}"
    if isinstance(failure, httpx.RemoteProtocolError):
        # A body that ends early and bytes that are no HTTP are one exception; whether the peer closed tells them apart.
        return ("disconnected" if moments.wire is None or moments.wire.is_over else "protocol_error"), message
    if isinstance(failure, httpx.NetworkError):
        return "disconnected", message
    return "local_error", message


async def _read_body(
    response: httpx.Response, wire: Wire, chunks: list[tuple[int, bytes]], watchdog: _Watchdog, max_bytes: int
) -> EndReason:
    size = 0
    async for data in response.aiter_raw():
        chunks.append((wire.read_ns, data))
        size += len(data)
        if len(chunks) == 1:
            watchdog.arm()  # from here on the idle budget rules, and it may be the shorter one
        if size > max_bytes or len(chunks) > _MAX_CHUNKS:
            wire.abort()
            return "too_large"
    return "complete"


def _connected(url: str, start: int, moments: Moments) -> int | None:
    return _since(start, moments.tls if url.startswith("https:") else moments.tcp)


def _headers(response: httpx.Response | None) -> tuple[tuple[str, str], ...]:
    if response is None:
        return ()
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)


def _since(start: int, moment: int) -> int | None:
    return moment - start if moment else None


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
