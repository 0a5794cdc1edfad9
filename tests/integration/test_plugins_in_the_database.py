"""What a hook can do in the transaction: SQL as the caller, savepoints; the plugin ``slugs`` on a real table."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import uuid
from pathlib import Path
from typing import Any

import pytest

from mbaas.adapters.plugins import load_plugins
from mbaas.adapters.postgres.as_caller import AsCaller, transactions_as_caller
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.config.settings import PluginSettings
from mbaas.core.errors import DatabaseError
from mbaas.core.identity import ANON, Identity
from mbaas.core.sql.fragment import Statement
from mbaas.hooks.dispatch import Hooks, Proceed
from mbaas.hooks.events import Record, RecordCreate
from mbaas.plugin import Refused

REPOSITORY = Path(__file__).parents[2]
USER = Identity(role="authenticated", claims={"role": "authenticated", "sub": "7f1b2c5e-0000-4000-8000-000000000001"})
TABLE = """
create table public.posts (id serial primary key, author uuid, title text not null,
                    slug text unique check (slug ~ '^[a-z0-9-]+$'));
alter table public.posts enable row level security;
grant select, insert on public.posts to anon, authenticated;
grant usage on sequence public.posts_id_seq to anon, authenticated;
create policy mine on public.posts for select to authenticated using (author = auth.uid());
create policy add on public.posts for insert to authenticated with check (author = auth.uid());
insert into public.posts (author, title) values (null, 'somebody else''s');
"""


@pytest.fixture
async def posts(database: Database) -> Database:
    await apply_system_schema(database)
    await database.execute(TABLE)
    return database


def slugs(root: Any = REPOSITORY) -> Hooks:
    hooks = Hooks()
    assert load_plugins(hooks, PluginSettings(), root=root, collections={"posts"}) == ("slugs",)
    return hooks


async def insert(database: Database, hooks: Hooks, **values: Any) -> Record:
    """What the records module does for one record, as the owner of the table."""
    async with database.transaction() as transaction:

        async def final(event: RecordCreate) -> Record:
            text = "insert into public.posts (title, slug) values ($1, $2) returning id, title, slug"
            row = await transaction.fetch_row(Statement(text, (event.values["title"], event.values.get("slug"))))
            assert row is not None
            return dict(zip(("id", "title", "slug"), row, strict=True))

        event = RecordCreate(collection="posts", values=values, identity=USER, transaction=AsCaller(transaction, USER))
        return await hooks.run(event, final)


async def titles(database: Database) -> list[str | None]:
    return [row[0] for row in await database.fetch_rows(Statement("select title from public.posts order by id"))]


async def test_sql_of_a_hook_meets_the_policies_of_the_caller(posts: Database) -> None:
    async with transactions_as_caller(posts)(USER) as transaction:
        assert await transaction.fetch("select title from posts") == []
        made = await transaction.fetch(
            "insert into posts (author, title) values (auth.uid(), $1) returning title;", "mine"
        )
        assert made == [{"title": "mine"}]
        assert await transaction.fetch("select title, author::text from posts") == [
            {"title": "mine", "author": USER.user_id}
        ]
    async with transactions_as_caller(posts)(ANON) as transaction:
        assert await transaction.fetch("select title from posts") == []
        with pytest.raises(DatabaseError, match="row-level security"):
            async with transaction.savepoint():
                await transaction.fetch("insert into posts (title) values ('x') returning id")


async def test_the_servers_own_statements_between_are_not_the_callers(posts: Database) -> None:
    who = Statement("select current_user::text")
    async with posts.transaction() as transaction:
        owner = await transaction.fetch_row(who)
        as_caller = AsCaller(transaction, USER)
        assert await as_caller.fetch("select current_user::text as role") == [{"role": "authenticated"}]
        assert await transaction.fetch_row(who) == owner
        rows = await asyncio.gather(*(as_caller.fetch("select current_user::text as role") for _ in range(5)))
        assert rows == [[{"role": "authenticated"}]] * 5
        assert await transaction.fetch_row(who) == owner


async def spoil(database: Database) -> None:
    """A hook that catches what it should not, and goes on."""
    async with database.transaction() as transaction:
        with pytest.raises(DatabaseError, match="division by zero"):
            await AsCaller(transaction, ANON).fetch("select 1/0")
        await transaction.fetch_row(Statement("insert into public.posts (title) values ('as the owner') returning id"))


async def test_a_failed_statement_leaves_no_way_on_as_the_owner(posts: Database) -> None:
    before = await titles(posts)
    with pytest.raises(DatabaseError, match="transaction is aborted"):
        await spoil(posts)
    assert await titles(posts) == before


async def lose(as_caller: AsCaller) -> None:
    async with as_caller.savepoint():
        await as_caller.fetch("insert into posts (author, title) values (auth.uid(), 'lost') returning id")
        await as_caller.fetch("select 1/0")


async def test_a_failure_in_a_savepoint_undoes_the_savepoint_alone(posts: Database) -> None:
    async with posts.transaction() as transaction:
        as_caller = AsCaller(transaction, USER)
        await as_caller.fetch("insert into posts (author, title) values (auth.uid(), 'kept') returning id")
        with pytest.raises(DatabaseError):
            await lose(as_caller)
        assert await transaction.fetch_row(Statement("select current_user::text")) != ("authenticated",)
    assert (await titles(posts))[1:] == ["kept"]


async def test_values_of_hooks_are_bound_and_come_back_as_json_has_them(posts: Database) -> None:
    values = ["a'; drop table posts; --", 7, 1.5, decimal.Decimal("2.50"), True, None, {"k": [1]}, [1, 2]]
    async with transactions_as_caller(posts)(USER) as transaction:
        (row,) = await transaction.fetch(
            "select $1::text as s, $2::int as i, $3::float8 as f, $4::numeric as n, $5::bool as b, $6::text as z,"
            " $7::jsonb as j, $8::int[] as a, $9::timestamptz as t, $10::uuid as u, $11::bytea as y, $12::jsonb[] as x",
            *values,
            datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
            uuid.UUID(int=7),
            b"\x00\xff",
            [{"k": 1}],
        )
    assert [row[key] for key in "sifnbzja"] == ["a'; drop table posts; --", 7, 1.5, 2.5, True, None, {"k": [1]}, [1, 2]]
    assert row["t"] == "2026-01-02T03:04:05+00:00"
    assert (row["u"], row["y"], row["x"]) == (str(uuid.UUID(int=7)), "\\x00ff", [{"k": 1}])


async def test_slugs_fills_the_slug_and_makes_it_unique(posts: Database) -> None:
    hooks = slugs()
    made = [(await insert(posts, hooks, title="Hello, World!"))["slug"] for _ in range(3)]
    assert made == ["hello-world", "hello-world-2", "hello-world-3"]
    assert (await insert(posts, hooks, title="Hello, World!", slug="mine"))["slug"] == "mine"


async def test_slugs_finds_another_when_all_the_short_ones_are_taken(posts: Database) -> None:
    hooks = slugs()
    made = [(await insert(posts, hooks, title="Hot"))["slug"] for _ in range(11)]
    assert len(set(made)) == 11
    assert made[8] == "hot-9"
    assert str(made[10]).startswith("hot-")


async def test_slugs_serves_two_at_once(posts: Database) -> None:
    hooks = slugs()
    made = await asyncio.gather(*(insert(posts, hooks, title="Race") for _ in range(6)))
    assert len({record["slug"] for record in made}) == 6


async def test_slugs_refuses_a_title_that_gives_none_and_nothing_is_stored(posts: Database) -> None:
    before = await titles(posts)
    with pytest.raises(Refused, match="no letters or digits"):
        await insert(posts, slugs(), title="!?")
    assert await titles(posts) == before


async def test_slugs_leaves_other_violations_alone(posts: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        await insert(posts, slugs(), title="x", slug="NOT A SLUG")
    assert caught.value.sqlstate == "23514"


async def test_without_its_folder_there_are_no_slugs(posts: Database, tmp_path: Any) -> None:
    hooks = Hooks()
    assert load_plugins(hooks, PluginSettings(), root=tmp_path, collections={"posts"}) == ()
    assert (await insert(posts, hooks, title="Hello"))["slug"] is None


async def test_what_a_hook_raises_after_proceed_undoes_the_insert(posts: Database) -> None:
    hooks = Hooks()
    before = await titles(posts)

    @hooks.around(RecordCreate)
    async def regret(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        await proceed(event)
        raise Refused("on second thought")

    with pytest.raises(Refused):
        await insert(posts, hooks, title="x")
    assert await titles(posts) == before
