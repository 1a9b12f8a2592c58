"""How late the event loop's own timer fires: the part of a measured delay that is ours, not the provider's."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Self
from weakref import WeakKeyDictionary

PERIOD_NS = 20_000_000
_KEPT_ABOVE_NS = 1_000_000  # a lateness below the timer's own resolution says nothing
_KEPT = 20_000

_MONITORS: "WeakKeyDictionary[asyncio.AbstractEventLoop, LagMonitor]" = WeakKeyDictionary()


class LagMonitor:
    """Wakes every 20 ms and remembers each lateness of a millisecond or more with the moment it was seen.

    One per event loop (:meth:`of`); it holds no task, only a timer, and stops with :meth:`stop`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._loop = loop
        self._clock = clock
        self._seen: deque[tuple[int, int]] = deque(maxlen=_KEPT)
        self._users = 0
        self._due = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "LagMonitor":
        """Return the monitor of a loop; not ticking until somebody enters it."""
        monitor = _MONITORS.get(loop)
        if monitor is None:
            monitor = _MONITORS[loop] = cls(loop)
        return monitor

    def __enter__(self) -> Self:
        self._users += 1
        if self._timer is None:
            self._arm()
        return self

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._users == 0:
            self.stop()

    def _arm(self) -> None:
        self._due = self._clock() + PERIOD_NS
        self._timer = self._loop.call_later(PERIOD_NS / 1e9, self._tick)

    def _tick(self) -> None:
        now = self._clock()
        late = now - self._due
        if late >= _KEPT_ABOVE_NS:
            self._seen.append((now, late))
        self._arm()

    def stop(self) -> None:
        """Stop waking the loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def largest_ns(self, since_ns: int) -> int:
        """Return the largest lateness seen at or after a moment of the clock, the one now under way included."""
        largest = max(0, self._clock() - self._due) if self._timer is not None else 0
        for seen_at, late in reversed(self._seen):
            if seen_at < since_ns:
                break
            largest = max(largest, late)
        return largest
