"""Reads that wait for a connection share its round trip: each gets its own answer or its own error all the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.adapters.postgres.database import Database, Timeouts
from mbaas.core.errors import DatabaseError, Timeout, Unavailable
from mbaas.core.sql.fragment import Statement

SOAK = bool(os.environ.get("MBAAS_SOAK"))
SQUARE = "select ($1::integer * $1::integer)::text, pg_current_xact_id()::text"
MIXED = (
    "select case $1::text when 'bad' then ($1::text)::integer::text when 'slow' then pg_sleep(0.3)::text else $1 end"
)


@pytest.fixture
async def few(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, connections=3, timeouts=Timeouts(anon=0.2))
    await opened.open()
    yield opened
    await opened.close()


def ask(database: Database, text: str, *args: str, role: Any = "authenticated") -> asyncio.Future[Any]:
    return asyncio.ensure_future(database.fetch_list(text, args, role=role))


async def known(database: Database, text: str, *args: str, role: Any = "authenticated") -> None:
    """How long such a read takes is known from then on."""
    await ask(database, text, *args, role=role)


async def test_each_gets_its_own_answer_and_some_share_a_transaction(few: Database) -> None:
    await known(few, SQUARE, "0")
    rows = await asyncio.gather(*(ask(few, SQUARE, str(number)) for number in range(100)))
    assert [row[0] for row in rows] == [str(number * number) for number in range(100)]
    assert len({row[1] for row in rows}) < 60


@pytest.mark.parametrize("text", [SQUARE, SQUARE + " from pg_sleep(0.03)"])
async def test_what_is_slow_or_not_known_has_a_round_trip_of_its_own(few: Database, text: str) -> None:
    if text != SQUARE:
        await known(few, text, "0")
    rows = await asyncio.gather(*(ask(few, text, str(number)) for number in range(12)))
    assert len({row[1] for row in rows}) == 12


async def test_without_coalescing_each_has_its_own(database_url: str) -> None:
    alone = Database(database_url, connections=2, coalesce=False)
    await alone.open()
    await known(alone, SQUARE, "0")
    rows = await asyncio.gather(*(ask(alone, SQUARE, str(number)) for number in range(20)))
    await alone.close()
    assert len({row[1] for row in rows}) == 20


@settings(
    max_examples=100 if SOAK else 12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kinds=st.lists(st.sampled_from(("good", "good", "good", "bad", "slow", "gone")), min_size=6, max_size=24))
async def test_good_bad_slow_and_cancelled_ones_do_not_disturb_each_other(few: Database, kinds: list[str]) -> None:
    await known(few, MIXED, "x")
    asked = [ask(few, MIXED, kind) for kind in kinds]
    await asyncio.sleep(0)
    for kind, one in zip(kinds, asked, strict=True):
        if kind == "gone":
            one.cancel()
    for kind, outcome in zip(kinds, await asyncio.gather(*asked, return_exceptions=True), strict=True):
        if kind == "bad":
            assert isinstance(outcome, DatabaseError)
            assert outcome.sqlstate == "22P02"
        elif kind == "gone":
            assert isinstance(outcome, asyncio.CancelledError)
        else:
            assert outcome == ("" if kind == "slow" else kind,)


async def test_the_time_limit_of_the_role_holds_for_each(few: Database) -> None:
    await known(few, MIXED, "x", role="anon")
    kinds = ["good", "good", "good", "slow", "good", "good", "slow", "good"]
    found = await asyncio.gather(*(ask(few, MIXED, kind, role="anon") for kind in kinds), return_exceptions=True)
    assert [isinstance(outcome, Timeout) or outcome for outcome in found] == [
        True if kind == "slow" else (kind,) for kind in kinds
    ]


async def test_a_server_that_goes_away_is_told_to_everyone_who_waits(few: Database) -> None:
    await known(few, MIXED, "x")
    asked = [ask(few, MIXED, "slow" if number == 3 else "good") for number in range(12)]
    await asyncio.sleep(0)
    async with few.transaction() as session:
        await session.fetch_rows(
            Statement(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
            )
        )
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        assert outcome in (("good",), ("",)) or isinstance(outcome, Unavailable)
    assert await ask(few, MIXED, "again") == ("again",)


async def test_a_database_that_is_closed_says_so_to_those_who_wait(database_url: str) -> None:
    closing = Database(database_url, connections=2)
    await closing.open()
    await known(closing, MIXED, "x")
    asked = [ask(closing, MIXED, "good") for _ in range(8)]
    await asyncio.sleep(0)
    await closing.close()
    for one in asked:
        with contextlib.suppress(Unavailable):
            assert await one == ("good",)
