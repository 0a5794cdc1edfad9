"""What holds for every request, asked of the edge directly."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

import pytest

from mbaas.config.settings import LimitSettings, RateSettings, ServerSettings
from mbaas.core.errors import MbaasError, NotFound, RuleRefused, TokenExpired
from mbaas.http.caller import caller
from mbaas.http.edge import CLIENT_GONE, Surface
from mbaas.http.health import Health
from mbaas.http.request_id import new_request_id
from mbaas.http.respond import Message, Receive, Reply, Scope, Send, send_json
from tests.edge import NO_RATES, Setup, ask, whoami


async def test_a_request_id_is_made_and_one_that_is_sane_is_kept() -> None:
    edge = Setup().edge
    made = await ask(edge)
    assert uuid.UUID(made["x-request-id"] or "").version == 7
    assert made.json()["request_id"] == made["x-request-id"]
    assert (await ask(edge, headers={"x-request-id": "abc-12345"}))["x-request-id"] == "abc-12345"


@pytest.mark.parametrize("given", ["short", "x" * 65, "a b c d e f", "é" * 8, "aaaaaaaa\tbbb", '{"a":"b"}'])
async def test_a_request_id_that_is_odd_is_replaced(given: str) -> None:
    answer = await ask(Setup().edge, headers={"x-request-id": given})
    assert answer["x-request-id"] != given
    assert answer.status == 200


def test_request_ids_sort_by_time_and_differ() -> None:
    ids = [new_request_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)


def test_a_clock_that_is_set_back_makes_no_id_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbaas.http.request_id._until", 0.0)  # and back to what it was in the end
    now = time.time() + 3600
    ids = []
    for moment in (now, now + 0.0004, now - 100, now + 0.002, now - 0.001):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        ids += [new_request_id() for _ in range(5000)]
    assert len(set(ids)) == 25_000
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)
    assert all(uuid.UUID(one).version == 7 for one in ids[::100])


async def test_the_caller_reaches_the_route_as_identity_or_as_what_was_wrong() -> None:
    edge = Setup().edge
    assert (await ask(edge)).json()["role"] == "anon"
    assert (await ask(edge, headers={"authorization": "Bearer user-token"})).json()["role"] == "authenticated"
    assert (await ask(edge, key="service-key")).json()["role"] == "service_role"
    for key, bearer in ((None, None), ("wrong", None), ("anon-key", "old-token"), ("anon-key", "none.at.all")):
        answer = await ask(edge, key=key, headers={"authorization": f"Bearer {bearer}"} if bearer else {})
        assert (answer.status, answer["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/auth/v1/verify", 200),
        ("POST", "/auth/v1/verify", 200),
        ("GET", "/auth/v1/verify/", 200),
        ("GET", "/auth/v1/callback", 200),
        ("GET", "/auth/v1/authorize", 200),
        ("GET", "/auth/v1/.well-known/jwks.json", 200),
        ("POST", "/auth/v1/sso/saml/acs", 200),
        ("GET", "/storage/v1/object/public/b/a.png", 200),
        ("HEAD", "/storage/v1/object/sign/b/a.png", 200),
        ("PUT", "/storage/v1/object/upload/sign/b/a.png", 200),
        ("GET", "/storage/v1/render/image/public/b/a.png", 200),
        ("OPTIONS", "/rest/v1/posts", 200),
        ("POST", "/storage/v1/object/public/b/a.png", 401),
        ("POST", "/storage/v1/object/sign/b/a.png", 401),
        ("GET", "/storage/v1/object/upload/sign/b/a.png", 401),
        ("GET", "/storage/v1/object/publicity", 401),
        ("GET", "/auth/v1/verify/x", 401),
        ("GET", "/auth/v1/verifying", 401),
        ("GET", "/auth/v1/user", 401),
        ("GET", "/rest/v1/auth/v1/verify", 401),
    ],
)
async def test_only_routes_that_are_opened_by_links_need_no_key(method: str, path: str, status: int) -> None:
    assert (await ask(Setup().edge, method, path, key=None)).status == status


async def test_every_answer_has_the_headers_that_keep_it_private() -> None:
    for answer in (
        await ask(Setup().edge),
        await ask(Setup().edge, key=None),
        await ask(Setup().edge, path="/no//path"),
        await ask(Setup().edge, path="/health/live"),
    ):
        assert answer["x-content-type-options"] == "nosniff"
        assert answer["cache-control"] == "no-store"
        assert {"Authorization", "Origin"} <= set((answer["vary"] or "").split(", "))
        assert answer["strict-transport-security"] is None


async def test_a_route_may_say_how_it_is_cached() -> None:
    async def cached(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 200, b"{}", [(b"cache-control", b"public, max-age=60")])

    assert (await ask(Setup(cached).edge)).all("cache-control") == ["public, max-age=60"]


async def test_behind_tls_browsers_are_told_to_stay_there() -> None:
    edge = Setup(settings=ServerSettings(public_url="https://api.example")).edge
    assert (await ask(edge))["strict-transport-security"] == "max-age=31536000"


async def test_errors_are_worded_in_the_dialect_of_their_prefix() -> None:
    def dialect(error: MbaasError, scope: Scope) -> Reply:
        return Reply(418, json.dumps({"said": error.message}).encode())

    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuleRefused("no")

    edge = Setup(refuses, surfaces=[Surface(prefix="/auth/v1", dialect=dialect)]).edge
    answer = await ask(edge, path="/auth/v1/user")
    assert (answer.status, answer.json()) == (418, {"said": "no"})
    assert (await ask(edge, path="/auth/v1")).status == 418
    assert (await ask(edge, path="/auth/v10/user")).status == 403
    assert (await ask(edge, path="/rest/v1/posts")).json()["code"] == "rule_refused"


async def test_an_exception_not_ours_is_a_plain_500_and_a_log_line_with_its_cause() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("select secret from /etc/passwd")

    setup = Setup(broken)
    answer = await ask(setup.edge)
    assert answer.status == 500
    assert set(answer.json()) == {"code", "message", "hint", "details"}
    assert answer.json()["code"] == "internal"
    assert (answer["x-request-id"] or "?") in answer.json()["hint"]
    assert not any(word in answer.body for word in (b"secret", b"passwd", b"Traceback", b".py", b"ZeroDivision"))
    line = next(line for line in setup.lines() if line["event"] == "request_failed")
    assert line["request_id"] == answer["x-request-id"]
    assert "ZeroDivisionError" in line["exception"]


async def test_a_dialect_that_breaks_is_a_plain_500_too() -> None:
    def broken(error: MbaasError, scope: Scope) -> Reply:
        raise KeyError("x")

    edge = Setup(surfaces=[Surface(prefix="/rest/v1", dialect=broken)]).edge
    answer = await ask(edge, key=None)
    assert (answer.status, answer.json()["code"]) == (500, "internal")


async def test_half_an_answer_is_not_finished_by_an_error() -> None:
    sent: list[Message] = []

    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[1,", "more_body": True})
        raise ZeroDivisionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": [],
    }
    await Setup(half).edge(scope, whoami, send)  # type: ignore[arg-type]
    assert [message.get("more_body") for message in sent] == [None, True]


async def test_a_request_that_takes_too_long_is_a_504_and_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    edge = Setup(hangs, limits=LimitSettings(request_timeout_s=0.02, rate=NO_RATES)).edge
    answer = await ask(edge)
    assert (answer.status, answer.json()["code"], cancelled) == (504, "timeout", [True])


async def test_a_timeout_of_the_app_itself_is_a_500() -> None:
    async def times_out(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError

    assert (await ask(Setup(times_out).edge)).status == 500


async def test_a_prefix_may_have_limits_of_its_own() -> None:
    big = Surface(prefix="/storage/v1", max_body=1000, request_timeout_s=0)
    edge = Setup(surfaces=[big], limits=LimitSettings(max_body=10, rate=NO_RATES)).edge
    assert (await ask(edge, "POST", "/storage/v1/object/b/k", body=b"x" * 1000)).json()["size"] == 1000
    assert (await ask(edge, "POST", "/storage/v1/object/b/k", body=b"x" * 1001)).status == 413
    assert (await ask(edge, "POST", "/rest/v1/posts", body=b"x" * 11)).status == 413


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "FOO"])
async def test_methods_that_nothing_serves_are_refused(method: str) -> None:
    assert (await ask(Setup().edge, method)).status == 405


@pytest.mark.parametrize("name", ["x-http-method-override", "x-http-method", "x-method-override"])
async def test_a_method_cannot_be_overridden(name: str) -> None:
    assert (await ask(Setup().edge, "POST", headers={name: "DELETE"})).json()["method"] == "POST"
    answer = await ask(Setup().edge, "POST", query=b"_method=DELETE")
    assert answer.json()["method"] == "POST"


async def test_websockets_are_closed_before_they_open() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await Setup().edge({"type": "websocket", "path": "/x", "headers": []}, whoami, send)  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_health_says_live_and_ready_and_asks_the_database_once_a_second() -> None:
    asked: list[int] = []
    broken = [False]

    async def probe() -> None:
        asked.append(1)
        if broken[0]:
            raise OSError("postgres at 10.1.2.3 is gone")

    setup = Setup(probe=probe, limits=LimitSettings(rate=RateSettings(per_ip=1)))
    for _ in range(20):
        answer = await ask(setup.edge, path="/health/ready", key=None)
        assert (answer.status, answer.json()) == (200, {"status": "ready"})
    assert len(asked) == 1
    assert (await ask(setup.edge, path="/health/live", key=None)).status == 200
    broken[0] = True
    setup.health._asked_at -= 2
    answer = await ask(setup.edge, path="/health/ready", key=None)
    assert (answer.status, answer.json()) == (503, {"status": "not ready", "reason": "database"})
    assert answer["retry-after"] == "1"
    assert (await ask(setup.edge, path="/health/live", key=None)).status == 200


async def test_many_who_ask_for_health_at_once_cause_one_question() -> None:
    asked: list[int] = []
    go = asyncio.Event()

    async def probe() -> None:
        asked.append(1)
        await go.wait()

    setup = Setup(probe=probe)
    waiting = [asyncio.create_task(ask(setup.edge, path="/health/ready")) for _ in range(10)]
    await asyncio.sleep(0)
    go.set()
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    assert len(asked) == 1


async def test_until_all_is_loaded_it_is_alive_but_not_ready() -> None:
    async def answers() -> None: ...

    health = Health(answers, begun=False)
    assert health.live().status == 200
    refused = await health.ready()
    assert (refused.status, b'"starting"' in refused.body) == (503, True)
    health.begin()
    assert (await health.ready()).status == 200


async def test_while_draining_it_is_alive_but_not_ready() -> None:
    setup = Setup()
    setup.health.drain()
    assert (await ask(setup.edge, path="/health/ready")).json()["reason"] == "draining"
    assert (await ask(setup.edge, path="/health/live")).status == 200
    assert (await ask(setup.edge)).status == 200


async def test_health_is_for_reading() -> None:
    assert (await ask(Setup().edge, "POST", "/health/live")).status == 405


@pytest.mark.parametrize(
    ("key", "bearer", "status"),
    [
        (None, None, 401),
        ("anon-key", None, 403),
        ("anon-key", "user-token", 403),
        ("service-key", "user-token", 403),
        ("anon-key", "old-token", 401),
        ("service-key", None, 200),
        ("anon-key", "service-key", 200),
    ],
)
async def test_metrics_are_for_the_service_key(key: str | None, bearer: str | None, status: int) -> None:
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    answer = await ask(Setup().edge, path="/metrics", key=key, headers=headers, client="127.0.0.1")
    assert answer.status == status
    assert (b"mbaas_http_requests_in_flight" in answer.body) == (status == 200)


async def test_metrics_count_requests_by_prefix_and_never_by_path() -> None:
    setup = Setup(surfaces=[Surface(prefix="/rest/v1")])
    await ask(setup.edge, path="/rest/v1/posts-of-alice")
    await ask(setup.edge, path="/wp-login.php", key=None)
    await ask(setup.edge, "BREW", path="/rest/v1/posts")
    text = (await ask(setup.edge, path="/metrics", key="service-key")).body.decode()
    assert 'mbaas_http_request_duration_seconds_count{method="GET",prefix="/rest/v1",status="200"} 1.0' in text
    assert 'mbaas_http_request_duration_seconds_count{method="GET",prefix="other",status="401"} 1.0' in text
    assert 'method="other",prefix="/rest/v1",status="405"' in text
    assert not any(word in text for word in ("alice", "wp-login", "BREW", "anon-key"))
    assert "mbaas_http_requests_in_flight 1.0" in text


async def test_a_request_is_one_line_without_its_query() -> None:
    setup = Setup()
    await ask(
        setup.edge,
        path="/rest/v1/posts",
        query=b"email=eq.alice@example.org&apikey=k",
        headers={"authorization": "Bearer user-token", "x-request-id": "req-00000001"},
    )
    (line,) = setup.lines()
    assert {**line, "time": "", "duration_ms": 0} == {
        "time": "",
        "level": "info",
        "event": "request",
        "method": "GET",
        "path": "/rest/v1/posts",
        "status": 200,
        "duration_ms": 0,
        "request_id": "req-00000001",
        "client_ip": "192.0.2.1",
        "role": "authenticated",
        "user_id": "7f1b2c5e-0000-4000-8000-000000000001",
    }


async def test_a_newline_in_a_path_does_not_make_a_second_line() -> None:
    setup = Setup()
    answer = await ask(setup.edge, path='/rest/v1/a\n{"event":"forged"}', raw_path=b"/rest/v1/a%0A")
    assert answer.status == 400
    assert [line["event"] for line in setup.lines()] == ["request"]


async def test_a_client_that_goes_away_is_499_in_the_log() -> None:
    setup = Setup(hangs_forever)
    task = asyncio.create_task(ask(setup.edge))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert [line["status"] for line in setup.lines()] == [CLIENT_GONE]


async def hangs_forever(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


async def test_what_a_route_raises_keeps_its_class() -> None:
    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller(scope)
        except TokenExpired:
            raise NotFound("was expired") from None

    answer = await ask(Setup(route).edge, headers={"authorization": "Bearer old-token"})
    assert (answer.status, answer.json()["message"]) == (404, "was expired")


async def test_all_bodies_of_errors_tell_code_and_message_and_nothing_of_the_inside() -> None:
    setup = Setup(limits=LimitSettings(max_url=100, max_body=10, rate=NO_RATES))
    odd: list[dict[str, Any]] = [
        {"path": "/a//b"},
        {"path": "/a/../b"},
        {"query": b"a=" + b"x" * 200},
        {"query": b"a=\xff"},
        {"method": "BREW"},
        {"key": "wrong"},
        {"body": b"x" * 11, "method": "POST"},
        {"headers": {"content-length": "1x"}, "method": "POST"},
        {"headers": [("authorization", "Bearer a"), ("authorization", "Bearer b")]},
        {"headers": [("x-a", "1")] * 101},
        {"headers": {"x-a": "1" * 70_000}},
    ]
    for request in odd:
        answer = await ask(setup.edge, **request)
        assert 400 <= answer.status < 500, request
        assert set(answer.json()) == {"code", "message", "hint", "details"}, request
        assert not any(word in answer.body for word in (b"Traceback", b".py", b"mbaas", b"0x")), request
        assert answer["x-request-id"], request


@pytest.mark.parametrize(
    ("headers", "key", "noticed"),
    [
        ({"origin": "https://app.example.com"}, "service-key", True),
        ({"sec-fetch-site": "same-origin"}, "service-key", True),
        ({"sec-fetch-mode": "cors"}, "service-key", False),  # fetch in Node
        ({}, "service-key", False),
        ({"origin": "https://app.example.com", "sec-fetch-site": "cross-site"}, "anon-key", False),
    ],
)
async def test_only_what_a_browser_sends_is_taken_for_one(headers: dict[str, str], key: str, noticed: bool) -> None:
    setup = Setup()
    for _ in range(3):
        assert (await ask(setup.edge, headers=headers, key=key)).status == 200
    told = [line for line in setup.lines() if line["event"] == "service_key_in_browser"]
    assert len(told) == noticed, "once in a while"
    counted = (
        'mbaas_events_total{event="service_key_in_browser",kind=""} 3.0' in (setup.metrics.reply().body or b"").decode()
    )
    assert counted is noticed
