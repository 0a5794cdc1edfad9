"""Random schema changes, up and down, with data present: every row is kept, and nothing is ever left to do."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import asyncpg
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.migrate import SHORT_BYTES, apply, down, plan
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.errors import MigrationError
from mbaas.core.schema.catalog import Catalog
from tests.conftest import SOAK
from tests.strategies.catalogs import Draft, DraftCollection, field_values, histories

Rows = dict[str, Counter[tuple[str | None, ...]]]

USERS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")
CLEAN = """
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
    for name in select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace loop
        execute format('drop routine %s cascade', name);
    end loop;
end
$$;
truncate mbaas.migrations, mbaas.schema_sources, mbaas.dropped, mbaas.scripts;
"""


class World:
    """One database that every example starts afresh in, and a loop to reach it."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self._runner = runner
        self.database = Database(url, connections=0)
        self._connection = self.run(asyncpg.connect(url))
        self.execute("create table if not exists auth.users (id uuid primary key)")
        for user in USERS:
            self.execute(f"insert into auth.users values ('{user}') on conflict do nothing")

    def run(self, awaitable: Any) -> Any:
        return self._runner.run(awaitable)

    def execute(self, sql: str) -> None:
        self.run(self._connection.execute(sql))

    def fetch(self, sql: str) -> Any:
        return self.run(self._connection.fetchval(sql))

    def try_to(self, sql: str) -> bool:
        try:
            self.execute(sql)
        except asyncpg.PostgresError:
            return False
        return True

    def close(self) -> None:
        self.run(self._connection.close())


@pytest.fixture(scope="module")
def world(cluster: EmbeddedPostgres) -> Iterator[World]:
    with asyncio.Runner() as runner:

        async def prepare() -> None:
            admin = await asyncpg.connect(cluster.url("postgres"))
            await admin.execute("drop database if exists migrations_keep_rows")
            await admin.execute("create database migrations_keep_rows")
            await admin.close()
            database = Database(cluster.url("migrations_keep_rows"), connections=1)
            await database.open()
            await apply_system_schema(database)
            await database.close()

        runner.run(prepare())
        made = World(runner, cluster.url("migrations_keep_rows"))
        yield made
        made.close()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def policies(catalog: Catalog) -> Any:
    """Policies that stand on a column, so that changes of columns have to deal with them."""

    def of(name: str) -> tuple[str, ...]:
        column = quoted(catalog.collections[name].fields[-1].name)
        return (
            f"drop policy if exists mbaas_read on {quoted(name)}",
            f"create policy mbaas_read on {quoted(name)} for select to authenticated using ({column} is not null)",
            f"grant select on {quoted(name)} to authenticated",
        )

    return of


def rows(world: World, columns: dict[str, list[str]]) -> Rows:
    """The rows of each table, as the texts of these expressions."""
    found: Rows = {}
    for table, expressions in columns.items():
        texts = ", ".join(f"({expression})::text" for expression in expressions)
        listed = world.fetch(f"select coalesce(json_agg(json_build_array({texts})), '[]')::text from {quoted(table)}")
        found[table] = Counter(tuple(row) for row in json.loads(listed))
    return found


def everything(world: World, draft: Draft) -> Rows:
    return rows(world, {item.name: [quoted(name) for name in item.names] for item in draft.collections})


def carried_over(before: Draft, after: Draft) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, str]]:
    """Expressions over the old tables and over the new ones that must give the same; and old names of new tables."""
    old, new, names = {}, {}, {}
    for item in after.collections:
        was = source(item, before, after)
        if was is None:
            continue
        names[item.name] = was.name
        old[was.name], new[item.name] = ["1"], ["1"]
        for found in item.fields:
            field = found.field
            name = field.name if field.name in was.names else found.origin
            taken = name != field.name and name in item.names
            if name is None or name not in was.names or taken or field.generated is not None:
                continue
            old[was.name].append(f"{quoted(name)}::{field.type.sql}")
            new[item.name].append(quoted(field.name))
    return old, new, names


