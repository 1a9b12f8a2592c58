"""From stamped bytes to stamped frames: server-sent events, lines of JSON, and arrays of JSON.

Every function takes chunks cut at any byte and gives the same frames; only the stamps follow the cuts.
Source of the SSE rules: the WHATWG HTML standard, section "Interpreting an event stream".
"""

import re
from collections.abc import Iterator, Sequence

from pipelines.wire.dialects.fragment import Frame
from pipelines.wire.tape import Chunk

BOM = b"\xef\xbb\xbf"
_ENDS_OF_LINES = re.compile(rb"(?:\r\n|\n|\r)+")
_ONE_END = frozenset({b"\n", b"\r", b"\r\n"})
_STRUCTURE = re.compile(rb'["\\{}\[\]]')
_FIELDS = frozenset({b"data", b"event", b"id", b"retry"})


def opening_byte(chunks: Sequence[Chunk]) -> bytes:
    """Return the first byte of the body that is neither a byte-order mark nor white space; empty if none."""
    head = b""
    for chunk in chunks:
        head += chunk.data
        seen = head.removeprefix(BOM).lstrip()
        if seen and not BOM.startswith(head):
            return seen[:1]
    return b""


def whole(chunks: Sequence[Chunk]) -> Iterator[Frame]:
    """Yield the body as one document, stamped with its last chunk."""
    body = b"".join(chunk.data for chunk in chunks)
    if body:
        yield Frame(chunks[-1].at_ns, body.removeprefix(BOM).strip(), is_whole=True)


def lines(chunks: Sequence[Chunk]) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (stamp, line, was ended) for lines ended by LF, CR or CRLF, cut anywhere.

    A run of blank lines may come as fewer: one says all that there is to say, and a flood of them costs nothing.
    """
    pending = bytearray()
    after_cr = False
    is_first = True
    at_ns = 0
    for chunk in chunks:
        data, at_ns = chunk.data, chunk.at_ns
        if not data:
            continue
        if after_cr and data.startswith(b"\n"):
            data = data[1:]
        start = 0
        for match in _ENDS_OF_LINES.finditer(data):
            pending += data[start : match.start()]
            start = match.end()
            line = bytes(pending).removeprefix(BOM) if is_first else bytes(pending)
            is_first = False
            pending.clear()
            yield at_ns, line, True
            if line and match.group() not in _ONE_END:
                yield at_ns, b"", True
        after_cr = data.endswith(b"\r")
        pending += data[start:]
    if pending:
        yield at_ns, bytes(pending).removeprefix(BOM) if is_first else bytes(pending), False


def sse(chunks: Sequence[Chunk]) -> Iterator[Frame]:
    """Yield the events of a stream; comments and events without data yield nothing.

    A bare JSON object on a line of its own is no event by the standard, yet gateways report their failures
    so: it is yielded too.
    """
    data: list[bytes] = []
    name = ""
    at_ns = 0
    for stamp, line, is_ended in lines(chunks):
        at_ns = stamp
        if not line:
            if any(data):
                yield Frame(stamp, b"\n".join(data), name)
            data, name = [], ""
            continue
        if line.startswith(b"{"):
            yield Frame(stamp, line, name="unframed", is_cut=not is_ended)
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    if any(data):
        yield Frame(at_ns, b"\n".join(data), name, is_cut=True)


def is_sse(chunks: Sequence[Chunk]) -> bool:
    """Return whether any line of the body is a field or a comment of an event stream."""
    return any(line.startswith(b":") or line.partition(b":")[0] in _FIELDS for _, line, _ in lines(chunks))


def sse_or_whole(chunks: Sequence[Chunk]) -> Iterator[Frame]:
    """Yield events, or the one document when the body opens like JSON or HTML."""
    return whole(chunks) if opening_byte(chunks) in (b"{", b"[", b"<") else sse(chunks)


def ndjson(chunks: Sequence[Chunk]) -> Iterator[Frame]:
    """Yield one frame a line; blank lines are skipped."""
    for at_ns, line, is_ended in lines(chunks):
        if line.strip():
            yield Frame(at_ns, line.strip(), is_cut=not is_ended)


def json_array(chunks: Sequence[Chunk]) -> Iterator[Frame]:  # noqa: PLR0912  a state machine reads best whole
    """Yield each object of one JSON array as its closing brace arrives, then the closing bracket itself."""
    element = bytearray()
    depth = 0
    is_text = is_escaped = False
    for chunk in chunks:
        data, start = chunk.data, 0
        if is_escaped and data:
            is_escaped, search_from = False, 1
        else:
            search_from = 0
        while match := _STRUCTURE.search(data, search_from):
            mark, search_from = match.group(), match.end()
            if is_text:
                if mark == b"\\":
                    is_escaped = search_from >= len(data)
                    search_from += 1
                elif mark == b'"':
                    is_text = False
                continue
            if mark == b'"':
                is_text = True
            elif mark in b"{[":
                if depth == 1:
                    element.clear()
                    start = match.start()
                depth += 1
            elif mark in b"}]":
                depth -= 1
                if depth == 1:
                    element += data[start:search_from]
                    yield Frame(chunk.at_ns, bytes(element))
                    element.clear()
                    start = search_from
                elif depth == 0:
                    yield Frame(chunk.at_ns, b"]")
                    return
        element += data[start:]
