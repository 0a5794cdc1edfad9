"""The Python client's decisions, with no network: a transport that answers from a script."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from mbaas_sdk import AsyncClient, Client, Conflict, Forbidden, RateLimited, Unavailable
from mbaas_sdk._flow import literal

USER = {"id": "u1", "email": "a@b.c"}


def session(number: int, expires_at: int) -> dict[str, object]:
    return {"access_token": f"t{number}", "refresh_token": f"r{number}", "expires_at": expires_at, "user": USER}


class Script:
    """Answers each request in turn and remembers it."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(script: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://test", "key", transport=httpx.MockTransport(script))


@pytest.mark.parametrize(
    ("operator", "value", "text"),
    [
        ("eq", 5, "eq.5"),
        ("is", None, "is.null"),
        ("is", True, "is.true"),
        ("in", ["a,b", 'c"d', 1], 'in.("a,b","c\\"d","1")'),
        ("not.in", [], "not.in.()"),
        ("cs", ["a b"], 'cs.{"a b"}'),
        ("cs", {"k": 1}, 'cs.{"k":1}'),
    ],
)
def test_values_are_written_in_the_wire_grammar(operator: str, value: object, text: str) -> None:
    assert literal(operator, value) == text


def test_a_query_says_what_it_was_told() -> None:
    script = Script(httpx.Response(206, json=[{"id": 1}], headers={"content-range": "0-0/7"}))
    with client(script) as mine:
        query = mine.collection("posts").where("published", "is", True).select("id", "author:profiles(name)")
        page = query.order("created_at.desc").limit(1, offset=0).fetch(count=True)
    assert (page.records, page.total) == ([{"id": 1}], 7)
    sent = script.seen[0]
    assert dict(sent.url.params) == {
        "published": "is.true",
        "select": "id,author:profiles(name)",
        "order": "created_at.desc",
        "limit": "1",
    }
    assert (sent.headers["apikey"], sent.headers["authorization"]) == ("key", "Bearer key")


def test_a_session_is_refreshed_before_it_ends() -> None:
    script = Script(
        httpx.Response(200, json=session(1, expires_at=0)),
        httpx.Response(200, json=session(2, expires_at=2**40)),
        httpx.Response(200, json=[]),
    )
    with client(script) as mine:
        mine.auth.sign_in(email="a@b.c", password="p")
        mine.collection("posts").fetch()
    assert json.loads(script.seen[1].content) == {"refresh_token": "r1"}
    assert script.seen[2].headers["authorization"] == "Bearer t2"


def test_a_refresh_that_is_refused_ends_the_session_and_one_that_fails_does_not() -> None:
    script = Script(
        httpx.Response(200, json=session(1, expires_at=2**40)),
        httpx.Response(503),
        httpx.Response(400, json={"error_code": "refresh_token_not_found", "msg": "gone"}),
    )
    with client(script) as mine:
        mine.auth.sign_in(email="a@b.c", password="p")
        with pytest.raises(Unavailable):
            mine.auth.refresh()
        assert mine.auth.session is not None
        with pytest.raises(Exception, match="gone"):
            mine.auth.refresh()
        assert mine.auth.session is None


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (httpx.Response(409, json={"code": "23505", "message": "taken"}), Conflict, "23505"),
        (httpx.Response(403, json={"code": "42501", "message": "no"}), Forbidden, "42501"),
        (httpx.Response(503, text="<html>"), Unavailable, ""),
        (httpx.ConnectError("refused"), Unavailable, ""),
    ],
)
def test_refusals_become_exceptions(answer: httpx.Response | Exception, kind: type[Exception], code: str) -> None:
    with client(Script(answer)) as mine, pytest.raises(kind) as caught:
        mine.collection("posts").insert({"title": "x"})
    assert getattr(caught.value, "code", None) == code


def test_a_rate_limit_says_how_long() -> None:
    with (
        client(Script(httpx.Response(429, headers={"retry-after": "7"}))) as mine,
        pytest.raises(RateLimited) as caught,
    ):
        mine.call("add", a=1)
    assert caught.value.retry_after_s == 7


def test_an_update_or_delete_of_everything_is_refused_before_it_is_sent() -> None:
    with client(Script()) as mine:
        with pytest.raises(ValueError, match="every record"):
            mine.collection("posts").limit(1).delete()
        with pytest.raises(ValueError, match="every record"):
            mine.collection("posts").update(title="x")


async def test_the_asynchronous_client_does_the_same() -> None:
    script = Script(httpx.Response(200, json=session(1, expires_at=2**40)), httpx.Response(201, json=[{"id": 1}]))
    async with AsyncClient("http://test", "key", transport=httpx.MockTransport(script)) as mine:
        await mine.auth.sign_in(email="a@b.c", password="p")
        assert await mine.collection("posts").upsert({"id": 1}, on="id") == [{"id": 1}]
    assert script.seen[1].headers["prefer"] == "return=representation,resolution=merge-duplicates"
    assert script.seen[1].headers["authorization"] == "Bearer t1"


def test_both_clients_offer_the_same() -> None:
    for left, right in ((Client, AsyncClient),):
        public = {name for name in vars(left) if not name.startswith("_")}
        assert public == {name for name in vars(right) if not name.startswith("_")}
