"""A node takes up what was applied elsewhere, and a request that meets another schema than it was planned for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mbaas.adapters import live as live_module
from mbaas.adapters.live import Live
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.config.load import load
from mbaas.core.identity import ANON
from mbaas.core.observe import CatalogInForce, CatalogNotTaken
from mbaas.core.sql.fragment import Statement
from mbaas.hooks.dispatch import Hooks
from mbaas.modules.records.routes import records_app
from mbaas.modules.records.service import Records
from mbaas.schema import Migrator, migrated
from tests.integration.records.conftest import Api

TOML = """
[collections.notes.fields]
id = {{ type = "int", key = true }}
{fields}
[collections.notes.rules]
select = "{rule}"
insert = "true"
update = "true"
delete = "true"
[functions.broken]
sql = "broken.sql"
execute = ["anon"]
"""
BROKEN = "create function broken() returns int language plpgsql as $$ begin return (select nothing from notes); end $$"
TEXT = 'text = { type = "text" }'
HEADLINE = 'headline = { type = "text", renamed_from = "text" }'


class Node:
    """A server's half without a socket, and migrations applied past it."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        self.observed: list[Any] = []
        (root / "broken.sql").write_text(BROKEN)

    def config(self, fields: str, rule: str) -> Any:
        (self.root / "mbaas.toml").write_text(TOML.format(fields=fields, rule=rule))
        return load(self.root / "mbaas.toml", {})

    async def start(self, fields: str = TEXT, rule: str = "true") -> Api:
        await apply_system_schema(self.database)
        self.live: Live = await migrated(self.database, self.config(fields, rule), observe=self.observed.append)
        api = Api(self.database, self.live(), Hooks())
        api._app = records_app(Records(self.database, self.live, Hooks()), newer_than=self.live.newer_than)
        await api.post("/notes", "service", {"id": 1})
        return api

    async def apply(self, fields: str = TEXT, rule: str = "true") -> None:
        await Migrator(self.database, self.config(fields, rule)).apply(allow_destructive=True)

    async def down(self) -> None:
        await Migrator(self.database, load(self.root / "mbaas.toml", {})).down(1)


@pytest.fixture
def node(tmp_path: Path, database: Database) -> Node:
    return Node(tmp_path, database)


async def test_a_request_that_meets_the_new_schema_is_answered_by_it(node: Node) -> None:
    """Nobody polls here: what is new is found by the request itself."""
    api = await node.start()
    fields = [TEXT, HEADLINE, 'text = { type = "text", renamed_from = "headline" }']
    assert "text" in (await api.get("/notes"))[0]
    await node.apply(HEADLINE)
    assert "headline" in (await api.get("/notes"))[0]
    await node.apply(fields[2])
    assert "text" in (await api.post("/notes", "anon", {"id": 2}))[0]
    await node.apply(HEADLINE)
    assert "headline" in (await api.patch("/notes?id=eq.2", "anon", {"id": 3}))[0]
    await node.apply(fields[2])
    assert "text" in (await api.delete("/notes?id=eq.3", "anon"))[0]
    await node.apply(HEADLINE)
    gone = await api("GET", "/notes?select=text")
    assert (gone.status_code, gone.json()["message"]) == (400, "column notes.text does not exist")


async def test_while_a_migration_is_under_way_a_request_waits_and_then_is_told_to_come_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await node.start()
    await node.database.execute("alter table notes drop column text")
    by_hand = await api("GET", "/notes?select=text")
    assert by_hand.status_code == 400, "no migration is under way: the schema was changed by hand"
    await node.database.execute("insert into mbaas.migrations (kind, hash, plan) values ('up', 'x', '{}')")
    monkeypatch.setattr(live_module, "PATIENCE_S", 0.2)
    meanwhile = await api("GET", "/notes?select=text")
    assert (meanwhile.status_code, meanwhile.headers["retry-after"]) == (503, "1")


async def test_an_error_of_a_functions_author_is_told_at_once(node: Node) -> None:
    api = await node.start()
    before = node.live()
    answer = await api("GET", "/rpc/broken")
    assert (answer.status_code, answer.json()["code"]) == (400, "42703")
    assert node.live() is before


