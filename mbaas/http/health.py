"""Whether this process lives, and whether it should get requests. For balancers and orchestrators; tells no secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from mbaas.http.respond import Reply

CACHE_S = 1.0  # however often one asks, the database is asked once in this time
PROBE_TIMEOUT_S = 2.0


class Health:
    """What ``/health/live`` and ``/health/ready`` say."""

    def __init__(self, probe: Callable[[], Awaitable[None]]) -> None:
        """probe: does nothing when the database answers, raises when not."""
        self._probe = probe
        self._draining = False
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[bool] | None = None

    @property
    def draining(self) -> bool:
        return self._draining

    def drain(self) -> None:
        """From now on not ready: running requests finish, new ones should go elsewhere."""
        self._draining = True

    def live(self) -> Reply:
        return Reply(200, b'{"status":"live"}')

    async def ready(self) -> Reply:
        if self._draining:
            return _not_ready(b"draining")
        if not await self._database_answers():
            return _not_ready(b"database")
        return Reply(200, b'{"status":"ready"}')

    async def _database_answers(self) -> bool:
        if self._asking is None or (self._asking.done() and time.monotonic() - self._asked_at > CACHE_S):
            self._asked_at = time.monotonic()
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._probe()
        except Exception:  # whatever is wrong, the answer is the same; the database's own log line has the reason
            return False
        return True


def _not_ready(why: bytes) -> Reply:
    return Reply(503, b'{"status":"not ready","reason":"%s"}' % why, ((b"retry-after", b"1"),))
