"""A write does what PostgreSQL's own policies would let it do: the same rows, the same refusals, the same table after it.

Each example runs twice from the same rows: our statement as the owner, and plain SQL as the caller under the policies.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.adapters.postgres.connection import connect
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.rules.compile import compile_rules
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.schema.catalog import Catalog, Collection, Rules
from mbaas.core.sql.policy import render_policies
from tests.conftest import SOAK
from tests.sample import ANA, BEN, field
from tests.statements import statement_of

DDL = """
create table public.things (
    id integer primary key, owner uuid default auth.uid(), n integer default 1, t text unique,
    pub boolean not null default false, twice integer generated always as (n * 2) stored
);
"""
FIELDS = ("id", "owner", "n", "t", "pub")
# Never just `false`: without a policy PostgreSQL refuses the caller the table, where we show it empty.
RULES = ("true", "true", "true", "pub", "owner = auth.uid()", "pub or owner = auth.uid()", "n > 1", "twice > 2", "t is not null", "n > 99",
         "exists (select 1 from things x where x.id <> id and x.pub)")  # fmt: skip

ids = st.integers(0, 3)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "owner": st.sampled_from([ANA, BEN, None]),
    "n": st.integers(0, 3),
    "t": st.sampled_from(["a", "b", "c", None]),
    "pub": st.booleans(),
}
changes = st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), min_size=1, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
)
rows = st.lists(
    st.fixed_dictionaries({"id": ids, **VALUES}), min_size=1, max_size=4, unique_by=lambda row: row["id"]
).map(
    lambda found: [
        row for number, row in enumerate(found) if row["t"] not in [r["t"] for r in found[:number] if r["t"]]
    ]
)
inserts = st.builds(lambda number, more: {"id": number, **more}, ids, changes)


def catalog(rules: dict[str, str]) -> RuleSet:
    things = Collection(
        name="things",
        key=("id",),
        fields=(
            field("id", "int", required=True),
            field("owner", "uuid", default="auth.uid()"),
            field("n", "int", default="1"),
            field("t", "text", unique=True),
            field("pub", "bool", required=True, default="false"),
            field("twice", "int", generated="n * 2"),
        ),
        rules=Rules(**rules),
    )
    return compile_rules(Catalog(collections={"things": things}))


def literal(value: Any) -> str:
    if value is None:
        return "null"
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def native(method: str, change: dict[str, Any], target: int, merge: str | None) -> str:
    """The same write as anybody would spell it. Rows come back whole."""
    names, values = ", ".join(change), ", ".join(map(literal, change.values()))
    if method == "POST":
        overwritten = [name for name in change if name != "id"]
        conflict = {
            None: "",
            "ignore": " on conflict (id) do nothing",
            "merge": " on conflict (id) do update set "
            + ", ".join(f"{name} = excluded.{name}" for name in overwritten),
        }[merge]
        return f"insert into public.things ({names}) values ({values}){conflict} returning *"
    if method == "PATCH":
        assigned = ", ".join(f"{name} = {literal(value)}" for name, value in change.items())
        return f"update public.things set {assigned} where n >= {target} returning *"
    return f"delete from public.things where n >= {target} returning *"


class Bench:
    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection: Any = self.loop.run_until_complete(connect(url, statement_timeout_s=10))

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def compare(self, before: list[dict[str, Any]], rules: RuleSet, ours: Any, theirs: str) -> tuple[Any, Any]:
        whole = self.connection.transaction()
        await whole.start()
        try:
            for script in render_policies(rules, "things"):
                await self.connection.execute(script)
            for row in before:
                values = ", ".join(literal(row[name]) for name in FIELDS)
                await self.connection.execute(f"insert into public.things values ({values})")
            return await self.outcome(self.ours(ours)), await self.outcome(self.theirs(theirs))
        finally:
            await whole.rollback()

    async def ours(self, statement: Any) -> list[str]:
        row = await self.connection.fetchrow(statement.text, *statement.args)
        return [json.dumps(one, sort_keys=True) for one in json.loads(row[0])]

    async def theirs(self, text: str) -> list[str]:
        claims = json.dumps({"sub": ANA, "role": "authenticated"})
        await self.connection.execute(f"set local role authenticated; set local request.jwt.claims = '{claims}'")
        found = await self.connection.fetch(f"with w as ({text}) select row_to_json(w) from w")
        return [json.dumps(json.loads(row[0]), sort_keys=True) for row in found]

    async def outcome(self, work: Any) -> tuple[Any, Any]:
        """What came back or the state of the error, and the table after it; then all is as before."""
        savepoint = self.connection.transaction()
        await savepoint.start()
        try:
            answer: Any = sorted(await work)
            await self.connection.execute("reset role")
            after = [tuple(row) for row in await self.connection.fetch("select * from public.things order by id")]
        except asyncpg.PostgresError as error:
            answer, after = error.sqlstate, []
        await savepoint.rollback()
        return answer, after


@pytest.fixture(scope="module")
def bench(cluster: EmbeddedPostgres) -> Iterator[Bench]:
    name = f"writes_agree_{os.getpid()}"

    async def make() -> None:
        admin = await asyncpg.connect(cluster.url("postgres"))
        await admin.execute(f"create database {name}")
        await admin.close()
        database = Database(cluster.url(name), connections=1, unsafe_dev=True)
        await database.open()
        await apply_system_schema(database)
        await database.execute(DDL)
        await database.close()

    asyncio.run(make())
    made = Bench(cluster.url(name))
    yield made
    made.run(made.connection.close())
    made.loop.close()


@settings(max_examples=2000 if SOAK else 150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    before=rows,
    rules=st.fixed_dictionaries({op: st.sampled_from(RULES) for op in ("select", "insert", "update", "delete")}),
    write=st.one_of(
        st.tuples(st.just("POST"), inserts, st.sampled_from([None, "merge", "ignore"])),
        st.tuples(st.just("PATCH"), changes, st.none()),
        st.tuples(st.just("DELETE"), st.just({}), st.none()),
    ),
    target=st.integers(0, 2),
)
def test_a_write_does_what_the_policies_would(
    bench: Bench,
    before: list[dict[str, Any]],
    rules: dict[str, str],
    write: tuple[str, dict[str, Any], str | None],
    target: int,
) -> None:
    method, change, merge = write
    compiled = catalog(rules)
    prefer = "return=representation" + (f",resolution={merge}-duplicates" if merge else "")
    path = "/things" if method == "POST" else f"/things?n=gte.{target}"
    ours = statement_of(method, path, body=json.dumps(change), prefer=prefer, rules=compiled)
    one, other = bench.run(bench.compare(before, compiled, ours, native(method, change, target, merge)))
    assert one == other
