"""``mbaas.uuidv7()``: RFC 9562, section 5.7, on every version of PostgreSQL."""

import time
import uuid

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.identity import ANON
from mbaas.core.sql.fragment import Statement


async def _made(database: Database, count: int) -> list[uuid.UUID]:
    made = "select mbaas.uuidv7() from generate_series(1, $1::integer)"
    return [uuid.UUID(row[0]) for row in await database.fetch_rows(Statement(made, (str(count),)))]


async def test_version_variant_and_time_are_where_the_standard_wants_them(database: Database) -> None:
    await apply_system_schema(database)
    before = int(time.time() * 1000) - 1
    made = await _made(database, 1000)
    after = int(time.time() * 1000) + 1
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {uuid.RFC_4122}
    assert all(before <= one.int >> 80 <= after for one in made)
    assert len(set(made)) == 1000


async def test_later_ones_sort_later(database: Database) -> None:
    await apply_system_schema(database)
    one_by_one = [(await _made(database, 1))[0] for _ in range(50)]
    assert one_by_one == sorted(one_by_one)


async def test_a_default_of_it_works_for_a_caller(database: Database) -> None:
    await apply_system_schema(database)
    await database.execute(
        "create table notes (id uuid default mbaas.uuidv7(), title text); grant insert, select on notes to anon"
    )
    async with database.transaction(caller=ANON) as transaction:
        row = await transaction.fetch_row(Statement("insert into notes (title) values ('x') returning id"))
    assert row is not None
    assert uuid.UUID(row[0]).version == 7
