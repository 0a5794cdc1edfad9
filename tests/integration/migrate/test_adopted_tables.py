"""Tables of somebody else: a migration leaves them alone, and says so when they are not what was described."""

from __future__ import annotations

import msgspec
import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.migrate import migrate, plan
from mbaas.core.errors import MigrationError
from mbaas.core.sql.fragment import Statement
from tests.schemas import catalog, collection, field, no_policies

OURS = collection("posts", field("title"), field("n", "int"))
THEIRS = msgspec.structs.replace(OURS, adopted=True)


async def test_a_table_that_was_ours_is_nobodys_to_drop_once_it_is_adopted(database: Database) -> None:
    await migrate(database, catalog(OURS), no_policies)
    await database.execute("insert into posts (title) values ('x')")
    adopted = catalog(THEIRS)
    assert (await plan(database, adopted, no_policies)).steps == ()
    await migrate(database, adopted, no_policies)
    await database.execute("alter table posts add column extra text; drop policy if exists p on posts")
    assert (await plan(database, adopted, no_policies)).steps == (), "what came is its owner's"
    await migrate(database, catalog(), no_policies)
    row = await database.fetch_row(Statement("select count(*)::text from posts"))
    assert row is not None
    assert row[0] == "1", "nor is it ours when it is no longer named"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("drop table posts", "collections.posts is adopted, and there is no such table"),
        ("alter table posts drop column title", "collections.posts.fields.title: the table has no such column"),
        ("alter table posts alter n type bigint", "collections.posts.fields.n: the column is bigint, not integer"),
    ],
)
async def test_what_is_no_longer_as_described_is_told(database: Database, change: str, told: str) -> None:
    await database.execute(f"create table posts (id uuid primary key, title text, n int); {change}")
    with pytest.raises(MigrationError) as raised:
        await migrate(database, catalog(THEIRS), no_policies)
    assert (raised.value.message, raised.value.hint) == (told, "`mbaas adopt` describes the database anew")
