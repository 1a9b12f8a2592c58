"""Undo the content encoding of a body, chunk by chunk, so that every stamp stays where its bytes arrived."""

import importlib
import zlib
from collections.abc import Callable, Sequence

from pipelines.wire.tape import Chunk

MAX_BODY_BYTES = 16 * 1024 * 1024
"""A probe asks for a few hundred tokens: what inflates beyond this is a bomb, not an answer."""

Inflate = Callable[[bytes, int], bytes]
"""(compressed bytes, most bytes to return) -> bytes; raises ValueError on corrupt input."""


class TooLarge(ValueError):  # noqa: N818  it names a fact of the answer, not a fault of this program
    """The body inflates beyond the limit."""


def unpack(chunks: Sequence[Chunk], encoding: str | None, *, limit: int = MAX_BODY_BYTES) -> tuple[list[Chunk], str]:
    """Return the chunks with the content encoding undone, and what went wrong (empty when nothing did).

    Bytes before a failure are kept, for they were observed. At most ``limit`` bytes are ever held.
    """
    try:
        steps = [_inflater(name) for name in _names(encoding)]
    except ValueError as error:
        return [], str(error)
    plain: list[Chunk] = []
    room = limit
    for chunk in chunks:
        try:
            data = chunk.data
            for step in steps:
                data = step(data, room + 1)
            if len(data) > room:
                raise TooLarge(f"the body is larger than {limit} bytes once its content encoding is undone")
        except ValueError as error:
            return plain, str(error)
        room -= len(data)
        if data:
            plain.append(Chunk(chunk.at_ns, data))
    return plain, ""


def _names(encoding: str | None) -> list[str]:
    """Return the encodings in the order in which they are undone."""
    names = [name.strip().lower() for name in (encoding or "").split(",")]
    return [name for name in reversed(names) if name not in ("", "identity")]


def _inflater(name: str) -> Inflate:
    if name in ("gzip", "x-gzip"):
        return _Zlib(zlib.MAX_WBITS | 16)
    if name == "deflate":
        return _Deflate()
    if name == "br":
        return _brotli()
    raise ValueError(f"the content encoding {name!r} was not asked for and cannot be undone")


class _Zlib:
    """One zlib stream, or several gzip members one after another."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._stream = zlib.decompressobj(wbits)

    def __call__(self, data: bytes, most: int) -> bytes:
        out = bytearray()
        try:
            while data and len(out) < most:
                if self._stream.eof:
                    self._stream = zlib.decompressobj(self._wbits)
                out += self._stream.decompress(data, most - len(out))
                data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        except zlib.error as error:
            raise ValueError(f"the compressed body is corrupt: {error}") from error
        return bytes(out)


class _Deflate:
    """``deflate`` means zlib by the standard and raw deflate at some servers: the first bytes tell.

    They may come one at a time, so nothing is decided before two of them are there.
    """

    def __init__(self) -> None:
        self._head = b""
        self._inner: _Zlib | None = None

    def __call__(self, data: bytes, most: int) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            is_zlib = self._head[0] & 0x0F == 8 and int.from_bytes(self._head[:2], "big") % 31 == 0
            self._inner = _Zlib(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
            data = self._head
        return self._inner(data, most)


def _brotli() -> Inflate:
    try:
        brotli = importlib.import_module("brotli")  # optional: our requests offer gzip and deflate only
    except ImportError as error:
        raise ValueError("the content encoding 'br' was not asked for and cannot be undone") from error
    stream = brotli.Decompressor()

    def inflate(data: bytes, most: int) -> bytes:
        out = bytearray()
        try:
            # The second argument bounds one call's output; what is left waits inside the decompressor.
            out += stream.process(data, output_buffer_limit=most)
            while len(out) < most and not stream.can_accept_more_data():
                out += stream.process(b"", output_buffer_limit=most - len(out))
        except brotli.error as error:
            raise ValueError(f"the compressed body is corrupt: {error}") from error
        return bytes(out)

    return inflate
