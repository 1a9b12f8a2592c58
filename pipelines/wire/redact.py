"""Redact: secrets out of messages and tapes, and a kept tape as JSON that replays through decode.

Two nets: the values that the request was compiled with, and whatever looks like a credential by its place
(an authorization header, a ``key=`` query parameter, a token of a known shape).
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from pipelines.wire.tape import Chunk, Tape, WireRequest

MASK: Final = "[redacted]"
_FORMAT: Final = 1
_SHORTEST: Final = 6
"""A shorter value would mask ordinary words."""

_SECRET_HEADER = re.compile(
    r"authorization|api[-_]?key|token|secret|cookie|credential|signature|x-amz-security|password", re.IGNORECASE
)
_NO_SECRET_HEADER = re.compile(r"token[-_a-z]*(limit|remaining|reset|count|usage)|ratelimit", re.IGNORECASE)
_SHAPES = (
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(r"(?i)([?&](?:key|api[-_]?key|access[-_]?token|token|sig|signature|x-amz-[a-z-]+)=)[^&\s\"'<>]+"),
    re.compile(
        r"(?i)((?:authorization|x-api-key|api-key|x-goog-api-key)[\"']?\s*[:=]\s*[\"']?)(?!bearer|basic)[^\s\"',}]{6,}"
    ),
    re.compile(r"\b(?:sk|gsk|xai|pk|rk)[-_][A-Za-z0-9_-]{12,}|\bAIza[A-Za-z0-9_-]{20,}|\bAKIA[A-Z0-9]{12,}"),
)
_REPLACEMENTS = (rf"\1 {MASK}", rf"\1{MASK}", rf"\1{MASK}", MASK)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return text without the given values, in any of the spellings that URLs and JSON give them, nor lookalikes."""
    for spelling in _spellings(secrets):
        text = text.replace(spelling, MASK)
    for shape, replacement in zip(_SHAPES, _REPLACEMENTS, strict=True):
        text = shape.sub(replacement, text)
    return text


def _spellings(secrets: Iterable[str]) -> list[str]:
    spellings: set[str] = set()
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            encoded = base64.b64encode(secret.encode()).decode()
            spellings |= {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], encoded}
    return sorted(spellings, key=len, reverse=True)  # a value that holds another goes first


def _mask_bytes(data: bytes, secrets: Iterable[str]) -> bytes:
    for spelling in _spellings(secrets):
        data = data.replace(spelling.encode(), MASK.encode())
    return data


def _headers(headers: Iterable[tuple[str, str]], secrets: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            name,
            MASK if _SECRET_HEADER.search(name) and not _NO_SECRET_HEADER.search(name) else redact(value, secrets),
        )
        for name, value in headers
    )


def redacted_tape(tape: Tape) -> Tape:
    """Return a tape without secrets: request, response headers, body and error.

    A body that repeats no secret keeps its chunks byte for byte; in one that does, the value is starred out in place,
    also where it spans chunks, so that lengths and stamps stay as they were.
    """
    secrets = tape.request.secrets
    return replace(
        tape,
        request=replace(
            tape.request,
            url=redact(tape.request.url, secrets),
            headers=_headers(tape.request.headers, secrets),
            body=_mask_bytes(tape.request.body, secrets),
            secrets=(),
        ),
        headers=_headers(tape.headers, secrets),
        error=None if tape.error is None else redact(tape.error, secrets),
        chunks=_mask_chunks(tape.chunks, secrets),
    )


def _mask_chunks(chunks: tuple[Chunk, ...], secrets: tuple[str, ...]) -> tuple[Chunk, ...]:
    body = b"".join(chunk.data for chunk in chunks)
    spellings = [spelling.encode() for spelling in _spellings(secrets)]
    if not any(spelling in body for spelling in spellings):
        return chunks
    masked = bytearray(body)
    for spelling in spellings:
        at = body.find(spelling)
        while at >= 0:
            # The same length, so that the chunk boundaries and their stamps stay where they were.
            masked[at : at + len(spelling)] = b"*" * len(spelling)
            at = body.find(spelling, at + len(spelling))
    kept, start = [], 0
    for chunk in chunks:
        kept.append(Chunk(chunk.at_ns, bytes(masked[start : start + len(chunk.data)])))
        start += len(chunk.data)
    return tuple(kept)


def redacted_tape_json(tape: Tape) -> bytes:
    """Return a redacted tape as UTF-8 JSON; bodies in base64, so that no byte is lost."""
    clean = redacted_tape(tape)
    request = clean.request
    document: dict[str, Any] = {
        field.name: getattr(clean, field.name) for field in fields(Tape) if field.name not in ("request", "chunks")
    }
    document |= {
        "format": _FORMAT,
        "started_at": clean.started_at.isoformat(),
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": request.headers,
            "body": base64.b64encode(request.body).decode(),
            "dialect": request.dialect,
            "max_tokens": request.max_tokens,
        },
        "chunks": [[chunk.at_ns, base64.b64encode(chunk.data).decode()] for chunk in clean.chunks],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def load_tape(data: bytes) -> Tape:
    """Return the tape that :func:`redacted_tape_json` wrote. Raises ValueError when it is none."""
    try:
        document = json.loads(data)
        if document.pop("format") != _FORMAT:
            raise ValueError("this tape was written by another version of ArgusLab; probe again instead")
        request = document.pop("request")
        chunks = document.pop("chunks")
        return Tape(
            **document
            | {
                "request": WireRequest(
                    **request
                    | {"headers": _pairs(request["headers"]), "body": base64.b64decode(request["body"], validate=True)}
                ),
                "started_at": datetime.fromisoformat(document["started_at"]),
                "headers": _pairs(document["headers"]),
                "chunks": tuple(Chunk(at, base64.b64decode(text, validate=True)) for at, text in chunks),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not a tape: {error!r}") from error


def _pairs(items: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in items)
