"""Guessing is stopped: by account, by address and by both, on every node, and without locking owners out."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.config.settings import ThrottleSettings
from mbaas.core.observe import SecurityEvent, SignInFailed
from tests.auth import PASSWORD, Auth, make_config, open_auth
from tests.integration.auth.test_sessions import count

SMALL = ThrottleSettings(pair=3, account=6, ip=8, messages=4)


def at(address: str) -> dict[str, str]:
    """As the proxy of these tests says it."""
    return {"x-forwarded-for": address}


@pytest.fixture
async def nodes(database_url: str) -> AsyncIterator[tuple[Auth, Auth]]:
    """Two servers of one project."""
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), autoconfirm=True, throttle=SMALL, proxies=("127.0.0.1",))
        async with contextlib.AsyncExitStack() as stack:
            yield (
                await stack.enter_async_context(open_auth(database_url, config)),
                await stack.enter_async_context(open_auth(database_url, config)),
            )


async def guess(auth: Auth, who: str, address: str, password: str = "a wrong password") -> Any:
    return await auth.sign_in(who, password, headers=at(address))


async def test_after_some_failures_the_right_password_is_refused_too_on_every_node(nodes: tuple[Auth, Auth]) -> None:
    one, two = nodes
    await one.sign_up("ada@example.com")
    for node in (one, two, one):
        assert (await guess(node, "ada@example.com", "192.0.2.1")).status_code == 400
    for node in nodes:
        refused = await guess(node, "ada@example.com", "192.0.2.1", PASSWORD)
        assert refused.status_code == 429
        assert refused.json()["error_code"] == "over_request_rate_limit"
        assert 0 < int(refused.headers["retry-after"]) <= 900
    assert [event.kind for event in one.observed if isinstance(event, SecurityEvent)] == ["too_many_tries"]
    one.clock.advance(minutes=16)
    assert (await guess(one, "ada@example.com", "192.0.2.1", PASSWORD)).status_code == 200


async def test_others_cannot_lock_an_owner_out(nodes: tuple[Auth, Auth]) -> None:
    one, _ = nodes
    await one.post("/signup", {"email": "ada@example.com", "password": PASSWORD}, headers=at("192.0.2.1"))
    for number in range(12):
        await guess(one, "ada@example.com", f"198.51.100.{number}")
    assert (await guess(one, "ada@example.com", "203.0.113.5", PASSWORD)).status_code == 429  # nobody knows it there
    assert (await guess(one, "ada@example.com", "192.0.2.1", PASSWORD)).status_code == 200


async def test_one_address_has_only_so_many_failures_whatever_the_accounts(nodes: tuple[Auth, Auth]) -> None:
    one, two = nodes
    await one.sign_up("ada@example.com")
    answers = [await guess(one, f"u{number}@example.com", "192.0.2.1") for number in range(10)]
    assert [answer.status_code for answer in answers] == [400] * 8 + [429] * 2
    assert (await guess(two, "ada@example.com", "192.0.2.1", PASSWORD)).status_code == 429
    assert (await guess(two, "ada@example.com", "192.0.2.2", PASSWORD)).status_code == 200


async def test_a_network_of_ipv6_is_one_address(nodes: tuple[Auth, Auth]) -> None:
    one, _ = nodes
    await one.sign_up("ada@example.com")
    for number in range(3):
        await guess(one, "ada@example.com", f"2001:db8::{number}:1")
    assert (await guess(one, "ada@example.com", "2001:db8::ffff:2", PASSWORD)).status_code == 429
    assert (await guess(one, "ada@example.com", "2001:db8:0:1::1", PASSWORD)).status_code == 200


async def test_failures_are_told_and_the_audit_hears_of_a_limit_once(nodes: tuple[Auth, Auth]) -> None:
    one, two = nodes
    ada = (await one.sign_up("ada@example.com"))["user"]["id"]
    bob = (await one.sign_up("bob@example.com"))["user"]["id"]

    async def entries(user: str) -> list[tuple[str, str, str]]:
        asked = f"/admin/audit?user_id={user}&action=login_throttled"
        told = (await one.get(asked, key=one.service_key)).json()["entries"]
        return [(entry["ip_address"], entry["traits"]["purpose"], entry["actor_id"]) for entry in told]

    for _ in range(2):
        await guess(one, "ada@example.com", "192.0.2.1")
    assert await entries(ada) == []
    before = await count(one, "audit_log_entries")
    await asyncio.gather(*(guess(node, "ada@example.com", "192.0.2.1") for node in (one, two) * 5))  # by address
    assert await entries(ada) == [("192.0.2.1", "password", "anon")]
    await asyncio.gather(*(guess(one, "ada@example.com", f"198.51.100.{n}") for n in range(20)))  # from everywhere
    newest, former = await entries(ada)
    assert (newest[0].startswith("198.51.100."), former) == (True, ("192.0.2.1", "password", "anon"))
    for _ in range(5):  # nobody's, and what is no address at all
        await guess(two, "nobody@example.com", "192.0.2.9")
        await guess(two, "", "192.0.2.9")
    assert await count(one, "audit_log_entries") == before + 2
    assert await entries(bob) == []
    told = [seen for seen in one.observed if isinstance(seen, SignInFailed)]
    assert told[0] == SignInFailed("password", "192.0.2.1/32")
    assert "ada" not in str(one.observed)


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(nodes: tuple[Auth, Auth]) -> None:
    one, _ = nodes
    await one.sign_up("ada@example.com")
    answers = await asyncio.gather(*(guess(one, "ada@example.com", "192.0.2.1") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [400] * 3 + [429] * 17


async def test_who_exists_makes_no_difference(nodes: tuple[Auth, Auth]) -> None:
    one, _ = nodes
    await one.sign_up("ada@example.com")
    answers = {}
    for number, who in enumerate(("ada@example.com", "nobody@example.com")):
        told = [await guess(one, who, f"192.0.2.{number}") for _ in range(4)]
        answers[who] = [(answer.status_code, answer.json()["msg"]) for answer in told]
    assert answers["ada@example.com"] == answers["nobody@example.com"]


async def test_who_gets_it_right_leaves_nothing_and_is_forgiven(nodes: tuple[Auth, Auth]) -> None:
    one, _ = nodes
    await one.sign_up("ada@example.com")
    before = await count(one, "throttles")
    assert (await guess(one, "ada@example.com", "192.0.2.1", PASSWORD)).status_code == 200
    assert await count(one, "throttles") == before
    for _ in range(3):
        for _ in range(2):
            assert (await guess(one, "ada@example.com", "192.0.2.1")).status_code == 400
        assert (await guess(one, "ada@example.com", "192.0.2.1", PASSWORD)).status_code == 200
    one.clock.advance(minutes=16)
    await one.app.services.throttle.forget()
    assert await count(one, "throttles") == 0


async def test_codes_are_guessed_no_more_than_passwords(nodes: tuple[Auth, Auth]) -> None:
    one, _ = nodes
    await one.sign_up("ada@example.com")
    wrong = {"type": "email", "email": "ada@example.com", "token": "000000"}
    for _ in range(3):
        refused = await one.post("/verify", wrong, headers=at("192.0.2.1"))
        assert refused.json()["error_code"] == "otp_expired"
    await one.post("/otp", {"email": "ada@example.com"})
    right = {**wrong, "token": (await one.mail("ada@example.com")).code}
    assert (await one.post("/verify", right, headers=at("192.0.2.1"))).status_code == 429
    assert (await one.post("/verify", right, headers=at("192.0.2.2"))).status_code == 200


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        ("/token/", [400, 400, 400, 429, 429]),
        ("/%74oken", [400, 400, 400, 429, 429]),
        ("/x//token", [400] * 5),  # refused for its path
        ("/TOKEN", [404] * 5),
    ],
)
async def test_another_spelling_of_the_path_is_counted_or_leads_nowhere(
    nodes: tuple[Auth, Auth], path: str, answers: list[int]
) -> None:
    one, _ = nodes
    await one.sign_up("ada@example.com")
    body = {"email": "ada@example.com", "password": "a wrong password"}
    told = [await one.post(f"{path}?grant_type=password", body, headers=at("192.0.2.1")) for _ in range(5)]
    assert [answer.status_code for answer in told] == answers
    tried = [answer for answer in told if answer.json().get("error_code") == "invalid_credentials"]
    assert len(tried) == (3 if 429 in answers else 0)


async def test_accounts_and_messages_are_counted_by_address(nodes: tuple[Auth, Auth]) -> None:
    one, two = nodes
    asks: list[tuple[str, dict[str, Any]]] = [
        ("/signup", {"email": "ada@example.com", "password": PASSWORD}),
        ("/signup", {}),  # without an address
        ("/recover", {"email": "nobody@example.com"}),
        ("/otp", {"email": "ada@example.com"}),
    ]
    for node, (path, body) in zip((one, two, one, two), asks, strict=True):
        assert (await node.post(path, body, headers=at("192.0.2.1"))).status_code == 200, path
    for path, body in (*asks, ("/resend", {"type": "signup", "email": "ada@example.com"}), ("/magiclink", asks[3][1])):
        assert (await one.post(path, body, headers=at("192.0.2.1"))).json()["error_code"] == "over_request_rate_limit"
    assert (await one.post("/signup", {}, headers=at("192.0.2.2"))).status_code == 200
    assert (await one.post("/signup", {}, headers=at("192.0.2.1"), key=one.service_key)).status_code == 200


async def test_who_is_asking_is_what_the_proxy_says_and_nothing_else(database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), autoconfirm=True, throttle=SMALL)  # no proxy is believed
        async with open_auth(database_url, config) as auth:
            await auth.sign_up("ada@example.com")
            for number in range(3):
                forged = {
                    **at(f"192.0.2.{number}"),
                    "x-real-ip": f"192.0.2.{number}",
                    "forwarded": f"for=192.0.2.{number}",
                }
                assert (await auth.sign_in("ada@example.com", "a wrong password", headers=forged)).status_code == 400
            assert (await auth.sign_in("ada@example.com", headers=at("203.0.113.9"))).status_code == 429
