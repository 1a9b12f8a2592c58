"""How hard a provider may be asked: the narrowest slot first, then the provider's, then its rate.

Keyed by the provider's *name*, its account: two accounts of one type share nothing. A request that waits for a busy
model holds no slot that an idle one could use.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipelines.fleet.models import Endpoint


@dataclass
class _Pace:
    """Requests evenly spaced, so that no minute, whichever way it is cut, holds more than the limit."""

    spacing_s: float
    free_at: float = 0.0

    def reserve(self, now: float) -> float:
        """Take the next free moment and return it."""
        at = max(now, self.free_at)
        self.free_at = at + self.spacing_s
        return at


@dataclass
class Limiter:
    """The slots and paces of one sweep."""

    _models: dict[tuple[str, str], asyncio.Semaphore] = field(default_factory=dict)
    _providers: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _paces: dict[str, _Pace] = field(default_factory=dict)

    @asynccontextmanager
    async def slot(self, endpoint: Endpoint, start_by: float) -> AsyncIterator[bool]:
        """Yield True once the endpoint may be asked, or False when that cannot be before a moment of the loop."""
        limits = endpoint.limits
        model = self._models.setdefault((endpoint.provider, endpoint.model), asyncio.Semaphore(limits.per_model))
        provider = self._providers.setdefault(endpoint.provider, asyncio.Semaphore(limits.concurrency))
        if not await _acquire(model, start_by):
            yield False
            return
        try:
            if not await _acquire(provider, start_by):
                yield False
                return
            try:
                yield await self._is_turn(endpoint, start_by)
            finally:
                provider.release()
        finally:
            model.release()

    async def _is_turn(self, endpoint: Endpoint, start_by: float) -> bool:
        if endpoint.limits.rpm is None:
            return True
        pace = self._paces.setdefault(endpoint.provider, _Pace(60 / endpoint.limits.rpm))
        now = asyncio.get_running_loop().time()
        if max(now, pace.free_at) > start_by:
            return False
        await asyncio.sleep(pace.reserve(now) - now)
        return True


async def _acquire(semaphore: asyncio.Semaphore, by: float) -> bool:
    if not semaphore.locked():
        await semaphore.acquire()
        return True
    try:
        async with asyncio.timeout_at(by):
            await semaphore.acquire()
    except TimeoutError:
        return False
    return True
