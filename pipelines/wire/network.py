"""The sockets under a measurement: name resolution, TCP and TLS apart, and bytes stamped where they arrive.

httpcore's own backend resolves and connects in one step and hands bytes over only when the reading task runs.
This one resolves first (on a thread of its own, so that a hung resolver delays nobody else), and stamps every
read in the event loop's ``data_received`` callback, before any task is scheduled.
"""

import asyncio
import errno
import ipaddress
import socket
import ssl
import threading
import time
from asyncio.staggered import staggered_race
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from typing import Any

import httpcore

from pipelines.wire.tape import EndReason

Clock = Callable[[], int]
Address = tuple[socket.AddressFamily, tuple[Any, ...]]

_HIGH_WATER = 1 << 20
_LOW_WATER = 1 << 18
_HAPPY_EYEBALLS_S = 0.25  # RFC 8305, section 5

_LOCAL_ERRNOS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EADDRNOTAVAIL,
        errno.EPERM,
        errno.EACCES,
        errno.ENETDOWN,
        errno.ENETUNREACH,
    }
)
"""Errors of this machine: no descriptor, no memory, no free port, a local firewall, no route at all."""


class WireFailure(Exception):  # noqa: N818  it ends an attempt as data; it is no error of the program
    """An attempt ended for a reason that the tape can name."""

    def __init__(self, reason: EndReason, message: str) -> None:
        super().__init__(message)
        self.reason: EndReason = reason


def os_failure(error: OSError, otherwise: EndReason) -> WireFailure:
    """Return the failure for an operating-system error: ours when this machine is at fault."""
    reason: EndReason = "local_error" if error.errno in _LOCAL_ERRNOS else otherwise
    return WireFailure(reason, f"{type(error).__name__}: {error}")


Resolve = Callable[[str, int], Awaitable[list[Address]]]