def source(item: DraftCollection, before: Draft, after: Draft) -> DraftCollection | None:
    there = {old.name: old for old in before.collections}
    if item.name in there:
        return there[item.name]
    still_wanted = any(other.name == item.origin for other in after.collections)
    return None if item.origin is None or still_wanted else there.get(item.origin)


def insert(world: World, draft: Draft, data: st.DataObject, *, most: int) -> None:
    """A few rows into every table. What a constraint refuses is not inserted, and nobody minds."""
    for item in draft.collections:
        for _ in range(data.draw(st.integers(0, most), label=f"rows of {item.name}")):
            names, values = [], []
            for found in item.fields:
                field = found.field
                if field.generated is not None or field.identity:
                    continue
                if field.default is not None and data.draw(st.booleans()):
                    continue
                names.append(quoted(field.name))
                if field.references is not None:
                    table, target = field.references.table, quoted(field.references.columns[0])
                    parent = "auth.users" if table == "auth.users" else quoted(table)
                    offset = data.draw(st.integers(0, 2))
                    values.append(f"(select {target} from {parent} order by 1 limit 1 offset {offset})")
                else:
                    value = data.draw(field_values(found))
                    values.append("null" if value is None else literal(value))
            listed = f"({', '.join(names)}) values ({', '.join(values)})" if names else "default values"
            world.try_to(f"insert into {quoted(item.name)} {listed}")


def literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def is_done(world: World, draft: Draft) -> bool:
    catalog = draft.catalog
    again = world.run(plan(world.database, catalog, policies(catalog), draft.functions_sql))
    note(again.text)
    return not again.steps


def climb(world: World, before: Draft, after: Draft, short_bytes: int) -> int | None:
    """Up by one version: how many steps it took. ``None`` when something stood in the way; then nothing has changed."""
    catalog = after.catalog
    there = everything(world, before)
    try:
        found = world.run(
            plan(world.database, catalog, policies(catalog), after.functions_sql, short_bytes=short_bytes)
        )
    except MigrationError as error:
        note(f"refused: {error.message}")
        event("refused on the way up")
        assert everything(world, before) == there
        return None
    note(found.text)
    old, new, names = carried_over(before, after)
    wanted = rows(world, old)
    world.run(apply(world.database, found, allow_destructive=True))
    got = rows(world, new)
    assert {names[table]: found for table, found in got.items()} == wanted
    assert is_done(world, after)
    return len(found.steps)


EXAMPLES = settings(
    max_examples=2000 if SOAK else 65,  # 65: over 200 changes up, 100 down
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


@EXAMPLES
@given(data=st.data())
def test_any_change_of_schema_keeps_every_row_up_and_down(world: World, data: st.DataObject) -> None:
    world.execute(CLEAN)
    short_bytes = data.draw(st.sampled_from([0, SHORT_BYTES]), label="short_bytes")
    first, *later = data.draw(histories(versions=3), label="versions")
    nothing = Draft([])
    assert climb(world, nothing, first, short_bytes)
    insert(world, first, data, most=3)
    stages = [(first, everything(world, first))]
    for draft in later:
        steps = climb(world, stages[-1][0], draft, short_bytes)
        if steps is None:
            break
        stages = stages if steps else stages[:-1]
        stages.append((draft, everything(world, draft)))
    # Rows written since may not fit into the former schema; then the way back is refused and nothing has changed.
    written_since = data.draw(st.booleans(), label="rows written before the way back")
    if written_since:
        insert(world, stages[-1][0], data, most=1)
    while len(stages) > 1:
        draft, _ = stages.pop()
        former, wanted = stages[-1]
        there = everything(world, draft)
        try:
            world.run(down(world.database, short_bytes=short_bytes))
        except MigrationError as error:
            note(f"refused: {error.message}")
            event("refused on the way back")
            assert written_since
            assert everything(world, draft) == there
            return
        event("taken back")
        got = everything(world, former)
        if written_since:
            assert all(not wanted[table] - got[table] for table in wanted)
        else:
            assert got == wanted
        assert is_done(world, former)
