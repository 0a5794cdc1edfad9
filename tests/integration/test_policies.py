"""What the policies of a rule hold, for SQL that runs as the caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.errors import DatabaseError
from mbaas.core.identity import ANON, SERVICE
from mbaas.core.rules.compile import compile_rules
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.policy import render_policies
from tests.strategies_rules import with_rule

GOLDEN = Path(__file__).parents[1] / "golden" / "policy"
RULES = {
    "open": "flag or owner = auth.uid()",
    "shared": "exists (select 1 from shares s where s.thing = things.id and s.member = auth.uid())",
    "ordered": "title < 'm' and auth.aal() = 'aal2'",
    "failing": "owner = (auth.jwt() ->> 'owner')::uuid and (title::int > 5 or flag)",
}


async def prepare(database: Database, rule: str | None) -> None:
    await apply_system_schema(database)
    rules = compile_rules(with_rule("false" if rule is None else rule))
    for collection in rules.catalog.collections.values():
        columns = ", ".join(f'"{field.name}" {field.type.sql}' for field in collection.fields)
        await database.execute(f"create table public.{collection.name} ({columns})")
    for name in rules.catalog.collections:
        await database.execute(";".join(render_policies(rules, name)))
    await database.execute("insert into things (id, title) values (gen_random_uuid(), 'a')")


COUNT = Statement("select count(*) from things", ())


@pytest.mark.parametrize("name", RULES)
def test_policies_are_the_golden_sql(name: str, request: pytest.FixtureRequest) -> None:
    text = ";\n".join(render_policies(compile_rules(with_rule(RULES[name])), "things")) + ";\n"
    file = GOLDEN / f"{name}.sql"
    if request.config.getoption("--rewrite-golden"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


async def test_without_a_rule_there_is_no_grant(database: Database) -> None:
    await prepare(database, None)
    with pytest.raises(DatabaseError) as raised:
        async with database.transaction(caller=ANON) as transaction:
            await transaction.fetch_row(COUNT)
    assert raised.value.sqlstate == "42501"
    async with database.transaction(caller=SERVICE) as transaction:
        assert await transaction.fetch_row(COUNT) == ("1",)


async def test_a_rule_that_is_null_lets_nobody_in(database: Database) -> None:
    await prepare(database, "flag")  # null in the one row
    async with database.transaction(caller=ANON) as transaction:
        assert await transaction.fetch_row(COUNT) == ("0",)


async def test_only_rule_functions_run_as_the_owner_and_nobody_else_may_call_them(database: Database) -> None:
    await prepare(database, RULES["shared"])
    rows = await database.fetch_rows(
        Statement(
            "select proname, coalesce(proconfig[1], ''), has_function_privilege('public', oid, 'execute') from pg_proc "
            "where prosecdef and pronamespace::regnamespace::text in ('public', 'mbaas', 'auth')",
            (),
        )
    )
    assert ("rule_things_select", 'search_path=""', "f") in rows
    ours = {(name, path) for name, path, _ in rows if not (name or "").startswith("rule_")}
    assert ours == {("keep", 'search_path=""')}  # the trigger that keeps what a migration takes away