class Resolver:
    """Resolves names with the operating system, one daemon thread per lookup.

    A shared pool would let ten hung lookups hold up two hundred good ones, and the interpreter's exit with them.
    """

    def __init__(self, getaddrinfo: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._getaddrinfo = getaddrinfo
        self._has_resolved = False

    async def __call__(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host, families interleaved. Raises WireFailure dns_error or local_error."""
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            return [(socket.AF_INET if literal.version == 4 else socket.AF_INET6, (host, port))]
        try:
            found = await self._lookup(host, port)
        except socket.gaierror as error:
            raise WireFailure(self._reason(error), f"cannot resolve {host}: {error.strerror}") from error
        except UnicodeError as error:
            raise WireFailure("dns_error", f"{host!r} is not a host name: {error}") from error
        except OSError as error:
            raise os_failure(error, "dns_error") from error
        self._has_resolved = True
        families: dict[socket.AddressFamily, list[Address]] = {}
        for family, _, _, _, address in found:
            families.setdefault(family, []).append((family, address))
        return [address for address in chain.from_iterable(zip_longest(*families.values())) if address is not None]

    def _reason(self, error: socket.gaierror) -> EndReason:
        if error.errno in (socket.EAI_MEMORY, socket.EAI_SYSTEM):
            return "local_error"
        # The C library says "try again" both for a resolver that is gone (ours) and for a zone whose own servers
        # are broken (theirs). That another name resolved tells them apart.
        if error.errno == socket.EAI_AGAIN and not self._has_resolved:
            return "local_error"
        return "dns_error"

    async def _lookup(self, host: str, port: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Any]] = loop.create_future()

        def settle(result: list[Any] | None, error: Exception | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result or [])

        def work() -> None:
            result: list[Any] | None = None
            failure: Exception | None = None
            try:
                result = self._getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                failure = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, failure)

        threading.Thread(target=work, name="arguslab-resolve", daemon=True).start()
        return await done


@dataclass
class Moments:
    """What one attempt's connection noted; absolute clock values, 0 where it did not happen."""

    dns: int = 0
    tcp: int = 0
    tls: int = 0
    sent: int = 0
    connect_by: float = 0.0
    """Event-loop time by which DNS, TCP and TLS must be done."""
    connect_reason: EndReason = "timeout_connect"
    wire: "Wire | None" = None
    on_sent: Callable[[], object] = bool
    """Called once bytes have been written; does nothing by default."""


class Wire(asyncio.Protocol):
    """One connection's bytes as (stamp, data) pairs in order of arrival, with bounded memory."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._queue: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._failure: WireFailure | None = None
        self.transport: asyncio.Transport | None = None
        self.is_over = False
        """The peer has closed, or the connection is lost."""
        self.arrived_ns = 0
        """When the newest bytes arrived."""
        self.read_ns = 0
        """When the bytes that were last handed over had arrived."""

    @property
    def has_unread(self) -> bool:
        """Bytes have arrived that nobody has read yet."""
        return bool(self._queue)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Stamp first, then queue."""
        self.arrived_ns = now = self._clock()
        self._queue.append((now, data))
        self._size += len(data)
        if self._size > _HIGH_WATER and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def eof_received(self) -> bool:
        """Let the transport close itself."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever reads or writes."""
        self._end(WireFailure("disconnected", f"{type(exc).__name__}: {exc}") if exc is not None else None)

    def _end(self, failure: WireFailure | None) -> None:
        self.is_over = True
        self._failure = self._failure or failure
        for waiter in (self._waiter, self._drain):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def fail(self, failure: WireFailure) -> None:
        """End the connection from our side; a pending read raises the failure."""
        self._failure = failure
        self._queue.clear()
        self._end(None)
        self.abort()

    def abort(self) -> None:
        """Close at once, unsent bytes dropped."""
        if self.transport is not None:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Make the next write wait."""
        self._drain = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let writers go on."""
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None

    async def read(self) -> bytes:
        """Return what the next arrival brought; empty at the end. Raises WireFailure."""
        while not self._queue:
            if self._failure is not None:
                raise self._failure
            if self.is_over:
                return b""
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self.read_ns, data = self._queue.popleft()
        self._size -= len(data)
        if self._paused and self._size < _LOW_WATER and self.transport is not None:
            self._paused = False
            if not self.is_over:
                self.transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Hand bytes to the operating system. Raises httpcore.WriteError when the peer has gone."""
        if self._failure is not None and not self._queue:
            # httpcore swallows this one type and goes on to read: a server may answer before it has read everything.
            raise httpcore.WriteError(str(self._failure))
        assert self.transport is not None
        if not self.is_over:
            self.transport.write(data)
        if self._drain is not None:
            await self._drain


class Stream(httpcore.AsyncNetworkStream):
    """httpcore's view of a :class:`Wire`."""

    def __init__(self, wire: Wire, backend: "Backend") -> None:
        self._wire = wire
        self._backend = backend

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109  httpcore's signature; budgets are the recorder's watchdog
        """Return one arrival's bytes."""
        return await self._wire.read()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  see read
        """Write, and note when it was done."""
        if buffer:
            await self._wire.write(buffer)
            moments = self._backend.moments
            moments.sent = self._backend.clock()
            moments.on_sent()

    async def aclose(self) -> None:
        """Close at once."""
        self._wire.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  see read
    ) -> httpcore.AsyncNetworkStream:
        """Shake hands, within what is left of the connection's budget. Raises WireFailure."""
        moments = self._backend.moments
        loop = asyncio.get_running_loop()
        assert self._wire.transport is not None
        try:
            async with asyncio.timeout_at(moments.connect_by):
                transport = await loop.start_tls(
                    self._wire.transport, self._wire, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            self._wire.abort()
            raise WireFailure(moments.connect_reason, "the TLS handshake did not finish in time") from error
        except ssl.SSLCertVerificationError as error:
            raise WireFailure("tls_error", f"certificate refused: {error.verify_message}") from error
        except OSError as error:  # SSLError is one; so is a reset in the middle of the handshake
            raise os_failure(error, "tls_error") from error
        if transport is None:
            raise WireFailure("tls_error", "the peer closed the connection during the TLS handshake")
        self._wire.transport = transport
        moments.tls = self._backend.clock()
        return self

    def get_extra_info(self, info: str) -> Any:
        """Answer what the pool asks: whether an idle connection has been closed by the peer."""
        if info == "is_readable":
            return self._wire.is_over or self._wire.has_unread
        if info == "ssl_object" and self._wire.transport is not None:
            return self._wire.transport.get_extra_info("ssl_object")
        return None


class Backend(httpcore.AsyncNetworkBackend):
    """Opens connections for one slot and notes the moments of the attempt under way."""

    def __init__(self, resolve: Resolve, clock: Clock = time.perf_counter_ns) -> None:
        self._resolve = resolve
        self.clock = clock
        self.moments = Moments()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  the budget is in `moments`
        local_address: str | None = None,  # noqa: ARG002  httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, then connect to the first address that answers. Raises WireFailure."""
        moments = self.moments
        moments.wire = None  # an idle connection that the pool gave up is no longer this attempt's
        loop = asyncio.get_running_loop()
        step = f"resolving {host}"
        try:
            async with asyncio.timeout_at(moments.connect_by):
                addresses = await self._resolve(host, port)
                moments.dns = self.clock()
                step = f"connecting to {host}:{port}"
                sock = await _connect(loop, addresses)
        except TimeoutError as error:
            raise WireFailure(moments.connect_reason, f"{step} took too long") from error
        moments.tcp = self.clock()
        wire = Wire(loop, self.clock)
        await loop.create_connection(lambda: wire, sock=sock)
        moments.wire = wire
        return Stream(wire, self)

    async def sleep(self, seconds: float) -> None:
        """Sleep; httpcore asks for it between connection retries, of which there are none."""
        await asyncio.sleep(seconds)


async def _connect(loop: asyncio.AbstractEventLoop, addresses: list[Address]) -> socket.socket:
    if not addresses:
        raise WireFailure("dns_error", "the name has no address")
    if len(addresses) == 1:
        return await _open(loop, addresses[0])
    winner: socket.socket | None
    winner, _, errors = await staggered_race([partial(_open, loop, one) for one in addresses], _HAPPY_EYEBALLS_S)
    if winner is not None:
        return winner
    failures = [error for error in errors if isinstance(error, WireFailure)]
    # An address family without a route is ours; that every address failed so is what makes the attempt ours.
    theirs = [failure for failure in failures if failure.reason != "local_error"]
    raise (theirs or failures)[0]


async def _open(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, target = address
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise os_failure(error, "local_error") from error
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, target)
    except OSError as error:
        sock.close()
        raise os_failure(error, "connect_error") from error
    except BaseException:
        sock.close()
        raise
    return sock