async def test_each_change_is_a_snapshot_of_its_own_and_none_without_a_change(node: Node) -> None:
    await node.start()
    first = node.live()
    await node.apply()
    await node.live.look()
    assert node.live() is first
    await node.apply(rule="id = 1")
    await node.live.look()
    second = node.live()
    assert second is not first
    assert first.catalog.collections["notes"].rules.select == "true", "a snapshot never changes"
    assert second.catalog.collections["notes"].rules.select == "id = 1"
    assert [function.returns for function in second.catalog.functions] == ["integer"]
    assert node.observed[-1] == CatalogInForce(node.live.revision)


async def test_what_is_taken_back_puts_the_former_rules_in_force(node: Node) -> None:
    await node.start()
    await node.apply(rule="id = 1")
    await node.apply(HEADLINE, rule="id = 2")
    rules = []
    for _ in range(3):
        await node.live.look()
        catalog = node.live().catalog
        rules.append(catalog.collections["notes"].rules.select if catalog.collections else None)
        await node.down()
    await node.live.look()
    assert rules == ["id = 2", "id = 1", "true"]
    assert node.live().catalog.collections == {}, "nothing is left, and nothing is served"


async def test_a_catalog_that_cannot_be_understood_is_not_taken_and_told_once(node: Node) -> None:
    api = await node.start()
    before = node.live()
    await node.database.execute("insert into mbaas.catalogs (migration, catalog) values (9, '{\"collections\": 7}')")
    for _ in range(3):
        await node.live.look()
    assert node.live() is before
    assert [type(told) for told in node.observed if not isinstance(told, CatalogInForce)].count(CatalogNotTaken) == 1
    assert (await api("GET", "/notes")).status_code == 200


async def test_guards_of_former_rules_go_with_them(node: Node) -> None:
    guards = Statement("select count(*)::text from pg_proc where proname like 'guard\\_%'")
    await node.start(rule="text::int = 1")
    assert await node.database.fetch_row(guards) == ("1",)
    await node.apply(rule="text::int = 2")
    assert await node.database.fetch_row(guards) == ("1",)
    await node.apply()
    assert await node.database.fetch_row(guards) == ("0",)
    await node.down()
    assert await node.database.fetch_row(guards) == ("1",)


async def test_what_depends_on_the_caller_alone_keeps_its_index(node: Node) -> None:
    rule = "text = (auth.jwt() ->> 'text')::uuid"
    api = await node.start('text = { type = "uuid", unique = true }', rule=rule)
    await api.post("/notes", "service", {"id": 2, "text": "00000000-0000-4000-8000-000000000001"})
    await node.database.execute(
        "insert into notes select n, gen_random_uuid() from generate_series(10, 5000) n; analyze notes"
    )
    assert await api.get("/notes", "ana") == [], "a claim that is not there"
    statement = Statement("explain select * from notes where text = mbaas.{}(jsonb_build_object('text', $1::text))")
    name = await node.database.fetch_row(Statement("select proname::text from pg_proc where proname like 'guard\\_%'"))
    assert name is not None
    lines = await node.database.fetch_rows(Statement(statement.text.format(name[0]), ("no uuid",)))
    assert "Index Scan" in str(lines[0][0])


async def test_a_read_that_is_answered_without_a_task_finds_the_new_schema_too(node: Node) -> None:
    await node.start()
    shared = Database(node.database.url, connections=1, unsafe_dev=True, coalesce=True)
    await shared.open()
    app = records_app(Records(shared, node.live, Hooks()), newer_than=node.live.newer_than)

    async def read() -> Any:
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        scope = {
            "type": "http", "method": "GET", "path": "/rest/v1/notes", "raw_path": b"/rest/v1/notes",
            "query_string": b"id=eq.1", "headers": [], "state": {"caller": ANON},
        }  # fmt: skip
        exchange = SimpleNamespace(query=b"id=eq.1", body=b"", literals=[b"1"])
        request = SimpleNamespace(scope=scope, exchange=exchange, settle=answered.set_result)
        assert app.begin(request)
        return await answered

    assert b"text" in (await read()).body
    await node.apply(HEADLINE)
    assert b"headline" in (await read()).body
    await shared.close()
