"""Reads that have to wait for a connection share a round trip with others of their text.

They are pipelined: one message with the arguments of each, and an answer for each. That saves both sides waking up for
every one, and holds nobody up as long as they are quick; how long they take is measured, and a text that is slow, or of
which one failed, is asked for one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from mbaas.adapters.postgres.coalesce import Alone, Ask, Item, Row, Told, answered, by_itself, tell
from mbaas.adapters.postgres.errors import DRIVER_ERRORS
from mbaas.adapters.postgres.pool import Link, Pool
from mbaas.core.errors import MbaasError

MOST = 3  # of one round trip: who is first in it waits for the last
QUICK_S = 0.02  # each, the loop's own delays included
TIMEOUT_S = 0.25  # of a round trip, in which something became slow all at once
REST_S = 1.0
_MOST_LANES = 1000


class _Lane:
    """What is asked of one text for one role. each_s: what one took lately; ``None``: not known. asking: round trips
    to come."""

    __slots__ = ("_lists", "asking", "each_s", "resting_until", "role", "text", "waiting")

    def __init__(self, lists: Lists, text: str, role: Any) -> None:
        self._lists = lists
        self.text = text
        self.role = role
        self.each_s: float | None = None
        self.resting_until = 0.0
        self.waiting: deque[Item] = deque()
        self.asking = 0

    def ask(self, args: list[Any], told: Told, whom: Any) -> bool:
        """See ``Ask``. Not for one who need not wait, nor where it is slow: that is cancelled when its client goes."""
        lists = self._lists
        if self.each_s is None or self.each_s >= QUICK_S or lists.pool.has_one(patient=True):
            return False
        if lists.time() < self.resting_until:
            return False
        self.waiting.append((args, told, whom))
        if len(self.waiting) > MOST * self.asking:
            self.asking += 1
            lists.spawn(lists.round_trip(self))
        return True

    def took(self, seconds: float) -> None:
        self.each_s = seconds if self.each_s is None else self.each_s + (seconds - self.each_s) / 8

    def next(self) -> list[Item]:
        """Those of one round trip."""
        self.asking -= 1
        return [self.waiting.popleft() for _ in range(min(MOST, len(self.waiting)))]


class Lists:
    """Reads of one database. give_back: takes a connection on which a statement failed like that."""

    def __init__(self, pool: Pool, alone: Alone, give_back: Callable[[Link, BaseException], None]) -> None:
        self.pool = pool
        self._alone = alone
        self._give_back = give_back
        self._lanes: dict[tuple[str, Any], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def asking(self, text: str, role: Any) -> Ask:
        """For a read that always gives one row."""
        return self._lane(text, role).ask

    async def fetch_row(self, text: str, args: list[Any], role: Any) -> Row:
        """The one row of such a read. Raises what ``alone`` raises."""
        lane = self._lane(text, role)
        in_company = answered(lane.ask, args)
        if in_company is not None:
            return await in_company
        began, free = self.time(), self.pool.has_one(patient=True)
        row = await self._alone(text, args, role)
        if free:  # else the waiting is in it
            lane.took(self.time() - began)
        return row

    def _lane(self, text: str, role: Any) -> _Lane:
        lane = self._lanes.get((text, role))
        if lane is None:
            if len(self._lanes) >= _MOST_LANES:
                self._lanes = {key: lane for key, lane in self._lanes.items() if lane.asking}
            lane = self._lanes[text, role] = _Lane(self, text, role)
        return lane

    async def round_trip(self, lane: _Lane) -> None:
        """Takes those who wait first, once there is a connection."""
        try:
            link = await self.pool.wait(patient=True)
        except BaseException as error:
            for _, told, whom in lane.next():
                told(whom, None, error)
            if not isinstance(error, MbaasError):
                raise
            return
        batch = lane.next()
        began = self.time()
        try:
            rows = await link.connection.fetchmany(lane.text, [args for args, _, _ in batch], timeout=TIMEOUT_S)
            if len(rows) != len(batch):
                raise RuntimeError("a statement that shares a round trip gives one row")
        except BaseException as error:
            self._give_back(link, error)
            lane.resting_until = self.time() + REST_S
            for item in batch:
                self.spawn(by_itself(self._alone(lane.text, item[0], lane.role), item))
            if not isinstance(error, DRIVER_ERRORS):
                raise
            return
        self.pool.release(link)
        lane.took((self.time() - began) / len(batch))
        tell(batch, rows)

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
