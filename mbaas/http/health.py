"""Whether this process lives, and whether it should get requests. For balancers and orchestrators; tells no secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from mbaas.http.respond import Reply

WATCHED_S = 60.0  # who asked whether we are ready in this time before draining will ask again
ANNOUNCED = 2  # answers of "draining" after which whoever watches should know
CACHE_S = 1.0  # however often one asks, the database is asked once in this time
PROBE_TIMEOUT_S = 2.0


class Health:
    """What ``/health/live`` and ``/health/ready`` say."""

    def __init__(self, probe: Callable[[], Awaitable[None]], *, begun: bool = True) -> None:
        """probe: does nothing when the database answers, raises when not. begun: not before ``begin``, when false."""
        self._probe = probe
        self._begun = begun
        self._draining_since: float | None = None
        self._announced = 0
        self._watched_at = float("-inf")
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[bool] | None = None

    @property
    def draining(self) -> bool:
        return self._draining_since is not None

    def begin(self) -> None:
        """All of the server is there."""
        self._begun = True

    def drain(self) -> None:
        """From now on not ready: running requests finish, new ones should go elsewhere."""
        if self._draining_since is None:
            self._draining_since = time.monotonic()

    def announcing(self, max_s: float) -> bool:
        """Whether a balancer that watches us has yet to learn that we are draining. At most ``max_s`` seconds."""
        since = self._draining_since
        return (
            since is not None
            and self._watched_at > since - WATCHED_S
            and self._announced < ANNOUNCED
            and time.monotonic() < since + max_s
        )

    def live(self) -> Reply:
        return Reply(200, b'{"status":"live"}')

    async def ready(self) -> Reply:
        if self.draining:
            self._announced += 1
            return _not_ready(b"draining")
        if not self._begun:
            return _not_ready(b"starting")
        self._watched_at = time.monotonic()
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
