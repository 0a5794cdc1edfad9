"""Requests that came before but for their literals: begun at once, refused alike, and never mistaken for another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mbaas.config.settings import LimitSettings, RateSettings, ServerSettings
from mbaas.core.errors import NotFound
from mbaas.core.identity import Identity
from mbaas.http.edge import Surface
from mbaas.http.exchange import Admitted, Again
from mbaas.http.respond import Receive, Reply, Scope
from tests.edge import NO_RATES, Running, Setup, connected, running, until_quiet
from tests.integration.test_quick_way import HEAD, bodies, get, plain, post

USER_HEAD = HEAD + b"authorization: Bearer user-token\r\n"


def asked(request: Admitted) -> str:
    """``x`` of ``?q=eq.x``."""
    return b"".join(request.exchange.literals).decode()


class App:
    """Tells how it was asked. The literal in the query says what becomes of a request."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self.again: list[str] = []
        self.ordinary: list[str] = []
        self.cancelled = asyncio.Event()
        self.waiting = asyncio.Event()

    def begin(self, request: Admitted) -> bool | Again:
        path: str = request.scope["path"]
        if path.endswith("/never"):
            return False
        self.first.append(f"{request.scope['method']} {path}?{asked(request)}")

        def again(request: Admitted, identity: Identity) -> bool:
            if asked(request) == "other":
                return False
            self.again.append(f"{path}?{asked(request)} {identity.role}")
            self.answer(request, path)
            return True

        self.answer(request, path)
        return again

    def answer(self, request: Admitted, path: str) -> None:
        query = asked(request)
        if query == "raises":
            raise NotFound("there is no such thing")
        if query.startswith("wait"):
            request.wait(self.later(query))
        elif query == "fails":
            request.settle(NotFound("it is gone"))
        else:
            request.settle(Reply(200, query.encode() + request.exchange.body, ((b"x-path", path.encode()),)))

    async def later(self, query: str) -> Reply:
        self.waiting.set()
        if query == "wait-fails":
            raise NotFound("it is gone")
        if query == "wait-breaks":
            raise ZeroDivisionError
        if query == "wait-long":
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return Reply(200, query.encode())

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        await receive()
        self.ordinary.append(scope["path"])
        return Reply(200, b"ordinary", ((b"x-path", scope["path"].encode()),))


class Made:
    def __init__(self, setup: Setup, app: App, server: Running) -> None:
        self.setup, self.app, self.server = setup, app, server

    async def status(self, request: bytes) -> int:
        return int((await self.server.raw(request)).split(b" ", 2)[1])


def make(app: App, settings: ServerSettings | None = None, **limits: Any) -> Setup:
    surface = Surface(prefix="/rest/v1", direct=app.reply, begin=app.begin)
    return Setup(settings=settings, limits=LimitSettings(**{"rate": NO_RATES, **limits}), surfaces=[surface])


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    app = App()
    setup = make(app)
    async with running(setup.edge, quick=setup.edge.quick) as server:
        await server.raw(get("a"))  # its head is known from now on
        app.ordinary.clear()
        yield Made(setup, app, server)


async def test_the_second_one_is_begun_at_once_and_answered_alike(made: Made) -> None:
    first, second = await made.server.raw(get("a?q=eq.x")), await made.server.raw(get("a?q=eq.x"))
    assert (made.app.first, made.app.again) == (["GET /rest/v1/a?x"], ["/rest/v1/a?x anon"])
    assert plain(first) == plain(second)


async def test_another_path_method_or_head_is_another_request(made: Made) -> None:
    await made.server.raw(get("a?q=eq.x"))
    for request in (
        get("b?q=eq.x"),
        post("a?q=eq.x", b"y"),
        b"GET /rest/v1/a?q=eq.x HTTP/1.1\r\n" + USER_HEAD + b"\r\n",
    ):
        await made.server.raw(request)
        assert made.app.again == []


async def test_what_it_does_not_take_is_begun_anew_and_what_nobody_takes_goes_the_ordinary_way(made: Made) -> None:
    await made.server.raw(get("a?q=eq.x"))
    assert bodies(await made.server.raw(get("a?q=eq.other"))) == [b"other"]
    assert made.app.first == ["GET /rest/v1/a?x", "GET /rest/v1/a?other"]
    assert bodies(await made.server.raw(get("never?q=eq.x"))) == [b"ordinary"]
    assert made.setup.metrics.in_flight() == 0


