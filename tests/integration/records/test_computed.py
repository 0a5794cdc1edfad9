"""Functions of the row: fields that are computed, and relations. Each runs as the caller, on what that caller sees."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mbaas.adapters.postgres.introspect import read_functions
from mbaas.core.rules.compile import compile_rules
from tests.integration.records.conftest import Api
from tests.sample import ANA, BEN, COMPUTED, P1


@pytest.mark.parametrize(
    ("path", "by", "expected"),
    [
        # A field like any other, but not among `*`.
        (f"/posts?select=title,shout&id=eq.{P1}", "anon", [{"title": "Alpha", "shout": "ALPHA"}]),
        (f"/posts?select=s:shout,n:hits::text&id=eq.{P1}", "anon", [{"s": "ALPHA", "n": "2"}]),
        ("/posts?select=title&shout=eq.GAMMA", "anon", [{"title": "Gamma"}]),
        ("/posts?select=title&byline=like.*ben", "anon", [{"title": "Gamma"}]),
        ("/posts?select=title&or=(shout.eq.GAMMA,byline.eq.Alpha by ana)&order=title", "anon",
         [{"title": "Alpha"}, {"title": "Gamma"}]),
        ("/posts?select=title&order=shout.desc&limit=1", "anon", [{"title": "Gamma"}]),
        ("/posts?select=title&order=byline.desc", "ana", [{"title": "Gamma"}, {"title": "Beta"}, {"title": "Alpha"}]),
        ("/posts?select=published,score.sum()&order=published", "ana",
         [{"published": False, "sum": 40}, {"published": True, "sum": 80}]),
        ("/comments?select=body,post(shout)&order=id&limit=1", "anon", [{"body": "nice", "post": {"shout": "ALPHA"}}]),
        ("/comments?select=...post(shout)&order=id&limit=1", "anon", [{"shout": "ALPHA"}]),
        (f"/posts?select=comments(body)&id=eq.{P1}&byline=not.is.null", "anon", [{"comments": [{"body": "nice"}]}]),
        # As the caller: what it counts, whom it greets.
        ("/posts?select=title,hits&order=title", "anon", [{"title": "Alpha", "hits": 2}, {"title": "Gamma", "hits": 1}]),
        ("/posts?select=title,hits&order=title", "ana",
         [{"title": "Alpha", "hits": 3}, {"title": "Beta", "hits": 2}, {"title": "Gamma", "hits": 1}]),
        (f"/posts?select=reader&id=eq.{P1}", "anon", [{"reader": None}]),
        (f"/posts?select=reader&id=eq.{P1}", "ben", [{"reader": BEN}]),
        (f"/posts?select=hits,reader&id=eq.{P1}", "service", [{"hits": 4, "reader": None}]),
        # A masked field stays masked, a hidden one hidden, also where the row goes through a function.
        ("/profiles?select=username,contact&order=username", "ana",
         [{"username": "ana", "contact": "+1"}, {"username": "ben", "contact": None}, {"username": "cat", "contact": None}]),
        ("/profiles?select=username&contact=eq.%2B2", "ana", []),
        ("/profiles?select=username&contact=eq.%2B2", "ben", [{"username": "ben"}]),
        ("/profiles?select=username&sealed=not.is.null", "ana", []),
        ("/profiles?select=username,sealed&username=eq.ben", "service", [{"username": "ben", "sealed": "sb"}]),
        # Relations.
        (f"/posts?select=title,replies(body)&id=eq.{P1}", "anon", [{"title": "Alpha", "replies": [{"body": "nice"}]}]),
        (f"/posts?select=replies(body,author(username))&id=eq.{P1}&replies.order=body.desc", "cat",
         [{"replies": [{"body": "whisper", "author": {"username": "cat"}}, {"body": "nice", "author": {"username": "ben"}}]}]),
        (f"/posts?select=n:replies(count)&id=eq.{P1}", "anon", [{"n": [{"count": 1}]}]),
        ("/posts?select=title,replies!inner(body)&replies.body=eq.hm", "anon", [{"title": "Gamma", "replies": [{"body": "hm"}]}]),
        ("/posts?select=title,replies()&replies=is.null", "ana", []),
        ("/comments?select=body,topic(title,shout)&order=id&limit=1", "anon", [{"body": "nice", "topic": {"title": "Alpha", "shout": "ALPHA"}}]),
        ("/comments?select=body,...topic(title)&order=topic(title).desc.nullslast&limit=1", "anon", [{"body": "hm", "title": "Gamma"}]),
        ("/comments?select=body,topic(title)&body=eq.note%20to%20self", "ben", [{"body": "note to self", "topic": None}]),
        ("/comments?select=topic(replies(topic(title)))&body=eq.nice", "anon", [{"topic": {"replies": [{"topic": {"title": "Alpha"}}]}}]),
        # The rows of a function have them too.
        ("/rpc/visible_posts?select=title,shout,hits&order=hits", "anon",
         [{"title": "Gamma", "shout": "GAMMA", "hits": 1}, {"title": "Alpha", "shout": "ALPHA", "hits": 2}]),
        ("/rpc/visible_posts?select=replies(body)&title=eq.Gamma", "anon", [{"replies": [{"body": "hm"}]}]),
    ],
)  # fmt: skip
async def test_a_function_of_the_row_is_a_field_or_a_relation(reading: Api, path: str, by: str, expected: Any) -> None:
    assert await reading.get(path, by) == expected


async def test_a_star_has_no_computed_fields(reading: Api) -> None:
    (row,) = await reading.get(f"/posts?id=eq.{P1}")
    assert not {one.name for one in COMPUTED} & row.keys()


DEAR = "upper(lower(upper(lower(upper(title))))) <> 'DELTA'"
ELSEWHERE = "exists (select 1 from profiles p where p.id = author and p.username <> 'ben')"


@pytest.mark.parametrize("rule", ["title <> 'Delta'", DEAR, ELSEWHERE])
@pytest.mark.parametrize("field", ["ratio", "share"])
async def test_no_hidden_row_is_given_to_a_function(reading: Api, field: str, rule: str) -> None:
    """Delta, which the rule hides, would make it divide by zero; PostgreSQL likes to ask what is cheap first."""
    reading.rule("posts", "select", rule)
    found = await reading.get(f"/posts?select=title&{field}=lt.0&order=title", "ana")
    assert {row["title"] for row in found} >= {"Alpha", "Beta"}
    assert "Delta" not in {row["title"] for row in found}
    counted = await reading("HEAD", f"/posts?{field}=lt.0", "ana", prefer="count=exact")
    assert counted.headers["content-range"].endswith(f"/{len(found)}")
    for query in (f"select=post({field})&post.{field}=lt.0", f"select=post!inner(title)&post.{field}=lt.0"):
        assert (await reading("GET", f"/comments?{query}", "ana")).status_code == 200, query
    reading.rule("posts", "select", "true")
    response = await reading("GET", f"/posts?select=title&{field}=lt.0", "ana")
    assert (response.status_code, response.json()["code"]) == (400, "22012")


async def test_writes_know_computed_fields(api: Api) -> None:
    made = await api.post("/posts?select=shout,byline,reader", "ana", {"title": "new"})
    assert made == [{"shout": "NEW", "byline": "new by ana", "reader": ANA}]
    changed = await api.patch("/posts?byline=eq.new%20by%20ana&select=shout", "ana", {"title": "newer"})
    assert changed == [{"shout": "NEWER"}]
    assert await api.patch("/posts?byline=eq.Gamma%20by%20ben&select=shout", "ana", {"title": "stolen"}) == []
    assert await api.delete("/posts?shout=eq.NEWER&select=replies(body)", "ana") == [{"replies": []}]
    response = await api("DELETE", "/posts?ratio=lt.-1000", "ana")
    assert response.status_code == 204  # Delta divides nobody's delete by zero


async def test_the_role_ends_with_the_function(api: Api) -> None:
    """Masks and rules after it, and the next request on the connection, are the server's own again."""
    for _ in range(3):
        rows = await api.get("/profiles?select=contact,phone,username&order=contact.desc,username&limit=1", "ana")
        assert rows == [{"contact": None, "phone": None, "username": "ben"}]
        made = await api.post("/comments?select=topic(title),post(hits)", "ana", {"post": P1, "body": "x"})
        assert made == [{"topic": {"title": "Alpha"}, "post": {"hits": 3}}]


