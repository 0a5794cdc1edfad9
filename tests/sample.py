"""A small app that uses everything the records module has: its catalog, and the same as plain DDL."""

from __future__ import annotations

from typing import Any

from mbaas.core.schema.catalog import (
    Argument,
    Catalog,
    Collection,
    Field,
    Function,
    Reference,
    Rules,
)
from mbaas.core.schema.types import parse_type

ANA = "00000000-0000-4000-8000-00000000000a"
BEN = "00000000-0000-4000-8000-00000000000b"
CAT = "00000000-0000-4000-8000-00000000000c"


def field(name: str, type: str, **more: Any) -> Field:
    references = more.pop("references", None)
    if isinstance(references, str):
        references = Reference(table=references, columns=("id",), on_delete="cascade")
    return Field(name=name, type=parse_type(type), references=references, **more)


_ID = field("id", "uuid", required=True, default="gen_random_uuid()")
_CREATED = field("created_at", "timestamptz", required=True, default="now()", managed=True)
_UPDATED = field("updated_at", "timestamptz", required=True, default="now()", managed=True)

PROFILES = Collection(
    name="profiles",
    key=("id",),
    fields=(
        field("id", "uuid", required=True, default="auth.uid()"),
        field("username", "text", required=True, unique=True),
        field("phone", "text", read="id = auth.uid()"),
        field("plan", "text", default="'free'", write="false"),
        field("secret", "text", hidden=True),
        field("boss", "uuid", references="profiles"),
    ),
    rules=Rules(select="true", insert="id = auth.uid()", update="id = auth.uid()"),
)
POSTS = Collection(
    name="posts",
    key=("id",),
    fields=(
        _ID,
        field("author", "uuid", required=True, references="profiles", default="auth.uid()"),
        field("editor", "uuid", references="profiles"),
        field("title", "text", required=True),
        field("slug", "text", unique=True),
        field("body", "text"),
        field("views", "int", required=True, default="0"),
        field("rating", "numeric(4,2)"),
        field("tags", "text[]", default="'{}'"),
        field("meta", "json", default="'{}'"),
        field("period", "daterange"),
        field("published", "bool", required=True, default="false"),
        field("loud", "text", generated="upper(title)"),
        _CREATED,
        _UPDATED,
    ),
    rules=Rules(
        select="published or author = auth.uid()",
        insert="author = auth.uid() and coalesce(loud, '') <> 'FORBIDDEN'",
        update="author = auth.uid() and coalesce(loud, '') <> 'FORBIDDEN'",
        delete="author = auth.uid()",
    ),
)
COMMENTS = Collection(
    name="comments",
    key=("id",),
    fields=(
        field("id", "bigint", required=True, identity=True),
        field("post", "uuid", required=True, references="posts"),
        field("author", "uuid", references="profiles", default="auth.uid()"),
        field("body", "text", required=True),
        field("private", "bool", required=True, default="false"),
        _CREATED,
    ),
    rules=Rules(
        select="not private or author = auth.uid()",
        insert="author = auth.uid() and exists (select 1 from posts p where p.id = post and p.published)",
        update="author = auth.uid()",
        delete="author = auth.uid()",
    ),
)
TAGS = Collection(
    name="tags",
    key=("id",),
    fields=(field("id", "int", required=True), field("name", "text", required=True, unique=True)),
    rules=Rules(select="true"),
)
POSTS_TAGS = Collection(
    name="posts_tags",
    key=("post", "tag"),
    fields=(
        field("post", "uuid", required=True, references="posts"),
        field("tag", "int", required=True, references="tags"),
        field("secret", "bool", required=True, default="false"),
    ),
    rules=Rules(select="not secret"),
)
POST_STATS = Collection(
    name="post_stats",
    key=("post",),
    fields=(field("post", "uuid", required=True, references="posts"), field("likes", "int", default="0")),
    rules=Rules(select="true"),
)
DIARY = Collection(name="diary", key=("id",), fields=(_ID, field("text", "text")))

