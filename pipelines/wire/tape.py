"""What crosses the three phases of a measurement: the compiled request, and the tape of its answer.

All ``*_ns`` are nanoseconds of a monotonic clock since ``t_start``, the moment just before the HTTP client was
asked to send; ``started_at`` is the one wall-clock anchor.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pipelines.fleet.providers import Dialect

EndReason = Literal[
    "complete",  # the body ended as its framing said it would
    "dns_error",
    "connect_error",
    "tls_error",
    "timeout_connect",  # DNS, TCP and TLS together took longer than timeouts.connect
    "timeout_first_byte",  # no body byte within timeouts.first_token
    "timeout_idle",  # nothing within timeouts.idle after the last chunk
    "timeout_total",
    "disconnected",  # reset, or the framing promised more
    "too_large",  # the body passed the size limit and was cut off by us
    "local_error",  # this machine failed: file descriptors, resolver, disk
    "protocol_error",  # the peer does not speak HTTP as promised
]


@dataclass(frozen=True)
class WireRequest:
    """One provider's HTTP request, ready to be sent as it is."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    dialect: Dialect
    max_tokens: int
    """The token budget that the body asks for."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values that must not survive into a tape, a row or a message."""


@dataclass(frozen=True)
class Chunk:
    """Bytes that one read returned, stamped before anything looked at them; content encoding not undone."""

    at_ns: int
    data: bytes


@dataclass(frozen=True)
class Tape:
    """Everything that was observed of one request; nothing of it interpreted."""

    request: WireRequest
    started_at: datetime
    sched_lag_ns: int | None
    """``t_start - t_sched``; None when nothing scheduled this attempt."""
    end_reason: EndReason
    end_ns: int
    error: str | None = None
    """What the client said of a failure; redacted."""
    dns_ns: int | None = None
    """Name resolved."""
    tcp_ns: int | None = None
    """TCP connected."""
    tls_ns: int | None = None
    """TLS handshake done; None over plain HTTP or on a reused connection."""
    conn_ns: int | None = None
    """Connection ready: TLS done, TCP done, or at once when reused."""
    conn_reused: bool | None = None
    sent_ns: int | None = None
    """Request body fully written."""
    headers_ns: int | None = None
    """Status line and headers parsed."""
    http_version: str | None = None
    status_code: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[Chunk, ...] = ()
    loop_lag_max_ns: int = 0
    """Largest lateness of the event loop's own timer while this was recorded."""

    def header(self, name: str) -> str | None:
        """Return the first value of a response header, case-insensitively."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)
