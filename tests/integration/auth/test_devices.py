"""Where one is signed in, for how long, and what of a session is over when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from mbaas.core.errors import ConfigError, DatabaseError
from mbaas.core.identity import Identity
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.tokens import TokenIssuer
from tests.auth import PASSWORD, Auth, make_config, open_auth
from tests.integration.auth.test_sessions import claims, count

Open = Callable[..., AbstractAsyncContextManager[Auth]]


@pytest.fixture
def opened(database_url: str) -> Open:
    """Auth with settings of its own."""

    @contextlib.asynccontextmanager
    async def open_it(**settings: Any) -> AsyncIterator[Auth]:
        with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
            async with open_auth(database_url, make_config(Path(name), autoconfirm=True, **settings)) as auth:
                yield auth

    return open_it


def agent(name: str, address: str = "192.0.2.1") -> dict[str, str]:
    return {"user-agent": name, "x-forwarded-for": address}


async def test_a_user_sees_every_device_and_ends_one(opened: Open) -> None:
    async with opened(proxies=("127.0.0.1",)) as auth:
        await auth.sign_up("ada@example.com")
        phone = (await auth.sign_in("ada@example.com", headers=agent("Phone"))).json()
        laptop = (await auth.sign_in("ada@example.com", headers=agent("Laptop", "192.0.2.2"))).json()
        auth.clock.advance(minutes=5)
        body = {"refresh_token": phone["refresh_token"]}
        await auth.post("/token?grant_type=refresh_token", body, headers=agent("Phone 2", "198.51.100.7"))
        listed = (await auth.get("/user/sessions", token=laptop["access_token"])).json()["sessions"]
        assert [(one["user_agent"], one["ip"], one["current"]) for one in listed[:2]] == [
            ("Phone 2", "198.51.100.7", False),
            ("Laptop", "192.0.2.2", True),
        ]
        assert listed[0]["last_used_at"] > listed[0]["created_at"]
        assert "refresh" not in str(listed[0])
        path = f"/user/sessions/{claims(phone['access_token'])['session_id']}"
        assert (await auth.delete(path, token=laptop["access_token"])).status_code == 204
        assert (await auth.delete(path, token=laptop["access_token"])).status_code == 404
        assert (await auth.refresh(phone["refresh_token"])).json()["error_code"] == "refresh_token_not_found"
        assert (await auth.refresh(laptop["refresh_token"])).status_code == 200


async def test_a_session_of_somebody_else_is_not_there(easy: Auth) -> None:
    ada, eve = await easy.sign_up("ada@example.com"), await easy.sign_up("eve@example.com")
    for name in (claims(ada["access_token"])["session_id"], str(uuid.uuid4()), "no-uuid"):
        refused = await easy.delete(f"/user/sessions/{name}", token=eve["access_token"])
        assert (refused.status_code, refused.json()["error_code"]) == (404, "session_not_found")
    assert (await easy.refresh(ada["refresh_token"])).status_code == 200


async def test_an_administrator_sees_and_ends_sessions(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    for _ in range(2):
        await easy.sign_in("ada@example.com")
    path = f"/admin/users/{session['user']['id']}/sessions"
    listed = (await easy.get(path, key=easy.service_key)).json()["sessions"]
    assert len(listed) == 3
    assert (await easy.delete(f"{path}/{listed[0]['id']}", key=easy.service_key)).status_code == 204
    assert (await easy.delete(path, key=easy.service_key)).json() == {"ended": 2}
    assert (await easy.get(path, key=easy.service_key)).json() == {"sessions": []}
    unknown = await easy.get(f"/admin/users/{uuid.uuid4()}/sessions", key=easy.service_key)
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "user_not_found")


async def test_a_session_that_nobody_uses_ends(opened: Open) -> None:
    async with opened(session_idle_s=3600) as auth:
        token = (await auth.sign_up("ada@example.com"))["refresh_token"]
        for _ in range(3):  # used, it goes on for longer than that
            auth.clock.advance(minutes=50)
            token = (await auth.refresh(token)).json()["refresh_token"]
        auth.clock.advance(minutes=61)
        refused = await auth.refresh(token)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "session_expired")
        again = (await auth.sign_in("ada@example.com")).json()
        listed = (await auth.get("/user/sessions", token=again["access_token"])).json()["sessions"]
        assert [one["current"] for one in listed] == [True]
        auth.clock.advance(days=2)
        await auth.app.services.devices.forget()
        assert await count(auth, "sessions") == 0


async def test_a_session_ends_however_often_it_is_used(opened: Open) -> None:
    async with opened(session_lifetime_s=7200) as auth:
        token = (await auth.sign_up("ada@example.com"))["refresh_token"]
        auth.clock.advance(minutes=90)
        token = (await auth.refresh(token)).json()["refresh_token"]
        auth.clock.advance(minutes=31)
        assert (await auth.refresh(token)).json()["error_code"] == "session_expired"


async def test_with_a_single_session_the_newest_sign_in_wins(opened: Open) -> None:
    async with opened(single_session=True) as auth:
        first = await auth.sign_up("ada@example.com")
        await asyncio.gather(*(auth.sign_in("ada@example.com") for _ in range(5)))
        assert await count(auth, "sessions") == 1
        assert (await auth.refresh(first["refresh_token"])).json()["error_code"] == "refresh_token_not_found"


REVOKED = {
    "logout": "session_not_found",
    "others": "session_not_found",
    "password": "session_not_found",
    "by an administrator": "session_not_found",
    "banned": "user_banned",
    "soft deleted": "user_not_found",
    "deleted": "user_not_found",
}


@pytest.mark.parametrize("how", REVOKED)
async def test_an_access_token_is_refused_by_every_node_a_look_later(database_url: str, how: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), autoconfirm=True)
        async with open_auth(database_url, config) as auth, open_auth(database_url, config) as other:
            session = await auth.sign_up("ada@example.com")
            mine = (await auth.sign_in("ada@example.com")).json()
            user = f"/admin/users/{session['user']['id']}"
            key = {"key": auth.service_key}
            asks: dict[str, Callable[[], Any]] = {
                "logout": lambda: auth.post("/logout?scope=local", token=session["access_token"]),
                "others": lambda: auth.post("/logout?scope=others", token=mine["access_token"]),
                "password": lambda: auth.put("/user", {"password": "another horse"}, token=mine["access_token"]),
                "by an administrator": lambda: auth.delete(
                    f"{user}/sessions/{claims(session['access_token'])['session_id']}", **key
                ),
                "banned": lambda: auth.put(user, {"ban_duration": "24h"}, **key),
                "soft deleted": lambda: auth.delete(user, {"should_soft_delete": True}, **key),
                "deleted": lambda: auth.delete(user, **key),
            }

            def passes(node: Auth, token: str) -> bool:
                """What any prefix asks the edge, no table with it."""
                identify = node.edge._identify
                try:
                    identify(node.anon_key, token, now=0.0)
                except Exception:
                    return False
                return True

            assert passes(other, session["access_token"])
            assert (await asks[how]()).status_code in (200, 204)
            for node in (auth, other):
                await node.revocations.look()
                assert not passes(node, session["access_token"])
                assert passes(node, mine["access_token"]) is (REVOKED[how] == "session_not_found")
                told = await node.get("/user", token=session["access_token"])
                assert (told.status_code, told.json()["error_code"]) == (403, REVOKED[how])
            async with open_auth(database_url, config) as late:  # started after it happened
                assert not passes(late, session["access_token"])
            if how == "banned":
                await auth.put(user, {"ban_duration": "none"}, **key)
                await other.revocations.look()
                assert passes(other, session["access_token"])


async def test_what_is_revoked_is_kept_as_long_as_a_token_may_live(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    await easy.post("/logout", token=session["access_token"])
    for ago, kept in (("59 minutes", 1), ("3 minutes", 0)):
        await easy.database.execute(f"update auth.revocations set changed_at = changed_at - interval '{ago}'")
        await easy.revocations.forget()
        assert await count(easy, "revocations") == kept


async def test_the_audit_is_read_page_by_page_and_only_added_to(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    asked = {"x-request-id": "request-of-this-test"}
    await easy.sign_in("ada@example.com", headers=asked)
    await easy.put(f"/admin/users/{session['user']['id']}", {"ban_duration": "1h"}, key=easy.service_key)
    await easy.sign_up("bob@example.com")

    async def read(query: str) -> list[dict[str, Any]]:
        answer = await easy.get(f"/admin/audit?{query}", key=easy.service_key)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["entries"])

    of_ada = await read(f"user_id={session['user']['id']}")
    assert [(one["action"], one["actor_id"]) for one in of_ada] == [
        ("user_modified", "service_role"), ("login", "anon"), ("login", "anon"), ("user_signedup", "anon")
    ]  # fmt: skip
    assert of_ada[0]["traits"] == {"fields": ["ban_duration"]}
    assert of_ada[1]["request_id"] == "request-of-this-test"
    assert of_ada[1]["ip_address"] == "127.0.0.1"
    everything = await read("")
    first = await read("per_page=4")
    assert first + await read(f"before={first[-1]['id']}") == everything
    assert len(await read("action=login")) == 3
    assert PASSWORD not in str(everything)
    assert (await easy.get("/admin/audit?before=x", key=easy.service_key)).status_code == 400
    assert (await easy.get("/admin/audit", token=session["access_token"])).status_code == 403
    for text in ("update auth.audit_log_entries set ip_address = ''", "delete from auth.audit_log_entries"):
        with pytest.raises(DatabaseError, match="only added to"):
            await easy.database.execute(text)


async def test_claims_of_the_projects_own_are_in_the_token(opened: Open) -> None:
    async with opened(claims={"org": "app_metadata.org.id", "plan": "app_metadata.plan"}) as auth:
        made = {"email": "ada@example.com", "password": PASSWORD, "email_confirm": True}
        await auth.post("/admin/users", {**made, "app_metadata": {"org": {"id": 7}}}, key=auth.service_key)
        session = (await auth.sign_in("ada@example.com")).json()
        assert claims(session["access_token"])["org"] == 7
        assert "plan" not in claims(session["access_token"])


@pytest.mark.parametrize("wrong", [{"role": "app_metadata.r"}, {"org": "user_metadata.org"}, {"org": "app_metadata"}])
def test_a_claim_of_ours_or_of_what_users_write_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"auth\.claims"):
        TokenIssuer(lambda: None, issuer="", lifetime_s=1, claims=wrong)  # type: ignore[arg-type, return-value]


async def test_after_a_while_a_new_address_takes_a_code(opened: Open) -> None:
    async with opened(recent_sign_in_s=600) as auth:
        session = await auth.sign_up("ada@example.com")
        token = session["access_token"]
        auth.clock.advance(minutes=11)
        wanted = {"email": "new@example.com"}
        refused = await auth.put("/user", wanted, token=token)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "reauthentication_needed")
        await auth.get("/reauthenticate", token=token)
        code = (await auth.mail("ada@example.com")).code
        assert (await auth.put("/user", {**wanted, "nonce": "000000"}, token=token)).status_code == 422
        changed = await auth.put("/user", {**wanted, "nonce": code}, token=token)
        assert changed.json()["new_email"] == "new@example.com"
        assert changed.json()["email"] == "ada@example.com"
        recent = (await auth.sign_in("ada@example.com")).json()
        assert (await auth.put("/user", {"email": "b@example.com"}, token=recent["access_token"])).status_code == 200


@pytest.mark.parametrize(
    ("metadata", "has"),
    [
        ({"roles": ["editor", "x"]}, True), ({"roles": ["x"]}, False), ({"roles": []}, False), ({"roles": "editor"}, False),
        ({"roles": {"editor": True}}, False), ({"roles": None}, False), ({}, False), (None, False), ("editor", False),
    ],
)  # fmt: skip
async def test_a_role_is_one_of_a_list_to_sql_as_well(easy: Auth, metadata: Any, has: bool) -> None:
    identity = Identity(role="authenticated", claims={"role": "authenticated", "app_metadata": metadata})
    async with easy.database.transaction(caller=identity) as transaction:
        assert await transaction.fetch_row(Statement("select auth.has_role('editor')")) == ("t" if has else "f",)
