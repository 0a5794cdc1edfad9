"""Those who ask again as soon as they are answered come to be in two batches: one with PostgreSQL, one with us."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from mbaas.adapters.postgres.coalesce import Ask, Coalescer, Row
from mbaas.adapters.postgres.pool import Pool
from mbaas.core.sql.template import Together

ANSWERED = 20 * 32


class Connection:
    """Answers after some turns of the loop. sizes: of the batches it was sent."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def fetch(self, _: str, *columns: tuple[str, ...], timeout: float) -> list[tuple[str, ...]]:
        self.sizes.append(len(columns[0]))
        for _turn in range(3):
            await asyncio.sleep(0)
        return list(zip(*columns, strict=True))


class OneLink:
    """A pool of one connection, which is always free."""

    def __init__(self) -> None:
        self.connection = Connection()

    def take(self) -> OneLink:
        return self

    def release(self, _: OneLink) -> None:
        """It stays free."""


async def _never(text: str, _: list[Any], __: Any) -> Row:
    raise AssertionError(f"{text} was run by itself")


@pytest.mark.parametrize("writes", [False, True])
async def test_of_32_who_ask_again_and_again_each_batch_has_half(writes: bool) -> None:
    pool = OneLink()
    coalescer = Coalescer(cast(Pool, pool), _never)
    ask: Ask = coalescer.asking("one", "anon", Together(text="many", writes=writes))
    answers, done = 0, asyncio.Event()

    def told(whom: str, row: Row | None, error: BaseException | None) -> None:
        nonlocal answers
        assert (row, error) == ((whom,), None)
        answers += 1
        if answers == ANSWERED:
            done.set()
        elif answers < ANSWERED:
            asyncio.get_running_loop().call_soon(ask, [whom], told, whom)

    for number in range(32):
        ask([str(number)], told, str(number))
    async with asyncio.timeout(5):
        await done.wait()
    assert pool.connection.sizes[4:20] == [16] * 16
