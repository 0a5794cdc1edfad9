"""A connection carries nothing from one caller to the next, whatever the caller did and however it ended."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mbaas.adapters.postgres.database import Database, Timeouts
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.errors import DatabaseError, Timeout
from mbaas.core.identity import ANON, Identity
from mbaas.core.sql.fragment import Statement

SOAK = bool(os.environ.get("MBAAS_SOAK"))
ROUNDS = 20_000 if SOAK else 1_000
CANCELLED = 500 if SOAK else 100
A = Identity(role="authenticated", claims={"sub": "aaaaaaaa-0000-4000-8000-000000000000", "role": "authenticated"})
B = Identity(role="authenticated", claims={"sub": "bbbbbbbb-0000-4000-8000-000000000000", "role": "authenticated"})

STATE = Statement(
    """
    select current_user::text as "user", coalesce(current_setting('request.jwt.claims', true), '') as claims,
        current_setting('search_path') as path, current_setting('statement_timeout') as timeout,
        coalesce(current_setting('app.note', true), '') as note, current_setting('transaction_read_only') as read_only,
        (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
        (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) as tables,
        (select count(*) from pg_listening_channels()) as channels
    """
)
NOTHING = ("mbaas_owner", "", "public", "1min", "", "off", "0", "0", "0")
SEEN = Statement("select current_user::text, auth.uid(), auth.role(), current_setting('statement_timeout')")
SLEEPERS = Statement("select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'")
DIRTY = """
    set app.note = 'left behind';
    set search_path = pg_temp;
    set statement_timeout = 12345;
    set request.jwt.claims = '{"sub": "left behind"}';
    create temp table note (content text);
    listen left_behind;
    select pg_advisory_lock_shared(42);
    set role anon
"""


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[Database]:
    """A pool of two, on which callers wait for each other."""
    opened = Database(database_url, connections=2, acquire_timeout_s=30.0)
    await opened.open()
    await apply_system_schema(opened)
    yield opened
    await opened.close()


async def _as_caller(database: Database, caller: Identity) -> None:
    limit = "3s" if caller is ANON else "8s"
    async with database.transaction(caller=caller) as transaction:
        assert await transaction.fetch_row(SEEN) == (caller.role, caller.user_id, caller.claims["role"], limit)


async def _by_itself(database: Database) -> None:
    asked_at = time.time()
    began = Statement(f"select *, extract(epoch from now()) from ({STATE.text}) as state")
    row = await database.fetch_row(began)
    assert row is not None
    assert row[:-1] == NOTHING
    assert float(row[-1] or 0) >= asked_at  # in a transaction of its own: one that was left open began earlier


async def _dirty(database: Database, caller: Identity | None) -> None:
    async with database.transaction(caller=caller) as transaction:
        await transaction.execute(DIRTY)


async def _dirty_and_fails(database: Database, caller: Identity | None) -> None:
    with pytest.raises(DatabaseError):
        async with database.transaction(caller=caller) as transaction:
            await transaction.execute(DIRTY)
            await transaction.execute("select 1 / 0")


async def _dirty_and_waits(database: Database, caller: Identity | None) -> None:
    """As a hook that waits for another server, until its caller has gone."""
    async with database.transaction(caller=caller) as transaction:
        await transaction.execute(DIRTY)
        await asyncio.Event().wait()


async def _cut_short(operation: Awaitable[None], after_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(operation, after_s)


async def _both_are_clean(database: Database) -> None:
    async with database.transaction() as one, database.transaction() as other:
        assert await one.fetch_row(STATE) == NOTHING
        assert await other.fetch_row(STATE) == NOTHING


async def test_nothing_survives_release_in_a_thousand_interleaved_statements(two: Database) -> None:
    dice = random.Random(15)
    kinds: list[Callable[[], Awaitable[None]]] = [
        lambda: _as_caller(two, A),
        lambda: _as_caller(two, B),
        lambda: _as_caller(two, ANON),
        lambda: _by_itself(two),
        lambda: _by_itself(two),
        lambda: _dirty(two, dice.choice([A, ANON, None])),
        lambda: _dirty_and_fails(two, dice.choice([A, ANON, None])),
        lambda: _cut_short(_dirty(two, A), dice.uniform(0, 0.01)),
        lambda: _cut_short(_dirty_and_waits(two, B), dice.uniform(0.005, 0.015)),
        lambda: _cut_short(_as_caller(two, B), dice.uniform(0, 0.01)),
        lambda: _cut_short(two.execute("select pg_sleep(10)"), dice.uniform(0, 0.01)),
        lambda: _cut_short(_by_itself(two), dice.uniform(0, 0.002)),
    ]

    async def caller(rounds: int) -> None:
        for _ in range(rounds):
            await dice.choice(kinds)()

    await asyncio.gather(*(caller(ROUNDS // 8) for _ in range(8)))
    await _both_are_clean(two)


async def test_cancelled_requests_stop_their_queries_and_leave_the_connections_usable(two: Database) -> None:
    async def cancelled_requests() -> None:
        for _ in range(CANCELLED // 4):
            await _cut_short(two.fetch_rows(Statement("select pg_sleep(60)")), 0.02)

    await asyncio.gather(*(cancelled_requests() for _ in range(4)))
    await _both_are_clean(two)
    assert await two.fetch_row(SLEEPERS) == ("0",)


async def test_a_statement_that_takes_too_long_for_its_role_is_ended_on_the_server(database_url: str) -> None:
    database = Database(database_url, connections=2, timeouts=Timeouts(anon=0.05, authenticated=0.1))
    await database.open()
    await apply_system_schema(database)
    async with asyncio.timeout(5):
        with pytest.raises(Timeout):
            await database.fetch_row(Statement("select pg_sleep(60)"), role="anon")
        with pytest.raises(Timeout):
            async with database.transaction(caller=A) as transaction:
                await transaction.fetch_row(Statement("select pg_sleep(60)"))
    await _both_are_clean(database)
    assert await database.fetch_row(SLEEPERS) == ("0",)
    await database.close()