FUNCTIONS = (
    Function(
        name="add",
        arguments=(Argument(name="a", type="integer"), Argument(name="b", type="integer", optional=True)),
        returns="integer",
        volatility="immutable",
        execute=("anon", "authenticated"),
    ),
    Function(
        name="sum_list",
        arguments=(Argument(name="nums", type="integer[]", variadic=True),),
        returns="bigint",
        volatility="immutable",
        execute=("anon", "authenticated"),
    ),
    Function(
        name="visible_posts",
        returns="posts",
        returns_set=True,
        collection="posts",
        composite=True,
        volatility="stable",
        execute=("anon", "authenticated"),
    ),
    Function(
        name="first_post",
        returns="posts",
        collection="posts",
        composite=True,
        volatility="stable",
        execute=("anon", "authenticated"),
    ),
    Function(
        name="post_titles",
        arguments=(Argument(name="minimum", type="integer", optional=True),),
        returns="record",
        returns_set=True,
        composite=True,
        columns=(("title", "text"), ("views", "integer")),
        volatility="stable",
        execute=("anon", "authenticated"),
    ),
    Function(
        name="words",
        returns="text",
        returns_set=True,
        volatility="stable",
        execute=("anon", "authenticated"),
    ),
    Function(name="bump", arguments=(Argument(name="post", type="uuid"),), returns="void", execute=("authenticated",)),
    Function(name="whoami", returns="jsonb", volatility="stable", execute=("anon", "authenticated")),
    Function(
        name="echo",
        arguments=(Argument(name="", type="json"),),
        returns="json",
        volatility="immutable",
        execute=("anon", "authenticated"),
    ),
)


def of_row(name: str, of: Collection, returns: str, **more: Any) -> Function:
    """A function of a collection's row."""
    more = {"volatility": "stable", "execute": ("anon", "authenticated")} | more
    row = tuple(one.name for one in of.fields)
    argument = (Argument(name="", type=of.name),)
    return Function(name=name, arguments=argument, returns=returns, of=of.name, row=row, **more)


COMPUTED = (
    of_row("shout", POSTS, "text", volatility="immutable"),
    of_row("byline", POSTS, "text"),
    of_row("hits", POSTS, "bigint"),
    of_row("reader", POSTS, "uuid"),
    of_row("contact", PROFILES, "text"),
    of_row("sealed", PROFILES, "text"),
    of_row("score", POSTS, "integer", execute=("authenticated",)),
    of_row("noisy", POSTS, "integer", volatility="volatile"),
    of_row("ratio", POSTS, "integer"),
    of_row("share", POSTS, "integer", volatility="immutable"),
    of_row("replies", POSTS, "comments", collection="comments", composite=True, returns_set=True),
    of_row("topic", COMMENTS, "posts", collection="posts", composite=True, returns_set=True, one_row=True),
)

CATALOG = Catalog(
    collections={c.name: c for c in (PROFILES, POSTS, COMMENTS, TAGS, POSTS_TAGS, POST_STATS, DIARY)},
    functions=FUNCTIONS + COMPUTED,
)

