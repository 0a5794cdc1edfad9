"""Short statements of one text that are asked for at the same time share a round trip and a commit.

One batch of a text is under way at a time; what arrives meanwhile is the next. A batch is pipelined in one message and
one transaction, each statement with its own arguments and its own answer, so an answer cannot depend on its company.
Reads that have a text for many are one statement instead, which does the same once for each. When the server refuses
any of a batch, all of it is undone and each runs by itself, with its own error; a text that this happened to is left
alone for a while.

The connections for this have short limits: a batch that meets a lock or a slow statement gives up at once rather than
make the others wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import asyncpg

from mbaas.adapters.postgres.errors import DRIVER_ERRORS, is_failover, translate
from mbaas.adapters.postgres.pool import CLEAN, Link, Pool
from mbaas.core.errors import MbaasError
from mbaas.core.sql.fragment import Bindable
from mbaas.core.sql.template import Together

Row: TypeAlias = tuple[str | None, ...]
Alone: TypeAlias = Callable[[str, list[Any], Any], Awaitable[Row]]
"""Runs one statement by itself: its text, its arguments, for whom."""
Told: TypeAlias = Callable[[Any, Row | None, BaseException | None], None]
"""Told once, in the loop: for whom it was asked, and the row or what went wrong. It raises nothing."""

LINKS = 4
MOST = 64  # of one batch: what arrives meanwhile must not wait long
FEW = 8  # so many are not halved
LOCK_TIMEOUT_S = 0.05
STATEMENT_TIMEOUT_S = 0.25
_TIMEOUT_S = 10.0  # of a server that does not answer at all
_REST_S = 1.0
_MOST_LANES = 4000


Ask: TypeAlias = Callable[[list[Any], Told, Any], bool]
"""Asks for the one row of a certain statement with these arguments, without waiting: ``Told`` is told, for whom it was.
``False``: nothing was asked, it is not possible now. Arguments are ``encoded``."""

Item: TypeAlias = tuple[list[Any], Told, Any]
"""One that was asked for: arguments, who is told, for whom."""


class _Lane:
    """What is asked of one text for one role. begin: has those who wait served. last: the size of the last batch."""

    __slots__ = ("_begin", "busy", "last", "resting_until", "role", "text", "together", "waiting")

    def __init__(self, begin: Callable[[_Lane], None], text: str, role: Any, together: Together | None) -> None:
        self._begin = begin
        self.text = text
        self.role = role
        self.together = together
        self.waiting: deque[Item] = deque()
        self.busy = False
        self.last = 0
        self.resting_until = 0.0

    def ask(self, args: list[Any], told: Told, whom: Any) -> bool:
        """See ``Ask``. told: gets what ``Alone`` would give or raise. What was asked for is done, whoever waits."""
        self.waiting.append((args, told, whom))
        if not self.busy:
            self.busy = True
            self._begin(self)
        return True

    @property
    def is_read(self) -> bool:
        """Known to be: what is pipelined may be anything."""
        return self.together is not None and not self.together.writes

    def size(self) -> int:
        """Of the next batch: half of all, so that PostgreSQL has one half to do while we have the other.

        Those who had an answer last are among them: they are about to ask again. Left to themselves all came to be in
        one batch, and each of the two waited while the other had it.
        """
        waiting = len(self.waiting)
        return min(waiting, max(FEW, (waiting + self.last + 1) // 2), MOST)


class Coalescer:
    """Shares the round trips of one database."""

    def __init__(self, pool: Pool, alone: Alone) -> None:
        """pool: connections with the limits above."""
        self._pool = pool
        self._alone = alone
        self._lanes: dict[tuple[str, Any], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def asking(self, text: str, role: Any, together: Together | None = None) -> Ask:
        """For a statement that gives exactly one row. together: for many at once, always the same for one text."""
        lane = self._lanes.get((text, role))
        if lane is None:
            if len(self._lanes) >= _MOST_LANES:
                self._lanes = {key: lane for key, lane in self._lanes.items() if lane.busy}
            lane = self._lanes[text, role] = _Lane(self._begin, text, role, together)
        return lane.ask

    def _begin(self, lane: _Lane) -> None:
        self._spawn(self._drain(lane))

    async def _drain(self, lane: _Lane) -> None:
        loop = asyncio.get_running_loop()
        try:
            while waiting := lane.waiting:
                batch = [waiting.popleft() for _ in range(lane.size())]
                if lane.resting_until > loop.time():
                    self._each(batch, lane)
                elif not await self._send(batch, lane):
                    lane.resting_until = loop.time() + _REST_S
        finally:
            lane.busy = False
            for _, told, whom in lane.waiting:  # only when we are being stopped
                told(whom, None, asyncio.CancelledError())
            lane.waiting.clear()

    async def _send(self, batch: list[Item], lane: _Lane) -> bool:
        """Whether the batch went through as one. Each item has its answer, or runs by itself by now."""
        together = lane.together
        try:
            link = self._pool.take() or await self._pool.wait()
        except MbaasError:
            self._each(batch, lane)
            return False
        asked = [args for args, _, _ in batch]
        try:
            if together is None or not _is_for(together, asked):
                rows = await link.connection.fetchmany(lane.text, asked, timeout=_TIMEOUT_S)
            else:
                rows = await link.connection.fetch(together.text, *zip(*asked, strict=True), timeout=_TIMEOUT_S)
        except BaseException as error:
            self._give_back(link, error)
            if _undone(error):
                self._each(batch, lane)
                return False
            known = isinstance(error, DRIVER_ERRORS)
            for _, told, whom in batch:  # it may have happened, so nobody tries again
                told(whom, None, translate(error) if known else error)
            if not known:
                raise
            return False
        self._pool.release(link)
        lane.last = len(batch)
        if len(rows) != len(batch):
            raise RuntimeError("a statement that shares a round trip gives one row")
        if not lane.is_read:
            # Told in the loop's next turn, so that the server has its next batch before these are answered. What many
            # share is better asked for when those who are answered now have asked again: the batch is larger.
            asyncio.get_running_loop().call_soon(tell, batch, rows)
        else:
            tell(batch, rows)
        return True

    def _give_back(self, link: Link, error: BaseException) -> None:
        if is_failover(error):
            self._pool.expire()
        if isinstance(error, DRIVER_ERRORS) and not isinstance(error, TimeoutError):
            self._pool.release(link)
        else:
            self._pool.settle(link, CLEAN)

    def _each(self, batch: list[Item], lane: _Lane) -> None:
        for item in batch:
            self._spawn(by_itself(self._alone(lane.text, item[0], lane.role), item))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def encoded(args: Sequence[Bindable]) -> list[Any]:
    """Arguments as the driver takes them."""
    return [list(arg) if type(arg) is tuple else arg for arg in args]


def answered(ask: Ask, args: list[Any]) -> asyncio.Future[Row] | None:
    """The row that was asked for, for one who can wait; ``None`` when it was not."""
    future: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
    return future if ask(args, _set, future) else None


def _set(future: asyncio.Future[Row], row: Row | None, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        assert row is not None, "a statement that shares a round trip gives one row"  # noqa: S101
        future.set_result(tuple(row))


async def by_itself(row: Awaitable[Row], item: Item) -> None:
    """Tells what comes of asking for it alone."""
    _, told, whom = item
    try:
        found = await row
    except BaseException as error:
        told(whom, None, error)
        if not isinstance(error, Exception):
            raise
    else:
        told(whom, found, None)


def _is_for(together: Together, asked: list[list[Any]]) -> bool:
    """Whether it is of use for these, and no two of them have the same in what has to differ."""
    places = together.distinct
    if len(asked) == 1:
        return False
    return not places or len({tuple([args[place] for place in places]) for args in asked}) == len(asked)


def tell(batch: list[Item], rows: Sequence[Any]) -> None:
    """Each its row."""
    for (_, told, whom), row in zip(batch, rows, strict=True):
        told(whom, row, None)


def _undone(error: BaseException) -> bool:
    """Whether the server said that it refused the batch. When the connection ended instead, it may have committed."""
    return isinstance(error, asyncpg.PostgresError) and not (error.sqlstate or "").startswith(("08", "57P"))
