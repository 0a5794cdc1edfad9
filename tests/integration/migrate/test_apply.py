"""Plan, apply and take back on a real PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.introspect import read_catalog
from mbaas.adapters.postgres.migrate import apply, down, migrate, plan, purge, status
from mbaas.core.errors import ConfigError, DatabaseError, DestructiveChange, MigrationError
from mbaas.core.identity import Identity
from mbaas.core.rules.compile import compile_rules
from mbaas.core.schema.casts import change_of_type
from mbaas.core.schema.catalog import Catalog, Check, Index, IndexField, Rules
from mbaas.core.schema.naming import object_name
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.migration import Plan
from mbaas.core.sql.policy import render_policies
from tests.schemas import catalog, collection, field, no_policies


async def bring(database: Database, desired: Catalog, **options: object) -> Plan:
    """To that catalog, whatever it costs; and prove that nothing is left to do."""
    found = await plan(database, desired, no_policies, **options)  # type: ignore[arg-type]
    await apply(database, found, allow_destructive=True)
    assert (await plan(database, desired, no_policies)).steps == ()
    return found


async def value(database: Database, sql: str) -> str | None:
    row = await database.fetch_row(Statement(f"select ({sql})::text"))
    assert row is not None
    return row[0]


async def rows(database: Database, sql: str) -> list[tuple[str | None, ...]]:
    return await database.fetch_rows(Statement(sql))


POSTS = catalog(collection("posts", field("title", required=True), field("n", "int", default="5")))


async def test_a_new_table_enforces_row_security_and_is_granted_to_nobody(database: Database) -> None:
    await database.execute("alter default privileges grant all on tables to anon, service_role")
    await bring(database, POSTS)
    assert await value(database, "select relrowsecurity from pg_class where relname = 'posts'") == "true"
    for role in ("anon", "authenticated", "service_role", "public"):
        granted = f"select has_table_privilege('{role}', 'posts', 'select,insert,update,delete,truncate')"
        if role != "public":
            assert await value(database, granted) == "false"


async def test_every_constraint_of_a_field_is_met_by_every_writer(database: Database) -> None:
    await bring(
        database,
        catalog(
            collection(
                "people",
                field("mail", "email"),
                field("site", "url"),
                field("nick", min_length=2, max_length=4, pattern="^[a-z]+$"),
                field("age", "int", minimum="0", maximum="150"),
                field("price", "numeric(6,2)", minimum="0.005"),
                field("state", "enum", values=("on", "it's off")),
                field("tags", "text[]", max_length=2, pattern="^[a-z]+$"),
                field("marks", "int[]", minimum="1", maximum="6"),
                field("blob", "bytes", max_length=2),
                field("states", "enum[]", values=("a", "b")),
            )
        ),
    )
    good = {
        "mail": "a@b.example", "site": "https://x.example/", "nick": "ann", "age": "150", "price": "0.01",
        "state": "it''s off", "tags": "{a,b}", "marks": "{1,6}", "blob": r"\xffff", "states": "{b,a,a}",
    }  # fmt: skip
    bad = {
        "mail": ["a b@c", "a@b", "@b.example"], "site": ["ftp://x", "javascript:alert(1)"],
        "nick": ["a", "abcde", "A1"], "age": ["-1", "151"], "price": ["0"], "state": ["off", "ON"],
        "tags": ["{a,b,c}", "{A}"], "marks": ["{0}", "{1,7}"], "blob": [r"\xffffff"], "states": ["{c}"],
    }  # fmt: skip
    for name, text in good.items():
        await database.execute(f"insert into people ({name}) values ('{text}')")
    for name, texts in bad.items():
        for text in texts:
            sql = f"""do $$ begin insert into people ({name}) values ('{text}'); raise 'taken';
                exception when check_violation then null; end $$"""
            await database.execute(sql)


async def test_a_destructive_step_needs_to_be_allowed_and_nothing_is_done_before(database: Database) -> None:
    await bring(database, POSTS)
    found = await plan(database, catalog(collection("posts", field("n", "int"), field("new"))), no_policies)
    assert "DESTRUCTIVE" in found.text
    assert not found.safe
    with pytest.raises(DestructiveChange, match=r"posts\.title") as caught:
        await apply(database, found)
    assert caught.value.details == ["posts: drop title"]
    assert await value(database, "select count(*) from pg_attribute where attname = 'new'") == "0"


@pytest.mark.parametrize("short_bytes", [0, 1 << 30])
async def test_dropped_columns_and_tables_come_back_with_their_data(database: Database, short_bytes: int) -> None:
    before = catalog(
        collection("authors", field("name", unique=True)),
        collection(
            "posts",
            field("author", "uuid", references="authors", on_delete="cascade"),
            field("title", required=True, unique=True),
            field("price", "numeric(8,3)"),
            field("number", "bigint", identity=True),
            field("updated_at", "timestamptz", default="now()", managed=True, required=True),
        ),
    )
    await bring(database, before)
    await database.execute(
        """
        insert into authors (name) values ('ann'), ('bob');
        insert into posts (author, title, price, updated_at)
            select (select min(id::text)::uuid from authors), 't' || g, g + 0.125, '2001-01-01'
            from generate_series(1, 9) as g;
        """
    )
    query = "select p.id, p.author, title, price, number, updated_at from posts as p order by id"
    wanted, authors = await rows(database, query), await rows(database, "select id, name from authors order by id")
    await bring(database, catalog(collection("posts", field("price", "numeric(6,1)"))), short_bytes=short_bytes)
    assert await value(database, "select to_regclass('authors')") is None
    assert await value(database, "select count(*) from mbaas.dropped") == "6"
    await down(database, short_bytes=short_bytes)
    assert await rows(database, query) == wanted
    assert await rows(database, "select id, name from authors order by id") == authors
    assert (await plan(database, before, no_policies)).steps == ()
    assert await value(database, "select count(*) from pg_namespace where nspname like 'mbaas_dropped%'") == "0"
    # the sequence goes on after the numbers that came back
    await database.execute("insert into posts (title) values ('next')")
    assert await value(database, "select number from posts where title = 'next'") == "10"


async def test_a_row_that_gets_a_value_back_is_not_stamped(database: Database) -> None:
    stamped = (
        field("updated_at", "timestamptz", managed=True),
        field("_modified", "timestamptz", required=True, default="now()", managed=True),
        field("_deleted", "bool", required=True, default="false"),
    )
    await bring(database, catalog(collection("notes", field("text"), *stamped, sync=True)))
    await database.execute("insert into notes (text, updated_at) values ('a', '2001-01-01')")
    before = await rows(database, "select text, updated_at, _modified from notes")
    await bring(database, catalog(collection("notes", *stamped, sync=True)))
    await down(database)
    assert await rows(database, "select text, updated_at, _modified from notes") == before


async def test_values_written_since_a_narrowing_are_not_overwritten_by_the_way_back(database: Database) -> None:
    await bring(database, catalog(collection("posts", field("n", "numeric(6,2)"))))
    await database.execute("insert into posts (n) values (1.25), (2.25)")
    await bring(database, catalog(collection("posts", field("n", "numeric(6,1)"))))
    await database.execute("update posts set n = 7.7 where n = 2.3")
    await down(database)
    assert await rows(database, "select n from posts order by n") == [("1.25",), ("7.70",)]


async def test_what_the_way_back_drops_is_kept_as_well(database: Database) -> None:
    await bring(database, catalog(collection("posts")))
    await bring(database, POSTS)
    await database.execute("insert into posts (title) values ('kept')")
    await down(database)
    assert await value(database, "select string_agg(value, '') from mbaas_dropped_1.kept") == "kept"


async def test_a_way_back_that_rows_do_not_fit_is_refused_before_anything_happens(database: Database) -> None:
    await bring(database, POSTS)
    await bring(database, catalog(collection("posts", field("n", "bigint"))))
    await database.execute("insert into posts (n) values (99999999999)")
    with pytest.raises(MigrationError) as caught:
        await down(database)
    messages = {item["message"] for item in caught.value.details}
    assert messages == {
        "posts.title must have a value, and some rows have none",
        "posts.n holds values that integer cannot hold",
    }
    assert await value(database, "select n from posts") == "99999999999"
    await database.execute("delete from posts")
    await down(database)
    assert (await plan(database, POSTS, no_policies)).steps == ()


async def test_steps_back_stop_where_the_history_begins(database: Database) -> None:
    await bring(database, POSTS)
    await bring(database, catalog(collection("posts", field("title"))))
    assert len(await down(database, 2)) == 2
    assert await value(database, "select to_regclass('posts')") is None
    with pytest.raises(MigrationError, match="no migration to take back"):
        await down(database)
    assert [(row.kind, row.state, row.reverts) for row in await status(database)] == [
        ("up", "reverted", None),
        ("up", "reverted", None),
        ("down", "applied", 2),
        ("down", "applied", 1),
    ]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (field("n"), field("n", "int"), r"posts\.n cannot become integer"),
        (field("n", "bool"), field("n", "int"), r"posts\.n cannot become integer"),
        (field("n", "int[]"), field("n", "int"), r"posts\.n cannot become integer"),
        (field("n", "timestamptz"), field("n", "time"), r"posts\.n cannot become time"),
    ],
)
async def test_a_change_of_type_that_has_to_guess_is_refused_with_a_fix(
    database: Database, before: object, after: object, message: str
) -> None:
    await bring(database, catalog(collection("posts", before)))  # type: ignore[arg-type]
    with pytest.raises(MigrationError, match=message) as caught:
        await plan(database, catalog(collection("posts", after)), no_policies)  # type: ignore[arg-type]
    assert "hand-written migration" in (caught.value.hint or "")


async def test_every_row_in_the_way_is_told_before_the_first_step(database: Database) -> None:
    loose = collection("posts", field("title"), field("n", "numeric"), field("author", "uuid"), field("k"))
    await bring(database, catalog(loose, collection("authors")))
    await database.execute(
        "insert into posts (n, author, k) select 1000, gen_random_uuid(), 'same' from generate_series(1, 2)"
    )
    strict = collection(
        "posts",
        field("title", required=True),
        field("n", "numeric", maximum="10"),
        field("author", "uuid", references="authors"),
        field("k", unique=True),
        field("new", required=True),
        field("mine", "uuid", default="auth.uid()", required=True),
    )
    with pytest.raises(MigrationError) as caught:
        await plan(database, catalog(strict, collection("authors")), no_policies)
    assert {item["message"] for item in caught.value.details} == {
        "posts.title must have a value, and some rows have none",
        "posts.new must have a value, and some rows have none",
        "posts.mine must have a value, and some rows have none",
        "posts: some rows do not meet the check posts_n_check",
        "posts: some rows refer to rows of authors that do not exist",
        "posts: several rows have the same k",
    }
    assert all(item["hint"] for item in caught.value.details)
    await database.execute("delete from posts")
    await bring(database, catalog(strict, collection("authors")))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (collection("posts", field("title", default="nowhere()")), r"posts\.title: default: function nowhere\(\)"),
        (collection("posts", field("n", "int", default="'x'")), r"posts\.n: default: invalid input syntax"),
        (collection("posts", checks=(Check("c", "titel > ''"),)), "posts: check c: column .*titel"),
        (collection("posts", field("u", generated="upper(titel)")), r"posts\.u: generated: column .*titel"),
        (collection("posts", field("t", pattern="(")), r"posts\.t: the pattern '\(' is not valid"),
        (
            collection("posts", field("t", "json"), indexes=(Index(name="i", fields=(IndexField("t"),), where="x"),)),
            "posts: index i: column .*x.* does not exist",
        ),
        (
            collection("posts", field("t"), indexes=(Index(name="i", fields=(IndexField("t"),), method="gin"),)),
            "posts: index i: data type text has no default operator class",
        ),
    ],
)
async def test_an_expression_postgresql_does_not_take_is_named_while_planning(
    database: Database, broken: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await plan(database, catalog(broken), no_policies)  # type: ignore[arg-type]
    assert await value(database, "select to_regclass('posts')") is None


async def test_other_words_for_the_same_expression_are_no_change(database: Database) -> None:
    def written(default: str, check: str, generated: str, where: str) -> Catalog:
        index = Index(name="by_n", fields=(IndexField("n"),), where=where)
        own = (field("n", "int", default=default), field("g", "int", generated=generated))
        return catalog(collection("posts", *own, checks=(Check("c", check),), indexes=(index,)))

    await bring(database, written("5", "n>0 and n<10", "n*2", "n>3"))
    other = written("(5)", "(n > 0) AND (n < 10)", '"n" * 2', "( n>3 )")
    assert (await plan(database, other, no_policies)).steps == ()
    assert len((await plan(database, written("6", "n>1", "n*3", "n>4"), no_policies)).steps) >= 4


async def test_a_renamed_field_keeps_checks_indexes_and_generated_values_as_they_are(database: Database) -> None:
    def called(name: str, before: str | None = None) -> Catalog:
        index = Index(name="some", fields=(IndexField(name),), where=f"{name} > 'a'")
        own = (field(name, max_length=9, renamed_from=before), field("up", generated=f"upper({name})"))
        check = Check("c", f"{name} <> 'x'")
        return catalog(collection("posts", *own, checks=(check,), indexes=(index,)))

    await bring(database, called("title"))
    found = await bring(database, called("headline", "title"))
    assert [step.title for step in found.steps] == [
        "posts: rename title to headline",
        "posts: rename constraint posts_title_check to posts_headline_check",
    ]


async def test_what_somebody_changed_by_hand_is_put_right(database: Database) -> None:
    desired = catalog(
        collection(
            "posts",
            field("title", required=True, max_length=9, default="'x'"),
            field("updated_at", "timestamptz", managed=True),
            indexes=(Index(name="by_title", fields=(IndexField("title"),)),),
        )
    )
    await bring(database, desired)
    await database.execute(
        """
        alter table posts alter column title drop not null, alter column title set default 'y',
            drop constraint posts_title_check, disable row level security;
        alter table posts add constraint posts_title_check check (char_length(title) <= 10);
        drop trigger mbaas_touch on posts;
        drop index by_title;
        """
    )
    found = await bring(database, desired)
    assert len(found.steps) == 6


async def test_policies_are_applied_when_they_differ_or_were_tampered_with(database: Database) -> None:
    def policies(name: str) -> tuple[str, ...]:
        return (f"drop policy if exists p on {name}", f"create policy p on {name} to anon using (true)",
                f"grant select on {name} to anon")  # fmt: skip

    async def steps() -> int:
        return len((await plan(database, POSTS, policies)).steps)

    await migrate(database, POSTS, policies)
    assert await steps() == 0
    for tampering in (
        "alter policy p on posts using (false)",
        "create policy q on posts using (true)",
        "grant insert on posts to anon",
        "grant update (title) on posts to anon",
        "revoke select on posts from anon",
        "drop policy p on posts",
    ):
        await database.execute(tampering)
        assert await steps() == 1
        await migrate(database, POSTS, policies)
        assert await steps() == 0
    assert len((await plan(database, POSTS, lambda _: ("select 1",))).steps) == 1


async def test_a_policy_made_by_hand_on_a_column_that_changes_is_never_dropped_in_silence(database: Database) -> None:
    await bring(database, POSTS)
    await database.execute("create policy mine on posts using (n > 0)")
    wider = catalog(collection("posts", field("title", required=True), field("n", "bigint", default="5")))
    found = await plan(database, wider, no_policies)
    with pytest.raises(MigrationError, match="policy mine of posts was made by hand"):
        await apply(database, found)
    assert await value(database, "select count(*) from pg_policy") == "1"
    (latest,) = [row for row in await status(database) if row.state == "failed"]
    assert latest.error is not None


async def test_a_stale_plan_is_refused(database: Database) -> None:
    found = await plan(database, POSTS, no_policies)
    await database.execute("create table meanwhile ()")
    with pytest.raises(MigrationError, match="has changed since this plan was made"):
        await apply(database, found)


async def test_two_plans_of_one_start_and_one_end_have_one_hash(database: Database) -> None:
    one, other = await plan(database, POSTS, no_policies), await plan(database, POSTS, no_policies)
    assert one.hash == other.hash
    assert one.hash != (await plan(database, catalog(collection("posts")), no_policies)).hash


async def test_updated_at_follows_every_update_and_stamps_only_grow(database: Database) -> None:
    await bring(
        database,
        catalog(
            collection(
                "notes",
                field("text"),
                field("updated_at", "timestamptz", default="now()", managed=True),
                field("_modified", "timestamptz", required=True, default="now()", managed=True),
                field("_deleted", "bool", required=True, default="false"),
                sync=True,
            )
        ),
    )
    await database.execute(
        """
        insert into notes (text, updated_at, _modified) values ('a', '2000-01-01', '2000-01-01');
        """
    )
    assert await value(database, "select _modified > '2020-01-01' and updated_at < '2001-01-01' from notes") == "true"
    # the clock of the stamp is put ahead: the next stamp must still be later
    await database.execute(
        """
        alter table notes disable trigger user;
        update notes set _modified = '2999-01-01';
        alter table notes enable trigger user;
        update notes set text = 'b', _modified = '2000-01-01';
        """
    )
    assert await value(database, "select _modified = '2999-01-01 00:00:00.000001+00' from notes") == "true"
    assert await value(database, "select updated_at > '2020-01-01' from notes") == "true"


async def test_what_was_put_aside_is_forgotten_when_asked(database: Database) -> None:
    await bring(database, POSTS)
    await bring(database, catalog(collection("posts")))
    assert await purge(database, datetime.now(UTC) - timedelta(days=1)) == 0
    assert await purge(database, datetime.now(UTC) + timedelta(seconds=5)) == 2
    assert await value(database, "select count(*) from pg_namespace where nspname like 'mbaas_dropped%'") == "0"
    await down(database)
    assert await value(database, "select count(title) from posts") == "0"


async def test_an_existing_table_is_adopted_and_what_is_not_declared_stays(database: Database) -> None:
    await database.execute(
        """
        create table legacy (
            id integer generated always as identity, name varchar(20) constraint named check (length(name) > 0),
            mood text default 'fine', price real, owner int, secret text,
            constraint legacy_primary primary key (id), constraint one_name unique (name)
        );
        create index on legacy (mood);
        create index by_price on legacy (price);
        alter table legacy add constraint boss foreign key (owner) references legacy (id) on delete cascade;
        insert into legacy (name, price) values ('x', 1.5);
        """
    )
    found = await read_catalog(database)
    assert found.collections["legacy"].key == ("id",)
    adopted = catalog(
        collection(
            "legacy",
            field("id", "int", identity=True),
            field("name", unique=True),
            field("mood"),
            field("price", "float"),
            field("owner", "int", references="legacy", on_delete="cascade"),
            indexes=(Index(name="by_mood", fields=(IndexField("mood"),)),),
        )
    )
    made = await bring(database, adopted)
    assert made.destructive == ()
    kept = await value(
        database,
        """select json_build_array(
            (select count(*) from pg_constraint where conname = 'named'),
            (select count(*) from pg_class where relname = 'by_price'),
            (select count(*) from pg_attribute where attname = 'secret' and attrelid = 'legacy'::regclass),
            (select column_default from information_schema.columns where column_name = 'mood'),
            (select json_agg(conname order by conname) from pg_constraint where contype in ('f', 'p', 'u')
                and conrelid = 'legacy'::regclass))""",
    )
    assert json.loads(kept or "") == [
        1, 1, 1, "'fine'::text", ["legacy_name_key", "legacy_owner_fkey", "legacy_pkey"],
    ]  # fmt: skip
    without_mood = catalog(
        collection("legacy", *[item for item in adopted.collections["legacy"].fields if item.name != "mood"])
    )
    dropped = await bring(database, without_mood)
    assert [step.destructive is not None for step in dropped.steps].count(True) == 1


async def test_a_table_that_is_not_ours_is_left_alone(database: Database) -> None:
    await database.execute('create table theirs (id int primary key); create table public."a.b" (x int)')
    await bring(database, POSTS)
    await bring(database, catalog())
    assert await value(database, "select count(*) from pg_class where relname in ('theirs', 'a.b')") == "2"
    assert await value(database, "select to_regclass('posts')") is None


@pytest.mark.parametrize("name", ["posts", "t" * 63, "ü" * 31, "x" * 40])
@pytest.mark.parametrize("column", ["slug", "c" * 63, "é" * 30])
async def test_names_are_those_postgresql_itself_would_choose(database: Database, name: str, column: str) -> None:
    await database.execute(
        f"""create table "{name}" (id uuid primary key, "{column}" uuid unique check ("{column}" is not null)
            references "{name}")"""
    )
    listed = await rows(database, f"""select conname from pg_constraint where conrelid = '"{name}"'::regclass""")
    chosen = {object_name(name, None, "pkey")} | {object_name(name, column, at) for at in ("key", "check", "fkey")}
    assert chosen <= {row[0] for row in listed}


async def test_what_a_change_of_type_does_is_what_a_real_server_does(database: Database) -> None:
    """Rewrites are seen by the table's file, casts by whether PostgreSQL has one."""
    spelled = [
        "smallint", "integer", "bigint", "numeric", "numeric(6,2)", "numeric(8,2)", "numeric(9,3)", "real",
        "double precision", "text", "character varying(5)", "character varying(9)", "boolean", "uuid", "date",
        "timestamp with time zone", "json", "jsonb", "integer[]", "bigint[]", "text[]", "interval", "bytea",
    ]  # fmt: skip
    for before in spelled:
        for after in spelled:
            effect = change_of_type(before, after)
            if effect == "refused":
                continue
            await database.execute(f"drop table if exists casts; create table casts (x {before})")
            file = await value(database, "select pg_relation_filenode('casts'::regclass)")
            await database.execute(f"alter table casts alter x type {after} using x::{after}")
            same = file == await value(database, "select pg_relation_filenode('casts'::regclass)")
            assert same == (effect == "none") or effect == "narrowing", (before, after)


