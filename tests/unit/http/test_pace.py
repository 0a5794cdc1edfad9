"""Sockets are looked at in turns while the server is full, and what is vital does not stand in that line."""

from __future__ import annotations

import asyncio

from mbaas.config.settings import LimitSettings
from mbaas.http.admission import Admission
from mbaas.http.pace import TURN, Pace
from mbaas.http.respond import Receive, Scope, Send, send_json
from tests.edge import NO_RATES, Setup, connected, running

GET = b"GET /rest/v1/posts HTTP/1.1\r\nhost: x\r\napikey: anon-key\r\n\r\n"
READY = b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n"


class Connection:
    def __init__(self) -> None:
        self.queued = 0
        self.seen: list[bytes] = []

    def look(self, data: bytes) -> None:
        self.seen.append(data)


def full() -> Admission:
    admission = Admission(1)
    admission.active = 1
    return admission


async def test_while_there_is_room_everything_is_looked_at_at_once() -> None:
    assert not Pace(Admission(1)).holds(Connection(), GET)
    assert not Pace(Admission(0)).holds(Connection(), GET)


async def test_when_the_server_is_full_other_work_comes_between_the_turns() -> None:
    pace = Pace(full())
    waiting = [Connection() for _ in range(3 * TURN)]
    assert all(pace.holds(one, GET) for one in waiting)
    looked_at = []
    while not all(one.seen for one in waiting):
        await asyncio.sleep(0)
        looked_at.append(sum(len(one.seen) for one in waiting))
    assert looked_at == [TURN, 2 * TURN, 3 * TURN]
    assert [one.queued for one in waiting] == [0] * len(waiting)


async def test_what_one_connection_sends_stays_in_order() -> None:
    admission = full()
    pace = Pace(admission)
    one = Connection()
    assert pace.holds(one, b"first")
    assert pace.holds(one, READY)  # vital, but it may be the middle of what was begun
    admission.active = 0
    assert pace.holds(one, b"third")
    while one.queued:
        await asyncio.sleep(0)
    assert one.seen == [b"first", READY, b"third"]
    assert not pace.holds(one, b"fourth")


async def test_health_and_the_refresh_of_sessions_stand_in_no_line() -> None:
    pace = Pace(full())
    assert pace.holds(Connection(), GET)
    assert not pace.holds(Connection(), READY)
    assert not pace.holds(Connection(), b"POST /auth/v1/token?grant_type=refresh_token HTTP/1.1\r\n")


async def test_hundreds_are_turned_away_on_their_sockets_and_those_inside_are_answered() -> None:
    go, inside = asyncio.Event(), asyncio.Event()

    async def held(scope: Scope, receive: Receive, send: Send) -> None:
        inside.set()
        await go.wait()
        await send_json(send, 200, b"{}")

    edge = Setup(held, limits=LimitSettings(max_active=1, rate=NO_RATES)).edge

    async def asked(request: bytes, times: int) -> list[bytes]:
        async with connected(made.port) as (reader, writer):
            answers = []
            for _ in range(times):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                answers.append(head + await reader.readexactly(length))
            return answers

    async with running(edge, quick=edge.quick, admission=edge.admission) as made:
        first = asyncio.create_task(asked(GET, 1))
        await inside.wait()
        crowd = [asyncio.create_task(asked(GET, 3)) for _ in range(100)]
        ready = await asked(READY, 1)
        turned_away = [answer for one in crowd for answer in await one]
        go.set()
        (answered,) = await first
        (later,) = await asked(GET, 1)
    assert ready[0].startswith(b"HTTP/1.1 200")
    assert len(turned_away) == 300
    assert {answer.partition(b"\r\n")[0] for answer in turned_away} == {b"HTTP/1.1 503 Service Unavailable"}
    assert all(b"\r\nretry-after: 1\r\n" in answer and b'"code":"overloaded"' in answer for answer in turned_away)
    assert len({answer.partition(b"x-request-id: ")[2][:36] for answer in turned_away}) == 300
    assert answered.startswith(b"HTTP/1.1 200")
    assert later.startswith(b"HTTP/1.1 200")
    assert edge.admission.active == 0
