"""A migrator that dies at any moment: the next one goes on, and in the end nothing tells that anybody died."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import asyncpg
import msgspec
import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.introspect import read_tables
from mbaas.adapters.postgres.migrate import apply, down, migrate, plan, status
from mbaas.adapters.postgres.schema_state import read_state
from mbaas.adapters.postgres.session import open_session
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.observe import MigrationStepBegan, Observation
from mbaas.core.schema.catalog import Index, IndexField
from tests.adversity.migrator import AFTER, BEFORE, FUNCTIONS, policies
from tests.conftest import SOAK
from tests.schemas import catalog, collection, field, no_policies

ROWS = """
insert into authors (name) values ('ann'), ('bob');
insert into posts (author, title, n, old, price)
    select (select id from authors where name = 'ann'), 't' || g, g, 'o' || g, g + 0.25 from generate_series(1, 5) as g;
insert into gone (text) values ('a'), ('b');
"""
WIPE = """
do $$
declare
    name text;
begin
    for name in select nspname from pg_namespace where nspname like 'mbaas\\_dropped%' loop
        execute format('drop schema %I cascade', name);
    end loop;
    for name in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' loop
        execute format('drop table public.%I cascade', name);
    end loop;
    drop function if exists tally;
end
$$;
truncate mbaas.migrations, mbaas.schema_sources, mbaas.dropped, mbaas.scripts restart identity;
"""


class Died(BaseException):
    """What a killed process leaves: a closed connection, and nothing said."""


@pytest.fixture
async def watcher(database_url: str, database: Database) -> Any:
    await apply_system_schema(database)
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def start_afresh(database: Database, watcher: asyncpg.Connection) -> None:
    await watcher.execute(WIPE)
    await migrate(database, BEFORE, policies)
    await watcher.execute(ROWS)


async def die_before(database: Database, number: int) -> None:
    def observe(observation: Observation) -> None:
        if isinstance(observation, MigrationStepBegan) and observation.number == number:
            raise Died

    with pytest.raises(Died):
        await migrate(database, AFTER, policies, FUNCTIONS, short_bytes=0, allow_destructive=True, observe=observe)


async def picture(database: Database, watcher: asyncpg.Connection) -> dict[str, Any]:
    """Everything there is, but for what differs from run to run: ids and moments."""
    async with open_session(database.url) as session:
        state = await read_state(session)
        kept = {item.number: await read_tables(session, f"mbaas_dropped_{item.number}") for item in state.aside}
    listed = """
        select json_build_object(
            'schemas', (select json_agg(nspname order by nspname) from pg_namespace where nspname like 'mbaas%'),
            'triggers', (select json_agg(tgname order by tgname) from pg_trigger where not tgisinternal),
            'policies', (select json_agg(tablename || policyname order by tablename, policyname) from pg_policies)
        )::text
    """
    rows = {
        name: sorted(
            await watcher.fetchval(
                f"select coalesce(json_agg(to_jsonb(t) - 'id' - 'author'), '[]')::text from {name} t"
            )
        )
        for name in state.tables
    }
    return {
        "tables": {name: found.table for name, found in state.found.items()},
        "known": {item: (known.source, known.rendered) for item, known in state.known.items()},
        "aside": [msgspec.structs.replace(item, migration=0) for item in state.aside],
        "kept": kept,
        "other": await watcher.fetchval(listed),
        "rows": rows,
    }


async def test_a_death_before_any_step_changes_nothing_in_the_end(
    database: Database, watcher: asyncpg.Connection
) -> None:
    await start_afresh(database, watcher)
    found = await plan(database, AFTER, policies, FUNCTIONS, short_bytes=0)
    await apply(database, found, allow_destructive=True)
    wanted = await picture(database, watcher)
    alone = [number for number, step in enumerate(found.steps, 1) if step.alone]
    assert len(found.steps) > 25
    assert len(alone) >= 7
    for number in range(1, len(found.steps) + 1):
        await start_afresh(database, watcher)
        await die_before(database, number)
        if number - 1 in alone:
            # The step before had its effect and died before it could note it.
            await watcher.execute("update mbaas.migrations set done = done - 1 where state = 'running'")
        again = await plan(database, AFTER, policies, FUNCTIONS, short_bytes=0)
        assert again.hash == found.hash
        applied = await apply(database, again, allow_destructive=True)
        assert applied.resumed
        assert await picture(database, watcher) == wanted
        assert [row.state for row in await status(database)] == ["applied", "applied"]


async def test_what_a_dead_migrator_left_is_cleared_by_one_that_wants_something_else(
    database: Database, watcher: asyncpg.Connection
) -> None:
    await start_afresh(database, watcher)
    wanted = await picture(database, watcher)
    steps = len((await plan(database, AFTER, policies, FUNCTIONS, short_bytes=0)).steps)
    # Back to where it began, by comparison: every leftover has to be recognised for what it is.
    returned = catalog(
        msgspec.structs.replace(BEFORE.collections["authors"], renamed_from="people"),
        msgspec.structs.replace(
            BEFORE.collections["posts"],
            fields=tuple(
                msgspec.structs.replace(item, renamed_from="headline") if item.name == "title" else item
                for item in BEFORE.collections["posts"].fields
            ),
        ),
        BEFORE.collections["gone"],
    )
    for number in range(1, steps + 1, 1 if SOAK else 2):
        await start_afresh(database, watcher)
        await die_before(database, number)
        await migrate(database, returned, policies, short_bytes=0, allow_destructive=True)
        got = await picture(database, watcher)
        for name, table in wanted["tables"].items():
            assert {column.name for column in got["tables"][name].columns} == {column.name for column in table.columns}
            for kind in ("primary", "uniques", "checks", "foreigns", "indexes", "triggers"):
                assert getattr(got["tables"][name], kind) == getattr(table, kind), (number, kind)
        assert got["tables"].keys() == wanted["tables"].keys()
        assert got["known"] == wanted["known"]
        assert all(item.complete for item in got["aside"])
        assert "mbaas_keep" not in got["other"]


@pytest.mark.parametrize("short_bytes", [0, 1 << 30])
async def test_half_a_migration_is_taken_back_with_its_data(
    database: Database, watcher: asyncpg.Connection, short_bytes: int
) -> None:
    await start_afresh(database, watcher)
    wanted = await picture(database, watcher)
    steps = len((await plan(database, AFTER, policies, FUNCTIONS, short_bytes=0)).steps)
    for number in range(2, steps + 1, 1 if SOAK else 5):
        await start_afresh(database, watcher)
        await die_before(database, number)
        await down(database, short_bytes=short_bytes)
        got = await picture(database, watcher)
        assert got["rows"] == wanted["rows"]
        assert got["known"] == wanted["known"]
        assert (await plan(database, BEFORE, policies)).steps == ()


async def test_a_way_back_that_dies_goes_on_where_it_stopped(database: Database, watcher: asyncpg.Connection) -> None:
    await start_afresh(database, watcher)
    wanted = await picture(database, watcher)
    number = 0
    while True:
        number += 1 if SOAK else 3
        await start_afresh(database, watcher)
        await migrate(database, AFTER, policies, FUNCTIONS, short_bytes=0, allow_destructive=True)

        def observe(observation: Observation, number: int = number) -> None:
            if isinstance(observation, MigrationStepBegan) and observation.number == number:
                raise Died

        try:
            await down(database, short_bytes=0, observe=observe)
        except Died:
            await down(database, short_bytes=0)
        else:
            break
        got = await picture(database, watcher)
        assert got["rows"] == wanted["rows"]
        assert (await plan(database, BEFORE, policies)).steps == ()
    assert number > 20


@pytest.mark.parametrize("number", range(1, 30) if SOAK else [2, 17])
async def test_a_killed_process_is_followed_by_one_that_finishes(
    database: Database, watcher: asyncpg.Connection, number: int
) -> None:
    await start_afresh(database, watcher)
    first = await migrator(database.url, number)
    assert await first.wait() == -signal.SIGKILL
    assert (await status(database))[-1].done == number - 1
    second = await migrator(database.url, 0)
    assert await second.wait() == 0
    assert (await plan(database, AFTER, policies, FUNCTIONS)).steps == ()
    assert (await status(database))[-1].state == "applied"


async def migrator(url: str, number: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.adversity.migrator", url, str(number))


PLAIN = catalog(collection("posts", field("title")))
INDEXED = catalog(collection("posts", field("title"), indexes=(Index(name="by_title", fields=(IndexField("title"),)),)))
BUILDING = "select pid from pg_stat_activity where query like 'create index concurrently%' and wait_event_type = 'Lock'"
VALID = "select indisvalid from pg_index where indexrelid = to_regclass('by_title')"


async def stuck_in_the_middle_of_an_index(
    database: Database, watcher: asyncpg.Connection, database_url: str
) -> tuple[asyncpg.Connection, asyncio.Task[Any], int]:
    """An old snapshot holds up CREATE INDEX CONCURRENTLY, which waits with an index that is not valid yet."""
    await migrate(database, PLAIN, no_policies)
    await watcher.execute("insert into posts (title) select 't' || g from generate_series(1, 100) as g")
    old = await asyncpg.connect(database_url)
    await old.execute("begin isolation level repeatable read; select count(*) from posts")
    building = asyncio.create_task(migrate(database, INDEXED, no_policies, short_bytes=0))
    async with asyncio.timeout(20):
        while (pid := await watcher.fetchval(BUILDING)) is None:
            continue
    assert await watcher.fetchval(VALID) is False
    return old, building, pid


async def test_an_index_whose_building_was_cut_off_is_built_again(
    database: Database, watcher: asyncpg.Connection, database_url: str
) -> None:
    old, building, pid = await stuck_in_the_middle_of_an_index(database, watcher, database_url)
    await watcher.execute(f"select pg_terminate_backend({pid})")
    with pytest.raises(Exception, match="does not answer"):
        await building
    assert await watcher.fetchval(VALID) is False
    await old.close()
    (applied,) = await migrate(database, INDEXED, no_policies, short_bytes=0)
    assert applied.resumed
    assert await watcher.fetchval(VALID) is True


async def test_an_index_that_the_server_goes_on_building_for_a_dead_client_is_waited_for(
    database: Database, watcher: asyncpg.Connection, database_url: str
) -> None:
    old, building, _ = await stuck_in_the_middle_of_an_index(database, watcher, database_url)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    after = asyncio.create_task(migrate(database, INDEXED, no_policies, short_bytes=0))
    await old.close()
    async with asyncio.timeout(20):
        (applied,) = await after
    assert applied.resumed
    assert await watcher.fetchval(VALID) is True
