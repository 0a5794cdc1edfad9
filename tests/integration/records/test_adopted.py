"""A statement that is for the caller to run finds and writes nothing when the owner runs it by mistake."""

from __future__ import annotations

import msgspec
import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.rules.compile import compile_rules
from mbaas.core.schema.catalog import Rules
from mbaas.core.sql.fragment import Statement
from tests.schemas import catalog, collection, field
from tests.statements import statement_of

THEIRS = msgspec.structs.replace(
    collection("items", field("id", "int"), field("note", "uuid", references="notes"), key=("id",)), adopted=True
)
OURS = collection("notes", field("text"), rules=Rules(select="true", insert="true", update="true", delete="true"))
RULES = compile_rules(catalog(THEIRS, OURS))
ITEM = '{"id": 2}'
REQUESTS = [
    ("GET", "/items", "", "{}"),
    ("GET", "/notes?select=text,items(id)", "", "{}"),
    ("POST", "/items", "return=representation", ITEM),
    ("POST", "/items", "", ITEM),
    ("POST", "/items?on_conflict=id", "resolution=merge-duplicates,return=representation", '{"id": 1}'),
    ("PATCH", "/items?id=eq.1", "return=representation", '{"note": null}'),
    ("DELETE", "/items?id=eq.1", "return=representation", "{}"),
    ("DELETE", "/items?id=eq.1", "", "{}"),
    ("POST", "/notes?select=text,items(id)", "return=representation", '{"text": "x"}'),
]
_HELD = Statement("select (select json_agg(i)::text from items i), (select count(*)::text from notes)")


@pytest.fixture
async def filled(database: Database) -> Database:
    await apply_system_schema(database)
    note = "00000000-0000-4000-8000-000000000001"
    await database.execute(f"""
        create table notes (id uuid primary key default gen_random_uuid(), text text);
        create table items (id int primary key, note uuid references notes);
        insert into notes values ('{note}', 'n'); insert into items values (1, '{note}');
    """)
    return database


@pytest.mark.parametrize("by", ["anon", "ana", "service"])
async def test_run_as_the_owner_it_finds_and_writes_nothing(filled: Database, by: str) -> None:
    before = await filled.fetch_row(_HELD)
    for method, path, prefer, body in REQUESTS:
        row = await filled.fetch_row(statement_of(method, path, by, body=body, prefer=prefer, rules=RULES))
        assert row is not None
        assert row[0] in ("[]", None), (method, path)
        if method != "GET":
            assert row[2] == "0", (method, path)
    counted = await filled.fetch_row(statement_of("GET", "/items", by, prefer="count=exact", rules=RULES))
    assert counted == ("[]", "0", "0")
    assert await filled.fetch_row(_HELD) == before
