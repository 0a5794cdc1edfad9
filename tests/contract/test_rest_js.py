"""The REST dialect as supabase-js meets it: one test for each thing that clients rely on."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.contract.conftest import Js, Server, World

# A client signed in as the person, in every snippet that begins with this line.
AS = "const me = createClient(anonKey, {global: {headers: {Authorization: 'Bearer ' + args.token}}});\n"


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_select_gives_the_visible_rows(js: Js, world: World) -> None:
    answer = await js(
        "return await client.from('posts').select('title').like('slug', args.mark + '%').order('title')",
        mark=world.mark,
    )
    assert (answer["status"], answer["data"]) == (200, [{"title": "First"}, {"title": "Second"}])


async def test_select_as_the_owner_gives_the_draft_too(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').select('title').like('slug', args.mark + '%').order('title')"
    answer = await js(code, mark=world.mark, token=world.owner.token)
    assert [row["title"] for row in answer["data"]] == ["Draft", "First", "Second"]


async def test_head_with_count_gives_a_count_and_no_body(js: Js, world: World) -> None:
    answer = await js(
        "return await client.from('posts').select('*', {head: true, count: 'exact'}).like('slug', args.mark + '%')",
        mark=world.mark,
    )
    assert (answer["data"], answer["count"], answer["error"]) == (None, 2, None)


@pytest.mark.parametrize("count", ["exact", "planned", "estimated"])
async def test_a_count_is_of_visible_rows_only(js: Js, world: World, count: str) -> None:
    answer = await js(
        "return await client.from('posts').select('title', {count: args.count}).like('slug', args.mark + '%')"
        ".order('title').range(0, 0)",
        mark=world.mark,
        count=count,
    )
    assert (answer["status"], answer["data"], answer["count"]) == (206, [{"title": "First"}], 2)


FILTERS = [
    (".eq('title', 'First')", ["First"]),
    (".neq('title', 'First')", ["Draft", "Second"]),
    (".gt('views', 7)", ["Second"]),
    (".gte('views', 7)", ["Draft", "Second"]),
    (".lt('views', 7)", ["First"]),
    (".lte('views', 7)", ["Draft", "First"]),
    (".gte('views', 5).lte('views', 7)", ["Draft", "First"]),
    (".match({title: 'First', views: 5})", ["First"]),
    (".like('title', '%irs%')", ["First"]),
    (".like('title', 'F*')", ["First"]),
    (".ilike('title', 'f%')", ["First"]),
    (".likeAllOf('title', ['F%', '%t'])", ["First"]),
    (".likeAnyOf('title', ['F%', 'D%'])", ["Draft", "First"]),
    (".ilikeAllOf('title', ['f%', '%T'])", ["First"]),
    (".ilikeAnyOf('title', ['f%', 'd%'])", ["Draft", "First"]),
    (".regexMatch('title', '^F')", ["First"]),
    (".regexIMatch('title', '^f')", ["First"]),
    (".is('body', null)", ["Second"]),
    (".not('body', 'is', null)", ["Draft", "First"]),
    (".is('published', true)", ["First", "Second"]),
    (".is('published', false)", ["Draft"]),
    (".filter('body', 'is', 'not_null')", ["Draft", "First"]),
    (".isDistinct('rating', 1)", ["First", "Second"]),
    (".in('title', ['First', 'Draft', 'a,b', 'c\"d'])", ["Draft", "First"]),
    (".in('views', [])", []),
    (".notIn('title', ['First'])", ["Draft", "Second"]),
    (".not('title', 'in', '(First,Draft)')", ["Second"]),
    (".contains('tags', ['b c'])", ["First"]),
    (".contains('meta', {k: 1})", ["First"]),
    (".containedBy('tags', ['b', 'x'])", ["Draft", "Second"]),
    (".overlaps('tags', ['b', 'zz'])", ["Second"]),
    (".contains('span', '[2,3)')", ["First"]),
    (".rangeLt('span', '[10,20)')", ["First"]),
    (".rangeGt('span', '[1,5)')", ["Second"]),
    (".rangeGte('span', '[5,6)')", ["Second"]),
    (".rangeLte('span', '[1,5)')", ["First"]),
    (".rangeAdjacent('span', '[5,10)')", ["First", "Second"]),
    (".overlaps('span', '[4,11)')", ["First", "Second"]),
    (".textSearch('body', 'fat & cats')", ["First"]),
    (".textSearch('body', 'fat cats', {type: 'websearch', config: 'english'})", ["First"]),
    (".textSearch('body', 'cats sat', {type: 'phrase'})", ["First"]),
    (".textSearch('body', 'sat cats', {type: 'plain'})", ["First"]),
    (".or('views.gt.9,and(title.eq.Draft,views.eq.7)')", ["Draft", "Second"]),
    (".or('views.gt.9,not.and(title.neq.Draft,views.gt.0)')", ["Draft", "Second"]),
    ('.or(\'"title".eq."First",title.in.("Draft",Zed)\')', ["Draft", "First"]),
    (".eq('meta->>k', '1')", ["First"]),
    (".eq('meta->k', 2)", ["Second"]),
    (".eq('meta->deep->list->0->>name', 'x')", ["First"]),
    (".filter('title', 'not.eq', 'First')", ["Draft", "Second"]),
    (".eq('title', 'null')", []),
    (".eq('state', 'draft')", ["Draft", "First", "Second"]),
]


@pytest.mark.parametrize(("chain", "titles"), FILTERS, ids=[chain for chain, _ in FILTERS])
async def test_a_filter_selects(js: Js, world: World, chain: str, titles: list[str]) -> None:
    code = AS + f"return await me.from('posts').select('title').like('slug', args.mark + '%'){chain}.order('title')"
    answer = await js(code, mark=world.mark, token=world.owner.token)
    assert answer["error"] is None
    assert [row["title"] for row in answer["data"]] == titles


SELECTS: list[tuple[str, Any]] = [
    ("title,views", {"title": "First", "views": 5}),
    ("n:title", {"n": "First"}),
    ("views::text", {"views": "5"}),
    ("v:views::text", {"v": "5"}),
    ("meta->k", {"k": 1}),
    ("meta->deep->list->0->>name", {"name": "x"}),
    ("meta->>k", {"k": "1"}),
    ("x:meta->deep->list->0", {"x": {"name": "x"}}),
    ("headline,state,tags", {"headline": "FIRST", "state": "draft", "tags": ["a", "b c"]}),
    ("rating", {"rating": 4.5}),
    ("author:profiles(phone)", {"author": {"phone": None}}),
    ("comments(body)", {"comments": [{"body": "one"}, {"body": "two"}, {"body": "three"}]}),
    ("comments(count)", {"comments": [{"count": 3}]}),
    ("post_stats(likes)", {"post_stats": {"likes": 3}}),
    ("...post_stats(likes)", {"likes": 3}),
    ("title, comments ( body )", {"title": "First", "comments": [{"body": "one"}, {"body": "two"}, {"body": "three"}]}),
]


@pytest.mark.parametrize(("select", "row"), SELECTS, ids=[select for select, _ in SELECTS])
async def test_a_select_list_shapes_the_row(js: Js, world: World, select: str, row: Any) -> None:
    code = "return await client.from('posts').select(args.select).eq('id', args.id).single()"
    answer = await js(code, select=select, id=world.first)
    assert answer["error"] is None
    assert answer["data"] == row


async def test_star_leaves_hidden_fields_out(js: Js, world: World) -> None:
    answer = await js("return await client.from('profiles').select('*').eq('id', args.id).single()", id=world.owner.id)
    assert set(answer["data"]) == {"id", "username", "phone", "created_at", "updated_at"}


async def test_many_to_many_goes_through_the_junction(js: Js, world: World) -> None:
    answer = await js("return await client.from('posts').select('labels(colour)').eq('id', args.id)", id=world.first)
    assert sorted(label["colour"] for label in answer["data"][0]["labels"]) == ["blue", "red"]


async def test_a_to_many_embed_without_rows_is_an_empty_array(js: Js, world: World) -> None:
    answer = await js("return await client.from('posts').select('comments(body)').eq('id', args.id)", id=world.second)
    assert answer["data"] == [{"comments": []}]


async def test_inner_drops_parents_without_a_match(js: Js, world: World) -> None:
    code = (
        "return await client.from('posts').select('title,comments!inner(body)').like('slug', args.mark + '%')"
        ".eq('comments.body', 'two')"
    )
    answer = await js(code, mark=world.mark)
    assert answer["data"] == [{"title": "First", "comments": [{"body": "two"}]}]


async def test_embedded_filters_narrow_the_nested_rows_only(js: Js, world: World) -> None:
    code = (
        "return await client.from('posts').select('title,comments(body)').like('slug', args.mark + '%')"
        ".eq('comments.body', 'two').order('title')"
    )
    answer = await js(code, mark=world.mark)
    assert answer["data"] == [
        {"title": "First", "comments": [{"body": "two"}]},
        {"title": "Second", "comments": []},
    ]


async def test_embedded_order_limit_and_or(js: Js, world: World) -> None:
    code = (
        "return await client.from('posts').select('comments(body)').eq('id', args.id)"
        ".or('body.eq.one,body.eq.two', {referencedTable: 'comments'})"
        ".order('body', {referencedTable: 'comments', ascending: false}).limit(1, {referencedTable: 'comments'})"
    )
    answer = await js(code, id=world.first)
    assert answer["data"] == [{"comments": [{"body": "two"}]}]


async def test_parents_are_filtered_by_the_existence_of_an_embed(js: Js, world: World) -> None:
    code = (
        "return await client.from('posts').select('title,comments()').like('slug', args.mark + '%')"
        ".is('comments', null)"
    )
    answer = await js(code, mark=world.mark)
    assert answer["data"] == [{"title": "Second"}]


async def test_hints_tell_two_relations_apart(js: Js, world: World) -> None:
    send = AS + "return await me.from('messages').insert({receiver: args.to, text: 'hi'})"
    assert (await js(send, token=world.owner.token, to=world.other.id))["status"] == 201
    for select in (
        "text,from:profiles!messages_sender_fkey(id),to:profiles!messages_receiver_fkey(id)",
        "text,from:profiles!sender(id),to:profiles!receiver(id)",
        "text,from:sender(id),to:receiver(id)",
    ):
        answer = await js(
            AS + "return await me.from('messages').select(args.select)", token=world.owner.token, select=select
        )
        assert answer["data"] == [{"text": "hi", "from": {"id": world.owner.id}, "to": {"id": world.other.id}}]


async def test_an_ambiguous_embed_is_300_with_what_to_write(js: Js, world: World) -> None:
    answer = await js(AS + "return await me.from('messages').select('profiles(id)')", token=world.owner.token)
    assert (answer["status"], answer["error"]["code"]) == (300, "PGRST201")
    assert "profiles!messages_sender_fkey" in answer["error"]["hint"]
    assert answer["error"]["details"][0]["cardinality"] == "many-to-one"


async def test_an_unknown_relation_is_pgrst200(js: Js) -> None:
    answer = await js("return await client.from('posts').select('drafts(id)')")
    assert (answer["status"], answer["error"]["code"]) == (400, "PGRST200")


async def test_self_references_both_ways(js: Js, world: World) -> None:
    code = AS + (
        "const top = await me.from('folders').insert({name: 'top'}).select().single();"
        "await me.from('folders').insert([{name: 'a', parent: top.data.id}, {name: 'b', parent: top.data.id}]);"
        "const down = await me.from('folders').select('name,children:folders!folders_parent_fkey(name)')"
        ".eq('name', 'top').single();"
        "const up = await me.from('folders').select('name,parent(name)').eq('name', 'a').single();"
        "return [down, up]"
    )
    down, up = await js(code, token=world.owner.token)
    assert up["data"] == {"name": "a", "parent": {"name": "top"}}
    assert sorted(child["name"] for child in down["data"]["children"]) == ["a", "b"]


ORDERS = [
    (".order('views')", ["First", "Draft", "Second"]),
    (".order('views', {ascending: false})", ["Second", "Draft", "First"]),
    (".order('rating', {ascending: false})", ["Second", "First", "Draft"]),
    (".order('rating', {ascending: false, nullsFirst: false})", ["First", "Draft", "Second"]),
    (".order('rating', {nullsFirst: true})", ["Second", "Draft", "First"]),
    (".order('published').order('views', {ascending: false})", ["Draft", "Second", "First"]),
    (".order('meta->>k', {nullsFirst: true})", ["Draft", "First", "Second"]),
    (".order('views').limit(1)", ["First"]),
    (".order('views').range(1, 2)", ["Draft", "Second"]),
    (".order('views').limit(0)", []),
    (".order('views').range(9, 12)", []),
]


@pytest.mark.parametrize(("chain", "titles"), ORDERS, ids=[chain for chain, _ in ORDERS])
async def test_order_and_range(js: Js, world: World, chain: str, titles: list[str]) -> None:
    code = AS + f"return await me.from('posts').select('title').like('slug', args.mark + '%'){chain}"
    answer = await js(code, mark=world.mark, token=world.owner.token)
    assert answer["error"] is None
    assert [row["title"] for row in answer["data"]] == titles


async def test_order_by_a_to_one_relation(js: Js, world: World) -> None:
    code = (
        "return await client.from('posts').select('title,post_stats(likes)').like('slug', args.mark + '%')"
        ".order('post_stats(likes)', {nullsFirst: true})"
    )
    answer = await js(code, mark=world.mark)
    assert [row["title"] for row in answer["data"]] == ["Second", "First"]


async def test_an_offset_past_the_end_with_a_count_is_416(js: Js, world: World) -> None:
    code = (
        "return await client.from('posts').select('title', {count: 'exact'}).like('slug', args.mark + '%').range(5, 9)"
    )
    answer = await js(code, mark=world.mark)
    assert (answer["status"], answer["error"]["code"]) == (416, "PGRST103")
    assert answer["error"]["details"] == "An offset of 5 was requested, but there are only 2 rows."


async def test_single_wants_exactly_one_row(js: Js, world: World) -> None:
    answer = await js(
        "return await client.from('posts').select().like('slug', args.mark + '%').single()", mark=world.mark
    )
    assert (answer["status"], answer["error"]["code"]) == (406, "PGRST116")
    assert answer["error"]["details"] == "The result contains 2 rows"
    assert answer["error"]["message"] == "Cannot coerce the result to a single JSON object"


async def test_maybe_single_gives_null_or_the_row(js: Js, world: World) -> None:
    code = "return await client.from('posts').select('title').eq('slug', args.slug).maybeSingle()"
    assert (await js(code, slug=f"{world.mark}-1"))["data"] == {"title": "First"}
    missing = await js(code, slug="none")
    assert (missing["data"], missing["error"]) == (None, None)


async def test_csv(js: Js, world: World) -> None:
    answer = await js("return await client.from('posts').select('title,views').eq('id', args.id).csv()", id=world.first)
    assert answer["data"] == "title,views\nFirst,5"


async def test_another_schema_is_406(js: Js) -> None:
    answer = await js("return await client.schema('auth').from('users').select()")
    assert (answer["status"], answer["error"]["code"]) == (406, "PGRST106")


async def test_an_unknown_table_is_404(js: Js) -> None:
    answer = await js("return await client.from('nope').select()")
    assert (answer["status"], answer["error"]["code"]) == (404, "PGRST205")
    assert answer["error"]["message"] == "Could not find the table 'public.nope' in the schema cache"


async def test_an_unknown_column_is_42703(js: Js) -> None:
    for chain in (".select('nope')", ".select().eq('nope', 1)", ".select().order('nope')"):
        answer = await js(f"return await client.from('posts'){chain}")
        assert (answer["status"], answer["error"]["code"]) == (400, "42703"), chain


async def test_a_wrong_literal_is_22p02(js: Js) -> None:
    answer = await js("return await client.from('posts').select().eq('views', 'many')")
    assert (answer["status"], answer["error"]["code"]) == (400, "22P02")


async def test_a_broken_filter_is_pgrst100(js: Js) -> None:
    answer = await js("return await client.from('posts').select().filter('views', 'xyz', 1)")
    assert (answer["status"], answer["error"]["code"]) == (400, "PGRST100")


async def test_a_filter_on_what_is_not_embedded_is_pgrst108(js: Js) -> None:
    answer = await js("return await client.from('posts').select().eq('comments.body', 'x')")
    assert (answer["status"], answer["error"]["code"]) == (400, "PGRST108")


async def test_order_by_a_to_many_relation_is_pgrst118(js: Js) -> None:
    answer = await js("return await client.from('posts').select('*,comments(body)').order('comments(body)')")
    assert (answer["status"], answer["error"]["code"]) == (400, "PGRST118")


# --- writing ---------------------------------------------------------------------------------------------------------


async def test_insert_answers_201_without_a_body(js: Js, world: World) -> None:
    answer = await js(AS + "return await me.from('posts').insert({title: 'New'})", token=world.owner.token)
    assert (answer["status"], answer["data"], answer["error"]) == (201, None, None)


async def test_insert_with_select_gives_the_row_with_defaults(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').insert({title: 'New'}).select('title,views,author,tags,meta').single()"
    answer = await js(code, token=world.owner.token)
    assert answer["data"] == {"title": "New", "views": 0, "author": world.owner.id, "tags": [], "meta": {}}


async def test_insert_with_select_may_embed(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').insert({title: 'New'}).select('title,profiles(id)').single()"
    answer = await js(code, token=world.owner.token)
    assert answer["data"] == {"title": "New", "profiles": {"id": world.owner.id}}


async def test_a_bulk_insert_counts(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').insert([{title: 'A'}, {title: 'B'}], {count: 'exact'})"
    answer = await js(code, token=world.owner.token)
    assert (answer["status"], answer["count"]) == (201, 2)


async def test_a_bulk_insert_of_nothing_is_fine(js: Js, world: World) -> None:
    answer = await js(AS + "return await me.from('posts').insert([]).select()", token=world.owner.token)
    assert (answer["status"], answer["data"]) == (201, [])


async def test_bulk_rows_take_null_or_the_default_for_missing_columns(js: Js, world: World) -> None:
    rows = "[{title: 'A', views: 3, body: 'x'}, {title: 'B', views: 4}]"
    code = AS + f"return await me.from('posts').insert({rows}).select('title,body').order('title')"
    answer = await js(code, token=world.owner.token)
    assert answer["data"] == [{"title": "A", "body": "x"}, {"title": "B", "body": None}]
    rows = "[{title: 'A', tags: ['t']}, {title: 'B'}]"
    code = (
        AS
        + f"return await me.from('posts').insert({rows}, {{defaultToNull: false}}).select('title,tags').order('title')"
    )
    answer = await js(code, token=world.owner.token)
    assert answer["data"] == [{"title": "A", "tags": ["t"]}, {"title": "B", "tags": []}]


async def test_unequal_keys_without_columns_are_pgrst102(server: Server, http: httpx.AsyncClient, world: World) -> None:
    headers = server.headers(world.owner.token)
    answer = await http.post("/rest/v1/posts", json=[{"title": "A"}, {"title": "B", "views": 1}], headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")
    assert answer.json()["message"] == "All object keys must match"


async def test_an_unknown_column_in_a_body_is_pgrst204(js: Js, world: World) -> None:
    answer = await js(AS + "return await me.from('posts').insert([{title: 'A', nope: 1}])", token=world.owner.token)
    assert (answer["status"], answer["error"]["code"]) == (400, "PGRST204")


async def test_malformed_json_is_pgrst102(server: Server, http: httpx.AsyncClient, world: World) -> None:
    for body in ("{", "", "nope", "[1]", '"text"'):
        headers = server.headers(world.owner.token) | {"content-type": "application/json"}
        answer = await http.post("/rest/v1/posts", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102"), body


async def test_headers_only_gives_the_location(server: Server, http: httpx.AsyncClient, world: World) -> None:
    headers = server.headers(world.owner.token) | {"prefer": "return=headers-only"}
    answer = await http.post("/rest/v1/posts", json={"title": "Here"}, headers=headers)
    assert answer.status_code == 201
    assert answer.content == b""
    assert answer.headers["location"].startswith("/posts?id=eq.")
    assert answer.headers["preference-applied"] == "return=headers-only"


async def test_upsert_merges_on_the_primary_key(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').upsert({id: args.id, title: 'Merged'}).select('id,title,views').single()"
    answer = await js(code, token=world.owner.token, id=world.first)
    assert (answer["status"], answer["data"]) == (200, {"id": world.first, "title": "Merged", "views": 5})


async def test_upsert_inserts_what_is_new(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').upsert({id: args.id, title: 'Fresh'}).select('title').single()"
    answer = await js(code, token=world.owner.token, id=str(uuid.uuid4()))
    assert (answer["status"], answer["data"]) == (201, {"title": "Fresh"})


async def test_upsert_on_another_unique_column_may_ignore_duplicates(js: Js, world: World) -> None:
    code = AS + (
        "return await me.from('posts').upsert([{slug: args.mark + '-1', title: 'X'}, {slug: args.mark + '-9', title: 'Y'}],"
        " {onConflict: 'slug', ignoreDuplicates: true}).select('title')"
    )
    answer = await js(code, token=world.owner.token, mark=world.mark)
    assert answer["data"] == [{"title": "Y"}]


async def test_on_conflict_needs_a_unique_constraint(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').upsert({title: 'X'}, {onConflict: 'title'})"
    answer = await js(code, token=world.owner.token)
    assert (answer["status"], answer["error"]["code"]) == (400, "42P10")


async def test_update_answers_204_or_the_rows(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').update({views: 6}).eq('id', args.id)"
    assert (await js(code, token=world.owner.token, id=world.first))["status"] == 204
    code = AS + "return await me.from('posts').update({views: 8}).eq('id', args.id).select('views')"
    answer = await js(code, token=world.owner.token, id=world.first)
    assert (answer["status"], answer["data"]) == (200, [{"views": 8}])
    answer = await js(code, token=world.owner.token, id=str(uuid.uuid4()))
    assert (answer["status"], answer["data"]) == (200, [])


async def test_update_keeps_updated_at_true(js: Js, world: World) -> None:
    code = AS + (
        "return await me.from('posts').update({views: 9, updated_at: '2001-01-01'}).eq('id', args.id)"
        ".select('created_at,updated_at').single()"
    )
    row = (await js(code, token=world.owner.token, id=world.first))["data"]
    assert row["updated_at"] > row["created_at"]


async def test_an_update_of_nothing_touches_nothing(server: Server, http: httpx.AsyncClient, world: World) -> None:
    headers = server.headers(world.owner.token)
    for body in ({}, [], [{}]):
        answer = await http.patch(f"/rest/v1/posts?id=eq.{world.first}", json=body, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")


async def test_delete_answers_204_or_the_rows(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').delete({count: 'exact'}).eq('id', args.id)"
    answer = await js(code, token=world.owner.token, id=world.first)
    assert (answer["status"], answer["count"]) == (204, 1)
    code = AS + "return await me.from('posts').delete().eq('id', args.id).select('title')"
    answer = await js(code, token=world.owner.token, id=world.second)
    assert (answer["status"], answer["data"]) == (200, [{"title": "Second"}])


async def test_a_refused_insert_is_42501(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').insert({title: 'X', author: args.other})"
    answer = await js(code, token=world.owner.token, other=world.other.id)
    assert (answer["status"], answer["error"]["code"]) == (403, "42501")
    assert answer["error"]["message"] == 'new row violates row-level security policy for table "posts"'
    answer = await js(
        "return await client.from('posts').insert({title: 'X', author: args.other})", other=world.other.id
    )
    assert (answer["status"], answer["error"]["code"]) == (401, "42501")


async def test_an_update_may_not_hand_the_row_to_another(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').update({author: args.other}).eq('id', args.id)"
    answer = await js(code, token=world.owner.token, other=world.other.id, id=world.first)
    assert (answer["status"], answer["error"]["code"]) == (403, "42501")


async def test_foreign_rows_are_neither_updated_nor_deleted(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').update({title: 'Stolen'}).eq('id', args.id).select()"
    assert (await js(code, token=world.other.token, id=world.first))["data"] == []
    code = AS + "return await me.from('posts').delete().eq('id', args.id).select()"
    assert (await js(code, token=world.other.token, id=world.first))["data"] == []
    code = "return await client.from('posts').select('title').eq('id', args.id)"
    assert (await js(code, id=world.first))["data"] == [{"title": "First"}]


async def test_an_upsert_onto_a_foreign_row_is_refused(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').upsert({id: args.id, title: 'Stolen'})"
    answer = await js(code, token=world.other.token, id=world.first)
    assert (answer["status"], answer["error"]["code"]) == (403, "42501")


async def test_database_errors_keep_code_and_details(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').insert({title: 'X', slug: args.slug})"
    taken = await js(code, token=world.owner.token, slug=f"{world.mark}-1")
    assert (taken["status"], taken["error"]["code"]) == (409, "23505")
    assert taken["error"]["details"] == f"Key (slug)=({world.mark}-1) already exists."
    code = AS + "return await me.from('comments').insert({post: args.post, body: 'x'})"
    lost = await js(code, token=world.owner.token, post=str(uuid.uuid4()))
    assert (lost["status"], lost["error"]["code"]) == (409, "23503")
    missing = await js(AS + "return await me.from('posts').insert({body: 'x'})", token=world.owner.token)
    assert (missing["status"], missing["error"]["code"]) == (400, "23502")
    broken = await js(AS + "return await me.from('posts').insert({title: 'x', views: -1})", token=world.owner.token)
    assert (broken["status"], broken["error"]["code"]) == (400, "23514")


async def test_single_on_a_write_rolls_it_back(js: Js, world: World) -> None:
    code = AS + "return await me.from('posts').update({views: 99}).like('slug', args.mark + '%').select().single()"
    answer = await js(code, token=world.owner.token, mark=world.mark)
    assert (answer["status"], answer["error"]["code"]) == (406, "PGRST116")
    code = AS + "return await me.from('posts').select('title').eq('views', 99).like('slug', args.mark + '%')"
    assert (await js(code, token=world.owner.token, mark=world.mark))["data"] == []


async def test_a_collection_without_rules_shows_and_takes_nothing(js: Js, world: World) -> None:
    for code in (
        "client.from('drafts').select()",
        "client.from('drafts').update({text: 'x'}).neq('text', '').select()",
    ):
        answer = await js(f"return await {code}")
        assert answer["data"] == [] or answer["error"]["code"] == "42501"
    answer = await js(AS + "return await me.from('drafts').insert({text: 'x'})", token=world.owner.token)
    assert (answer["status"], answer["error"]["code"]) == (403, "42501")
    answer = await js(
        "return await createClient(serviceKey).from('drafts').insert({text: 'x'}).select('text').single()"
    )
    assert answer["data"] == {"text": "x"}


# --- functions -------------------------------------------------------------------------------------------------------


async def test_rpc_gives_a_scalar(js: Js) -> None:
    answer = await js("return await client.rpc('add', {a: 1, b: 2})")
    assert (answer["status"], answer["data"]) == (200, 3)


async def test_rpc_by_get_takes_its_arguments_from_the_query(js: Js) -> None:
    assert (await js("return await client.rpc('add', {a: 1, b: 2}, {get: true})"))["data"] == 3
    assert (await js("return await client.rpc('sum_list', {nums: [1, 2, 3]}, {get: true})"))["data"] == 6
    assert (await js("return await client.rpc('sum_list', {nums: [1, 2, 3]})"))["data"] == 6


async def test_rpc_sets_take_filters_order_select_and_count(js: Js, world: World) -> None:
    code = (
        "return await client.rpc('published_posts', {}, {count: 'exact'}).select('title,comments(body)')"
        ".like('slug', args.mark + '%').order('title', {ascending: false}).limit(1)"
    )
    answer = await js(code, mark=world.mark)
    assert answer["error"] is None
    assert (answer["data"], answer["count"]) == ([{"title": "Second", "comments": []}], 2)


async def test_rpc_runs_as_the_caller(js: Js, world: World) -> None:
    answer = await js(AS + "return await me.rpc('my_posts', {at_least: 6}).order('title')", token=world.owner.token)
    assert [row["title"] for row in answer["data"]] == ["Draft", "Second"]
    answer = await js(AS + "return await me.rpc('my_posts')", token=world.other.token)
    assert answer["data"] == []
    answer = await js("return await client.rpc('my_posts')")
    assert answer["error"]["code"] == "42501"


async def test_rpc_head_counts(js: Js, world: World) -> None:
    answer = await js("return await client.rpc('published_posts', {}, {head: true, count: 'exact'})")
    assert answer["count"] >= 2


async def test_rpc_void_is_204(js: Js) -> None:
    answer = await js("return await client.rpc('nothing')")
    assert (answer["status"], answer["data"]) == (204, None)


async def test_rpc_takes_a_raw_body_for_one_unnamed_argument(js: Js) -> None:
    assert (await js("return await client.rpc('echo', {any: ['thing']})"))["data"] == {"any": ["thing"]}


async def test_rpc_that_writes_obeys_the_rules(js: Js, world: World) -> None:
    code = AS + "return await me.rpc('rename_post', {post: args.id, title: 'Renamed'}).select('title').maybeSingle()"
    assert (await js(code, token=world.owner.token, id=world.first))["data"] == {"title": "Renamed"}
    await js(
        AS + "return await me.rpc('rename_post', {post: args.id, title: 'Stolen'})",
        token=world.other.token,
        id=world.first,
    )
    answer = await js("return await client.from('posts').select('title').eq('id', args.id)", id=world.first)
    assert answer["data"] == [{"title": "Renamed"}]


async def test_rpc_that_writes_by_get_is_405(js: Js, world: World) -> None:
    code = AS + "return await me.rpc('rename_post', {post: args.id, title: 'x'}, {get: true})"
    answer = await js(code, token=world.owner.token, id=world.first)
    assert (answer["status"], answer["error"]["code"]) == (405, "25006")


async def test_rpc_unknown_is_404(js: Js) -> None:
    answer = await js("return await client.rpc('add', {a: 1, c: 2})")
    assert (answer["status"], answer["error"]["code"]) == (404, "PGRST202")
    assert answer["error"]["message"] == "Could not find the function public.add(a, c) in the schema cache"


async def test_a_function_may_raise_any_status(js: Js) -> None:
    answer = await js("return await client.rpc('payment_required')")
    assert (answer["status"], answer["error"]["code"]) == (402, "PT402")
    assert (answer["error"]["message"], answer["error"]["details"], answer["error"]["hint"]) == (
        "Payment required",
        "no funds",
        "add some",
    )
