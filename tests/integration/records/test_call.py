"""Functions behind ``/rpc``, through the app, on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.records.conftest import Api
from tests.sample import ANA, P1

OBJECT = "application/vnd.pgrst.object+json"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/rpc/add", {"a": 1, "b": 2}, 3),
        ("POST", "/rpc/add", {"a": 1}, 2),
        ("GET", "/rpc/add?a=1&b=2", None, 3),
        ("GET", "/rpc/add?a=1", None, 2),
        ("POST", "/rpc/sum_list", {"nums": [1, 2, 3]}, 6),
        ("GET", "/rpc/sum_list?nums={1,2}", None, 3),
        ("GET", "/rpc/sum_list?nums=1&nums=5", None, 6),
        ("POST", "/rpc/words", {}, ["a", "b", "c"]),
        ("GET", "/rpc/words?offset=1&limit=1", None, ["b"]),
        ("POST", "/rpc/echo", '{"any": [1, 1.50]}', {"any": [1, 1.5]}),
        ("POST", "/rpc/echo", "[1,2]", [1, 2]),
        ("POST", "/rpc/post_titles", {"minimum": 25}, [{"title": "Gamma", "views": 30}]),
        ("GET", "/rpc/post_titles?minimum=5&select=title", None, [{"title": "Alpha"}, {"title": "Gamma"}]),
        ("GET", "/rpc/post_titles?views=gt.5&order=title.desc&limit=1&select=t:title", None, [{"t": "Gamma"}]),
        ("POST", "/rpc/visible_posts?select=title", {}, [{"title": "Alpha"}, {"title": "Gamma"}]),
        ("POST", "/rpc/visible_posts?select=title,author(username)&views=eq.30", {}, [
            {"title": "Gamma", "author": {"username": "ben"}}
        ]),
        ("POST", "/rpc/first_post?select=title,comments(count)", {}, {"title": "Alpha", "comments": [{"count": 1}]}),
    ],
)  # fmt: skip
async def test_a_function_answers(reading: Api, method: str, path: str, body: Any, expected: Any) -> None:
    response = await reading(method, path, body=body)
    assert response.status_code == 200, response.text
    assert response.json() == expected


async def test_a_function_runs_as_the_caller(reading: Api) -> None:
    assert (await reading.get("/rpc/whoami", "ana"))["sub"] == ANA
    assert await reading.get("/rpc/whoami") == {"role": "anon"}
    found = await reading.get("/rpc/visible_posts?select=title", "ana")
    assert [row["title"] for row in found] == ["Alpha", "Beta", "Gamma"]


async def test_a_set_has_a_count_a_range_and_a_head(reading: Api) -> None:
    for path in ("/rpc/visible_posts?limit=1", "/rpc/post_titles?limit=1", "/rpc/words?limit=1"):
        got = await reading("GET", path, prefer="count=exact")
        total = 3 if "words" in path else 2
        assert (got.status_code, got.headers["content-range"]) == (206, f"0-0/{total}")
        head = await reading("HEAD", path, prefer="count=exact")
        assert (head.status_code, head.content, head.headers["content-range"]) == (206, b"", f"0-0/{total}")


async def test_minimal_gives_the_headers_only(reading: Api) -> None:
    response = await reading("POST", "/rpc/visible_posts", body={}, prefer="return=minimal,count=exact")
    assert (response.status_code, response.content, response.headers["content-range"]) == (204, b"", "0-1/2")


async def test_a_function_of_nothing_gives_204_and_a_get_may_not_write(api: Api) -> None:
    response = await api("POST", "/rpc/bump", "ana", body={"post": P1})
    assert (response.status_code, response.content) == (204, b"")
    assert await api.get(f"/posts?id=eq.{P1}&select=views") == [{"views": 11}]
    response = await api("GET", f"/rpc/bump?post={P1}", "ana")
    assert response.status_code != 204, "it has written"
    assert (response.status_code, response.json()["code"]) == (405, "25006")
    assert await api.get(f"/posts?id=eq.{P1}&select=views") == [{"views": 11}]


async def test_one_object_of_a_set(reading: Api) -> None:
    response = await reading("POST", "/rpc/post_titles?title=eq.Alpha", body={}, accept=OBJECT)
    assert response.json() == {"title": "Alpha", "views": 10}
    response = await reading("POST", "/rpc/post_titles", body={}, accept=OBJECT)
    assert (response.status_code, response.json()["details"]) == (406, "The result contains 2 rows")


async def test_csv_of_a_set(reading: Api) -> None:
    response = await reading("GET", "/rpc/post_titles", accept="text/csv")
    assert response.text == "title,views\nAlpha,10\nGamma,30"
    response = await reading("GET", "/rpc/add?a=1", accept="text/csv")
    assert (response.status_code, response.json()["code"]) == (406, "PGRST107")


async def test_null_keys_are_left_out_of_values_too(reading: Api) -> None:
    accept = "application/vnd.pgrst.array+json;nulls=stripped"
    response = await reading("POST", "/rpc/echo", body='{"a": null, "b": [{"c": null, "d": 1.50}]}', accept=accept)
    assert (response.text, response.headers["content-type"]) == ('{"b":[{"d":1.50}]}', f"{accept}; charset=utf-8")
    assert (await reading("GET", "/rpc/words", accept=accept)).json() == ["a", "b", "c"]
    assert (await reading("GET", "/rpc/add?a=1", accept=accept)).json() == 2


async def test_a_function_that_is_not_there(reading: Api) -> None:
    response = await reading("POST", "/rpc/add", body={"a": 1, "c": 2})
    assert (response.status_code, response.json()["code"]) == (404, "PGRST202")
    assert response.json()["message"] == "Could not find the function public.add(a, c) in the schema cache"
    response = await reading("POST", "/rpc/nope", body={})
    assert (
        response.json()["message"] == "Could not find the function public.nope without parameters in the schema cache"
    )
    response = await reading("PATCH", "/rpc/add", body={})
    assert (response.status_code, response.json()["code"]) == (405, "PGRST101")
    assert (await reading("POST", "/rpc/pg_sleep", body={"seconds": 1})).status_code == 404


async def test_a_function_is_for_those_it_was_given_to(reading: Api) -> None:
    response = await reading("POST", "/rpc/bump", body={"post": P1})
    assert (response.status_code, response.json()["code"]) == (401, "42501")


async def test_strict_limits_are_for_sets(reading: Api) -> None:
    strict = "handling=strict,max-affected=1"
    response = await reading("POST", "/rpc/add", body={"a": 1}, prefer=strict)
    assert (response.status_code, response.json()["code"]) == (400, "PGRST128")
    response = await reading("POST", "/rpc/words", body={}, prefer=strict)
    assert (response.status_code, response.json()["code"]) == (400, "PGRST124")


async def test_an_argument_that_does_not_fit_its_type(reading: Api) -> None:
    for response in (await reading("POST", "/rpc/add", body={"a": "x"}), await reading("GET", "/rpc/add?a=x")):
        assert (response.status_code, response.json()["code"]) == (400, "22P02")
