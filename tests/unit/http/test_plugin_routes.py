"""Routes of plugins: who may call, what the handler gets, what happens when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mbaas.core.identity import Identity
from mbaas.core.observe import HookFailed, Observation
from mbaas.hooks.dispatch import Hooks
from mbaas.http.edge import Surface
from mbaas.http.plugin_routes import PREFIX, plugin_routes
from mbaas.plugin import Record, Refused, Request, Response, Route, Transaction
from tests.edge import Answer, Setup, ask


class Told:
    """Who opened a transaction, and what was observed."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.observed: list[Observation] = []


class OneRow:
    """A transaction that knows one row."""

    async def fetch(self, sql: str, *values: Any) -> list[Record]:
        return [{"sql": sql, "values": list(values)}]

    def savepoint(self) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()


async def echo(request: Request) -> Response:
    body = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "body": request.body.decode(),
        "role": request.identity.role,
        "header": request.headers.get("x-mine"),
    }
    return Response(status=201, body=json.dumps(body).encode(), headers={"X-Made-By": "greeter"})


async def rows(request: Request) -> Response:
    async with request.transaction() as transaction:
        return Response(body=json.dumps(await transaction.fetch("select $1", 1)).encode())


async def breaks(request: Request) -> Response:
    raise SystemExit(1)


async def hangs(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("never")


async def refuses(request: Request) -> Response:
    raise Refused("not today", status=409)


async def wrong(request: Request) -> Any:
    return {"not": "a response"}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def setup(told: Told) -> Setup:
    hooks = Hooks()
    mine = hooks.owned_by("greeter")
    mine.provide(Route(method="POST", path="/echo", access="public", handler=echo))
    mine.provide(Route(method="GET", path="/echo", access="public", handler=echo))
    for access in ("public", "key", "user", "service"):
        mine.provide(Route(method="GET", path=f"/{access}", access=access, handler=echo))  # type: ignore[arg-type]
    for handler in (rows, breaks, hangs, refuses, wrong):
        mine.provide(Route(method="GET", path=f"/{handler.__name__}", access="key", handler=handler))

    @contextlib.asynccontextmanager
    async def begin(identity: Identity) -> AsyncIterator[Transaction]:
        told.began.append(identity.role)
        yield OneRow()

    app = plugin_routes(hooks.provided, begin=begin, timeout_s=0.05, observe=told.observed.append)
    return Setup(surfaces=[Surface(prefix=PREFIX, app=app)])


async def call(setup: Setup, path: str, method: str = "GET", **more: Any) -> Answer:
    return await ask(setup.edge, method, f"/plugins/v1/greeter{path}", **more)


async def test_a_handler_gets_the_request_as_values_and_gives_a_response(setup: Setup) -> None:
    answer = await call(setup, "/echo", "POST", query=b"a=1&a=%C3%A9&b", body=b"hi", headers={"x-mine": "yes"})
    assert answer.status == 201
    assert answer.json() == {
        "method": "POST",
        "path": "/echo",
        "query": [["a", "1"], ["a", "é"], ["b", ""]],
        "body": "hi",
        "role": "anon",
        "header": "yes",
    }
    assert answer["x-made-by"] == "greeter"
    assert answer["content-type"] == "application/json"
    assert answer["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("access", "allowed"),
    [
        ("public", "nobody expired anon user service"),
        ("key", "anon user service"),
        ("user", "user service"),
        ("service", "service"),
    ],
)
async def test_access_is_checked_before_the_handler_runs(setup: Setup, access: str, allowed: str) -> None:
    actors: dict[str, tuple[str | None, str | None]] = {
        "nobody": (None, None),
        "expired": ("anon-key", "old-token"),
        "anon": ("anon-key", None),
        "user": ("anon-key", "user-token"),
        "service": ("service-key", None),
    }
    for actor, (key, bearer) in actors.items():
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        answer = await call(setup, f"/{access}", key=key, headers=headers)
        expected = {201} if actor in allowed.split() else {401, 403}
        assert answer.status in expected, actor


async def test_a_transaction_is_the_callers(setup: Setup, told: Told) -> None:
    answer = await call(setup, "/rows", headers={"authorization": "Bearer user-token"})
    assert answer.json() == [{"sql": "select $1", "values": [1]}]
    assert told.began == ["authenticated"]


@pytest.mark.parametrize("path", ["/breaks", "/hangs", "/wrong"])
async def test_a_handler_that_breaks_is_a_500_that_tells_nothing(setup: Setup, told: Told, path: str) -> None:
    answer = await call(setup, path)
    assert (answer.status, answer.json()["code"]) == (500, "hook_failed")
    (observed,) = told.observed
    assert isinstance(observed, HookFailed)
    assert observed.hook == path


async def test_a_handler_may_refuse(setup: Setup) -> None:
    answer = await call(setup, "/refuses")
    assert (answer.status, answer.json()["message"], answer.json()["code"]) == (409, "not today", "hook_refused")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "", 404),
        ("DELETE", "/echo", 405),
        ("HEAD", "/echo", 201),
        ("GET", "/echo/", 201),
    ],
)
async def test_what_is_no_route_is_none(setup: Setup, method: str, path: str, status: int) -> None:
    assert (await call(setup, path, method)).status == status
