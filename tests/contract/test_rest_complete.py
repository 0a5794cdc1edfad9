"""What of the REST dialect an app can do without, as supabase-js and supabase-py ask for it: reading.

Each case is a chain on ``from('posts')`` in both clients, on the rows of one person's world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from postgrest import CountMethod
from postgrest.exceptions import APIError
from supabase import Client, ClientOptions, create_client

from tests.contract.conftest import Js, Server, World

# Deprecations inside the client's own packages, which it pins itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

AS = "const me = createClient(anonKey, {global: {headers: {Authorization: 'Bearer ' + args.token}}});\n"
Chain = Callable[[Any], Any]


def client_for(server: Server, token: str | None = None, key: str | None = None) -> Client:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return create_client(server.url, key or server.anon_key, ClientOptions(headers=headers, auto_refresh_token=False))


def closed(client: Client) -> None:
    client.postgrest.session.close()
    client.auth.close()


@pytest.fixture(scope="module")
def me(server: Server, still: World) -> Iterator[Client]:
    client = client_for(server, still.owner.token)
    yield client
    closed(client)


# --- rows ------------------------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[str, Chain, Any]] = {
    # the chain in JavaScript and in Python, and what comes out
    "count of rows": (".select('count()')", lambda q: q.select("count()"), [{"count": 3}]),
    "every aggregate": (
        ".select('views.sum(),views.avg(),views.min(),views.max(),rating.count()')",
        lambda q: q.select("views.sum(),views.avg(),views.min(),views.max(),rating.count()"),
        [{"sum": 22, "avg": pytest.approx(7.333, abs=0.001), "min": 5, "max": 10, "count": 2}],
    ),
    "grouped by the plain columns": (
        ".select('published,views.sum()').order('published')",
        lambda q: q.select("published,views.sum()").order("published"),
        [{"published": False, "sum": 7}, {"published": True, "sum": 15}],
    ),
    "alias and casts": (
        ".select('published,n:views::text.max(),total:views.sum()::text').order('published')",
        lambda q: q.select("published,n:views::text.max(),total:views.sum()::text").order("published"),
        [{"published": False, "n": "7", "total": "7"}, {"published": True, "n": "5", "total": "15"}],
    ),
    "of a path into JSON": (
        ".select('meta->>k,count()').order('meta->>k')",
        lambda q: q.select("meta->>k,count()").order("meta->>k"),
        [{"k": "1", "count": 1}, {"k": "2", "count": 1}, {"k": None, "count": 1}],
    ),
    "grouped by an embed": (
        ".select('post_stats(likes),count()')",
        lambda q: q.select("post_stats(likes),count()"),
        [{"post_stats": {"likes": 3}, "count": 1}, {"post_stats": None, "count": 2}],
    ),
    "inside an embed": (
        ".select('title,comments(author,count())').eq('title', 'Second')",
        lambda q: q.select("title,comments(author,count())").eq("title", "Second"),
        [{"title": "Second", "comments": []}],
    ),
    "inside a spread to one": (
        ".select('published,...post_stats(likes.sum())').order('published')",
        lambda q: q.select("published,...post_stats(likes.sum())").order("published"),
        [{"published": False, "sum": None}, {"published": True, "sum": 3}],
    ),
    "of filtered groups": (
        ".select('published,count()').gt('views', 5).order('published', {ascending: false})",
        lambda q: q.select("published,count()").gt("views", 5).order("published", desc=True),
        [{"published": True, "count": 1}, {"published": False, "count": 1}],
    ),
    "spread to many": (
        ".select('title,...comments(body)').order('body', {referencedTable: 'comments', ascending: false}).order('title')",
        lambda q: q.select("title,...comments(body)").order("body", desc=True, foreign_table="comments").order("title"),
        [
            {"title": "Draft", "body": []},
            {"title": "First", "body": ["two", "three", "one"]},
            {"title": "Second", "body": []},
        ],
    ),
    "spread to many, columns side by side": (
        ".select('...comments(body,b:body)').order('body', {referencedTable: 'comments'}).eq('title', 'First')",
        lambda q: q.select("...comments(body,b:body)").order("body", foreign_table="comments").eq("title", "First"),
        [{"body": ["one", "three", "two"], "b": ["one", "three", "two"]}],
    ),
    "spread through a junction": (
        ".select('...labels(colour)').order('colour', {referencedTable: 'labels'}).eq('title', 'First')",
        lambda q: q.select("...labels(colour)").order("colour", foreign_table="labels").eq("title", "First"),
        [{"colour": ["blue", "red"]}],
    ),
    "embedded for the filter only": (
        ".select('title,comments()').not('comments', 'is', null)",
        lambda q: q.select("title,comments()").not_.is_("comments", "null"),
        [{"title": "First"}],
    ),
    "or over what is embedded": (
        ".select('title,comments(),post_stats()').or('comments.not.is.null,post_stats.not.is.null')",
        lambda q: q.select("title,comments(),post_stats()").or_("comments.not.is.null,post_stats.not.is.null"),
        [{"title": "First"}],
    ),
    "ordered by what is spread": (
        ".select('title,...post_stats(likes)').order('post_stats(likes)', {nullsFirst: false}).limit(1)",
        lambda q: q.select("title,...post_stats(likes)").order("post_stats(likes)", nullsfirst=False).limit(1),
        [{"title": "First", "likes": 3}],
    ),
    "a computed field": (
        ".select('loud,mine').eq('title', 'First')",
        lambda q: q.select("loud,mine").eq("title", "First"),
        [{"loud": "FIRST", "mine": True}],
    ),
    "filtered by a computed field": (
        ".select('title').eq('loud', 'SECOND')",
        lambda q: q.select("title").eq("loud", "SECOND"),
        [{"title": "Second"}],
    ),
    "ordered by a computed field": (
        ".select('title').order('loud', {ascending: false})",
        lambda q: q.select("title").order("loud", desc=True),
        [{"title": "Second"}, {"title": "First"}, {"title": "Draft"}],
    ),
    "a computed field runs as the caller": (
        ".select('mine').eq('title', 'Draft')",
        lambda q: q.select("mine").eq("title", "Draft"),
        [{"mine": True}],
    ),
    "grouped by a computed field": (
        ".select('mine,views.sum()')",
        lambda q: q.select("mine,views.sum()"),
        [{"mine": True, "sum": 22}],
    ),
    "a computed relation": (
        ".select('replies(body)').eq('title', 'First')",
        lambda q: q.select("replies(body)").eq("title", "First"),
        [{"replies": [{"body": "one"}, {"body": "three"}, {"body": "two"}]}],
    ),
    "a computed relation, filtered and counted": (
        ".select('n:replies(count)').eq('n.body', 'two').eq('title', 'First')",
        lambda q: q.select("n:replies(count)").eq("n.body", "two").eq("title", "First"),
        [{"n": [{"count": 1}]}],
    ),
    "a computed relation to one": (
        ".select('comments(body,topic(title))').eq('comments.body', 'two').eq('title', 'First')",
        lambda q: q.select("comments(body,topic(title))").eq("comments.body", "two").eq("title", "First"),
        [{"comments": [{"body": "two", "topic": {"title": "First"}}]}],
    ),
    "a computed relation, inner": (
        ".select('title,replies!inner(body)').eq('replies.body', 'two')",
        lambda q: q.select("title,replies!inner(body)").eq("replies.body", "two"),
        [{"title": "First", "replies": [{"body": "two"}]}],
    ),
    "eq(any)": (
        ".select('title').filter('views', 'eq(any)', '{5,10}').order('views')",
        lambda q: q.select("title").filter("views", "eq(any)", "{5,10}").order("views"),
        [{"title": "First"}, {"title": "Second"}],
    ),
    "gt(all)": (
        ".select('title').filter('views', 'gt(all)', '{5,7}')",
        lambda q: q.select("title").filter("views", "gt(all)", "{5,7}"),
        [{"title": "Second"}],
    ),
    "lte(any), negated": (
        ".select('title').filter('views', 'not.lte(any)', '{5,7}')",
        lambda q: q.select("title").filter("views", "not.lte(any)", "{5,7}"),
        [{"title": "Second"}],
    ),
    "match(any) and imatch(all)": (
        ".select('title').filter('title', 'match(any)', '{^F,^S}').filter('title', 'imatch(all)', '{^f,T$}')",
        lambda q: q.select("title").filter("title", "match(any)", "{^F,^S}").filter("title", "imatch(all)", "{^f,T$}"),
        [{"title": "First"}],
    ),
}  # fmt: skip


def _sorted(rows: Any, case: str) -> Any:
    return sorted(rows, key=repr) if case == "grouped by an embed" else rows


@pytest.mark.parametrize("case", ROWS)
async def test_js(js: Js, still: World, case: str) -> None:
    chain, _, rows = ROWS[case]
    code = AS + f"return await me.from('posts'){chain}.like('slug', args.mark + '%')"
    answer = await js(code, mark=still.mark, token=still.owner.token)
    assert answer["error"] is None
    assert _sorted(answer["data"], case) == _sorted(rows, case)


@pytest.mark.parametrize("case", ROWS)
def test_py(me: Client, still: World, case: str) -> None:
    _, chain, rows = ROWS[case]
    answer = chain(me.table("posts")).like("slug", f"{still.mark}%").execute()
    assert _sorted(answer.data, case) == _sorted(rows, case)


async def test_recursive_embeds(js: Js, server: Server, still: World, me: Client) -> None:
    top = me.table("folders").insert({"name": "top"}).execute().data[0]["id"]
    middle = me.table("folders").insert({"name": "middle", "parent": top}).execute().data[0]["id"]
    me.table("folders").insert({"name": "leaf", "parent": middle}).execute()
    down = "name,below:folders!folders_parent_fkey(name,below:folders!folders_parent_fkey(name))"
    expected = {"name": "top", "below": [{"name": "middle", "below": [{"name": "leaf"}]}]}
    assert me.table("folders").select(down).eq("id", top).single().execute().data == expected
    code = AS + "return await me.from('folders').select(args.select).eq(args.column, args.value).single()"
    answer = await js(code, token=still.owner.token, select=down, column="id", value=top)
    assert answer["data"] == expected
    up = "name,parent(name,parent(name,parent(name)))"
    answer = await js(code, token=still.owner.token, select=up, column="name", value="leaf")
    assert answer["data"] == {
        "name": "leaf", "parent": {"name": "middle", "parent": {"name": "top", "parent": None}},
    }  # fmt: skip


# --- refusals --------------------------------------------------------------------------------------------------------

REFUSED = {
    "aggregates are for signed-in callers": ("anon", "views.sum()", "PGRST123", "Use of aggregate functions is not allowed"),
    "aggregates inside an embed as well": ("anon", "title,comments(body.max())", "PGRST123", "Use of aggregate functions is not allowed"),
    "aggregates inside a spread as well": ("anon", "...post_stats(likes.sum())", "PGRST123", "Use of aggregate functions is not allowed"),
    "aggregates inside a spread to many": ("owner", "title,...comments(body.max())", "PGRST127", "Feature not implemented"),
    "aggregates of a hidden field": ("owner", "author:profiles(secret_note.max())", "42703", "column profiles.secret_note does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_js_is_refused(js: Js, still: World, case: str) -> None:
    who, select, code, message = REFUSED[case]
    client = (AS if who == "owner" else "const me = client;\n") + "return await me.from('posts').select(args.select)"
    answer = await js(client, select=select, token=still.owner.token)
    assert (answer["status"], answer["error"]["code"], answer["error"]["message"]) == (400, code, message)


@pytest.mark.parametrize("case", REFUSED)
def test_py_is_refused(server: Server, me: Client, case: str) -> None:
    who, select, code, message = REFUSED[case]
    client = me if who == "owner" else client_for(server)
    with pytest.raises(APIError) as caught:
        client.table("posts").select(select).execute()
    assert (caught.value.code, caught.value.message) == (code, message)
    if client is not me:
        closed(client)


async def test_the_count_of_an_embed_is_for_everybody(js: Js, server: Server, still: World) -> None:
    answer = await js("return await client.from('posts').select('comments(count)').eq('id', args.id)", id=still.first)
    assert answer["data"] == [{"comments": [{"count": 3}]}]
    client = client_for(server)
    found = client.table("posts").select("comments(count)").eq("id", still.first).execute()
    assert found.data == [{"comments": [{"count": 3}]}]
    closed(client)


# --- totals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["planned", "estimated"])
async def test_js_counts_without_counting(js: Js, still: World, kind: str) -> None:
    code = AS + (
        "const at = (q) => q.like('slug', args.mark + '%');"
        "const page = await at(me.from('posts').select('title', {count: args.kind})).order('title').range(0, 0);"
        "const head = await at(me.from('posts').select('*', {count: args.kind, head: true}));"
        "return [page.status, page.count, head.count]"
    )
    assert await js(code, mark=still.mark, token=still.owner.token, kind=kind) == [206, 3, 3]


@pytest.mark.parametrize("kind", [CountMethod.planned, CountMethod.estimated])
def test_py_counts_without_counting(me: Client, still: World, kind: CountMethod) -> None:
    query = me.table("posts").select("title", count=kind).like("slug", f"{still.mark}%").range(0, 0)
    assert query.execute().count == 3


# --- forms -----------------------------------------------------------------------------------------------------------


async def test_js_strips_nulls(js: Js, still: World) -> None:
    chain = "client.from('posts').select('title,rating,post_stats(likes)').eq('id', args.id).stripNulls()"
    answer = await js(f"return await {chain}", id=still.second)
    assert answer["data"] == [{"title": "Second"}]
    answer = await js(f"return await {chain}.single()", id=still.second)
    assert answer["data"] == {"title": "Second"}


def test_py_strips_nulls(me: Client, still: World) -> None:
    query = me.table("posts").select("title,rating").eq("id", still.second).strip_nulls()
    assert query.execute().data == [{"title": "Second"}]


async def test_raw_media_types_have_short_spellings(http: httpx.AsyncClient, still: World) -> None:
    for accept, answered in {
        "application/vnd.pgrst.object": "application/vnd.pgrst.object+json; charset=utf-8",
        "application/vnd.pgrst.array;nulls=stripped":
            "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8",
        "application/vnd.pgrst.object+json;nulls=stripped":
            "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8",
        "text/unknowntype, text/csv": "text/csv; charset=utf-8",
        "text/unknowntype, */*": "application/json; charset=utf-8",
    }.items():  # fmt: skip
        answer = await http.get(f"/rest/v1/posts?id=eq.{still.first}&select=title", headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, answered), accept
    answer = await http.get(f"/rest/v1/posts?id=eq.{still.first}", headers={"accept": "application/geo+json"})
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST107")


# --- how it is carried out -------------------------------------------------------------------------------------------


async def test_js_explains_to_the_service_key(js: Js, still: World) -> None:
    chain = "createClient(serviceKey).from('posts').select('title').eq('id', args.id)"
    answer = await js(f"return await {chain}.explain()", id=still.first)
    assert (answer["status"], answer["error"]) == (200, None)
    assert "posts_pkey" in answer["data"]
    answer = await js(f"return await {chain}.explain({{format: 'json', analyze: true, buffers: true}})", id=still.first)
    assert answer["data"][0]["Plan"]["Actual Rows"] == 1
    write = "createClient(serviceKey).from('posts').delete().eq('id', args.id).select().explain({analyze: true})"
    assert "Delete on posts" in (await js(f"return await {write}", id=still.first))["data"]
    answer = await js(f"return await {chain}.maybeSingle()", id=still.first)
    assert answer["data"] == {"title": "First"}  # it was only looked at


def test_py_explains_to_the_service_key(server: Server, still: World) -> None:
    client = client_for(server, key=server.service_key)
    text = client.table("posts").select("title").eq("id", still.first).explain(analyze=True)
    assert "posts_pkey" in text.execute()
    plan = client.table("posts").select("title").eq("id", still.first).explain(format="json").execute()
    assert plan.data[0]["Plan"]["Node Type"] == "Aggregate"
    closed(client)


async def test_js_explains_to_nobody_else(js: Js, still: World) -> None:
    for client in ("client", AS + "me"):
        *before, name = client.rsplit("\n", 1)
        code = "\n".join(before) + f"\nreturn await {name}.from('posts').select().explain()"
        answer = await js(code, token=still.owner.token)
        assert (answer["status"], answer["error"]["code"]) == (406, "PGRST107")


# --- the description -------------------------------------------------------------------------------------------------


async def test_raw_the_root_is_an_openapi_2_document(server: Server, http: httpx.AsyncClient) -> None:
    """No client of these has a call for it."""
    answer = await http.get("/rest/v1/", headers={"accept": "application/openapi+json"})
    assert answer.headers["content-type"] == "application/openapi+json; charset=utf-8"
    made = answer.json()
    assert made["swagger"] == "2.0"
    assert made["definitions"]["posts"]["properties"]["id"]["description"] == "Note:\nThis is a Primary Key.<pk/>"
    assert "secret_note" not in made["definitions"]["profiles"]["properties"]
    assert "/drafts" not in made["paths"]
    assert "/rpc/my_posts" not in made["paths"]
    whole = (await http.get("/rest/v1/", headers=server.headers(key=server.service_key))).json()
    assert "/drafts" in whole["paths"]
    assert (await http.head("/rest/v1/")).status_code == 200