DDL = """
set search_path to public;
create table profiles (
    id uuid primary key default auth.uid(), username text not null unique, phone text, plan text default 'free',
    secret text, boss uuid references profiles
);
create table posts (
    id uuid primary key default gen_random_uuid(),
    author uuid not null default auth.uid() references profiles on delete cascade,
    editor uuid references profiles on delete cascade,
    title text not null, slug text unique, body text, views integer not null default 0 check (views >= 0),
    rating numeric(4,2), tags text[] default '{}', meta jsonb default '{}', period daterange,
    published boolean not null default false, loud text generated always as (upper(title)) stored,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now()
);
create trigger touch before update on posts for each row execute function mbaas.touch();
create table comments (
    id bigint primary key generated by default as identity,
    post uuid not null references posts on delete cascade,
    author uuid default auth.uid() references profiles on delete cascade,
    body text not null, private boolean not null default false, created_at timestamptz not null default now()
);
create table tags (id integer primary key, name text not null unique);
create table posts_tags (
    post uuid references posts on delete cascade, tag integer references tags on delete cascade,
    secret boolean not null default false, primary key (post, tag)
);
create table post_stats (post uuid primary key references posts on delete cascade, likes integer default 0);
create table diary (id uuid primary key default gen_random_uuid(), text text);
create function add(a integer, b integer default 1) returns integer language sql immutable return a + b;
create function sum_list(variadic nums integer[]) returns bigint language sql immutable
    return (select sum(n) from unnest(nums) n);
create function visible_posts() returns setof posts language sql stable as 'select * from posts order by title';
create function first_post() returns posts language sql stable as 'select * from posts order by title limit 1';
create function post_titles(minimum integer default 0) returns table (title text, views integer) language sql stable
    as 'select title, views from posts p where p.views >= minimum order by 1';
create function words() returns setof text language sql stable as 'select unnest(array[''a'', ''b'', ''c''])';
create function bump(post uuid) returns void language sql as
    'update posts set views = views + 1 where id = bump.post';
create function whoami() returns jsonb language sql stable as 'select auth.jwt()';
create function shout(posts) returns text language sql immutable return upper($1.title);
create function byline(posts) returns text language sql stable as
    'select $1.title || '' by '' || username from profiles where id = $1.author';
create function hits(posts) returns bigint language sql stable as 'select count(*) from posts where views >= $1.views';
create function reader(posts) returns uuid language sql stable as 'select auth.uid()';
create function contact(profiles) returns text language sql stable as 'select $1.phone';
create function sealed(profiles) returns text language sql stable as 'select $1.secret';
create function score(posts) returns integer language sql stable as 'select $1.views * 2';
create function noisy(posts) returns integer language sql as 'select 1';
create function ratio(posts) returns integer language sql stable as 'select 100 / ($1.views - 40)';
create function share(posts) returns integer language sql immutable return 100 / ($1.views - 40);
create function replies(posts) returns setof comments language sql stable as
    'select * from comments where post = $1.id order by id';
create function topic(comments) returns setof posts rows 1 language sql stable as
    'select * from posts where id = $1.post';
create function echo(json) returns json language sql immutable as 'select $1';
"""

P1, P2, P3, P4 = (f"10000000-0000-4000-8000-00000000000{number}" for number in range(1, 5))

# What each may see: Alpha and Gamma are published, Beta is Ana's own, Delta is Ben's.
SEED = f"""
set search_path to public;
insert into profiles (id, username, phone, secret, boss) values
    ('{ANA}', 'ana', '+1', 'sa', null), ('{BEN}', 'ben', '+2', 'sb', '{ANA}'), ('{CAT}', 'cat', '+3', 'sc', '{ANA}');
insert into posts (id, author, editor, title, slug, views, rating, tags, meta, period, published, body) values
    ('{P1}', '{ANA}', '{BEN}', 'Alpha', 'alpha', 10, 4.50, '{{red,big}}', '{{"k": 1, "a": {{"b": ["x", "y"]}}}}',
     '[2024-01-01,2024-02-01)', true, 'the fat cat sat'),
    ('{P2}', '{ANA}', null, 'Beta', 'beta', 20, null, '{{}}', '{{"k": 2}}', null, false, 'a dog'),
    ('{P3}', '{BEN}', '{ANA}', 'Gamma', 'gamma', 30, 3.25, '{{red}}', '{{"k": 3}}', '[2024-03-01,2024-04-01)', true, null),
    ('{P4}', '{BEN}', null, 'Delta', 'delta', 40, 1.00, null, null, null, false, 'secret plans');
insert into comments (post, author, body, private) values
    ('{P1}', '{BEN}', 'nice', false), ('{P1}', '{CAT}', 'whisper', true), ('{P3}', '{ANA}', 'hm', false),
    ('{P2}', '{ANA}', 'note to self', false), ('{P3}', '{BEN}', 'mine', true);
insert into tags values (1, 'red'), (2, 'blue');
insert into posts_tags values ('{P1}', 1, false), ('{P1}', 2, true), ('{P3}', 1, false);
insert into post_stats values ('{P1}', 5), ('{P2}', 7);
insert into diary (text) values ('dear diary');
"""
