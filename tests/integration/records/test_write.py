"""POST, PATCH and DELETE of collections, through the app, on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.records.conftest import Api
from tests.sample import ANA, BEN, CAT, P1, P2, P3, P4

OBJECT = "application/vnd.pgrst.object+json"


async def rows(api: Api, collection: str, filters: str = "") -> list[dict[str, Any]]:
    """What is really there."""
    found: list[dict[str, Any]] = await api.get(f"/{collection}?{filters}", "service")
    return found


# --- insert ----------------------------------------------------------------------------------------------------------


async def test_an_insert_gives_back_nothing_unless_asked(api: Api) -> None:
    response = await api("POST", "/posts", "ana", body={"title": "new"})
    assert (response.status_code, response.content, response.headers["content-range"]) == (201, b"", "*/*")
    assert len(await rows(api, "posts", "title=eq.new")) == 1


async def test_a_representation_has_defaults_generated_columns_and_embeds(api: Api) -> None:
    response = await api(
        "POST",
        "/posts?select=title,views,loud,tags,author(username),comments(id)",
        "ana",
        body={"title": "new"},
        prefer="return=representation",
    )
    assert response.status_code == 201
    assert response.headers["preference-applied"] == "return=representation"
    assert response.json() == [
        {"title": "new", "views": 0, "loud": "NEW", "tags": [], "author": {"username": "ana"}, "comments": []}
    ]


async def test_headers_only_says_where_it_is(api: Api) -> None:
    response = await api("POST", "/tags", "service", body={"id": 9, "name": "x"}, prefer="return=headers-only")
    assert (response.status_code, response.content, response.headers["location"]) == (201, b"", "/tags?id=eq.9")
    body = {"post": P3, "tag": 2}
    response = await api("POST", "/posts_tags", "service", body=body, prefer="return=headers-only")
    assert response.headers["location"] == f"/posts_tags?post=eq.{P3}&tag=eq.2"


async def test_a_single_object_can_come_back_as_one(api: Api) -> None:
    response = await api(
        "POST", "/posts?select=title", "ana", body={"title": "new"}, prefer="return=representation", accept=OBJECT
    )
    assert response.json() == {"title": "new"}


async def test_a_bulk_insert_takes_equal_keys_and_counts(api: Api) -> None:
    body = [{"title": "a", "views": 1}, {"title": "b", "views": 2}]
    response = await api("POST", "/posts", "ana", body=body, prefer="count=exact")
    assert (response.status_code, response.headers["content-range"]) == (201, "*/2")
    response = await api("POST", "/posts", "ana", body=[{"title": "a"}, {"views": 2}])
    assert (response.status_code, response.json()["code"]) == (400, "PGRST102")
    assert response.json()["message"] == "All object keys must match"


async def test_columns_names_the_only_ones_taken_and_absent_keys_are_null(api: Api) -> None:
    path = '/posts?columns="title","body"&select=title,body,views'
    body = [{"title": "a", "views": 7}, {"title": "b", "body": "x"}]
    assert await api.post(path, "ana", body) == [
        {"title": "a", "body": None, "views": 0},
        {"title": "b", "body": "x", "views": 0},
    ]
    response = await api("POST", "/posts?columns=title,nope", "ana", body=[{"title": "a"}])
    assert (response.status_code, response.json()["code"]) == (400, "PGRST204")
    assert response.json()["message"] == "Could not find the 'nope' column of 'posts' in the schema cache"


async def test_missing_default_lets_absent_keys_take_their_default(api: Api) -> None:
    path = "/posts?columns=title,views,author&select=title,views,author"
    body = [{"title": "a", "views": 7}, {"title": "b"}, {"title": "c", "views": 1, "author": ANA}]
    found = await api.post(path, "ana", body, prefer="return=representation,missing=default")
    assert found == [
        {"title": "a", "views": 7, "author": ANA},
        {"title": "b", "views": 0, "author": ANA},
        {"title": "c", "views": 1, "author": ANA},
    ]
    body = [{"name": "x", "id": 5}, {"id": 6, "name": "y"}]
    found = await api.post("/tags?columns=id,name", "service", body, prefer="return=representation,missing=default")
    assert [row["id"] for row in found] == [5, 6]
    path = "/comments?columns=id,post,body&select=body"
    body = [{"post": P1, "body": "x"}, {"id": 99, "post": P1, "body": "y"}]
    found = await api.post(path, "ana", body, prefer="return=representation,missing=default")
    assert [row["body"] for row in found] == ["x", "y"]


async def test_an_empty_array_inserts_nothing_and_an_empty_object_defaults(api: Api) -> None:
    response = await api("POST", "/posts", "ana", body=[], prefer="return=representation")
    assert (response.status_code, response.json()) == (201, [])
    assert await api.post("/diary?select=text", "service", {}) == [{"text": None}]
    assert await api.post("/diary?select=text", "service", [{}, {}]) == [{"text": None}, {"text": None}]
    response = await api("POST", "/posts", "ana", body={})
    assert (response.status_code, response.json()["code"]) == (400, "23502")


async def test_values_are_read_by_the_type_of_their_column(api: Api) -> None:
    body = {
        "title": "typed",
        "views": "12",
        "rating": 2.5,
        "tags": ["a", "b,c"],
        "meta": {"deep": [1, {"x": None}]},
        "period": "[2024-05-01,2024-06-01)",
        "published": True,
    }
    select = "views,rating,tags,meta,period,published"
    (found,) = await api.post(f"/posts?select={select}", "ana", body)
    assert found == {key: body[key] for key in select.split(",")} | {"views": 12}
    for field, value, code in (("views", "x", "22P02"), ("views", 2**40, "22003"), ("rating", 1000, "22003")):
        response = await api("POST", "/posts", "ana", body={"title": "t", field: value})
        assert (response.status_code, response.json()["code"]) == (400, code), field


async def test_csv_and_forms_insert_too(api: Api) -> None:
    text = "title,views,body\ncsv1,3,NULL\ncsv2,4,x\n"
    response = await api("POST", "/posts", "ana", body=text, content_type="text/csv")
    assert response.status_code == 201, response.text
    found = await rows(api, "posts", "select=title,views,body&title=like.csv*&order=title")
    assert found == [{"title": "csv1", "views": 3, "body": None}, {"title": "csv2", "views": 4, "body": "x"}]
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert (await api("POST", "/posts", "ana", body="title=form&views=5", **form)).status_code == 201
    assert (await rows(api, "posts", "select=views&title=eq.form")) == [{"views": 5}]


@pytest.mark.parametrize("body", ["", "{", "[1]", '{"title": "x", "title": "y"}', '{"title": "\\u0000"}'])
async def test_a_body_that_is_none_is_refused(api: Api, body: str) -> None:
    response = await api("POST", "/posts", "ana", body=body)
    assert (response.status_code, response.json()["code"]) == (400, "PGRST102")


async def test_a_row_that_breaks_the_rule_stops_all_of_them(api: Api) -> None:
    before = await rows(api, "posts")
    for body in (
        {"title": "x", "author": BEN},
        [{"title": "fine", "author": ANA}, {"title": "x", "author": BEN}],
        {"title": "forbidden"},  # by a generated column
    ):
        response = await api("POST", "/posts", "ana", body=body)
        assert (response.status_code, response.json()["code"]) == (403, "42501")
        assert response.json()["message"] == 'new row violates row-level security policy for table "posts"'
    response = await api("POST", "/posts", "anon", body={"title": "x"})
    assert (response.status_code, response.json()["code"]) == (401, "42501")
    assert await rows(api, "posts") == before


async def test_a_rule_sees_other_collections_whole(api: Api) -> None:
    assert (await api("POST", "/comments", "cat", body={"post": P1, "body": "x"})).status_code == 201
    assert (await api("POST", "/comments", "cat", body={"post": P4, "body": "x"})).status_code == 403


async def test_a_rule_is_asked_before_any_constraint(api: Api) -> None:
    """Else a refusal would tell which slugs are taken."""
    for slug in ("delta", "free"):
        response = await api("POST", "/posts", "ana", body={"title": "x", "author": BEN, "slug": slug})
        assert response.json()["code"] == "42501"


async def test_constraints_speak_as_postgresql_does(api: Api) -> None:
    response = await api("POST", "/posts", "ana", body={"title": "x", "slug": "alpha"})
    assert response.status_code == 409
    assert response.json() == {
        "code": "23505",
        "message": 'duplicate key value violates unique constraint "posts_slug_key"',
        "details": "Key (slug)=(alpha) already exists.",
        "hint": None,
    }
    response = await api("POST", "/posts", "ana", body={"slug": "x"})
    assert (response.status_code, response.json()["code"]) == (400, "23502")
    response = await api("POST", "/posts", "ana", body={"title": "x", "views": -1})
    assert (response.status_code, response.json()["code"]) == (400, "23514")
    response = await api("POST", "/posts", "ana", body={"title": "x", "editor": P1})
    assert (response.status_code, response.json()["code"]) == (409, "23503")


async def test_what_the_server_fills_is_dropped_from_a_body(api: Api) -> None:
    body = {"title": "x", "created_at": "2001-01-01", "loud": "no"}
    (found,) = await api.post("/posts?select=loud,created_at", "ana", body)
    assert found["loud"] == "X"
    assert not found["created_at"].startswith("2001")
    (found,) = await api.post(
        "/posts?select=created_at", "service", {"title": "y", "author": ANA, "created_at": "2001-01-01"}
    )
    assert found["created_at"].startswith("2001")


# --- upsert ----------------------------------------------------------------------------------------------------------

MERGE = "return=representation,resolution=merge-duplicates"
IGNORE = "return=representation,resolution=ignore-duplicates"


async def test_a_merge_updates_what_is_there_and_inserts_the_rest(api: Api) -> None:
    body = [{"slug": "alpha", "title": "Alpha 2"}, {"slug": "new", "title": "New"}]
    response = await api(
        "POST", "/posts?on_conflict=slug&select=slug,title,views&order=slug", "ana", body=body, prefer=MERGE
    )
    assert response.status_code == 201
    assert response.headers["preference-applied"] == "resolution=merge-duplicates, return=representation"
    assert response.json() == [
        {"slug": "alpha", "title": "Alpha 2", "views": 10},
        {"slug": "new", "title": "New", "views": 0},
    ]
    response = await api("POST", "/posts?on_conflict=slug&select=title", "ana", body=body[:1], prefer=MERGE)
    assert (response.status_code, response.json()) == (200, [{"title": "Alpha 2"}])


async def test_two_rows_of_one_merge_with_the_same_key_are_the_callers_fault(api: Api) -> None:
    body = [{"slug": "twice", "title": "one"}, {"slug": "twice", "title": "two"}]
    response = await api("POST", "/posts?on_conflict=slug", "ana", body=body, prefer=MERGE)
    assert (response.status_code, response.json()["code"]) == (400, "21000")
    assert "second time" in response.json()["message"]
    assert (await api("GET", "/posts?slug=eq.twice", "ana")).json() == []


async def test_the_key_is_the_target_when_none_is_named(api: Api) -> None:
    body = {"id": P1, "title": "By key"}
    response = await api("POST", "/posts?select=id,title", "ana", body=body, prefer=MERGE)
    assert (response.status_code, response.json()) == (200, [{"id": P1, "title": "By key"}])
    response = await api("POST", "/posts?select=title", "ana", body={"title": "no key"}, prefer=MERGE)
    assert (response.status_code, response.json()) == (201, [{"title": "no key"}])


async def test_a_merge_of_nothing_but_the_target_gives_the_row_back(api: Api) -> None:
    response = await api("POST", "/posts?select=id,title", "ana", body={"id": P1}, prefer=MERGE)
    assert response.status_code == 400  # title is required of a row that would be inserted
    response = await api("POST", "/tags?select=name", "service", body={"id": 1, "name": "red"}, prefer=MERGE)
    assert (response.status_code, response.json()) == (200, [{"name": "red"}])


async def test_ignored_duplicates_stay_and_are_not_given_back(api: Api) -> None:
    body = [{"slug": "alpha", "title": "other"}, {"slug": "new", "title": "New"}]
    response = await api("POST", "/posts?on_conflict=slug&select=title", "ana", body=body, prefer=IGNORE)
    assert (response.status_code, response.json()) == (201, [{"title": "New"}])
    assert (await rows(api, "posts", "slug=eq.alpha&select=title")) == [{"title": "Alpha"}]


async def test_a_target_must_be_unique_and_known(api: Api) -> None:
    response = await api("POST", "/posts?on_conflict=title", "ana", body={"title": "x"}, prefer=MERGE)
    assert (response.status_code, response.json()["code"]) == (400, "42P10")
    response = await api("POST", "/posts?on_conflict=nope", "ana", body={"title": "x"}, prefer=MERGE)
    assert (response.status_code, response.json()["code"]) == (400, "42703")


# --- update ----------------------------------------------------------------------------------------------------------


async def test_an_update_gives_204_or_the_rows(api: Api) -> None:
    response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body={"views": 11}, prefer="count=exact")
    assert (response.status_code, response.content, response.headers["content-range"]) == (204, b"", "0-0/1")
    found = await api.patch(f"/posts?id=eq.{P1}&select=views,loud,author(username)", "ana", {"title": "t"})
    assert found == [{"views": 11, "loud": "T", "author": {"username": "ana"}}]
    assert await api.patch(f"/posts?id=eq.{CAT}", "ana", {"title": "t"}) == []


async def test_an_update_of_nothing_touches_nothing(api: Api) -> None:
    before = await rows(api, "posts", f"id=eq.{P1}")
    for body in ({}, [], [{}]):
        response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body=body)
        assert (response.status_code, response.headers["content-range"]) == (204, "*/*")
        response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body=body, prefer="return=representation")
        assert (response.status_code, response.json(), response.headers["content-range"]) == (200, [], "*/*")
    assert await rows(api, "posts", f"id=eq.{P1}") == before


async def test_a_body_of_dropped_fields_still_gives_the_rows_back(api: Api) -> None:
    (found,) = await api.patch(f"/posts?id=eq.{P1}&select=title,created_at", "ana", {"created_at": "2001-01-01"})
    assert found["title"] == "Alpha"
    assert not found["created_at"].startswith("2001")


async def test_an_update_hits_only_what_the_rules_and_filters_leave(api: Api) -> None:
    assert [row["title"] for row in await api.patch("/posts?select=title", "ana", {"body": "x"})] == ["Alpha", "Beta"]
    assert await api.patch(f"/posts?id=eq.{P3}", "ana", {"body": "x"}) == []
    found = await rows(api, "posts", "select=body&order=title")
    assert [row["body"] for row in found] == ["x", "x", "secret plans", None]


async def test_the_new_row_must_meet_the_rule_too(api: Api) -> None:
    for body in ({"author": BEN}, {"title": "forbidden"}):
        response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body=body)
        assert (response.status_code, response.json()["code"]) == (403, "42501")
    assert (await rows(api, "posts", f"id=eq.{P1}&select=title,author")) == [{"title": "Alpha", "author": ANA}]


async def test_columns_narrows_what_an_update_takes(api: Api) -> None:
    found = await api.patch(f"/posts?id=eq.{P1}&columns=body&select=title,body", "ana", {"title": "x", "body": "y"})
    assert found == [{"title": "Alpha", "body": "y"}]
    response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body={"nope": 1})
    assert (response.status_code, response.json()["code"]) == (400, "PGRST204")


async def test_a_key_the_server_handed_out_stays(api: Api) -> None:
    same = await api.patch(f"/posts?id=eq.{P1}&select=id,title", "ana", {"id": P1, "title": "x"})
    assert same == [{"id": P1, "title": "x"}]
    response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body={"id": CAT, "title": "y"})
    assert (response.status_code, response.json()["code"]) == (400, "428C9")
    assert (await rows(api, "posts", f"id=eq.{P1}&select=title")) == [{"title": "x"}]


async def test_an_update_may_filter_by_what_can_fail(api: Api) -> None:
    found = await api.patch("/posts?title=match.^A&select=title", "ana", {"views": 1})
    assert found == [{"title": "Alpha"}]
    response = await api("PATCH", "/posts?title=match.(", "ana", body={"views": 1})
    assert (response.status_code, response.json()["code"]) == (400, "2201B")


# --- delete ----------------------------------------------------------------------------------------------------------


async def test_a_delete_gives_204_or_the_rows_as_they_were(api: Api) -> None:
    response = await api("DELETE", f"/posts?id=eq.{P1}", "ana", prefer="count=exact")
    assert (response.status_code, response.content, response.headers["content-range"]) == (204, b"", "*/1")
    assert await api.delete(f"/posts?id=eq.{P2}&select=title,author(username)", "ana") == [
        {"title": "Beta", "author": {"username": "ana"}}
    ]
    assert await api.delete(f"/posts?id=eq.{P3}", "ana") == []
    assert [row["title"] for row in await rows(api, "posts", "order=title")] == ["Delta", "Gamma"]


# --- guards ----------------------------------------------------------------------------------------------------------


async def test_one_object_or_nothing_is_written(api: Api) -> None:
    before = await rows(api, "posts", "order=id")
    for method, body in (("PATCH", {"body": "x"}), ("DELETE", None)):
        response = await api(method, "/posts", "ana", body=body, prefer="return=representation", accept=OBJECT)
        assert (response.status_code, response.json()["code"]) == (406, "PGRST116")
        assert response.json()["details"] == "The result contains 2 rows"
        response = await api(method, f"/posts?id=eq.{CAT}", "ana", body=body, accept=OBJECT)
        assert response.json()["details"] == "The result contains 0 rows"
    response = await api("POST", "/posts", "ana", body=[{"title": "a"}, {"title": "b"}], accept=OBJECT)
    assert response.json()["code"] == "PGRST116"
    assert await rows(api, "posts", "order=id") == before


async def test_no_more_rows_are_hit_than_the_caller_allows(api: Api) -> None:
    before = await rows(api, "posts", "order=id")
    strict = "handling=strict,max-affected=1,return=representation"
    for method, body in (("PATCH", {"body": "x"}), ("DELETE", None)):
        response = await api(method, "/posts", "ana", body=body, prefer=strict)
        assert (response.status_code, response.json()["code"]) == (400, "PGRST124")
        assert response.json()["details"] == "The query affects 2 rows"
    assert await rows(api, "posts", "order=id") == before
    response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body={"body": "x"}, prefer=strict)
    assert response.status_code == 200


async def test_a_limit_on_a_write_is_refused_rather_than_ignored(api: Api) -> None:
    for method, body in (("PATCH", {"body": "x"}), ("DELETE", None)):
        response = await api(method, "/posts?limit=1", "ana", body=body)
        assert (response.status_code, response.json()["code"]) == (400, "PGRST127")


async def test_what_comes_back_can_be_csv(api: Api) -> None:
    response = await api(
        "PATCH",
        f"/posts?id=eq.{P1}&select=title,views",
        "ana",
        body={"views": 3},
        prefer="return=representation",
        accept="text/csv",
    )
    assert response.text == "title,views\nAlpha,3"


# --- put -------------------------------------------------------------------------------------------------------------


async def test_a_put_makes_or_overwrites_the_record_at_its_key(api: Api) -> None:
    new = {"id": CAT, "title": "Put"}
    response = await api("PUT", f"/posts?id=eq.{CAT}&select=title", "ana", body=new, prefer="return=representation")
    assert (response.status_code, response.json()) == (201, [{"title": "Put"}])
    response = await api("PUT", f"/posts?id=eq.{CAT}", "ana", body={**new, "title": "Again"})
    assert (response.status_code, response.content) == (204, b"")
    assert (await rows(api, "posts", f"id=eq.{CAT}&select=title")) == [{"title": "Again"}]
    response = await api("PUT", f"/posts?id=eq.{P3}", "ana", body={"id": P3, "title": "stolen"})
    assert (response.status_code, response.json()["code"]) == (403, "42501")


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("", {"id": P1, "title": "x"}, 405, "PGRST105"),
        (f"id=eq.{P1}&title=eq.x", {"id": P1, "title": "x"}, 405, "PGRST105"),
        (f"id=not.eq.{P1}", {"id": P1, "title": "x"}, 405, "PGRST105"),
        (f"or=(id.eq.{P1},id.eq.{P2})", {"id": P1, "title": "x"}, 405, "PGRST105"),
        (f"id=eq.{P1}&limit=1", {"id": P1, "title": "x"}, 400, "PGRST114"),
        (f"id=eq.{P1}", {"id": P2, "title": "x"}, 400, "PGRST115"),
        (f"id=eq.{P1}", {"title": "x"}, 400, "PGRST115"),
        (f"id=eq.{P1}", [{"id": P1, "title": "x"}, {"id": P1, "title": "y"}], 400, "PGRST115"),
    ],
)
async def test_a_put_says_twice_where_it_goes(api: Api, query: str, body: Any, status: int, code: str) -> None:
    response = await api("PUT", f"/posts?{query}", "ana", body=body)
    assert (response.status_code, response.json()["code"]) == (status, code)
