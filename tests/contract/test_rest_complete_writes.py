"""What of the REST dialect an app can do without, as supabase-js and supabase-py ask for it: writing and functions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import Client

from tests.contract.conftest import Js, Server, World
from tests.contract.test_rest_complete import client_for, closed

# Deprecations inside the client's own packages, which it pins itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

AS = "const me = createClient(anonKey, {global: {headers: {Authorization: 'Bearer ' + args.token}}});\n"


@pytest.fixture
def me(server: Server, world: World) -> Iterator[Client]:
    client = client_for(server, world.owner.token)
    yield client
    closed(client)


def titles(client: Client, world: World) -> list[str]:
    found = client.table("posts").select("title").like("slug", f"{world.mark}%").order("slug").execute()
    return [row["title"] for row in found.data]  # type: ignore[call-overload,index]


# --- how many rows a write may hit -----------------------------------------------------------------------------------


async def test_js_max_affected(js: Js, world: World, me: Client) -> None:
    for write in ("update({title: 'All'})", "delete()"):
        code = AS + f"return await me.from('posts').{write}.like('slug', args.mark + '%').maxAffected(args.most)"
        refused = await js(code, token=world.owner.token, mark=world.mark, most=2)
        assert (refused["status"], refused["error"]["code"]) == (400, "PGRST124")
        assert refused["error"]["message"] == "Query result exceeds max-affected preference constraint"
        assert refused["error"]["details"] == "The query affects 3 rows"
        assert len(titles(me, world)) == 3
        assert (await js(code, token=world.owner.token, mark=world.mark, most=3))["status"] == 204
    assert titles(me, world) == []


def test_py_max_affected(me: Client, world: World) -> None:
    with pytest.raises(APIError) as caught:
        me.table("posts").update({"title": "All"}).like("slug", f"{world.mark}%").max_affected(2).execute()
    assert caught.value.code == "PGRST124"
    assert "All" not in titles(me, world)
    with pytest.raises(APIError) as caught:
        me.table("posts").delete().like("slug", f"{world.mark}%").max_affected(2).execute()
    assert caught.value.code == "PGRST124"
    assert len(me.table("posts").delete().like("slug", f"{world.mark}%").max_affected(3).execute().data) == 3


async def test_js_max_affected_of_a_function_is_for_sets(js: Js) -> None:
    answer = await js("return await client.rpc('published_posts').maxAffected(0)")
    assert (answer["status"], answer["error"]["code"]) == (400, "PGRST124")
    answer = await js("return await client.rpc('add', {a: 1, b: 2}).maxAffected(1)")
    assert (answer["status"], answer["error"]["code"]) == (400, "PGRST128")


async def test_raw_strict_handling_refuses_what_nobody_knows(http: httpx.AsyncClient, server: Server) -> None:
    answer = await http.get("/rest/v1/posts", headers={"prefer": "handling=strict, anything=else"})
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST122")
    assert answer.json()["details"] == "Invalid preferences: anything=else"
    answer = await http.get("/rest/v1/posts?limit=1", headers={"prefer": "anything=else"})
    assert answer.status_code == 200


# --- tried and taken back --------------------------------------------------------------------------------------------


async def test_js_rollback(js: Js, world: World, me: Client) -> None:
    before = titles(me, world)
    for write, data in {
        "from('posts').insert({title: 'New', slug: args.mark + '-9'}).select('title')": [{"title": "New"}],
        "from('posts').update({title: 'Changed'}).eq('id', args.id).select('title')": [{"title": "Changed"}],
        "from('posts').delete().eq('id', args.id).select('title')": [{"title": "First"}],
        "from('posts').upsert({id: args.id, title: 'Merged'}).select('title')": [{"title": "Merged"}],
        "rpc('rename_post', {post: args.id, title: 'Called'}).select('title')": {"title": "Called"},
    }.items():
        code = AS + f"return await me.{write}.rollback()"
        answer = await js(code, token=world.owner.token, mark=world.mark, id=world.first)
        assert (answer["error"], answer["data"]) == (None, data), write
        assert titles(me, world) == before, write


async def test_raw_rollback_is_applied_and_still_refuses(server: Server, http: httpx.AsyncClient, world: World) -> None:
    """supabase-py has no call for it."""
    headers = server.headers(world.owner.token) | {"prefer": "return=representation, tx=rollback"}
    answer = await http.post("/rest/v1/posts", json={"title": "New"}, headers=headers)
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "return=representation, tx=rollback"
    answer = await http.get(f"/rest/v1/posts?id=eq.{answer.json()[0]['id']}", headers=server.headers(world.owner.token))
    assert answer.json() == []
    answer = await http.post("/rest/v1/posts", json={"title": "X", "author": world.other.id}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    answer = await http.post("/rest/v1/comments", json={"post": str(uuid.uuid4()), "body": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "23503")
    kept = server.headers(world.owner.token) | {"prefer": "tx=commit"}
    answer = await http.patch(f"/rest/v1/posts?id=eq.{world.first}", json={"views": 77}, headers=kept)
    assert answer.headers["preference-applied"] == "tx=commit"
    answer = await http.get(f"/rest/v1/posts?id=eq.{world.first}&select=views")
    assert answer.json() == [{"views": 77}]


# --- one whole record ------------------------------------------------------------------------------------------------


async def test_raw_put_inserts_and_overwrites(server: Server, http: httpx.AsyncClient, world: World) -> None:
    """No client of these has a call for it."""
    headers = server.headers(world.owner.token)
    key = str(uuid.uuid4())
    body = {"id": key, "title": "Put", "views": 1}
    answer = await http.put(f"/rest/v1/posts?id=eq.{key}", json=body, headers=headers)
    assert (answer.status_code, answer.content) == (201, b"")
    answer = await http.put(f"/rest/v1/posts?id=eq.{key}", json=body | {"title": "Again"}, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    wanted = headers | {"prefer": "return=representation"}
    answer = await http.put(f"/rest/v1/posts?id=eq.{key}&select=title,views", json=body | {"views": 2}, headers=wanted)
    assert (answer.status_code, answer.json()) == (200, [{"title": "Put", "views": 2}])
    foreign = server.headers(world.other.token)
    answer = await http.put(f"/rest/v1/posts?id=eq.{key}", json=body, headers=foreign)
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


@pytest.mark.parametrize(
    ("query", "change", "status", "code"),
    [
        ("", {}, 405, "PGRST105"),
        ("id=gt.{key}", {}, 405, "PGRST105"),
        ("id=eq.{key}&title=eq.Put", {}, 405, "PGRST105"),
        ("id=eq.{key}&limit=1", {}, 400, "PGRST114"),
        ("id=eq.{key}", {"id": str(uuid.uuid4())}, 400, "PGRST115"),
    ],
)
async def test_raw_put_needs_the_whole_key(
    server: Server, http: httpx.AsyncClient, still: World, query: str, change: dict[str, Any], status: int, code: str
) -> None:
    key = str(uuid.uuid4())
    headers = server.headers(still.owner.token)
    body = {"id": key, "title": "Put"} | change
    answer = await http.put(f"/rest/v1/posts?{query.format(key=key)}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# --- CSV both ways ---------------------------------------------------------------------------------------------------

CSV = "title,views,tags,body\nOne,1,{a},\"said \"\"x\"\", then y\"\nTwo,2,{},NULL\n"  # fmt: skip


async def test_raw_csv_goes_in_and_comes_back(server: Server, http: httpx.AsyncClient, world: World) -> None:
    """No client of these sends CSV."""
    headers = server.headers(world.owner.token) | {"content-type": "text/csv", "prefer": "return=representation"}
    answer = await http.post("/rest/v1/posts?select=title,views,tags,body", content=CSV, headers=headers)
    assert answer.json() == [
        {"title": "One", "views": 1, "tags": ["a"], "body": 'said "x", then y'},
        {"title": "Two", "views": 2, "tags": [], "body": None},
    ]
    out = headers | {"accept": "text/csv"}
    answer = await http.post("/rest/v1/posts?select=title,views,body", content=CSV, headers=out)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == 'title,views,body\nOne,1,"said ""x"", then y"\nTwo,2,'
    answer = await http.patch(f"/rest/v1/posts?id=eq.{world.first}&select=views", content="views\n9", headers=headers)
    assert answer.json() == [{"views": 9}]
    answer = await http.post("/rest/v1/posts", content="title,views\nOne", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")
    assert answer.json()["message"] == "All lines must have same number of fields"


async def test_js_csv(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').insert({title: 'A,b', views: 3}).select('title,views,rating').csv()"
    assert (await js(code, token=world.owner.token))["data"] == 'title,views,rating\n"A,b",3,'
    code = (
        "return await client.rpc('published_posts').select('title').like('slug', args.mark + '%').order('title').csv()"
    )
    assert (await js(code, mark=world.mark))["data"] == "title\nFirst\nSecond"


def test_py_csv(me: Client, world: World) -> None:
    answer = me.table("posts").select("title,rating").like("slug", f"{world.mark}%").order("slug").csv().execute()
    assert answer.data == "title,rating\nFirst,4.50\nSecond,\nDraft,1.00"


# --- functions -------------------------------------------------------------------------------------------------------

CALLS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "scalars": ("add", {"a": 1, "b": 2}, 3),
    "an array": ("sum_list", {"nums": [1, 2, 3]}, 6),
    "one signature": ("area", {"side": 3}, 9),
    "the other signature": ("area", {"width": 2, "height": 5}, 10),
}


@pytest.mark.parametrize("get", [False, True], ids=["post", "get"])
@pytest.mark.parametrize("case", CALLS)
async def test_js_calls(js: Js, case: str, get: bool) -> None:
    name, arguments, result = CALLS[case]
    answer = await js("return await client.rpc(args.name, args.with, {get: args.get})",
                      **{"name": name, "with": arguments, "get": get})  # fmt: skip
    assert (answer["status"], answer["data"]) == (200, result)


@pytest.mark.parametrize("get", [False, True], ids=["post", "get"])
@pytest.mark.parametrize("case", CALLS)
def test_py_calls(server: Server, case: str, get: bool) -> None:
    name, arguments, result = CALLS[case]
    client = client_for(server)
    assert client.rpc(name, arguments, get=get).execute().data == result
    closed(client)


async def test_js_an_ambiguous_call_is_300(js: Js) -> None:
    answer = await js("return await client.rpc('pick', {value: 1})")
    assert (answer["status"], answer["error"]["code"]) == (300, "PGRST203")
    assert answer["error"]["message"] == (
        "Could not choose the best candidate function between: "
        "public.pick(value => integer), public.pick(value => text)"
    )
    answer = await js("return await client.rpc('area', {side: 1, height: 1})")
    assert (answer["status"], answer["error"]["code"]) == (404, "PGRST202")


def test_py_an_ambiguous_call_is_300(server: Server) -> None:
    client = client_for(server)
    with pytest.raises(APIError) as caught:
        client.rpc("pick", {"value": 1}).execute()
    assert caught.value.code == "PGRST203"
    closed(client)


async def test_js_the_rows_of_a_function_embed_and_compute(js: Js, still: World) -> None:
    code = (
        "return await client.rpc('published_posts', {}, {get: true}).select('loud,mine,replies(body),comments(count)')"
        ".like('slug', args.mark + '%').order('loud').limit(1)"
    )
    answer = await js(code, mark=still.mark)
    assert answer["data"] == [
        {
            "loud": "FIRST",
            "mine": None,
            "replies": [{"body": "one"}, {"body": "three"}, {"body": "two"}],
            "comments": [{"count": 3}],
        }
    ]


def test_py_the_rows_of_a_function_embed_and_compute(server: Server, still: World) -> None:
    client = client_for(server)
    query = client.rpc("published_posts").select("loud,replies(body)").eq("id", still.second)
    assert query.execute().data == [{"loud": "SECOND", "replies": []}]
    closed(client)


async def test_js_a_write_gives_back_computed_fields(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').insert({title: 'New'}).select('loud,mine,replies(body)').single()"
    assert (await js(code, token=world.owner.token))["data"] == {"loud": "NEW", "mine": True, "replies": []}
    code = AS + "return await me.from('posts').update({views: 1}).eq('loud', 'FIRST').eq('id', args.id).select('views')"
    assert (await js(code, token=world.owner.token, id=world.first))["data"] == [{"views": 1}]


def test_py_a_write_gives_back_computed_fields(me: Client, world: World) -> None:
    made = me.table("posts").insert({"title": "New"}).select("loud,mine").execute()
    assert made.data == [{"loud": "NEW", "mine": True}]


async def test_js_a_computed_field_sees_what_its_caller_sees(js: Js, world: World) -> None:
    """``phone`` is its owner's to read, ``username`` everybody's."""
    code = AS + "return await me.from('profiles').select('contact').in('id', [args.owner, args.other])"
    answer = await js(code, token=world.owner.token, owner=world.owner.id, other=world.other.id)
    assert answer["error"] is None
    assert answer["data"] == [{"contact": None}, {"contact": None}]
    change = AS + "return await me.from('profiles').update({phone: '+1'}).eq('id', args.owner)"
    assert (await js(change, token=world.owner.token, owner=world.owner.id))["status"] == 204
    mine = "return await me.from('profiles').select('contact').eq('contact', '+1').eq('id', args.owner)"
    assert (await js(AS + mine, token=world.owner.token, owner=world.owner.id))["data"] == [{"contact": "+1"}]
    assert (await js(AS + mine, token=world.other.token, owner=world.owner.id))["data"] == []
    byline = await js("return await client.from('posts').select('byline').eq('id', args.id)", id=world.first)
    assert byline["data"][0]["byline"].startswith("First by u")
