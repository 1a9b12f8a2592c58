"""One attempt at a time between its timer's zero and its request's last byte.

httpx yields to the event loop several times before it writes. When 64 attempts start in one pass of the loop,
each one's timer runs while all the others are prepared, which adds some 30 ms to every figure. Waiting *before*
the timer starts costs schedule lag, which is recorded, and no accuracy.
"""

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

LONGEST_HOLD_S = 0.005
"""A connection to a far host is waited for outside the gate, so 200 attempts start within a second."""

_GATES: "WeakKeyDictionary[asyncio.AbstractEventLoop, StartGate]" = WeakKeyDictionary()


class Pass:
    """The right to start; given back when the request is sent, or after 5 ms."""

    def __init__(self, gate: "StartGate", loop: asyncio.AbstractEventLoop) -> None:
        self._gate = gate
        self._is_held = True
        self._timer = loop.call_later(LONGEST_HOLD_S, self.release)

    def release(self) -> None:
        """Let the next attempt start; a second call does nothing."""
        if self._is_held:
            self._is_held = False
            self._timer.cancel()
            self._gate.hand_on()


class StartGate:
    """First come, first served. One per event loop: :meth:`of`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "StartGate":
        """Return the gate of a loop."""
        gate = _GATES.get(loop)
        if gate is None:
            gate = _GATES[loop] = cls(loop)
        return gate

    async def enter(self) -> Pass:
        """Wait for the turn and return the pass that ends it."""
        if self._is_taken:
            turn: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.hand_on()  # the turn had come just as its owner was cancelled
                raise
        self._is_taken = True
        return Pass(self, self._loop)

    def hand_on(self) -> None:
        """Give the turn to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the gate stays taken on behalf of the one that wakes
                return
        self._is_taken = False
