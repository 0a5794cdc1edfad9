"""A migration among others: writers that go on writing, readers that will not end, another migrator."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.migrate import apply, down, migrate, plan, status
from mbaas.adapters.postgres.migration_run import Patience
from mbaas.core.errors import MigrationError
from mbaas.core.observe import MigrationStepBegan, MigrationWaits, Observation
from mbaas.core.schema.catalog import Catalog, Check, Index, IndexField
from mbaas.core.sql.fragment import Statement
from tests.conftest import SOAK
from tests.schemas import catalog, collection, field, no_policies


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


SMALL = catalog(collection("posts", field("title"), field("n", "int"), field("old")))
GROWN = catalog(
    collection(
        "posts",
        field("title", required=True, unique=True, min_length=1),
        field("n", "int", minimum="0"),
        field("author", "uuid", references="authors"),
        field("extra", "timestamptz", default="now()", required=True),
        indexes=(Index(name="posts_n_idx", fields=(IndexField("n", descending=True), IndexField("title"))),),
        checks=(Check("posts_fine", "n >= 0 or title is null"),),
    ),
    collection("authors"),
)


class Writer:
    """Inserts and updates without a pause until the block ends; remembers the longest time one statement took."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.written = 0
        self.slowest_s = 0.0

    async def _write(self) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            while True:
                self.written += 1
                began = time.perf_counter()
                await connection.execute(
                    "insert into posts (title, n) values ($1, $2)", f"w{id(self)}-{self.written}", self.written
                )
                await connection.execute("update posts set n = n + 1 where title = $1", f"w{id(self)}-{self.written}")
                self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
        finally:
            await connection.close(timeout=5)

    async def __aenter__(self) -> Writer:
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def test_writers_never_wait_a_second_while_a_large_table_changes(database: Database, database_url: str) -> None:
    await migrate(database, SMALL, no_policies)
    count = 1_000_000 if SOAK else 80_000
    await database.execute(
        f"insert into posts (title, n, old) select 't' || g, g, 'o' || g from generate_series(1, {count}) as g"
    )
    await database.execute("create index on posts (title)")
    async with Writer(database_url) as one, Writer(database_url) as other:
        found = await plan(database, GROWN, no_policies, short_bytes=0)
        assert all(step.heavy is None for step in found.steps)
        await apply(database, found, allow_destructive=True)
    assert min(one.written, other.written) > 50
    assert max(one.slowest_s, other.slowest_s) < 1.0
    assert (await plan(database, GROWN, no_policies)).steps == ()
    # every value of the dropped column was caught, those of rows written meanwhile too
    await down(database, short_bytes=0)
    query = "select count(*), count(old), count(*) filter (where old = 'o' || n) from posts"
    async with database.transaction() as transaction:
        row = await transaction.fetch_row(Statement(query))
    assert row is not None
    total, old, right = (int(text or 0) for text in row)
    assert old == right == count
    assert total >= count + one.written + other.written - 2


async def test_values_written_while_a_column_is_being_kept_are_kept(database: Database, database_url: str) -> None:
    await migrate(database, catalog(collection("posts", field("old"), field("title"))), no_policies)
    await database.execute(
        """
        insert into posts (title, old) values ('a', 'before'), ('b', 'before'), ('d', 'before');
        grant all on posts to anon;
        create policy all_of_it on posts to anon using (true);
        """
    )
    writes = {
        "posts: keep old": "update posts set old = 'during' where title = 'a'",
        "posts: drop old": "update posts set old = 'after' where title = 'b'; insert into posts values (default, 'new', 'c')",
    }

    async def write(sql: str) -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("set role anon")  # a caller, who may not write the copy himself
        await connection.execute(sql)
        await connection.close()

    def observe(observation: Observation) -> None:
        if isinstance(observation, MigrationStepBegan) and observation.title in writes:
            with ThreadPoolExecutor(1) as aside:
                aside.submit(asyncio.run, write(writes.pop(observation.title))).result()

    found = await plan(database, catalog(collection("posts", field("title"))), no_policies, short_bytes=0)
    await apply(database, found, allow_destructive=True, observe=observe)
    assert not writes
    await down(database)
    listed = await database.fetch_rows(Statement("select title, old from posts order by title"))
    assert listed == [("a", "during"), ("b", "after"), ("c", "new"), ("d", "before")]


