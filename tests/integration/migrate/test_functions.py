"""SQL functions of the configuration, hand-written files, and what introspection tells of functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.introspect import read_catalog, read_functions
from mbaas.adapters.postgres.migrate import apply, down, migrate, plan
from mbaas.adapters.postgres.scripts import Script, parse_script, read_scripts
from mbaas.core.errors import ConfigError, MbaasError, MigrationError
from mbaas.core.identity import Identity
from mbaas.core.schema.catalog import Argument, Catalog, Function
from mbaas.core.schema.table import objects
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.tables import tables
from tests.schemas import catalog, collection, field, no_policies


async def value(database: Database, sql: str) -> str | None:
    row = await database.fetch_row(Statement(f"select ({sql})::text"))
    assert row is not None
    return row[0]


POSTS = collection("posts", field("title"), field("n", "int"))


def with_function(sql: str, *execute: str, name: str = "f") -> tuple[Catalog, dict[str, str]]:
    return catalog(POSTS, functions=(Function(name=name, execute=execute),)), {name: sql}


async def install(database: Database, sql: str, *execute: str, name: str = "f") -> int:
    desired, functions = with_function(sql, *execute, name=name)
    found = await plan(database, desired, no_policies, functions)
    await apply(database, found, allow_destructive=True)
    assert (await plan(database, desired, no_policies, functions)).steps == ()
    return len(found.steps)


ONE = "create or replace function f(a int) returns int language sql as 'select a + 1'"


async def test_a_function_may_be_called_by_whom_the_configuration_names_and_nobody_else(database: Database) -> None:
    await install(database, ONE, "authenticated")
    allowed = {
        role: await value(database, f"select has_function_privilege('{role}', 'f(int)', 'execute')")
        for role in ("anon", "authenticated", "service_role")
    }
    assert allowed == {"anon": "false", "authenticated": "true", "service_role": "true"}
    await install(database, ONE, "anon")
    assert await value(database, "select has_function_privilege('authenticated', 'f(int)', 'execute')") == "false"
    async with database.transaction(caller=Identity(role="anon", claims={})) as transaction:
        assert await transaction.fetch_row(Statement("select f(1)")) == ("2",)


@pytest.mark.parametrize(
    "other",
    [
        "create or replace function f(a int) returns text language sql as 'select 1'",  # another result
        "create or replace function f(a int, b int default 1) returns int language sql as 'select a + b'",
        "create or replace function f(b int) returns int language sql as 'select b'",  # another argument name
        "create function f(a int) returns int language sql as 'select a'",  # not: or replace
        "create or replace function f() returns setof posts language sql as 'select * from posts'",
    ],
)
async def test_another_signature_takes_the_place_of_the_former_one(database: Database, other: str) -> None:
    await install(database, ONE)
    assert await install(database, other, "anon") == 1
    assert await value(database, "select count(*) from pg_proc where proname = 'f'") == "1"
    await down(database)
    assert await value(database, "select f(1)") == "2"


async def test_a_function_that_goes_from_the_configuration_goes_from_the_database(database: Database) -> None:
    await install(database, ONE)
    await migrate(database, catalog(POSTS), no_policies)
    assert await value(database, "select count(*) from pg_proc where proname = 'f'") == "0"


async def test_a_function_that_something_needs_stays_but_nobody_may_call_it(database: Database) -> None:
    await install(database, ONE, "anon")
    await database.execute("create view v as select f(1)")
    await migrate(database, catalog(POSTS), no_policies)
    assert await value(database, "select has_function_privilege('anon', 'f(int)', 'execute')") == "false"
    assert (await plan(database, catalog(POSTS), no_policies)).steps == ()


async def test_a_function_changed_by_hand_is_put_right(database: Database) -> None:
    await install(database, ONE)
    for tampering in (
        "create or replace function f(a int) returns int language sql as 'select 0'",
        "alter function f security definer",
        "grant execute on function f to public",
    ):
        await database.execute(tampering)
        assert await install(database, ONE) == 1
    assert await value(database, "select f(1)") == "2"


async def test_a_default_may_call_a_function_of_the_configuration(database: Database) -> None:
    sql = "create function next_title() returns text language sql as $$ select 't' || count(*) from posts $$"
    desired = catalog(collection("posts", field("title", default="next_title()")))
    await migrate(database, desired, no_policies, {"next_title": sql})
    await database.execute("insert into posts default values; insert into posts default values")
    assert await value(database, "select string_agg(title, ',' order by title) from posts") == "t0,t1"
    assert (await plan(database, desired, no_policies, {"next_title": sql})).steps == ()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("create function f( returns int", "function f: syntax error"),
        ("create function g() returns int language sql as 'select 1'", r"creates no function public\.f"),
        ("create function f() returns nothing language sql as 'select 1'", "function f: type"),
    ],
)
async def test_sql_that_makes_no_such_function_is_refused_while_planning(
    database: Database, sql: str, message: str
) -> None:
    await migrate(database, catalog(POSTS), no_policies)
    desired, functions = with_function(sql)
    with pytest.raises(ConfigError, match=message):
        await plan(database, desired, no_policies, functions)


async def test_functions_are_read_with_everything_a_call_needs(database: Database) -> None:
    await migrate(database, catalog(POSTS), no_policies)
    await database.execute(
        """
        create function plain(a int, b text default 'x', c numeric(9,2) default 1) returns text
            language sql stable as 'select b';
        create function nothing() returns void language sql as '';
        create function spread(first text, variadic rest int[]) returns int language sql immutable as 'select 1';
        create function listed() returns setof posts language sql as 'select * from posts';
        create function single() returns posts language sql as 'select * from posts limit 1';
        create function made(inout a int, out b text) language sql as 'select a, $$b$$';
        create function tabled(q text) returns table (id uuid, score float8)
            language sql as 'select null::uuid, 1.0::float8';
        create function one_column() returns table (n bigint) language sql as 'select 1::bigint';
        create function many() returns setof text language sql as 'select 1';
        create function unnamed(int, text) returns int language sql as 'select $1';
        create type pair as (x int, y text);
        create function paired() returns pair language sql as 'select 1, $$y$$';
        create function plain(a text) returns int language sql as 'select 1';
        grant execute on function plain(int, text, numeric) to anon;
        grant execute on function nothing to public;
        """
    )
    names = "plain nothing spread listed single made tabled one_column many unnamed paired missing".split()
    found = await read_functions(database, names)
    by_name = {
        function.name: function for function in found if function.arguments[:1] != (Argument(name="a", type="text"),)
    }
    assert len(found) == 12
    row = (("id", "uuid"), ("title", "text"), ("n", "integer"))
    assert by_name == {
        function.name: function
        for function in (
            Function(
                name="plain",
                arguments=(
                    Argument(name="a", type="integer"),
                    Argument(name="b", type="text", optional=True),
                    Argument(name="c", type="numeric", optional=True),
                ),
                returns="text",
                volatility="stable",
                execute=("anon",),
            ),
            Function(name="nothing", returns="void", execute=("anon", "authenticated", "public", "service_role")),
            Function(
                name="spread",
                arguments=(Argument(name="first", type="text"), Argument(name="rest", type="integer[]", variadic=True)),
                returns="integer",
                volatility="immutable",
            ),
            Function(name="listed", returns="posts", returns_set=True, collection="posts", composite=True, columns=row),
            Function(name="single", returns="posts", collection="posts", composite=True, columns=row),
            Function(
                name="made",
                arguments=(Argument(name="a", type="integer"),),
                returns="record",
                composite=True,
                columns=(("a", "integer"), ("b", "text")),
            ),
            Function(
                name="tabled",
                arguments=(Argument(name="q", type="text"),),
                returns="record",
                returns_set=True,
                composite=True,
                columns=(("id", "uuid"), ("score", "double precision")),
            ),
            Function(name="one_column", returns="bigint", returns_set=True, composite=True, columns=(("n", "bigint"),)),
            Function(name="many", returns="text", returns_set=True),
            Function(
                name="unnamed",
                arguments=(Argument(name="", type="integer"), Argument(name="", type="text")),
                returns="integer",
            ),
            Function(name="paired", returns="pair", composite=True, columns=(("x", "integer"), ("y", "text"))),
        )
    }


async def test_what_was_written_is_read_back(database: Database) -> None:
    desired = catalog(
        collection("authors", field("name", required=True, unique=True)),
        collection(
            "posts",
            field("author", "uuid", references="authors", on_delete="cascade"),
            field("price", "numeric(8,2)"),
            field("tags", "text[]"),
            field("number", "bigint", identity=True),
            field("updated_at", "timestamptz", managed=True),
            field("_modified", "timestamptz", required=True),
            field("_deleted", "bool", required=True),
            sync=True,
        ),
    )
    await migrate(database, desired, no_policies)
    found = await read_catalog(database)
    assert tables(found) == tables(desired)
    assert [item for item in objects(tables(found)["posts"]) if item.kind == "trigger"] != []
    assert found.collections["posts"].sync
    assert found.version == (await read_catalog(database)).version


# Hand-written files


def script(name: str, text: str) -> Script:
    return parse_script(name, text)


async def test_files_run_once_in_order_and_where_they_say(database: Database) -> None:
    scripts = [
        script("1_first.sql", "-- before\ncreate table log (id int generated always as identity, what text);"),
        script("2_after.sql", "insert into log (what) select 'posts ' || count(*) from posts -- no semicolon"),
        script("3_before.sql", "-- before\ninsert into log (what) values ('before')"),
    ]
    await migrate(database, catalog(POSTS), no_policies, scripts=scripts)
    assert await value(database, "select string_agg(what, ',' order by id) from log") == "before,posts 0"
    assert (await plan(database, catalog(POSTS), no_policies, scripts=scripts)).steps == ()
    later = [*scripts, script("4_more.sql", "insert into log (what) values ('more')")]
    found = await plan(database, catalog(POSTS), no_policies, scripts=later)
    assert [step.title for step in found.steps] == ["migrations/4_more.sql"]


async def test_a_file_fills_what_the_next_schema_requires(database: Database) -> None:
    await migrate(database, catalog(POSTS), no_policies)
    await database.execute("insert into posts (title) values (null), ('a')")
    strict = catalog(collection("posts", field("title", required=True), field("n", "int")))
    with pytest.raises(MigrationError, match="title must have a value"):
        await plan(database, strict, no_policies)
    fill = script("fill.sql", "-- before\nupdate posts set title = 'none' where title is null;\n-- down\nselect 1;")
    first = await plan(database, strict, no_policies, scripts=[fill])
    assert first.more
    assert "planned once these have run" in first.text
    assert len(await migrate(database, strict, no_policies, scripts=[fill])) == 2
    assert await value(database, "select count(*) from posts where title = 'none'") == "1"


async def test_a_file_converts_what_has_no_cast(database: Database) -> None:
    await migrate(database, catalog(POSTS), no_policies)
    await database.execute("insert into posts (title) values ('7'), ('seven')")
    desired = catalog(collection("posts", field("title", "int"), field("n", "int")))
    convert = script(
        "convert.sql",
        "-- before\nalter table posts alter title type int using case when title ~ '^[0-9]+$' then title::int end;",
    )
    await migrate(database, desired, no_policies, scripts=[convert])
    assert await value(database, "select sum(title) from posts") == "7"


async def test_a_file_that_was_run_never_changes(database: Database) -> None:
    await migrate(database, catalog(POSTS), no_policies, scripts=[script("1.sql", "select 1")])
    with pytest.raises(MigrationError, match=r"migrations/1\.sql was run in another form"):
        await plan(database, catalog(POSTS), no_policies, scripts=[script("1.sql", "select 2")])


async def test_a_file_that_fails_changes_nothing(database: Database) -> None:
    broken = script("1.sql", "create table half (); select 1 / 0")
    with pytest.raises(MigrationError, match=r"migrations/1\.sql\) was refused: division by zero"):
        await migrate(database, catalog(POSTS), no_policies, scripts=[broken])
    assert await value(database, "select to_regclass('half')") is None
    fixed = script("1.sql", "create table half ();")
    await migrate(database, catalog(POSTS), no_policies, scripts=[fixed])
    assert await value(database, "select to_regclass('half')") == "half"


async def test_a_file_is_taken_back_by_its_own_words(database: Database) -> None:
    scripts = [
        script("1.sql", "create view first as select title from posts;\n-- down\ndrop view first;"),
        script("2.sql", "create view second as select * from first;\n-- down\ndrop view second;"),
    ]
    await migrate(database, catalog(POSTS), no_policies, scripts=scripts)
    await down(database)
    assert await value(database, "select to_regclass('first')") is None
    assert await value(database, "select to_regclass('posts')") is None
    assert await value(database, "select count(*) from mbaas.scripts") == "0"
    await migrate(database, catalog(POSTS), no_policies, scripts=scripts)
    assert await value(database, "select to_regclass('second')") == "second"


async def test_a_file_without_a_way_back_stops_the_way_back(database: Database) -> None:
    await migrate(database, catalog(POSTS), no_policies, scripts=[script("1.sql", "select 1")])
    with pytest.raises(MigrationError, match=r"migrations/1\.sql has no way back"):
        await down(database)
    assert await value(database, "select to_regclass('posts')") == "posts"


def test_files_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "2.sql").write_text("-- Before\nselect 2;\n--down\nselect 3;\n")
    (tmp_path / "1.sql").write_text("select '-- down';")
    (tmp_path / "notes.txt").write_text("nothing")
    first, second = read_scripts(tmp_path)
    assert (first.name, first.down, first.before) == ("1.sql", None, False)
    assert (second.sql, second.down, second.before) == ("-- Before\nselect 2;", "select 3;", True)
    assert read_scripts(tmp_path / "missing") == ()


async def test_errors_of_ours_stay_ours(database: Database) -> None:
    with pytest.raises(MbaasError):
        await migrate(Database("postgresql://nobody@/none?host=/nowhere", connections=0), catalog(POSTS), no_policies)