async def test_several_in_one_piece_are_answered_in_order(made: Made) -> None:
    for _ in range(2):
        await made.server.raw(get("a?q=eq.x"))
        await made.server.raw(post("a?q=eq.x", b"y"))
    pieces = get("a?q=eq.x") + post("b?q=eq.x", b"z") + get("c?q=eq.x") + get("a?q=eq.x")
    async with connected(made.server.port) as (reader, writer):
        writer.write(get("a?q=eq.x"))
        await reader.readuntil(b"\r\n\r\nx")
        writer.write(pieces)
        received = await until_quiet(reader, 5)
    assert re.findall(rb"x-path: /rest/v1/(.)", received) == [b"a", b"b", b"c", b"a"]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /rest/v1/a?q=eq.x HTTP/1.0\r\nx: y", b"GET /rest/v1/a?q=eq.x y", b"GET /rest/v1/a?q=eq.\xff",
        b"GET /rest/v1/a?q=eq.x#y", b"GET  /rest/v1/a?q=eq.x", b"GET http://x/rest/v1/a?q=eq.x", b"GET /rest/v1/a?q=eq.\0",
    ],
)  # fmt: skip
async def test_a_line_that_only_begins_like_one_that_is_known_is_parsed(made: Made, line: bytes) -> None:
    for _ in range(2):
        await made.server.raw(get("a?q=eq.x"))
    first, again = len(made.app.first), len(made.app.again)
    await made.server.raw(line + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert (len(made.app.first), len(made.app.again)) == (first, again)


@pytest.mark.parametrize("query", ["raises", "fails", "wait-fails"])
async def test_what_fails_is_worded_alike(made: Made, query: str) -> None:
    await made.server.raw(get("a?q=eq.x"))
    answer = await made.server.raw(get(f"a?q=eq.{query}"))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b'"code":"not_found"' in answer
    assert made.setup.metrics.in_flight() == 0


async def test_what_breaks_tells_nothing_and_is_logged(made: Made) -> None:
    await made.server.raw(get("a?q=eq.x"))
    answer = await made.server.raw(get("a?q=eq.wait-breaks"))
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"Zero" not in answer
    failed = [line for line in made.setup.lines() if line["event"] == "request_failed"]
    assert [(line["path"], "ZeroDivisionError" in str(line)) for line in failed] == [("/rest/v1/a", True)]


async def test_a_caller_is_looked_at_each_time(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    request = b"GET /rest/v1/a?q=eq.x HTTP/1.1\r\n" + USER_HEAD + b"\r\n"
    assert [await made.status(request) for _ in range(3)] == [200, 200, 200]
    from tests import edge

    monkeypatch.delitem(edge.WHO, "user-token")
    began = len(made.app.again)
    await made.server.raw(request)
    assert len(made.app.again) == began, "who is refused by now reaches no surface at once"
    assert made.app.ordinary[-1:] == ["/rest/v1/a"], "the ordinary way words it"


async def test_each_is_logged_with_its_own_answer(made: Made) -> None:
    before = len(made.setup.lines())
    for query in ("x", "fails", "x"):
        await made.server.raw(get(f"a?q=eq.{query}"))
    lines = [line for line in made.setup.lines()[before:] if line["event"] == "request"]
    assert [(line["path"], line["status"], line["role"]) for line in lines] == [
        ("/rest/v1/a", 200, "anon"), ("/rest/v1/a", 404, "anon"), ("/rest/v1/a", 200, "anon"),
    ]  # fmt: skip
    assert len({line["request_id"] for line in lines}) == 3


async def test_limits_hold() -> None:
    app = App()
    setup = make(app, rate=RateSettings(per_ip=1, per_user=0, per_key=0, auth_per_ip=0), max_url=30, max_body=4)
    async with running(setup.edge, quick=setup.edge.quick) as server:
        made = Made(setup, app, server)
        assert await made.status(get("a?q=eq.x")) == 200
        assert await made.status(get("a?q=eq.x")) == 200
        assert await made.status(get("a?q=eq.x")) == 429
    free = make(app, max_url=30, max_body=4)
    async with running(free.edge, quick=free.edge.quick) as server:
        made = Made(free, app, server)
        statuses = [await made.status(get("a?q=eq.x")) for _ in range(3)]
        assert [*statuses, await made.status(get("a?q=eq." + "x" * 30))] == [200, 200, 200, 414]
        statuses = [await made.status(post("a?q=eq.x", b"y" * 4)) for _ in range(3)]
        assert [*statuses, await made.status(post("a?q=eq.x", b"y" * 5))] == [200, 200, 200, 413]


async def test_a_full_server_turns_away_and_takes_them_again_when_it_is_not() -> None:
    app = App()
    setup = make(app, max_active=1)
    async with running(setup.edge, quick=setup.edge.quick) as server:
        made = Made(setup, app, server)
        assert [await made.status(get("a?q=eq.x")) for _ in range(2)] == [200, 200]
        before = len(setup.lines())
        async with connected(server.port) as (_, writer):
            writer.write(get("a?q=eq.wait-long"))
            await app.waiting.wait()
            answers = [await server.raw(get("a?q=eq.x")) for _ in range(2)]
        await app.cancelled.wait()
        while setup.metrics.in_flight():
            await asyncio.sleep(0)
        assert await made.status(get("a?q=eq.x")) == 200
    assert [(b" 503 " in answer[:20], b"retry-after: 1\r\n" in answer) for answer in answers] == [(True, True)] * 2
    refused = [line for line in setup.lines()[before:] if line.get("status") == 503]
    assert [(line["path"], line["client_ip"]) for line in refused] == [("/rest/v1/a", "127.0.0.1")] * 2


async def test_the_path_that_the_server_is_published_under_is_left_each_time() -> None:
    app = App()
    setup = make(app, ServerSettings(public_url="https://example.com/backend"))
    async with running(setup.edge, quick=setup.edge.quick) as server:
        request = b"GET /backend/rest/v1/a/?q=eq.x HTTP/1.1\r\n" + HEAD + b"\r\n"
        answers = [plain(await server.raw(request)) for _ in range(3)]
        await server.raw(request.replace(b"eq.x", b"eq.other"))
    assert app.first[-1] == "GET /rest/v1/a?other"
    assert b"x-path: /rest/v1/a\r\n" in answers[2]
    assert answers[1] == answers[2]


# --- what is waited for ----------------------------------------------------------------------------------------------


async def test_who_is_waited_for_is_answered_and_holds_up_what_came_behind(made: Made) -> None:
    await made.server.raw(get("a?q=eq.x"))
    async with connected(made.server.port) as (reader, writer):
        writer.write(get("a?q=eq.wait1"))
        await made.app.waiting.wait()
        writer.write(get("a?q=eq.x"))
        assert bodies(await until_quiet(reader, 5)) == [b"wait1", b"x"]
    assert made.app.ordinary == []


async def test_a_client_that_goes_away_ends_what_is_done_for_it(made: Made) -> None:
    await made.server.raw(get("a?q=eq.x"))
    before = len(made.setup.lines())
    async with connected(made.server.port) as (_, writer):
        writer.write(get("a?q=eq.wait-long"))
        await made.app.waiting.wait()
    await made.app.cancelled.wait()
    while made.setup.metrics.in_flight():
        await asyncio.sleep(0)
    assert [line["status"] for line in made.setup.lines()[before:] if line["event"] == "request"] == [499]


async def test_what_takes_too_long_is_ended_and_said_so() -> None:
    app = App()
    setup = make(app, request_timeout_s=0.1)
    async with running(setup.edge, quick=setup.edge.quick) as server:
        await server.raw(get("a"))
        for query in ("wait-long", "wait-long"):
            assert (await server.raw(get(f"a?q=eq.{query}"))).startswith(b"HTTP/1.1 504")
        assert app.cancelled.is_set()
        assert bodies(await server.raw(get("a?q=eq.x"))) == [b"x"]


async def test_a_server_that_has_no_more_time_says_so() -> None:
    app = App()
    setup = make(app)
    async with running(setup.edge, ServerSettings(drain_s=0.2), setup.health, quick=setup.edge.quick) as server:
        await server.raw(get("a"))
        async with connected(server.port) as (reader, writer):
            writer.write(get("a?q=eq.wait-long"))
            await app.waiting.wait()
            server.server.should_exit = True
            assert (await until_quiet(reader, 10)).startswith(b"HTTP/1.1 503")
