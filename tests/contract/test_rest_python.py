"""The REST dialect as supabase-py meets it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from postgrest.exceptions import APIError
from supabase import Client, ClientOptions, create_client

from tests.contract.conftest import Server, World

# Deprecations inside the client's own packages, which it pins itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def client_for(server: Server, token: str | None = None, key: str | None = None) -> Client:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return create_client(server.url, key or server.anon_key, ClientOptions(headers=headers, auto_refresh_token=False))


def closed(client: Client) -> None:
    client.postgrest.session.close()
    client.auth.close()


@pytest.fixture
def anon(server: Server) -> Iterator[Client]:
    client = client_for(server)
    yield client
    closed(client)


@pytest.fixture
def me(server: Server, world: World) -> Iterator[Client]:
    client = client_for(server, world.owner.token)
    yield client
    closed(client)


def titles(answer: Any) -> list[str]:
    return [row["title"] for row in answer.data]


FILTERS: list[tuple[Any, list[str]]] = [
    (lambda q: q.eq("title", "First"), ["First"]),
    (lambda q: q.neq("title", "First"), ["Draft", "Second"]),
    (lambda q: q.gt("views", 7), ["Second"]),
    (lambda q: q.gte("views", 7).lte("views", 7), ["Draft"]),
    (lambda q: q.lt("views", 7), ["First"]),
    (lambda q: q.match({"title": "First", "views": 5}), ["First"]),
    (lambda q: q.like("title", "F%"), ["First"]),
    (lambda q: q.ilike("title", "f%"), ["First"]),
    (lambda q: q.like_all_of("title", "F%,%t"), ["First"]),
    (lambda q: q.like_any_of("title", "F%,D%"), ["Draft", "First"]),
    (lambda q: q.is_("body", "null"), ["Second"]),
    (lambda q: q.is_("published", True), ["First", "Second"]),
    (lambda q: q.not_.is_("body", "null"), ["Draft", "First"]),
    (lambda q: q.in_("title", ["First", "Draft", "a,b"]), ["Draft", "First"]),
    (lambda q: q.not_.in_("title", ["First"]), ["Draft", "Second"]),
    (lambda q: q.contains("tags", ["b c"]), ["First"]),
    (lambda q: q.contains("meta", {"k": 1}), ["First"]),
    (lambda q: q.contained_by("tags", ["b", "x"]), ["Draft", "Second"]),
    (lambda q: q.ov("tags", ["b"]), ["Second"]),
    (lambda q: q.range_lt("span", (10, 20)), ["First"]),
    (lambda q: q.range_gt("span", (1, 5)), ["Second"]),
    (lambda q: q.fts("body", "fat"), ["First"]),
    (lambda q: q.wfts("body", "fat cats"), ["First"]),
    (lambda q: q.or_("views.gt.9,and(title.eq.Draft,views.eq.7)"), ["Draft", "Second"]),
    (lambda q: q.eq("meta->>k", "1"), ["First"]),
]


@pytest.mark.parametrize(("narrow", "expected"), FILTERS, ids=[str(number) for number in range(len(FILTERS))])
def test_a_filter_selects(me: Client, world: World, narrow: Any, expected: list[str]) -> None:
    query = me.table("posts").select("title").like("slug", f"{world.mark}%")
    assert titles(narrow(query).order("title").execute()) == expected


def test_select_order_range_and_count(me: Client, world: World) -> None:
    query = me.table("posts").select("title", count="exact").like("slug", f"{world.mark}%")
    answer = query.order("views", desc=True).range(0, 1).execute()
    assert (titles(answer), answer.count) == (["Second", "Draft"], 3)


def test_head_gives_the_count_alone(anon: Client, world: World) -> None:
    answer = anon.table("posts").select("*", count="exact", head=True).like("slug", f"{world.mark}%").execute()
    assert (answer.data, answer.count) == ([], 2)


def test_embeds_with_hints_inner_and_filters(anon: Client, world: World) -> None:
    select = "title,who:profiles!posts_author_fkey(id),comments!inner(body),labels(colour),post_stats(likes)"
    row = anon.table("posts").select(select).eq("id", world.first).eq("comments.body", "two").single().execute().data
    assert row["who"] == {"id": world.owner.id}
    assert row["comments"] == [{"body": "two"}]
    assert sorted(label["colour"] for label in row["labels"]) == ["blue", "red"]
    assert row["post_stats"] == {"likes": 3}


def test_single_and_maybe_single(anon: Client, world: World) -> None:
    with pytest.raises(APIError) as caught:
        anon.table("posts").select("*").like("slug", f"{world.mark}%").single().execute()
    assert caught.value.code == "PGRST116"
    assert anon.table("posts").select("*").eq("slug", "none").maybe_single().execute() is None
    found = anon.table("posts").select("title").eq("slug", f"{world.mark}-1").maybe_single().execute()
    assert found is not None
    assert found.data == {"title": "First"}


def test_csv(anon: Client, world: World) -> None:
    answer = anon.table("posts").select("title,views").eq("id", world.first).csv().execute()
    assert answer.data == "title,views\nFirst,5"


def test_insert_one_and_many(me: Client, world: World) -> None:
    one = me.table("posts").insert({"title": "One"}).execute()
    assert (one.data[0]["title"], one.data[0]["author"]) == ("One", world.owner.id)
    many = me.table("posts").insert([{"title": "A", "views": 1}, {"title": "B"}], count="exact").execute()
    assert (titles(many), many.count) == (["A", "B"], 2)


def test_insert_takes_defaults_when_asked(me: Client) -> None:
    rows = [{"title": "A", "tags": ["t"]}, {"title": "B"}]
    answer = me.table("posts").insert(rows, default_to_null=False).execute()
    assert [row["tags"] for row in answer.data] == [["t"], []]


def test_upsert_merges_and_ignores(me: Client, world: World) -> None:
    merged = me.table("posts").upsert({"id": world.first, "title": "Merged"}).execute()
    assert (merged.data[0]["title"], merged.data[0]["views"]) == ("Merged", 5)
    rows = [{"slug": f"{world.mark}-1", "title": "X"}, {"slug": f"{world.mark}-9", "title": "Y"}]
    ignored = me.table("posts").upsert(rows, on_conflict="slug", ignore_duplicates=True).execute()
    assert titles(ignored) == ["Y"]


def test_update_and_delete(me: Client, world: World) -> None:
    changed = me.table("posts").update({"views": 8}).eq("id", world.first).execute()
    assert changed.data[0]["views"] == 8
    gone = me.table("posts").delete(count="exact").eq("id", world.first).execute()
    assert (gone.count, titles(gone)) == (1, ["First"])
    assert me.table("posts").update({"views": 8}).eq("id", world.first).execute().data == []


def test_rules_refuse_with_42501(anon: Client, me: Client, world: World) -> None:
    for client in (anon, me):
        with pytest.raises(APIError) as caught:
            client.table("posts").insert({"title": "X", "author": world.other.id}).execute()
        assert caught.value.code == "42501"
    assert titles(anon.table("posts").select("title").like("slug", f"{world.mark}%").order("title").execute()) == [
        "First",
        "Second",
    ]


def test_errors_keep_code_details_and_hint(me: Client, world: World) -> None:
    with pytest.raises(APIError) as caught:
        me.table("posts").insert({"title": "X", "slug": f"{world.mark}-1"}).execute()
    assert (caught.value.code, caught.value.details) == ("23505", f"Key (slug)=({world.mark}-1) already exists.")
    with pytest.raises(APIError) as caught:
        me.table("nope").select("*").execute()
    assert caught.value.code == "PGRST205"
    with pytest.raises(APIError) as caught:
        me.table("posts").select("nope").execute()
    assert caught.value.code == "42703"
    with pytest.raises(APIError) as caught:
        me.table("posts").select("*").eq("views", "many").execute()
    assert caught.value.code == "22P02"


def test_rpc_scalar_set_void_and_get(anon: Client, me: Client, world: World) -> None:
    assert anon.rpc("add", {"a": 1, "b": 2}).execute().data == 3
    assert anon.rpc("sum_list", {"nums": [1, 2, 3]}, get=True).execute().data == 6
    found = anon.rpc("published_posts").select("title").like("slug", f"{world.mark}%").order("title").execute()
    assert titles(found) == ["First", "Second"]
    assert titles(me.rpc("my_posts", {"at_least": 6}).execute()) in (["Draft", "Second"], ["Second", "Draft"])
    anon.rpc("nothing").execute()
    with pytest.raises(APIError) as caught:
        anon.rpc("add", {"a": 1, "nope": 2}).execute()
    assert caught.value.code == "PGRST202"


def test_a_collection_without_rules_is_closed_but_to_the_service_key(server: Server, me: Client) -> None:
    assert me.table("drafts").select("*").execute().data == []
    with pytest.raises(APIError) as caught:
        me.table("drafts").insert({"text": "x"}).execute()
    assert caught.value.code == "42501"
    service = client_for(server, key=server.service_key)
    text = uuid.uuid4().hex
    assert service.table("drafts").insert({"text": text}).execute().data[0]["text"] == text
    closed(service)


def test_another_schema_is_refused(server: Server) -> None:
    client = create_client(server.url, server.anon_key, ClientOptions(schema="auth", auto_refresh_token=False))
    with pytest.raises(APIError) as caught:
        client.table("users").select("*").execute()
    assert caught.value.code == "PGRST106"
    closed(client)
