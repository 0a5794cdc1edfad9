"""Requests that are answered without a task: the same answers, in order, and nothing left behind when somebody goes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest

from mbaas.config.settings import LimitSettings, RateSettings, ServerSettings
from mbaas.core.errors import MbaasError, NotFound
from mbaas.http.edge import Surface
from mbaas.http.exchange import Admitted
from mbaas.http.respond import Receive, Reply, Scope
from tests.edge import NO_RATES, Running, Setup, connected, running, until_quiet

HEAD = b"host: x\r\napikey: anon-key\r\n"


def get(path: str, more: bytes = b"") -> bytes:
    return b"GET /rest/v1/" + path.encode() + b" HTTP/1.1\r\n" + HEAD + more + b"\r\n"


def post(path: str, body: bytes, more: bytes = b"") -> bytes:
    length = b"content-length: %d\r\n" % len(body)
    return b"POST /rest/v1/" + path.encode() + b" HTTP/1.1\r\n" + HEAD + length + more + b"\r\n" + body


class App:
    """Answers ``/rest/v1``. What begins with ``later`` waits until it is told to go on."""

    def __init__(self) -> None:
        self.quick: list[str] = []
        self.ordinary: list[str] = []
        self.waiting: dict[str, Callable[[], None]] = {}
        self.began = asyncio.Event()

    def begin(self, request: Admitted) -> bool:
        scope, body, settle = request.scope, request.exchange.body, request.settle
        name = scope["path"].removeprefix("/rest/v1/")
        if name == "refused":
            raise NotFound("there is no such thing")
        if name.startswith("slow"):
            return False
        self.quick.append(name)
        content = body if scope["method"] == "POST" else name.encode()
        reply: Reply | MbaasError = Reply(200, content, ((b"x-name", name.encode()),))
        if name == "broken":
            reply = NotFound("it is gone")
        if name.startswith("later"):
            self.waiting[name] = lambda: settle(reply)
            self.began.set()
        else:
            settle(reply)
        return True

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        name = scope["path"].removeprefix("/rest/v1/")
        self.ordinary.append(name)
        content = name.encode()
        if scope["method"] == "POST":
            content, more = b"", True
            while more:
                message = await receive()
                content, more = content + message["body"], message["more_body"]
        return Reply(200, content, ((b"x-name", name.encode()),))

    async def began_one(self) -> None:
        await self.began.wait()
        self.began.clear()


class Made:
    def __init__(self, setup: Setup, app: App, server: Running) -> None:
        self.setup, self.app, self.server = setup, app, server

    async def known(self) -> None:
        """From now on the head of ``get`` is known."""
        await self.server.raw(get("slow"))
        self.app.ordinary.clear()


def make(app: App, limits: LimitSettings) -> Setup:
    return Setup(limits=limits, surfaces=[Surface(prefix="/rest/v1", direct=app.reply, begin=app.begin)])


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    app = App()
    setup = make(app, LimitSettings(rate=NO_RATES))
    async with running(setup.edge, quick=setup.edge.quick) as server:
        yield Made(setup, app, server)


def plain(received: bytes) -> bytes:
    """Without what differs from answer to answer."""
    received = re.sub(rb"x-request-id: [^\r]*\r\n", b"", received)
    return re.sub(rb"date: [^\r]*\r\n", b"", received)


def bodies(received: bytes) -> list[bytes]:
    return [part.rpartition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 ")[1:]]


async def test_a_head_that_came_before_takes_the_quick_way_and_gets_the_same_answer(made: Made) -> None:
    first, second = await made.server.raw(get("a")), await made.server.raw(get("a"))
    assert (made.app.ordinary, made.app.quick) == (["a"], ["a"])
    assert plain(first) == plain(second)


async def test_what_is_refused_or_fails_is_worded_alike(made: Made) -> None:
    await made.known()
    for name, status in (("refused", b"404"), ("broken", b"404")):
        answer = await made.server.raw(get(name))
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b'"code":"not_found"' in answer


async def test_what_nobody_takes_goes_the_ordinary_way_and_is_admitted_once(made: Made) -> None:
    await made.known()
    before = len(made.setup.lines())
    assert bodies(await made.server.raw(get("slow1"))) == [b"slow1"]
    assert made.app.ordinary == ["slow1"]
    assert [line["path"] for line in made.setup.lines()[before:]] == ["/rest/v1/slow1"]


async def test_one_connection_gets_its_answers_in_order(made: Made) -> None:
    await made.known()
    async with connected(made.server.port) as (reader, writer):
        writer.write(get("later1"))
        await made.app.began_one()
        writer.write(get("a") + get("slow1"))
        writer.write(get("b"))
        await writer.drain()
        await made.server.raw(get("c"))  # another connection is not held up
        made.app.waiting["later1"]()
        assert bodies(await until_quiet(reader, 5)) == [b"later1", b"a", b"slow1", b"b"]


async def test_what_goes_the_ordinary_way_with_a_known_head_may_ask_for_its_body(made: Made) -> None:
    await made.known()
    answer = await made.server.raw(b"GET /elsewhere HTTP/1.1\r\n" + HEAD + b"\r\n")  # an app that reads it
    assert answer.startswith(b"HTTP/1.1 200")


async def test_two_requests_in_one_piece_are_two_requests(made: Made) -> None:
    await made.known()
    assert bodies(await made.server.raw(get("a") + get("b"))) == [b"a", b"b"]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /rest/v1/a HTTP/1.1\r\nGET /rest/v1/b HTTP/1.1",
        b"GET /rest/v1/a HTTP/1.1 ",
        b"GET /rest/v1/a  HTTP/1.1",
        b"GET /rest/v1/a HTTP/1.0",
        b"GET /rest/v1/a\x00 HTTP/1.1",
        b"GET /rest/v1/\xff HTTP/1.1",
        b"GET /rest/v1/a#b HTTP/1.1",
        b"GET /rest/v1/a b HTTP/1.1",
    ],
)
async def test_only_a_plain_request_line_is_taken(made: Made, line: bytes) -> None:
    await made.known()
    await made.server.raw(line + b"\r\n" + HEAD + b"\r\n")
    assert made.app.quick == []


@pytest.mark.parametrize(
    "more", [b"content-length: 0\r\n", b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"upgrade: x\r\n"]
)
async def test_a_head_that_says_more_than_what_is_wanted_is_not_kept(made: Made, more: bytes) -> None:
    for _ in range(2):
        await made.server.raw(get("a", more))
    assert made.app.quick == []


async def test_a_body_behind_a_known_head_is_no_part_of_it(made: Made) -> None:
    await made.known()
    answers = await made.server.raw(
        get("a") + b"GET /rest/v1/b HTTP/1.1\r\n" + HEAD + b"content-length: 4\r\n\r\n\r\n\r\n"
    )
    assert bodies(answers) == [b"a", b"b"]


async def test_a_client_that_goes_away_leaves_nothing_behind(made: Made) -> None:
    await made.known()
    async with connected(made.server.port) as (_, writer):
        writer.write(get("later1"))
        await made.app.began_one()
    while made.server.server.server_state.connections:
        await asyncio.sleep(0)
    made.app.waiting["later1"]()
    assert bodies(await made.server.raw(get("a"))) == [b"a"]
    assert made.setup.metrics.in_flight() == 0


async def test_limits_hold_on_the_quick_way() -> None:
    app = App()
    setup = make(app, LimitSettings(rate=RateSettings(per_ip=1, per_user=0, per_key=0, auth_per_ip=0)))
    async with running(setup.edge, quick=setup.edge.quick) as server:
        answers = [await server.raw(get("a")) for _ in range(4)]
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200", b"200", b"429", b"429"]
    assert b"retry-after: 1" in answers[-1]


async def test_a_server_that_stops_answers_first() -> None:
    app = App()
    setup = make(app, LimitSettings(rate=NO_RATES))
    async with running(setup.edge, ServerSettings(drain_s=5), setup.health, quick=setup.edge.quick) as server:
        await server.raw(get("slow"))
        async with connected(server.port) as (reader, writer):
            writer.write(get("later1"))
            await app.began_one()
            server.server.should_exit = True
            while setup.health.draining is False and server.server.servers[0].is_serving():
                await asyncio.sleep(0)
            app.waiting["later1"]()
            answer = await reader.read()
    assert bodies(answer) == [b"later1"]


# --- with a body -----------------------------------------------------------------------------------------------------


async def test_a_body_that_comes_with_its_head_takes_the_quick_way(made: Made) -> None:
    answers = [await made.server.raw(post("a", body)) for body in (b"x", b"yy" * 500)]
    assert [bodies(answer) for answer in answers] == [[b"x"], [b"yy" * 500]]
    assert (made.app.quick, made.app.ordinary) == (["a", "a"], [])


async def test_it_gets_the_answer_of_the_ordinary_way(made: Made) -> None:
    quick, ordinary = await made.server.raw(post("a", b"x")), await made.server.raw(post("slow", b"x"))
    assert plain(quick) == plain(ordinary).replace(b"x-name: slow", b"x-name: a")


async def test_a_body_in_pieces_arrives_whole_by_the_ordinary_way(made: Made) -> None:
    data = post("a", b"0123456789")
    for cut in range(len(data) - 10, len(data)):
        async with connected(made.server.port) as (reader, writer):
            writer.write(data[:cut])
            await writer.drain()
            while not made.app.ordinary:
                await asyncio.sleep(0)
            writer.write(data[cut:])
            assert bodies(await until_quiet(reader, 5)) == [b"0123456789"]
            made.app.ordinary.clear()
    assert made.app.quick == []


async def test_a_chunked_body_goes_the_ordinary_way(made: Made) -> None:
    head = b"POST /rest/v1/a HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n"
    assert bodies(await made.server.raw(head + b"3\r\nabc\r\n0\r\n\r\n")) == [b"abc"]
    assert (made.app.quick, made.app.ordinary) == ([], ["a"])


async def test_writes_and_reads_in_one_piece_are_answered_in_order(made: Made) -> None:
    await made.known()
    async with connected(made.server.port) as (reader, writer):
        writer.write(post("later1", b"one") + post("slow1", b"two") + get("a") + post("b", b"three"))
        await made.app.began_one()
        writer.write(get("c"))
        await writer.drain()
        await made.server.raw(get("d"))
        assert made.app.ordinary == []
        made.app.waiting["later1"]()
        assert bodies(await until_quiet(reader, 5)) == [b"one", b"two", b"a", b"three", b"c"]


async def test_a_body_that_is_too_large_is_refused_alike() -> None:
    app = App()
    setup = make(app, LimitSettings(rate=NO_RATES, max_body=10))
    async with running(setup.edge, quick=setup.edge.quick) as server:
        quick, ordinary = await server.raw(post("a", b"x" * 11)), await server.raw(post("slow", b"x" * 11))
    assert quick.startswith(b"HTTP/1.1 413")
    assert ordinary.startswith(b"HTTP/1.1 413")
    assert app.ordinary == []
