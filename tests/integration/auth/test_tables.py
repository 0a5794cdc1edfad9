"""The tables: described to Piccolo as they are, out of reach for everybody but the server."""

from __future__ import annotations

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.errors import DatabaseError
from mbaas.core.identity import Identity
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.tables import TABLES

_COLUMNS = """
select a.attname, upper(replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz')),
    not a.attnotnull, a.attgenerated <> ''
from pg_attribute as a
where a.attrelid = ('auth.' || $1::text)::regclass and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""


# Columns that only policies and functions of adopted databases name.
FOR_OTHERS = {"users": ("instance_id", "is_super_admin")}


async def test_piccolo_knows_every_column_as_it_is(database: Database) -> None:
    await apply_system_schema(database)
    rows = await database.fetch_rows(
        Statement("select relname from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r'")
    )
    assert {row[0] for row in rows} == {table._meta.tablename for table in TABLES}
    for table in TABLES:
        rows = await database.fetch_rows(Statement(_COLUMNS, (table._meta.tablename,)))
        found = [
            (name, kind, null == "t")
            for name, kind, null, generated in rows
            if generated == "f" and name not in FOR_OTHERS.get(table._meta.tablename, ())
        ]
        described = [
            (column._meta.db_column_name, column.column_type, column._meta.null) for column in table._meta.columns
        ]
        assert described == found, table._meta.tablename


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_no_role_of_the_api_reaches_the_tables(database: Database, role: str) -> None:
    await apply_system_schema(database)
    names = [table._meta.tablename for table in TABLES]
    for name in names:
        for text in (
            f"select count(*) from auth.{name}",
            f"delete from auth.{name}",
            f"insert into auth.{name} default values",
        ):
            with pytest.raises(DatabaseError) as caught:
                async with database.transaction(caller=Identity(role=role)) as transaction:  # type: ignore[arg-type]
                    await transaction.fetch_row(Statement(text))
            assert caught.value.sqlstate == "42501", (name, text)
    with pytest.raises(DatabaseError) as caught:
        async with database.transaction(caller=Identity(role=role)) as transaction:  # type: ignore[arg-type]
            await transaction.fetch_row(Statement("select auth.user_object(null::auth.users)"))
    assert caught.value.sqlstate == "42501"


async def test_a_table_can_refer_to_users(database: Database) -> None:
    await apply_system_schema(database)
    await database.execute("create table profiles (id uuid primary key references auth.users on delete cascade)")
    user = "7f1b2c5e-0000-4000-8000-000000000001"
    await database.execute(f"insert into auth.users (id) values ('{user}'); insert into profiles values ('{user}')")
    await database.execute("delete from auth.users")
    assert await database.fetch_row(Statement("select count(*) from profiles")) == ("0",)
