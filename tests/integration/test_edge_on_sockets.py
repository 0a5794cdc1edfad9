"""Bytes on a real socket to a real server: what parsers may disagree on, and clients that are slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from mbaas.config.settings import LimitSettings
from mbaas.http import protocol
from mbaas.http.protocol import Protocol
from mbaas.http.respond import Receive, Scope, Send, send_json
from tests.edge import NO_RATES, Running, Setup, connected, running, serving, until_quiet, whoami

KEY = b"apikey: anon-key\r\n"
POST = b"POST /a HTTP/1.1\r\nhost: x\r\n" + KEY


class Seen:
    """The paths that reached the app."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await whoami(scope, receive, send)


@pytest.fixture(scope="module")
def all_seen() -> Seen:
    return Seen()


@pytest.fixture
def seen(all_seen: Seen) -> Seen:
    all_seen.paths.clear()
    return all_seen


@pytest.fixture(scope="module")
def server(all_seen: Seen) -> Iterator[Running]:
    limits = LimitSettings(max_body=100_000, body_timeout_s=0.3, rate=NO_RATES)
    with serving(Setup(all_seen, limits=limits).edge) as made:
        yield made


def get(target: bytes, more: bytes = b"") -> bytes:
    """A request after which the connection stays open."""
    return b"GET " + target + b" HTTP/1.1\r\nhost: localhost\r\n" + KEY + more + b"\r\n"


def last(target: bytes, more: bytes = b"") -> bytes:
    return get(target, b"connection: close\r\n" + more)


def statuses(received: bytes) -> list[int]:
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


async def test_a_connection_serves_one_request_after_another(server: Running, seen: Seen) -> None:
    received = await server.raw(get(b"/rest/v1/a") + last(b"/rest/v1/b"))
    assert statuses(received) == [200, 200]
    assert seen.paths == ["/rest/v1/a", "/rest/v1/b"]


@pytest.mark.parametrize(
    "target",
    [
        b"http://evil.example/rest/v1/posts",
        b"https://localhost/rest/v1/posts",
        b"HTTP://localhost/rest/v1/posts",
        b"*",
        b"localhost:80",
        b"rest/v1/posts",
        b"//evil.example/rest/v1/posts",
        b"/rest/v1//posts",
        b"/rest/./v1/posts",
        b"/rest/v1/../v1/posts",
        b"/rest/v1/%2e%2e/posts",
        b"/rest/v1%2fposts",
        b"/rest/v1/posts%00",
        b"/rest/v1/po\xc3\xa9sts",
        b"/rest/v1/\xff",
        b"/rest/v1/%ff",
        b"/rest/v1/a b",
        b"/rest/v1/a\x00b",
        b"/rest/v1/a\tb",
    ],
)
async def test_a_target_with_two_readings_reaches_no_route(server: Running, seen: Seen, target: bytes) -> None:
    received = await server.raw(last(target))
    assert statuses(received) == [400]
    assert seen.paths == []
    assert json.loads(received.split(b"\r\n\r\n", 1)[1])["code"]
    assert b"nosniff" in received


@pytest.mark.parametrize("method", [b"OPTIONS", b"CONNECT", b"TRACE", b"BREW", b"get", b"G\xc3\x89T"])
async def test_odd_methods_reach_no_route(server: Running, seen: Seen, method: bytes) -> None:
    received = await server.raw(method + b" * HTTP/1.1\r\nhost: x\r\n\r\n")
    assert statuses(received) == [400]
    assert seen.paths == []


HIDDEN = last(b"/hidden")


