"""What is measured: each workload as the calls it sends, how many at a time, and what is to be reached."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.call import Call
from benchmarks.data import Data, Post
from benchmarks.server import Server

BATCH = 1_000


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """``draw`` picks what a request is about, ``ask`` makes it a call of a side.

    goal: our requests a second, as a multiple of PocketBase's. pool: so many different requests are made beforehand.
    stretch: measured for so many times the usual seconds, since few requests end in them. grows: each request adds so
    many rows.
    """

    name: str
    title: str
    goal: float
    draw: Callable[[Data, random.Random], Any]
    ask: Callable[[Server, Any], Call]
    pool: int = 20_000
    connections: int = 32
    stretch: int = 1
    grows: int = 0

    def calls(self, server: Server, seed: int) -> list[Call]:
        """The same seed asks every side for the same."""
        chance = random.Random(seed)
        return [self.ask(server, self.draw(server.data, chance)) for _ in range(self.pool)]


def _batch(data: Data, chance: random.Random) -> list[Post]:
    first = data.own_post(chance)
    return [Post(first.author + data.authors * (number + 1), data.authors) for number in range(BATCH)]


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="get",
            title="get by id, public rule",
            goal=3,
            draw=Data.any_post,
            ask=lambda server, it: server.get(it),
        ),
        Workload(
            name="get_own",
            title="get by id, signed in, owner rule",
            goal=4,
            draw=Data.own_post,
            ask=lambda server, it: server.get_own(it),
        ),
        Workload(
            name="list",
            title="list 30, filtered and sorted",
            goal=4,
            draw=Data.any_author,
            ask=lambda server, it: server.page(it),
        ),
        Workload(
            name="count",
            title="list 30 with exact count",
            goal=4,
            draw=Data.any_author,
            ask=lambda server, it: server.page_counted(it),
        ),
        Workload(
            name="create", title="create", goal=4, draw=Data.own_post, ask=lambda server, it: server.create(it), grows=1
        ),
        Workload(name="update", title="update", goal=4, draw=Data.own_post, ask=lambda server, it: server.update(it)),
        Workload(
            name="batch",
            title="1,000 records in one request",
            goal=15,
            draw=_batch,
            ask=lambda server, it: server.batch(it),
            pool=8,
            connections=4,
            stretch=2,
            grows=BATCH,
        ),
        Workload(
            name="sign_in",
            title="password sign-in",
            goal=3,
            draw=Data.any_author,
            ask=lambda server, it: server.sign_in(it),
            pool=200,
            connections=4,
            stretch=4,
        ),
    )
}