async def test_rules_follow_renames_and_changes_of_type_and_leave_no_function_behind(database: Database) -> None:
    def ruled(members: str, level: str, *, old: str | None = None) -> Catalog:
        inside = Rules(select=f"exists (select 1 from {members} as m where m.post = posts.id and m.level > 3)")
        plain = Rules(select="level > 1")
        return catalog(
            collection("posts", field("title"), rules=inside),
            collection(
                members,
                field("post", "uuid", references="posts"),
                field("level", level),
                rules=plain,
                renamed_from=old,
            ),
        )

    async def seen() -> tuple[str | None, str | None]:
        async with database.transaction(caller=Identity(role="anon", claims={})) as transaction:
            table = "members" if await value(database, "select to_regclass('members')") else "people"
            posts = await transaction.fetch_row(Statement("select string_agg(title, ',') from posts"))
            members = await transaction.fetch_row(Statement(f"select count(*)::text from {table}"))
        assert posts is not None
        assert members is not None
        return posts[0], members[0]

    before, after = ruled("members", "int"), ruled("people", "bigint", old="members")
    await migrate(database, before, partial(render_policies, compile_rules(before)))
    await database.execute(
        """
        insert into posts (title) values ('open'), ('closed');
        insert into members (post, level) select id, case title when 'open' then 4 else 2 end from posts;
        insert into members (level) values (1);
        """
    )
    assert await seen() == ("open", "2")
    await migrate(database, after, partial(render_policies, compile_rules(after)))
    assert await seen() == ("open", "2")
    functions = "select string_agg(proname, ',') from pg_proc where proname like 'rule\\_%'"
    assert await value(database, functions) == "rule_posts_select"
    body = "create or replace function mbaas.rule_posts_select(uuid) returns boolean language sql as 'select true'"
    await database.execute(body)
    assert len((await plan(database, after, partial(render_policies, compile_rules(after)))).steps) == 1
    await down(database)
    assert await seen() == ("open", "2")
    assert (await plan(database, before, partial(render_policies, compile_rules(before)))).steps == ()


async def test_a_check_that_calls_a_function_of_ours_holds_for_callers_too(database: Database) -> None:
    def policies(name: str) -> tuple[str, ...]:
        return (f"create policy p on {name} with check (true)", f"grant insert on {name} to anon")

    await migrate(database, catalog(collection("posts", field("tags", "text[]", pattern="^[a-z]+$"))), policies)
    async with database.transaction(caller=Identity(role="anon", claims={})) as transaction:
        await transaction.execute("insert into posts (tags) values ('{a,b}')")
    with pytest.raises(DatabaseError, match="posts_tags_check"):
        async with database.transaction(caller=Identity(role="anon", claims={})) as transaction:
            await transaction.execute("insert into posts (tags) values ('{a,B}')")
