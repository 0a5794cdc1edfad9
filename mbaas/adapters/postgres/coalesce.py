"""Statements of one text that are asked for at the same time share a round trip and a commit.

The first of a text runs by itself. What arrives before it is back goes out together, pipelined in one message and one
transaction, each with its own arguments and its own answer. Nothing is rewritten, so an answer cannot depend on its
company. When the server refuses any of a batch, all of it is undone and each runs by itself, with its own error; a text
that this happened to is left alone for a while.

The connections for this have short limits: a batch that meets a lock or a slow statement gives up at once rather than
make the others wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import asyncpg

from mbaas.adapters.postgres.errors import DRIVER_ERRORS, is_failover, translate
from mbaas.adapters.postgres.pool import CLEAN, Link, Pool
from mbaas.core.errors import MbaasError

Row: TypeAlias = tuple[str | None, ...]
Mode: TypeAlias = Literal["auto", "always", "off"]
Alone: TypeAlias = Callable[[str, list[Any], Any], Awaitable[Row]]
"""Runs one statement by itself: its text, its arguments, for whom."""

LINKS = 2
MOST = 64  # of one batch: what arrives meanwhile must not wait long
LOCK_TIMEOUT_S = 0.05
STATEMENT_TIMEOUT_S = 0.25
_TIMEOUT_S = 10.0  # of a server that does not answer at all
_PATIENCE_S = 0.01  # for the one in front, before those behind it go without it
_REST_S = 1.0
_MOST_LANES = 4000


class _Item(NamedTuple):
    args: list[Any]
    future: asyncio.Future[Row]


class _Lane:
    """What is asked of one text for one role."""

    __slots__ = ("draining", "leading", "led_at", "resting_until", "timer", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Item] = deque()
        self.leading = 0  # statements that run by themselves, to be followed by what waits
        self.led_at = 0.0
        self.draining = False
        self.timer: asyncio.TimerHandle | None = None
        self.resting_until = 0.0


class Coalescer:
    """Shares the round trips of one database."""

    def __init__(self, pool: Pool, alone: Alone, *, mode: Mode) -> None:
        """pool: connections with the limits above. mode: ``always`` sends even one statement as a batch, for tests."""
        self._pool = pool
        self._alone = alone
        self._mode = mode
        self._lanes: dict[tuple[str, Any], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def fetch_row(self, text: str, args: list[Any], role: Any) -> Row:
        """The one row of a statement that gives exactly one, soon after it was asked for. Raises as ``alone`` does."""
        lane = self._lanes.get((text, role))
        if lane is None:
            lane = self._lanes[text, role] = _Lane()
        loop = asyncio.get_running_loop()
        if self._mode == "auto":
            now = loop.time()
            if lane.resting_until > now:
                return await self._alone(text, args, role)
            if not lane.draining and (not lane.leading or now - lane.led_at > _PATIENCE_S):
                lane.led_at = now
                return await self._lead(lane, text, args, role)
        future: asyncio.Future[Row] = loop.create_future()
        lane.waiting.append(_Item(args, future))
        if self._mode == "always":
            self._drain(lane, text, role)
        elif not lane.draining and lane.timer is None:
            lane.timer = loop.call_later(_PATIENCE_S, self._drain, lane, text, role)
        return await future

    async def _lead(self, lane: _Lane, text: str, args: list[Any], role: Any) -> Row:
        lane.leading += 1
        try:
            return await self._alone(text, args, role)
        finally:
            lane.leading -= 1
            if lane.waiting:
                self._drain(lane, text, role)
            elif not lane.draining and not lane.leading and len(self._lanes) > _MOST_LANES:
                self._lanes.pop((text, role), None)

    def _drain(self, lane: _Lane, text: str, role: Any) -> None:
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        if not lane.draining:
            lane.draining = True
            self._spawn(self._send_all(lane, text, role))

    async def _send_all(self, lane: _Lane, text: str, role: Any) -> None:
        try:
            while lane.waiting:
                batch: list[_Item] = []
                while lane.waiting and len(batch) < MOST:
                    item = lane.waiting.popleft()
                    if not item.future.done():  # its caller has gone
                        batch.append(item)
                if batch and not await self._send(batch, text, role):
                    lane.resting_until = asyncio.get_running_loop().time() + _REST_S
        finally:
            lane.draining = False
            while lane.waiting:  # only when we are being stopped
                lane.waiting.popleft().future.cancel()

    async def _send(self, batch: list[_Item], text: str, role: Any) -> bool:
        """Whether the batch went through as one. Each item has its answer, or runs by itself by now."""
        try:
            link = self._pool.take() or await self._pool.wait()
        except MbaasError:
            self._each(batch, text, role)
            return False
        try:
            rows = await link.connection.fetchmany(text, [item.args for item in batch], timeout=_TIMEOUT_S)
        except asyncpg.PostgresError as error:
            self._give_back(link, error)
            self._each(batch, text, role)  # the server has undone all of it
            return False
        except BaseException as error:
            self._give_back(link, error)
            for item in batch:  # it may have happened, so nobody tries again
                _fail(item.future, translate(error) if isinstance(error, DRIVER_ERRORS) else error)
            if not isinstance(error, DRIVER_ERRORS):
                raise
            return False
        self._pool.release(link)
        if len(rows) != len(batch):
            raise RuntimeError("a statement that shares a round trip gives one row")
        for item, row in zip(batch, rows, strict=True):
            if not item.future.done():
                item.future.set_result(tuple(row))
        return True

    def _give_back(self, link: Link, error: BaseException) -> None:
        if is_failover(error):
            self._pool.expire()
        if isinstance(error, DRIVER_ERRORS) and not isinstance(error, TimeoutError):
            self._pool.release(link)
        else:
            self._pool.settle(link, CLEAN)

    def _each(self, batch: list[_Item], text: str, role: Any) -> None:
        for item in batch:
            if not item.future.done():
                self._spawn(self._one(item, text, role))

    async def _one(self, item: _Item, text: str, role: Any) -> None:
        work = asyncio.ensure_future(self._alone(text, item.args, role))
        item.future.add_done_callback(lambda future: work.cancel() if future.cancelled() else None)
        try:
            row = await work
        except asyncio.CancelledError:
            work.cancel()
            item.future.cancel()
        except Exception as error:
            _fail(item.future, error)
        else:
            if not item.future.done():
                item.future.set_result(row)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fail(future: asyncio.Future[Row], error: BaseException) -> None:
    if future.done():
        return
    if isinstance(error, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(error)