@pytest.mark.parametrize(
    "headers",
    [
        b"content-length: 0\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        b"content-length: 0\r\ncontent-length: %d\r\n" % len(HIDDEN),
        b"content-length: %d, 0\r\n" % len(HIDDEN),
        b"content-length: +0\r\n",
        b"content-length: 0x0\r\n",
        b"content-length: -1\r\n",
        b"content-length: 99999999999999999999999\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding : chunked\r\n",
        b" transfer-encoding: chunked\r\n",
        b"transfer-encoding:\x0bchunked\r\n",
        b"x: y\r\n transfer-encoding: chunked\r\n",
        b"x\x00y: z\r\n",
        b"x: a\x00b\r\n",
        b"x: a\rb: c\r\n",
        b"x y: z\r\n",
        b": z\r\n",
    ],
)
async def test_a_request_cannot_hide_another(server: Running, seen: Seen, headers: bytes) -> None:
    request = b"POST /shown HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + KEY + headers + b"\r\n0\r\n\r\n" + HIDDEN
    received = await server.raw(request)
    assert statuses(received) == [400]
    assert seen.paths in ([], ["/shown"])


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;x=y\r\nhello\r\n0\r\n\r\n",
    ],
)
async def test_a_chunked_body_is_read_whole(server: Running, body: bytes) -> None:
    received = await server.raw(POST + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + body)
    assert statuses(received) == [200]
    assert json.loads(received.split(b"\r\n\r\n", 1)[1])["size"] == 5


@pytest.mark.parametrize(
    "body", [b"-5\r\nhello\r\n", b"5\nhello\n0\n\n", b"ffffffffffffffffff\r\n", b"5\r\nhelloX\r\n", b"\r\n"]
)
async def test_a_chunk_that_cannot_be_read_ends_the_connection(server: Running, body: bytes) -> None:
    request = POST + b"transfer-encoding: chunked\r\n\r\n" + body + HIDDEN
    assert statuses(await server.raw(request)) == [400]


async def test_headers_without_end_are_cut_off(server: Running, seen: Seen) -> None:
    endless = b"GET /a HTTP/1.1\r\nhost: x\r\n" + b"x-filler: " + b"a" * 400_000
    received = await server.raw(endless)
    assert statuses(received) in ([431], [400])
    assert seen.paths == []


async def test_a_target_without_end_is_cut_off(server: Running, seen: Seen) -> None:
    assert statuses(await server.raw(b"GET /" + b"a" * 400_000)) in ([431], [400])
    assert statuses(await server.raw(last(b"/" + b"a" * 40_000))) == [414]
    assert seen.paths == []


async def test_very_many_headers_are_refused(server: Running, seen: Seen) -> None:
    assert statuses(await server.raw(last(b"/a", b"x: y\r\n" * 2000))) == [431]
    assert seen.paths == []


async def test_no_answer_to_odd_bytes_tells_of_the_inside(server: Running) -> None:
    for odd in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\r\n" * 10 + b"GET",
        b"SSH-2.0-x\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
    ):
        received = await server.raw(odd + b"\r\n\r\n")
        assert all(status in (400, 408) for status in statuses(received))
        assert not any(word in received.lower() for word in (b"uvicorn", b"python", b"traceback", b".py", b"httptools"))
        assert b"\r\nserver:" not in received.lower()


async def test_an_error_on_an_open_connection_does_not_jump_the_queue(server: Running) -> None:
    received = await server.raw(get(b"/rest/v1/a") + b"NONSENSE\r\n\r\n")
    assert statuses(received)[0] == 200


async def test_a_body_too_large_is_refused_while_it_is_still_coming(server: Running, seen: Seen) -> None:
    head = POST
    received = await server.raw(head + b"content-length: 100001\r\nexpect: 100-continue\r\n\r\n")
    assert statuses(received) == [413]
    assert seen.paths == []
    received = await server.raw(head + b"content-length: 2000000\r\n\r\n" + b"x" * 2_000_000)
    assert statuses(received) == [413]
    async with connected(server.port) as (reader, writer):
        writer.write(head + b"transfer-encoding: chunked\r\n\r\n")
        sent, answer = 0, asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        with contextlib.suppress(ConnectionError):  # closed, once enough was read that nobody wants
            while not answer.done():
                writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)  # drain alone lets nobody read as long as the server takes all
                sent += 0x4000
                assert sent < 50_000_000, "it goes on reading"
        assert b" 413 " in await answer


