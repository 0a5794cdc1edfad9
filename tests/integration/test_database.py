"""The one door to PostgreSQL."""

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.errors import DatabaseError
from mbaas.core.identity import Identity
from mbaas.core.sql.fragment import Statement, concat, statement, value


async def test_values_travel_as_text(database: Database) -> None:
    row = await database.fetch_row(
        statement(concat("select ", value("7", "integer"), ", ", value(("1", "2"), "integer[]")))
    )
    assert row == ("7", ["1", "2"])


async def test_a_bad_literal_is_refused_before_any_row_is_seen(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        await database.fetch_row(Statement("select 1 where false and $1::integer = 1", ("abc",)))
    assert caught.value.sqlstate == "22P02"


async def test_claims_and_role_end_with_the_transaction(database: Database) -> None:
    await apply_system_schema(database)
    seen = Statement("select current_user::text, current_setting('request.jwt.claims', true)")
    async with database.transaction(caller=Identity(role="anon", claims={"sub": "u"})) as transaction:
        assert await transaction.fetch_row(seen) == ("anon", '{"sub":"u"}')
    assert await database.fetch_row(seen) in {("mbaas", ""), ("mbaas", None)}


async def test_the_system_schema_is_applied_once(database: Database) -> None:
    assert "0001_foundation.sql" in await apply_system_schema(database)
    assert await apply_system_schema(database) == ()
    user = "7f1b2c5e-0000-4000-8000-000000000001"
    claims = {"sub": user, "role": "authenticated", "app_metadata": {"org": 7}}
    async with database.transaction(caller=Identity(role="authenticated", claims=claims)) as transaction:
        row = await transaction.fetch_row(Statement("select auth.uid(), auth.role(), auth.claim('app_metadata.org')"))
    assert row == (user, "authenticated", "7")