async def test_a_lock_that_is_not_given_is_asked_for_again_and_lets_everybody_pass(
    database: Database, database_url: str, other: asyncpg.Connection
) -> None:
    await migrate(database, SMALL, no_policies)
    reader = other.transaction()
    await reader.start()
    await other.fetch("select * from posts")
    waits: list[MigrationWaits] = []
    commits: list[asyncio.Future[None]] = []

    def observe(observation: Observation) -> None:
        if isinstance(observation, MigrationWaits):
            waits.append(observation)
            if len(waits) == 4:
                commits.append(asyncio.ensure_future(reader.commit()))

    async with asyncio.timeout(30), Writer(database_url) as writer:
        patience = Patience(lock_ms=100)
        await migrate(database, GROWN, no_policies, allow_destructive=True, patience=patience, observe=observe)
    assert len(waits) >= 4
    assert writer.slowest_s < 1.0
    assert (await plan(database, GROWN, no_policies)).steps == ()


async def test_a_lock_that_nobody_gives_interrupts_the_migration_which_goes_on_later(
    database: Database, other: asyncpg.Connection
) -> None:
    await migrate(database, SMALL, no_policies)
    found = await plan(database, GROWN, no_policies)
    await other.execute("begin; lock table posts in access share mode")
    with pytest.raises(MigrationError, match="could not lock posts") as caught:
        await apply(database, found, allow_destructive=True, patience=Patience(lock_ms=20, attempts=3))
    assert "goes on where it stopped" in (caught.value.hint or "")
    assert (await status(database))[-1].state == "interrupted"
    await other.execute("rollback")
    again = await plan(database, GROWN, no_policies)
    assert again.hash == found.hash
    applied = await apply(database, again, allow_destructive=True)
    assert applied.resumed
    assert applied.steps < len(found.steps)
    assert [row.state for row in await status(database)] == ["applied", "applied"]


async def test_of_two_migrators_one_waits_and_finds_nothing_left_to_do(database_url: str, database: Database) -> None:
    found = await plan(database, GROWN, no_policies)
    first, second = await asyncio.gather(apply(database, found), apply(database, found))
    assert sorted([first.id is None, second.id is None]) == [False, True]
    assert len(await status(database)) == 1
    results = await asyncio.gather(*(migrate(database, SMALL, no_policies, allow_destructive=True) for _ in range(3)))
    assert sorted(len(result) for result in results) == [0, 0, 1]


async def test_a_migrator_does_not_wait_for_another_one_for_ever(database: Database, other: asyncpg.Connection) -> None:
    found = await plan(database, SMALL, no_policies)
    await other.execute(f"select pg_advisory_lock({0x6D62_6161_7302})")
    with pytest.raises(MigrationError, match="another migrator"):
        await apply(database, found, patience=Patience(wait_s=0.2))


async def test_a_waiting_migrator_does_not_stop_the_one_that_builds_an_index(
    database: Database, other: asyncpg.Connection
) -> None:
    """A session that waits inside pg_advisory_lock holds a snapshot, which CREATE INDEX CONCURRENTLY waits for."""
    await migrate(database, SMALL, no_policies)
    await database.execute("insert into posts (title, n) values ('a', 1)")
    indexed = catalog(
        collection(
            "posts",
            *SMALL.collections["posts"].fields[1:],
            indexes=(Index(name="posts_n_idx", fields=(IndexField("n"),)),),
        )
    )
    found = await plan(database, indexed, no_policies, short_bytes=0)
    assert any("concurrently" in sql for step in found.steps for sql in step.sql)
    async with asyncio.timeout(20):
        await asyncio.gather(*(apply(database, found) for _ in range(3)))


async def _state(database: Database, desired: Catalog) -> tuple[int, list[str]]:
    return len((await plan(database, desired, no_policies)).steps), [row.state for row in await status(database)]


async def test_an_invalid_index_left_by_somebody_is_built_again(database: Database, other: asyncpg.Connection) -> None:
    await migrate(database, SMALL, no_policies)
    await database.execute("insert into posts (title) values ('same'), ('same')")
    unique = catalog(collection("posts", field("title", unique=True), *SMALL.collections["posts"].fields[2:]))
    with pytest.raises(asyncpg.UniqueViolationError):
        await other.execute("create unique index concurrently posts_title_key on posts (title)")
    await database.execute("delete from posts")
    assert (
        await other.fetchval("select indisvalid from pg_index where indexrelid = 'posts_title_key'::regclass") is False
    )
    await migrate(database, unique, no_policies, short_bytes=0)
    assert await other.fetchval("select indisvalid from pg_index where indexrelid = 'posts_title_key'::regclass")
    assert await _state(database, unique) == (0, ["applied", "applied"])
