"""While the database is away everybody is told so soon, and when it is back nobody has to do anything."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from mbaas.adapters.postgres.database import Database, Timeouts
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.core.errors import DatabaseError, Overloaded, Timeout, Unavailable
from mbaas.core.observe import DatabaseBack, DatabaseLost, Observation, QueryRan
from mbaas.core.sql.fragment import Statement
from tests.adversity.proxy import FaultProxy

ONE = Statement("select 1")
SLEEP = Statement("select pg_sleep(60)")


@pytest.fixture
async def proxy(cluster: EmbeddedPostgres) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(cluster.directory / "run" / ".s.PGSQL.5432") as standing:
        yield standing


@pytest.fixture
async def told() -> list[Observation]:
    return []


@pytest.fixture
async def remote(proxy: FaultProxy, database_url: str, told: list[Observation]) -> AsyncIterator[Database]:
    """A pool of two over TCP, through the proxy."""
    name = database_url.partition("@/")[2].partition("?")[0]
    opened = Database(
        f"postgresql://mbaas_owner@127.0.0.1:{proxy.port}/{name}?sslmode=disable",
        connections=2,
        acquire_timeout_s=0.3,
        timeouts=Timeouts(anon=0.2),
        observe=told.append,
    )
    await opened.open()
    yield opened
    await opened.close()


async def _until_it_answers(database: Database, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(Unavailable):
                return await database.ping()


async def _until(condition: Callable[[], Awaitable[bool]], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            pass


async def test_a_connection_cut_in_the_middle_of_a_statement_is_unavailable_and_replaced(
    proxy: FaultProxy, remote: Database, told: list[Observation]
) -> None:
    running = asyncio.create_task(remote.fetch_row(SLEEP))
    await remote.ping()  # on the other connection: by now the first has been sent
    proxy.cut()
    with pytest.raises(Unavailable):
        await running
    await _until_it_answers(remote)
    assert [type(event) for event in told] == [DatabaseLost, DatabaseBack]


async def test_a_connection_cut_in_a_transaction_is_unavailable_and_replaced(
    proxy: FaultProxy, remote: Database
) -> None:
    with pytest.raises(Unavailable):
        async with remote.transaction() as transaction:
            await transaction.fetch_row(ONE)
            proxy.cut()
            await transaction.fetch_row(ONE)
    await _until_it_answers(remote)


async def test_while_the_server_is_away_callers_are_told_within_the_acquire_timeout_and_then_at_once(
    proxy: FaultProxy, remote: Database, told: list[Observation]
) -> None:
    await proxy.close()
    proxy.cut()
    began = time.monotonic()
    answers = await asyncio.gather(*(remote.fetch_row(ONE) for _ in range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert time.monotonic() - began < 1.0
    assert not remote.is_up

    with pytest.raises(Unavailable):
        await remote.fetch_row(ONE)  # the loss may have been noticed a moment after they began to wait
    began = time.monotonic()
    for _ in range(10):
        with pytest.raises(Unavailable):
            await remote.fetch_row(ONE)
    assert time.monotonic() - began < 0.3

    await proxy.listen()
    await _until_it_answers(remote)
    assert remote.is_up
    assert [type(event) for event in told] == [DatabaseLost, DatabaseBack]


async def test_a_short_absence_is_waited_out(proxy: FaultProxy, remote: Database) -> None:
    proxy.cut()
    answers = await asyncio.gather(*(remote.fetch_row(ONE) for _ in range(20)), return_exceptions=True)
    # Those whose statement was under way may fail; those who waited for a connection get an answer.
    assert sum(answer == ("1",) for answer in answers) >= 18


async def test_a_server_that_says_nothing_costs_a_caller_his_own_time_limit_only(
    proxy: FaultProxy, remote: Database
) -> None:
    proxy.stall()
    began = time.monotonic()
    with pytest.raises(Timeout):
        await remote.fetch_row(ONE, role="anon")
    with pytest.raises((Timeout, Unavailable)):
        await remote.ping()
    assert time.monotonic() - began < 2.0
    proxy.flow()
    await _until_it_answers(remote)


async def test_a_slow_network_is_only_slow(proxy: FaultProxy, remote: Database) -> None:
    proxy.latency_s = 0.02
    began = time.monotonic()
    assert await remote.fetch_row(ONE) == ("1",)
    assert time.monotonic() - began >= 0.04


async def test_busy_connections_are_overload_after_the_acquire_timeout_and_it_recovers(remote: Database) -> None:
    sleepers = [asyncio.create_task(remote.fetch_row(SLEEP)) for _ in range(2)]
    began = time.monotonic()
    answers = await asyncio.gather(*(remote.fetch_row(ONE) for _ in range(300)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Overloaded}
    assert time.monotonic() - began < 1.0
    for sleeper in sleepers:
        sleeper.cancel()
    await asyncio.wait(sleepers)
    await _until_it_answers(remote)


async def test_too_many_waiting_are_turned_away_at_once(remote: Database) -> None:
    sleepers = [asyncio.create_task(remote.fetch_row(SLEEP)) for _ in range(2)]
    waiting = [asyncio.create_task(remote.fetch_row(ONE)) for _ in range(200)]
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
    began = time.monotonic()
    for _ in range(10):
        with pytest.raises(Overloaded):
            await remote.fetch_row(ONE)
    assert time.monotonic() - began < 0.3
    for task in (*sleepers, *waiting):
        task.cancel()
    await asyncio.wait((*sleepers, *waiting))


async def test_terminated_backends_are_replaced(remote: Database, database_url: str) -> None:
    admin = await asyncpg.connect(database_url)
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> $1"
    await admin.execute(kill.replace("$1", "pg_backend_pid()"))
    await admin.close()
    await _until_it_answers(remote)


async def test_a_server_that_has_become_read_only_is_left_for_the_one_that_takes_writes(
    remote: Database, cluster: EmbeddedPostgres, database_url: str
) -> None:
    await remote.execute("create table notes (id integer)")
    admin = await asyncpg.connect(database_url)
    name = await admin.fetchval("select current_database()")
    terminate = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    write = Statement("insert into notes values (1)")

    await admin.execute(f"alter database {name} set default_transaction_read_only = on")
    await admin.execute(terminate)
    await _until_it_answers(remote)
    with pytest.raises(Unavailable):
        await remote.fetch_row(write)
    with pytest.raises(Unavailable):
        async with remote.transaction() as transaction:
            await transaction.fetch_row(write)
    with pytest.raises(DatabaseError) as caught:  # asked for by the caller: not a failover
        async with remote.transaction(read_only=True) as transaction:
            await transaction.fetch_row(write)
    assert caught.value.sqlstate == "25006"

    # Nobody terminates these connections now: they are to be left because they are read-only.
    await admin.execute(f"set default_transaction_read_only = off; alter database {name} reset all")
    await admin.close()

    async def written() -> bool:
        with contextlib.suppress(Unavailable):
            await remote.fetch_row(write)
            return True
        return False

    await _until(written)


async def test_closing_lets_a_running_statement_finish(remote: Database) -> None:
    running = asyncio.create_task(remote.fetch_row(Statement("select 7 from pg_sleep(0.1)")))
    await remote.ping()
    await remote.close()
    assert await running == ("7",)
    with pytest.raises(Unavailable):
        await remote.ping()


async def test_only_slow_statements_are_told(database_url: str, told: list[Observation]) -> None:
    database = Database(database_url, connections=1, slow_s=0.05, observe=told.append)
    await database.open()
    await database.ping()
    await database.fetch_row(Statement("select pg_sleep(0.06)"))
    await database.close()
    assert [type(event) for event in told] == [QueryRan]


async def test_opening_waits_for_a_server_that_is_not_up_yet(proxy: FaultProxy, database_url: str) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    await proxy.close()
    late = Database(f"postgresql://mbaas_owner@127.0.0.1:{proxy.port}/{name}?sslmode=disable", connections=1)
    opening = asyncio.create_task(late.open())
    await asyncio.wait([opening], timeout=0.2)
    assert not opening.done()
    await proxy.listen()
    await opening
    await late.ping()
    await late.close()


async def test_of_several_hosts_the_one_that_takes_writes_is_found(proxy: FaultProxy, database_url: str) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody_there = probe.getsockname()[1]
    hosts = f"127.0.0.1:{nobody_there},127.0.0.1:{proxy.port}"
    several = f"postgresql://mbaas_owner@{hosts}/{name}?sslmode=disable&target_session_attrs=read-write"
    database = Database(several, connections=2)
    await database.open()
    await database.ping()
    await database.close()


async def test_opening_gives_up_in_time(tmp_path: Path) -> None:
    nobody_there = Database(f"postgresql://mbaas_owner@/x?host={tmp_path}", connections=1)
    with pytest.raises(Unavailable):
        await nobody_there.open(timeout_s=0.2)