async def test_a_function_of_the_row_is_for_those_it_was_given_to(reading: Api) -> None:
    for path in ("/posts?select=score", "/posts?score=gt.1", "/posts?order=score", "/comments?select=post(score)"):
        response = await reading("GET", path)
        assert (response.status_code, response.json()["code"]) == (401, "42501"), path
        assert (await reading("GET", path, "ana")).status_code == 200, path


async def test_a_function_that_no_policy_can_hold_is_for_those_it_was_given_to(reading: Api) -> None:
    """What depends on the row alone runs in the server's own role, which may call everything."""
    catalog = reading.rules.catalog
    given = (replace(one, execute=("authenticated",)) if one.name == "shout" else one for one in catalog.functions)
    reading.rules = compile_rules(replace(catalog, functions=tuple(given)))
    for path in ("/posts?select=shout", "/posts?shout=eq.ALPHA", "/posts?order=shout", "/comments?select=post(shout)"):
        response = await reading("GET", path)
        assert response.status_code == 401, response.text
        assert (await reading("GET", path, "ana")).status_code == 200, path


async def test_a_volatile_function_is_no_field(reading: Api) -> None:
    response = await reading("GET", "/posts?select=noisy")
    assert (response.status_code, response.json()["code"]) == (400, "42703")
    assert response.json()["hint"] == "the function noisy(posts) must be stable or immutable to be read as a field"


async def test_what_the_database_says_of_them_is_what_the_catalog_has(reading: Api) -> None:
    found = {function.name: function for function in await read_functions(reading.database, [f.name for f in COMPUTED])}
    for wanted in COMPUTED:
        function = found[wanted.name]
        assert (function.of, function.row) == (wanted.of, wanted.row)
        assert (function.computes, function.relates, function.one_row) == (
            wanted.computes, wanted.relates, wanted.one_row,
        )  # fmt: skip
