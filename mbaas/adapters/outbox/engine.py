"""The workers: each channel has its own, so that one that hangs holds up no other; so has each destination its share.

A send has half of its lease. Whoever dies while sending leaves a lease that ends by itself, and the item is sent again
under the same id: at most one duplicate for that death, none otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from mbaas.adapters.outbox.item import Item, Parcel
from mbaas.adapters.outbox.rows import Rows, Taken
from mbaas.adapters.postgres.database import Transaction
from mbaas.config.settings import OutboxSettings
from mbaas.core.errors import MbaasError, Undeliverable
from mbaas.core.observe import Observe, SendFailed, SendGivenUp, ignore

Send: TypeAlias = Callable[[Item], Awaitable[None]]
"""Hands an item to its destination. Raises Undeliverable when it is no use to try again, anything else when it is."""
Write: TypeAlias = Callable[[], Awaitable[object]]

POLL_S = 1.0  # how soon a node sees what another one put
_LONGEST_PAUSE_S = 3600.0
_SWEEP_EVERY_S = 3600.0
_PATIENCE_S = 0.2
_PARTING_S = 2.0


class Lost(MbaasError):
    """The lease ended meanwhile and somebody else has the item."""

    code = "lease_lost"


class Outbox:
    """Put parcels in; ``handle`` says who sends those of a channel; between ``start`` and ``close`` they are sent."""

    def __init__(self, rows: Rows, settings: OutboxSettings, *, observe: Observe = ignore) -> None:
        self.rows = rows
        self._settings = settings
        self._observe = observe
        self._channels: dict[str, _Channel] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def handle(self, channel: str, send: Send) -> None:
        """Name the sender of a channel, once and before ``start``."""
        if channel in self._channels:
            raise ValueError(f"channel {channel} has a sender")
        self._channels[channel] = _Channel(channel, send, self.rows, self._settings, self._observe)

    async def put(self, transaction: Transaction, parcel: Parcel) -> str:
        """Have something sent if and when the transaction commits. Returns its id, which receivers see, too."""
        item_id = await self.rows.put(transaction, parcel)
        if (channel := self._channels.get(parcel.channel)) is not None:
            transaction.on_commit(channel.wake)
        return item_id

    async def done(self, transaction: Transaction, item: Item) -> None:
        """For a sender whose effect is in the database: the item ends with that transaction. Raises Lost."""
        if not await self.rows.finish(item.id, item.generation, within=transaction):
            raise Lost("another worker has taken this over")

    def start(self) -> None:
        self._tasks = [asyncio.create_task(channel.serve()) for channel in self._channels.values()]
        self._tasks.append(asyncio.create_task(self._look()))

    async def close(self, *, timeout_s: float = 10.0) -> None:
        """Take nothing new, let what is being sent end, and give back what takes longer than that."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(channel.drain(timeout_s) for channel in self._channels.values()))

    async def settle(self) -> None:
        """Wait until nothing is due: what is left is dead or waits for its next try."""
        while True:
            sending = [task for channel in self._channels.values() for task in channel.sending]
            if sending:
                await asyncio.wait(sending)
            elif await self._wake_due():
                await asyncio.sleep(0.002)
            elif not any(channel.taking or channel.sending for channel in self._channels.values()):
                return
            else:
                await asyncio.sleep(0)

    async def _look(self) -> None:
        """One look for all channels: most of the time nothing is due, and an idle server is to cost next to nothing."""
        loop = asyncio.get_running_loop()
        swept = -math.inf
        while True:
            with contextlib.suppress(MbaasError):  # the database is away: it tells of that itself
                await self._wake_due()
                if loop.time() - swept >= _SWEEP_EVERY_S:
                    swept = loop.time()
                    await self.rows.sweep(keep_dead_s=self._settings.keep_dead_s)
            await asyncio.sleep(POLL_S)

    async def _wake_due(self) -> bool:
        """Have what is due taken. Whether something was."""
        due = await self.rows.due(self._channels)
        for name in due:
            self._channels[name].wake()
        return bool(due)


