"""Small makers of tapes for the decode tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pipelines.fleet.providers import Dialect
from pipelines.wire.tape import Chunk, EndReason, Tape, WireRequest

STARTED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MS = 1_000_000
TYPES: dict[Dialect, str] = {
    "openai": "text/event-stream",
    "anthropic": "text/event-stream",
    "gemini": "text/event-stream",
    "ollama": "application/x-ndjson",
    "bedrock": "application/vnd.amazon.eventstream",
    "litellm": "text/event-stream",
}


def tape(
    *reads: bytes,
    dialect: Dialect = "openai",
    status: int | None = 200,
    end: EndReason = "complete",
    headers: Sequence[tuple[str, str]] = (),
    secrets: tuple[str, ...] = (),
    **more: Any,
) -> Tape:
    """Return a tape whose reads arrive 10 ms apart, the first after 100 ms."""
    chunks = tuple(Chunk((100 + 10 * at) * MS, data) for at, data in enumerate(reads))
    given = {name.lower() for name, _ in headers}
    kind = () if "content-type" in given else (("Content-Type", TYPES[dialect]),)
    more.setdefault("end_ns", (100 + 10 * len(reads)) * MS)
    return Tape(
        request=WireRequest("POST", "http://127.0.0.1/", (), b"", dialect, 64, secrets),
        started_at=STARTED,
        sched_lag_ns=None,
        end_reason=end,
        headers_ns=90 * MS,
        status_code=status,
        headers=(*kind, *headers),
        chunks=chunks,
        **more,
    )
