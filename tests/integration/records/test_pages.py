"""Pages by cursor: they follow each other without a gap or a row twice, whatever the order, and an index serves each."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mbaas.core.query.cursor import Cursor, format_cursor, parse_cursor
from tests.integration.records.conftest import Api
from tests.integration.records.test_plans import explained, many
from tests.sample import ANA

__all__ = ["many"]

MORE = f"""
insert into public.posts (author, title, views, rating, published, created_at)
    select '{ANA}', chr(97 + i % 5), i % 4, case when i % 3 > 0 then i % 2 end, true,
        '2026-01-01'::timestamptz + i % 7 * interval '1 second'
    from generate_series(1, 30) i;
"""


async def walk(api: Api, path: str, by: str = "ana", **more: str) -> list[Any]:
    """All pages, by the links of the answers."""
    found: list[Any] = []
    for _ in range(60):
        response = await api("GET", path, by, **more)
        assert response.status_code in (200, 206), response.text
        found.extend(response.json())
        link = response.headers.get("link")
        if link is None:
            return found
        followed = re.fullmatch(r'<(\?[^>]*)>; rel="next"', link)
        assert followed is not None, link
        path = path.partition("?")[0] + followed[1]
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("order", [
    "", "created_at", "created_at.desc", "views.desc,title", "views,title.desc,id.desc", "rating", "rating.desc",
    "rating.nullsfirst", "rating.desc.nullslast,views", "views,rating", "views,rating.desc", "title,rating.nullsfirst",
    "meta->k", "meta->>k.desc", "profiles(username).desc,title", "profiles(phone)", "editor.desc", "tags", "period",
])  # fmt: skip
async def test_pages_are_the_list_cut_into_pieces(reading: Api, order: str) -> None:
    select = "select=id,title,profiles!posts_author_fkey(username)"
    ordered = f"order={order}," if order else "order="
    last = "id.desc" if ".desc" in order.rpartition(",")[2] else "id"  # what is added goes the way of the last term
    whole = await reading.get(f"/posts?{select}&{ordered}{last}", "ana")
    paged = f"/posts?{select}&limit=1&cursor=*" + (f"&order={order}" if order else "")
    assert len(whole) > 2
    assert await walk(reading, paged, "ana") == whole


@pytest.mark.parametrize("order", [
    "rating", "rating.desc", "rating.nullsfirst,views.desc", "rating.desc.nullslast", "views,rating.desc", "title.desc,created_at",
    "created_at,views.desc,rating.nullsfirst",
])  # fmt: skip
async def test_equal_values_and_nulls_are_passed_once(api: Api, order: str) -> None:
    await api.database.execute(MORE)
    found = await walk(api, f"/posts?select=id&order={order}&limit=4&cursor=")
    ids = [row["id"] for row in found]
    assert len(ids) == len(set(ids))
    direction = ".desc" if ".desc" in order.rpartition(",")[2] else ""
    assert found == await api.get(f"/posts?select=id&order={order},id{direction}", "ana")


async def test_a_row_that_comes_between_shifts_no_page(api: Api) -> None:
    await api.database.execute(MORE)
    first = await api("GET", "/posts?select=id&order=created_at&limit=5&cursor=*", "ana")
    await api.database.execute(
        f"insert into public.posts (author, title, created_at) values ('{ANA}', 'x', '2000-01-01')"
    )
    rest = await walk(api, "/posts" + first.headers["link"][1:].partition(">")[0], "ana")
    before = {row["id"] for row in first.json()}
    assert not before & {row["id"] for row in rest}
    assert len(rest) + 5 + 1 == len(await api.get("/posts?select=id", "ana"))


async def test_a_head_and_a_count_are_as_without(reading: Api) -> None:
    by_number = await reading("GET", "/posts?limit=2", "ana", prefer="count=exact")
    by_place = await reading("GET", "/posts?limit=2&cursor=*&order=id", "ana", prefer="count=exact")
    assert by_place.headers["content-range"] == by_number.headers["content-range"]
    assert by_place.status_code == by_number.status_code == 206
    head = await reading("HEAD", "/posts?limit=2&cursor=*&order=id", "ana", prefer="count=exact")
    assert head.headers["link"] == by_place.headers["link"]


async def given(api: Api, path: str, by: str = "ana") -> str:
    response = await api("GET", path, by)
    return str(response.headers["link"]).partition("cursor=")[2].partition(">")[0]


@pytest.mark.parametrize("other", [
    "/posts?order=title", "/posts?order=views.desc", "/posts?order=views.nullsfirst", "/posts", "/comments?order=id",
])  # fmt: skip
async def test_the_cursor_of_another_query_is_refused(reading: Api, other: str) -> None:
    cursor = await given(reading, "/posts?order=views&limit=1&cursor=*")
    path, _, query = other.partition("?")
    response = await reading("GET", f"{path}?{query}&cursor={cursor}", "ana")
    assert (response.status_code, response.json()["message"]) == (400, "The cursor does not belong to this query")
    assert "cursor=*" in response.json()["hint"]


@pytest.mark.parametrize(
    "cursor", ["x", "é", "AAAA", "WyJhIl0", "WyJhIixbXV0", "e30", "bnVsbA", "%00", "=", "WyJhIixbMV1d"]
)
async def test_what_is_no_cursor_is_refused(reading: Api, cursor: str) -> None:
    assert (await reading("GET", f"/posts?cursor={cursor}", "ana")).status_code == 400


@pytest.mark.parametrize("value", ["x", "1; drop table posts", "", "9" * 40, "\0", "\0" + "0"])
async def test_a_forged_value_is_a_value(reading: Api, value: str) -> None:
    made = parse_cursor(await given(reading, "/posts?order=views&limit=1&cursor=*"))
    assert made is not None
    forged = format_cursor(Cursor(made.digest, (value, *made.values[1:])))
    for _ in range(2):
        response = await reading("GET", f"/posts?order=views&cursor={forged}", "ana")
        assert response.status_code == 400, response.text


@pytest.mark.parametrize(("query", "said"), [
    ("cursor=*&offset=3", "cursor and offset"), ("cursor=*&select=views.sum()", "groups"), ("cursor=*&cursor=*", "twice"),
])  # fmt: skip
async def test_what_excludes_a_cursor_is_said(reading: Api, query: str, said: str) -> None:
    response = await reading("GET", f"/posts?{query}", "ana")
    assert response.status_code == 400
    assert said in response.json()["message"]
    assert response.json()["hint"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    "word", ["cursor=*", "search=x", "having=count.gt.1", "near=a.[1]", "within=a.(1,2,3m)", "distance=lt.1"]
)
async def test_a_write_takes_none_of_the_words(reading: Api, method: str, word: str) -> None:
    """Passed over, they would leave every row to be written."""
    response = await reading(method, f"/posts?{word}", "ana", body={"title": "x"} if method == "PATCH" else None)
    assert response.status_code == 400, response.text
    assert word.partition("=")[0] in response.json()["message"]


async def test_an_order_by_what_is_hidden_is_refused(reading: Api) -> None:
    assert (await reading("GET", "/profiles?cursor=*&order=secret", "ana")).status_code == 400
    masked = parse_cursor(await given(reading, "/profiles?cursor=*&order=phone.nullsfirst&limit=1", "ben"))
    assert masked is not None
    assert masked.values[0] is None


@pytest.mark.parametrize("nulls", [False, True])
async def test_an_index_begins_behind_the_row(many: Api, nulls: bool) -> None:
    """The depth of a page costs nothing: what stands before it is not read."""
    await many.database.execute("create index posts_pages on public.posts (created_at desc, id desc)")
    await many.database.execute("create index posts_rated on public.posts (rating, id); analyze public.posts")
    order, index = ("rating", "posts_rated") if nulls else ("created_at.desc", "posts_pages")
    cursor = await given(many, f"/posts?order={order}&limit=1&cursor=*")
    plan = await explained(many, "GET", f"/posts?order={order}&limit=30&cursor={cursor}")
    scans = [node for node in plan if node.get("Index Name") == index]
    assert scans, plan
    assert all("Index Cond" in node for node in scans)
    assert "ROW(" in scans[0]["Index Cond"]