class _Channel:
    """The workers of one channel on this node."""

    def __init__(self, name: str, send: Send, rows: Rows, settings: OutboxSettings, observe: Observe) -> None:
        self._name = name
        self._send = send
        self._rows = rows
        self._settings = settings
        self._observe = observe
        self._awake = asyncio.Event()
        self._held: dict[str, asyncio.Task[None]] = {}
        self.taking = False

    @property
    def sending(self) -> list[asyncio.Task[None]]:
        return list(self._held.values())

    def wake(self) -> None:
        self._awake.set()

    async def serve(self) -> None:
        """Take and send whenever it is woken, until cancelled."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            free = self._settings.workers - len(self._held)
            taken: list[Taken] = []
            if free > 0:
                self.taking = True
                try:
                    taken = await self._take(free)
                finally:
                    self.taking = False
            if taken:
                self.wake()  # there may be more

    async def drain(self, timeout_s: float) -> None:
        if self._held:
            _, late = await asyncio.wait(self.sending, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _take(self, free: int) -> list[Taken]:
        # The lease begins in the database, after this moment: counted from here it only ends sooner.
        began = asyncio.get_running_loop().time()
        settings = self._settings
        try:
            taken = await self._rows.take(
                self._name,
                limit=free,
                per_destination=settings.per_destination,
                lease_s=settings.lease_s,
                in_hand=tuple(self._held),
            )
        except MbaasError:  # told by the database itself
            return []
        for one in taken:
            task = asyncio.create_task(self._work(one, began + settings.lease_s / 2))
            self._held[one.id] = task
            task.add_done_callback(functools.partial(self._let_go, one.id))
        return taken

    def _let_go(self, item_id: str, _: asyncio.Task[None]) -> None:
        self._held.pop(item_id, None)
        self.wake()

    async def _work(self, taken: Taken, deadline: float) -> None:
        write: Write = functools.partial(self._rows.give_back, taken.id, taken.generation)
        try:
            write = await self._outcome(taken, deadline)
            await _written(write)
        except asyncio.CancelledError:  # the server stops: what was sent is finished, what was not is given back
            with contextlib.suppress(MbaasError, TimeoutError):
                async with asyncio.timeout(_PARTING_S):
                    await write()
            raise

    async def _outcome(self, taken: Taken, deadline: float) -> Write:
        """Send it. What there is to write down then."""
        if taken.stale:
            return self._stale(taken)
        if taken.item is None:
            return self._failed(taken, "its payload does not open with the keys of this node")
        try:
            async with asyncio.timeout_at(deadline):
                await self._send(taken.item)
        except Undeliverable as error:
            return self._buried(taken, error.message)
        except TimeoutError:
            return self._failed(taken, "it took too long")
        except MbaasError as error:
            return self._failed(taken, error.message)
        except Exception as error:
            return self._failed(taken, type(error).__name__)
        return functools.partial(self._rows.finish, taken.id, taken.generation)

    def _stale(self, taken: Taken) -> Write:
        if not taken.void:
            self._observe(SendGivenUp(self._name, taken.kind, "stale"))
        return functools.partial(self._rows.finish, taken.id, taken.generation)

    def _buried(self, taken: Taken, reason: str) -> Write:
        self._observe(SendGivenUp(self._name, taken.kind, reason))
        return functools.partial(self._rows.bury, taken.id, taken.generation, error=reason)

    def _failed(self, taken: Taken, reason: str) -> Write:
        if taken.attempts >= self._settings.max_attempts:
            return self._buried(taken, reason)
        self._observe(SendFailed(self._name, taken.kind, reason, taken.attempts))
        longest = min(self._settings.retry_s * 2.0 ** (taken.attempts - 1), _LONGEST_PAUSE_S)
        pause_s = random.uniform(0.5, 1.0) * longest  # noqa: S311 - so that they do not come back all at once
        asyncio.get_running_loop().call_later(pause_s + 0.005, self.wake)
        return functools.partial(self._rows.retry, taken.id, taken.generation, pause_s=pause_s, error=reason)


async def _written(write: Write) -> None:
    """However long the database is away: until then nobody on this node takes the item again."""
    while True:
        try:
            await write()
        except MbaasError:
            await asyncio.sleep(_PATIENCE_S)
        else:
            return