async def test_many_large_bodies_at_once_leave_the_memory_alone(server: Running) -> None:
    async def flood() -> int:
        async with connected(server.port) as (reader, writer):
            with contextlib.suppress(ConnectionError):
                writer.write(POST + b"transfer-encoding: chunked\r\n\r\n")
                for _ in range(40):
                    writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                    await writer.drain()
            return statuses(await until_quiet(reader, 5))[0]

    before = resident_bytes()
    assert set(await asyncio.gather(*(flood() for _ in range(50)))) == {413}
    assert resident_bytes() - before < 60_000_000


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


async def test_a_body_that_drips_is_given_up(server: Running) -> None:
    async with connected(server.port) as (reader, writer):
        writer.write(POST + b"content-length: 1000\r\n\r\n")
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        while not answer.done():
            writer.write(b"x")
            await asyncio.wait([answer], timeout=0.02)
        assert b" 408 " in answer.result()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "head_timeout_s", 1.0)
    monkeypatch.setattr(Protocol, "stall_s", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("start", [b"", b"\r\n", b"GET / HTTP/1.1\r\nx: "])
async def test_two_hundred_who_never_finish_their_headers_are_closed(server: Running, start: bytes) -> None:
    async def loris() -> bytes:
        async with connected(server.port) as (reader, writer):
            closed = asyncio.create_task(reader.read())
            writer.write(start)
            while not closed.done():
                if start:
                    writer.write(b"\r\n" if start == b"\r\n" else b"a")
                await asyncio.wait([closed], timeout=0.2)
            with contextlib.suppress(ConnectionError):
                return closed.result()
        return b""

    lorises = [asyncio.create_task(loris()) for _ in range(200)]
    # The loop is the server's and theirs: while they all connect, it may look at this one too late itself.
    answers = [await server.raw(last(b"/a")) for _ in range(3)]
    assert [200] in map(statuses, answers)
    for received in await asyncio.gather(*lorises):
        assert statuses(received) in ([408], [])


@pytest.mark.usefixtures("impatient")
async def test_a_second_request_has_to_come_whole_too(server: Running) -> None:
    async with connected(server.port) as (reader, writer):
        writer.write(get(b"/a"))
        await reader.readuntil(b"}")
        writer.write(b"GET /b HT")
        assert statuses(await asyncio.wait_for(reader.read(), 5)) == [408]


@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 200, b"x" * 30_000_000)

    with serving(large) as made, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", made.port))
        await loop.sock_sendall(client, get(b"/a"))
        async with asyncio.timeout(5):
            while not made.server.server_state.connections:
                await asyncio.sleep(0)
            while made.server.server_state.connections:
                await asyncio.sleep(0.01)


@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_is_read_slowly_but_steadily_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MIN_BYTES_PER_S", 1)
    monkeypatch.setattr(Protocol, "stall_s", 1.0)
    size = 6_000_000

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 200, b"x" * size)

    with serving(large) as made:
        async with connected(made.port) as (reader, writer):
            writer.write(get(b"/a", b"connection: close\r\n"))
            received = 0
            while chunk := await reader.read(40_000):
                received += len(chunk)
                await asyncio.sleep(0.012)
            assert received > size


async def test_a_request_whose_client_went_away_is_cancelled() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    setup = Setup(hangs)
    async with running(setup.edge) as made:
        async with connected(made.port) as (_, writer):
            writer.write(get(b"/a"))
            await started.wait()
        await asyncio.wait_for(cancelled.wait(), 5)
    assert [line["status"] for line in setup.lines()] == [499]


async def test_half_an_answer_ends_with_the_connection(server: Running) -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[1,", "more_body": True})
        raise ZeroDivisionError

    async with running(Setup(half).edge) as made:
        received = await made.raw(last(b"/a"))
    assert received.partition(b"\r\n\r\n")[2] == b"3\r\n[1,\r\n"  # and no last chunk: a client sees that it is cut


async def test_head_has_the_headers_of_get_and_no_body(server: Running) -> None:
    received = await server.raw(last(b"/a").replace(b"GET", b"HEAD"))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-length: " in head
    assert body == b""
