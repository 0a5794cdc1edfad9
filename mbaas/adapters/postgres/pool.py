"""A few connections: opened as they are needed, handed out, taken back clean, replaced when lost.

Not asyncpg's pool: that resets each connection by a query at each release, which halves the rate. Here nothing is left
on a connection to be reset: single statements set nothing, and a transaction cleans up in the message that ends it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mbaas.adapters.postgres.errors import DRIVER_ERRORS
from mbaas.core.errors import MbaasError, Overloaded, Unavailable
from mbaas.core.observe import DatabaseBack, DatabaseLost, Observe

# What SQL may leave on a session. ``reset all`` goes back to what the connection was opened with.
CLEAN = (
    "reset session authorization; reset role; reset all; unlisten *; close all; discard temp; discard sequences; "
    "select pg_advisory_unlock_all()"
)
ROLLBACK = f"rollback; {CLEAN}"
_SETTLE_S = 2.0
_WAITING_PER_LINK = 100
_EXPIRE_PAUSE_S = 1.0
_GROW_AFTER_S = 0.005  # waited for a connection; one that is idle costs PostgreSQL 2 MB, and 6 once it has worked


class Link:
    """One open connection of a pool. Whoever has taken it has it alone. patient: and is one who leaves some."""

    __slots__ = ("connection", "generation", "patient")

    def __init__(self, connection: Any, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        self.patient = False


class Pool:
    """At most ``size`` connections: one, and another whenever somebody has to wait.

    When the server is gone it fails those who ask, tries again, and recovers by itself. Some who ask are patient: they
    have ``patient`` of the connections at most, so that the others find one.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        *,
        size: int,
        acquire_timeout_s: float,
        observe: Observe,
        patient: int | None = None,
    ) -> None:
        self._connect = connect
        self._size = size
        self._wanted = 1
        self._acquire_timeout_s = acquire_timeout_s
        self._observe = observe
        self._links: set[Link] = set()
        self._idle: list[Link] = []  # the last used on top: its caches are warm
        self._waiting: dict[asyncio.Future[Link], None] = {}  # in order of arrival
        self._patient: dict[asyncio.Future[Link], None] = {}  # the patient ones
        self._most_patient = size if patient is None else patient
        self._held_patiently = 0
        self._generation = 0
        self._expired_at = float("-inf")
        self._lost_at: float | None = None
        self._refilling = False
        self._growing = False
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> int:
        """How many connections stand."""
        return len(self._links)

    async def open(self) -> None:
        """Connect. Raises what that raises."""
        self._closed = False
        self._idle.append(await self._new_link())

    async def close(self, *, patience_s: float = 5.0) -> None:
        """Close all; those in use when they come back, or after ``patience_s`` seconds by force."""
        self._closed = True
        for future in [*self._waiting, *self._patient]:
            self._fail(future, Unavailable("the server is stopping"))
        idle, self._idle = self._idle, []
        for link in idle:
            self._links.discard(link)
            await _close(link)
        deadline = asyncio.get_running_loop().time() + patience_s
        while self._links and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(0.01)
        for link in list(self._links):
            self._drop(link)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def take(self, *, patient: bool = False) -> Link | None:
        """A connection that is free right now."""
        if patient and self._held_patiently >= self._most_patient:
            return None
        while self._idle:
            link = self._idle.pop()
            if self._is_good(link):
                return self._given(link, patient)
            self._drop(link)
        return None

    def has_one(self, *, patient: bool = False) -> bool:
        """Whether ``take`` would give one."""
        return bool(self._idle) and not (patient and self._held_patiently >= self._most_patient)

    async def wait(self, *, patient: bool = False) -> Link:
        """The next connection to become free.

        Raises Overloaded when there is none for as long as one may wait or too many wait already; Unavailable when the
        server is gone: at once when it has been gone that long, so that requests do not pile up.
        """
        if self._closed:
            raise Unavailable("the database is closed")
        loop = asyncio.get_running_loop()
        if self._is_down() and loop.time() - (self._lost_at or 0.0) > self._acquire_timeout_s:
            await asyncio.sleep(0)  # one who asks again and again must not keep the loop from reconnecting
            raise _unavailable()
        waiting = self._patient if patient else self._waiting
        if len(waiting) >= self._size * _WAITING_PER_LINK:
            raise _overloaded()
        future: asyncio.Future[Link] = loop.create_future()
        waiting[future] = None
        timer = loop.call_later(self._acquire_timeout_s, self._give_up, future)
        if self._wanted < self._size and not self._growing:
            self._growing = True
            self._spawn(self._grow())
        try:
            return await future
        except asyncio.CancelledError:
            waiting.pop(future, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result())  # it was handed over in the same moment
            raise
        finally:
            timer.cancel()

    def release(self, link: Link) -> None:
        """Take back a connection on which nothing runs and nothing is set.

        It goes to one of the kind that had it, as far as one waits.
        """
        was_patient = self._taken_back(link)
        if self._closed or not self._is_good(link):
            self._drop(link)
            return
        for patient in (was_patient, not was_patient):
            if patient and self._held_patiently >= self._most_patient:
                continue
            waiting = self._patient if patient else self._waiting
            while waiting:
                future = next(iter(waiting))
                del waiting[future]
                if not future.done():
                    future.set_result(self._given(link, patient))
                    return
        self._idle.append(link)

    def _given(self, link: Link, patient: bool) -> Link:
        link.patient = patient
        self._held_patiently += patient
        return link

    def _taken_back(self, link: Link) -> bool:
        """Whether who had it was patient."""
        was_patient, link.patient = link.patient, False
        self._held_patiently -= was_patient
        return was_patient

    def settle(self, link: Link, script: str) -> None:
        """Take back a connection in the middle of something, in the background, or give it up.

        script: CLEAN after a statement by itself, ROLLBACK after one that may be part of a transaction.
        """
        self._spawn(self._settle(link, script))

    def expire(self) -> None:
        """Replace every connection: the idle now, the others when they come back. At most once a second."""
        now = asyncio.get_running_loop().time()
        if now - self._expired_at < _EXPIRE_PAUSE_S:
            return
        self._expired_at = now
        self._generation += 1
        idle, self._idle = self._idle, []
        for link in idle:
            self._drop(link)

    def _is_good(self, link: Link) -> bool:
        return link.generation == self._generation and not link.connection.is_closed()

    def _is_down(self) -> bool:
        return not self._links

    def _drop(self, link: Link) -> None:
        self._taken_back(link)
        if link not in self._links:
            return
        self._links.discard(link)
        link.connection.terminate()
        if self._closed:
            return
        if self._lost_at is None:
            self._lost_at = asyncio.get_running_loop().time()
            self._observe(DatabaseLost(reason=f"{self.live} of {self._wanted} connections left"))
        self._fill()

    async def _grow(self) -> None:
        """One more for as long as somebody waits, at two looks: a loop that was held up answers between them."""
        try:
            while self._wanted < self._size and not self._closed:
                for _ in range(2):
                    await asyncio.sleep(_GROW_AFTER_S / 2)
                    if not self._waiting and not self._patient:
                        return
                self._wanted += 1
                self._fill()
        finally:
            self._growing = False

    def _fill(self) -> None:
        if not self._refilling:
            self._refilling = True
            self._spawn(self._refill())

    def _lost(self, link: Link) -> None:
        """The driver's word that a connection ended. One that is in use is dropped when it comes back."""
        if link in self._idle:
            self._idle.remove(link)
            self._drop(link)

    async def _new_link(self) -> Link:
        generation = self._generation
        connection = await self._connect()
        link = Link(connection, generation)
        self._links.add(link)
        connection.add_termination_listener(lambda _: self._lost(link))
        return link

    async def _refill(self) -> None:
        pause_s = 0.02
        try:
            while len(self._links) < self._wanted and not self._closed:
                try:
                    link = await self._new_link()
                except MbaasError:
                    await asyncio.sleep(random.uniform(0.5, 1.0) * pause_s)  # noqa: S311 - no secret
                    pause_s = min(pause_s * 2, 0.5)
                    continue
                pause_s = 0.02
                if self._lost_at is not None:
                    down_s = asyncio.get_running_loop().time() - self._lost_at
                    self._lost_at = None
                    self._observe(DatabaseBack(down_ms=down_s * 1000))
                self.release(link)
        finally:
            self._refilling = False

    async def _settle(self, link: Link, script: str) -> None:
        try:
            # The driver has asked the server to cancel what runs, and waits for that before it sends this. If the
            # cancellation comes late it hits the script, and the connection goes.
            await link.connection.execute(script, timeout=_SETTLE_S)
        except BaseException as error:
            self._drop(link)
            if not isinstance(error, DRIVER_ERRORS):
                raise
        else:
            self.release(link)

    def _give_up(self, future: asyncio.Future[Link]) -> None:
        self._fail(future, _unavailable() if self._is_down() else _overloaded())

    def _fail(self, future: asyncio.Future[Link], error: MbaasError) -> None:
        self._waiting.pop(future, None)
        self._patient.pop(future, None)
        if not future.done():
            future.set_exception(error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _close(link: Link) -> None:
    try:
        await link.connection.close(timeout=1.0)
    except DRIVER_ERRORS:
        link.connection.terminate()


def _unavailable() -> Unavailable:
    return Unavailable("the database does not answer", hint="try again in a moment")


def _overloaded() -> Overloaded:
    return Overloaded("all database connections are busy", hint="try again in a moment")
