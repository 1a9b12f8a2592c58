"""The binary framing of ``application/vnd.amazon.eventstream``: lengths, headers, payload, two checksums.

Source: Smithy, "Amazon Event Stream Specification". Read here and not through botocore, which is no dependency of ours,
raises where a class is wanted, and cannot say which read completed a frame.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.wire.dialects.fragment import Malformed
from pipelines.wire.tape import Chunk

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""The specification's largest message."""
_PRELUDE = struct.Struct(">III")
_SIZES = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of each header type of fixed length; 0 and 1 are booleans without a value."""


@dataclass(frozen=True)
class Message:
    """One frame: its text headers and its payload. ``problem`` tells why the rest cannot be read."""

    at_ns: int
    headers: dict[str, str]
    payload: bytes
    problem: str = ""


def messages(chunks: Sequence[Chunk]) -> Iterator[Message]:
    """Yield each frame as its last byte arrives; after a broken one nothing more can be found."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk.data
        while len(pending) >= _PRELUDE.size:
            total, header_size, prelude_crc = _PRELUDE.unpack_from(pending)
            if zlib.crc32(pending[:8]) != prelude_crc or not 16 + header_size <= total <= MAX_FRAME_BYTES:
                yield Message(chunk.at_ns, {}, b"", "a frame's prelude fails its checksum")
                return
            if len(pending) < total:
                break
            frame = bytes(pending[:total])
            del pending[:total]
            if zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "big"):
                yield Message(chunk.at_ns, {}, b"", "a frame fails its checksum")
                return
            try:
                headers = _headers(frame[12 : 12 + header_size])
            except (Malformed, UnicodeDecodeError, IndexError) as error:
                yield Message(chunk.at_ns, {}, b"", f"a frame's headers cannot be read: {error}")
                return
            yield Message(chunk.at_ns, headers, frame[12 + header_size : -4])


def encode(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one frame with text headers."""
    head = b"".join(
        bytes([len(name.encode())]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name, kind = data[at + 1 : name_end].decode("utf-8"), data[name_end]
        at = name_end + 1
        if kind in (0, 1):
            continue
        if kind in (6, 7):
            size = int.from_bytes(data[at : at + 2], "big")
            value = data[at + 2 : at + 2 + size]
            at += 2 + size
            if len(value) < size:
                raise Malformed("a header is cut short")
            if kind == 7:
                found[name] = value.decode("utf-8")
        elif kind in _SIZES:
            at += _SIZES[kind]
        else:
            raise Malformed(f"header type {kind} is unknown")
    return found
