"""More requests than the server takes at once: turned away at once, before anything of them is read."""

from __future__ import annotations

import asyncio

from mbaas.config.settings import LimitSettings
from mbaas.http.respond import Message, Receive, Scope, Send, send_json
from tests.edge import NO_RATES, Setup, ask


class Held:
    """An app whose requests wait until they are let go. Those to ``/read`` read their body first."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        if scope["path"] == "/read":
            await receive()
        await self.go.wait()
        await send_json(send, 200, b"{}")

    async def full(self, count: int) -> None:
        while self.inside < count:
            await asyncio.sleep(0)


def made(limit: int) -> tuple[Held, Setup]:
    app = Held()
    return app, Setup(app, limits=LimitSettings(max_active=limit, rate=NO_RATES))


async def test_one_too_many_is_turned_away_and_told_when_to_come_back() -> None:
    app, setup = made(2)
    inside = [asyncio.ensure_future(ask(setup.edge)) for _ in range(2)]
    await app.full(2)
    answer = await ask(setup.edge)
    assert (answer.status, answer["retry-after"], answer.json()["code"]) == (503, "1", "overloaded")
    app.go.set()
    assert [(await one).status for one in inside] == [200, 200]
    assert (await ask(setup.edge)).status == 200


async def test_nothing_of_it_is_read() -> None:
    app, setup = made(1)
    inside = asyncio.ensure_future(ask(setup.edge))
    await app.full(1)
    read = []

    async def receive() -> Message:
        read.append(1)
        return {"type": "http.request", "body": b"x" * 10, "more_body": False}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"apikey", b"anon-key"), (b"content-length", b"10")]
    scope = {"type": "http", "method": "POST", "path": "/a", "raw_path": b"/a", "query_string": b"", "headers": headers}
    await setup.edge({**scope, "client": ("192.0.2.1", 1)}, receive, send)
    assert (sent[0]["status"], read) == (503, [])
    app.go.set()
    await inside


async def test_health_and_the_refresh_of_sessions_have_room_of_their_own() -> None:
    app, setup = made(4)
    inside = [asyncio.ensure_future(ask(setup.edge)) for _ in range(4)]
    await app.full(4)
    assert (await ask(setup.edge, path="/health/ready")).status == 200
    refreshing = asyncio.ensure_future(ask(setup.edge, "POST", "/auth/v1/token"))
    await app.full(5)
    assert (await ask(setup.edge, "POST", "/auth/v1/token")).status == 503  # that room has an end, too
    assert (await ask(setup.edge, "POST", "/auth/v1/signup")).status == 503
    app.go.set()
    assert [(await one).status for one in (*inside, refreshing)] == [200] * 5


async def test_who_is_slow_to_send_keeps_nobody_out() -> None:
    app, setup = made(1)
    arrived = asyncio.Event()

    async def receive() -> Message:
        await arrived.wait()
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: Message) -> None: ...

    headers = [(b"apikey", b"anon-key"), (b"content-length", b"1")]
    scope = {"type": "http", "method": "POST", "path": "/read", "raw_path": b"/read", "query_string": b""}
    slow = [
        asyncio.ensure_future(setup.edge({**scope, "headers": headers, "client": ("192.0.2.1", n)}, receive, send))
        for n in range(20)
    ]
    await app.full(20)
    quick = asyncio.ensure_future(ask(setup.edge))
    await app.full(21)
    app.go.set()
    assert (await quick).status == 200
    arrived.set()
    await asyncio.gather(*slow)
