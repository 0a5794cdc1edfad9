"""Reads that have to wait for a connection share a round trip with others of their text.

They are pipelined: one message with the arguments of each, and an answer for each. That saves both sides waking up for
every one, and holds nobody up as long as they are quick; how long they take is measured, and a text that is slow, or of
which one failed, is asked for one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from mbaas.adapters.postgres.coalesce import Row
from mbaas.adapters.postgres.errors import DRIVER_ERRORS
from mbaas.adapters.postgres.pool import Link, Pool
from mbaas.core.errors import MbaasError

MOST = 3  # of one round trip: who is first in it waits for the last
QUICK_S = 0.02  # each, the loop's own delays included
TIMEOUT_S = 0.25  # of a round trip, in which something became slow all at once
REST_S = 1.0
_MOST_LANES = 1000

Alone: TypeAlias = Callable[[str, list[Any], Any], Awaitable[Row]]
"""Runs one statement by itself: its text, its arguments, for whom."""


class _Lane:
    """What is asked of one text. each_s: what one took lately; ``None``: not known. asking: round trips to come."""

    __slots__ = ("asking", "each_s", "resting_until", "waiting")

    def __init__(self) -> None:
        self.each_s: float | None = None
        self.resting_until = 0.0
        self.waiting: deque[tuple[list[Any], asyncio.Future[Row]]] = deque()
        self.asking = 0

    def is_quick(self, now: float) -> bool:
        return self.each_s is not None and self.each_s < QUICK_S and now >= self.resting_until

    def took(self, seconds: float) -> None:
        self.each_s = seconds if self.each_s is None else self.each_s + (seconds - self.each_s) / 8


class Lists:
    """Reads of one database. give_back: takes a connection on which a statement failed like that."""

    def __init__(self, pool: Pool, alone: Alone, give_back: Callable[[Link, BaseException], None]) -> None:
        self._pool = pool
        self._alone = alone
        self._give_back = give_back
        self._lanes: dict[tuple[str, Any], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def fetch_row(self, text: str, args: list[Any], role: Any) -> Row:
        """The one row of a read that always gives one. Raises what ``alone`` raises."""
        loop = asyncio.get_running_loop()
        lane = self._lanes.get((text, role)) or self._lane(text, role)
        began = loop.time()
        free = self._pool.has_one(patient=True)
        if free or not lane.is_quick(began):
            row = await self._alone(text, args, role)
            if free:  # else the waiting is in it
                lane.took(loop.time() - began)
            return row
        future: asyncio.Future[Row] = loop.create_future()
        lane.waiting.append((args, future))
        if len(lane.waiting) > MOST * lane.asking:
            lane.asking += 1
            self._spawn(self._round_trip(lane, text, role))
        return await future

    def _lane(self, text: str, role: Any) -> _Lane:
        if len(self._lanes) >= _MOST_LANES:
            self._lanes = {key: lane for key, lane in self._lanes.items() if lane.asking}
        lane = self._lanes[text, role] = _Lane()
        return lane

    async def _round_trip(self, lane: _Lane, text: str, role: Any) -> None:
        """Takes those who wait first, once there is a connection."""
        loop = asyncio.get_running_loop()
        try:
            link = await self._pool.wait(patient=True)
        except BaseException as error:
            for _, future in self._next(lane):
                future.set_exception(error if isinstance(error, MbaasError) else asyncio.CancelledError())
            if not isinstance(error, MbaasError):
                raise
            return
        batch = self._next(lane)
        if not batch:  # all of them gave up
            self._pool.release(link)
            return
        began = loop.time()
        try:
            rows = await link.connection.fetchmany(text, [args for args, _ in batch], timeout=TIMEOUT_S)
            if len(rows) != len(batch):
                raise RuntimeError("a statement that shares a round trip gives one row")
        except BaseException as error:
            self._give_back(link, error)
            lane.resting_until = loop.time() + REST_S
            for args, future in batch:
                self._spawn(self._one(text, args, role, future))
            if not isinstance(error, DRIVER_ERRORS):
                raise
            return
        self._pool.release(link)
        lane.took((loop.time() - began) / len(batch))
        for (_, future), row in zip(batch, rows, strict=True):
            if not future.done():
                future.set_result(tuple(row))

    def _next(self, lane: _Lane) -> list[tuple[list[Any], asyncio.Future[Row]]]:
        lane.asking -= 1
        batch: list[tuple[list[Any], asyncio.Future[Row]]] = []
        while lane.waiting and len(batch) < MOST:
            item = lane.waiting.popleft()
            if not item[1].done():
                batch.append(item)
        return batch

    async def _one(self, text: str, args: list[Any], role: Any, future: asyncio.Future[Row]) -> None:
        try:
            row = await self._alone(text, args, role)
        except BaseException as error:
            if not future.done():
                future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
        else:
            if not future.done():
                future.set_result(row)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
