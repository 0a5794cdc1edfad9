"""Signing in, staying signed in, signing out."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from typing import Any

from mbaas.core.observe import SecurityEvent
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.refresh import refresh_token
from tests.auth import PASSWORD, Auth


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


async def count(auth: Auth, table: str) -> int:
    row = await auth.database.fetch_row(Statement(f"select count(*) from auth.{table}"))
    assert row is not None
    return int(str(row[0]))


async def test_an_access_token_says_all_that_rules_ask(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    body = claims(session["access_token"])
    assert body["iss"] == "http://127.0.0.1:8000/auth/v1"
    assert (body["sub"], body["aud"], body["role"]) == (session["user"]["id"], "authenticated", "authenticated")
    assert (body["aal"], body["is_anonymous"]) == ("aal1", False)
    assert body["amr"][0]["method"] == "password"
    assert body["exp"] - body["iat"] == 3600 == session["expires_in"]
    assert body["exp"] == session["expires_at"]
    uuid.UUID(body["session_id"])
    assert session["user"] == (await easy.get("/user", token=session["access_token"])).json()


async def test_unknown_wrong_and_unset_passwords_look_alike(easy: Auth) -> None:
    await easy.sign_up("ada@example.com")
    await easy.post("/admin/users", {"email": "none@example.com", "email_confirm": True}, key=easy.service_key)
    for who in ("ada@example.com", "nobody@example.com", "none@example.com", "no address", ""):
        answer = await easy.sign_in(who, "a wrong password")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_credentials")
        assert answer.json()["msg"] == "Invalid login credentials"


async def test_passwords_are_compared_in_one_unicode_form_and_in_full(easy: Auth) -> None:
    await easy.sign_up("ada@example.com", "Schlüssel und Schloß")
    assert (await easy.sign_in("ada@example.com", "Schlu\u0308ssel und Schloß")).status_code == 200
    long = "x" * 999
    await easy.sign_up("bob@example.com", long + "a")
    assert (await easy.sign_in("bob@example.com", long + "b")).status_code == 400
    assert (await easy.sign_in("bob@example.com", long + "a" + "c")).status_code == 400
    await easy.sign_up("eve@example.com", "with\x00a NUL byte")
    assert (await easy.sign_in("eve@example.com", "with\x00another")).status_code == 400
    assert (await easy.sign_in("eve@example.com", "with\x00a NUL byte")).status_code == 200


async def test_refreshing_turns_the_token_and_keeps_the_session(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    turned = (await easy.refresh(session["refresh_token"])).json()
    assert turned["refresh_token"] != session["refresh_token"]
    assert claims(turned["access_token"])["session_id"] == claims(session["access_token"])["session_id"]
    assert turned["user"]["id"] == session["user"]["id"]
    assert await count(easy, "sessions") == 1


async def test_twenty_refreshes_at_once_get_one_successor(easy: Auth) -> None:
    first = (await easy.sign_up("ada@example.com"))["refresh_token"]
    answers = await asyncio.gather(*(easy.refresh(first) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    row = await easy.database.fetch_row(Statement("select refresh_counter from auth.sessions"))
    assert row == ("1",)


async def test_the_parent_of_the_current_token_answers_at_any_time(easy: Auth) -> None:
    first = (await easy.sign_up("ada@example.com"))["refresh_token"]
    second = (await easy.refresh(first)).json()["refresh_token"]
    easy.clock.advance(hours=5)
    again = await easy.refresh(first)
    assert again.json()["refresh_token"] == second
    third = (await easy.refresh(second)).json()["refresh_token"]
    assert third not in (first, second)


async def test_inside_the_grace_any_recent_token_gets_the_current_one(easy: Auth) -> None:
    tokens = [(await easy.sign_up("ada@example.com"))["refresh_token"]]
    for _ in range(4):
        tokens.append((await easy.refresh(tokens[-1])).json()["refresh_token"])
    easy.clock.advance(seconds=5)
    for old in tokens:
        answer = await easy.refresh(old)
        if old == tokens[-1]:
            assert answer.json()["refresh_token"] not in tokens
        else:
            assert answer.json()["refresh_token"] == tokens[-1]


async def test_an_old_token_after_the_grace_ends_the_session_and_is_told(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    other = (await easy.sign_in("ada@example.com")).json()
    tokens = [session["refresh_token"]]
    for _ in range(2):
        tokens.append((await easy.refresh(tokens[-1])).json()["refresh_token"])
    easy.clock.advance(seconds=11)
    replayed = await easy.refresh(tokens[0])
    assert (replayed.status_code, replayed.json().get("error_code")) == (400, "refresh_token_already_used")
    assert replayed.json()["msg"] == "Invalid Refresh Token: Already Used"
    for token in tokens:
        assert (await easy.refresh(token)).json().get("error_code") == "refresh_token_not_found"
    gone = await easy.get("/user", token=session["access_token"])
    assert (gone.status_code, gone.json()["error_code"]) == (403, "session_not_found")
    assert (await easy.refresh(other["refresh_token"])).status_code == 200
    events = [event for event in easy.observed if isinstance(event, SecurityEvent)]
    assert [(event.kind, event.subject) for event in events] == [("refresh_token_reused", session["user"]["id"])]
    rows = await easy.database.fetch_rows(
        Statement(
            "select payload ->> 'action' from auth.audit_log_entries where payload ->> 'action' = 'token_revoked'"
        )
    )
    assert rows == [("token_revoked",)]


async def test_replays_while_the_client_refreshes_never_make_a_second_line(easy: Auth) -> None:
    tokens = [(await easy.sign_up("ada@example.com"))["refresh_token"]]
    for _ in range(3):
        tokens.append((await easy.refresh(tokens[-1])).json()["refresh_token"])
    answers = await asyncio.gather(*(easy.refresh(token) for token in tokens * 5))
    assert {answer.status_code for answer in answers} == {200}
    row = await easy.database.fetch_row(Statement("select refresh_counter from auth.sessions"))
    assert row == ("4",)


async def test_what_is_no_refresh_token_of_ours_is_refused(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    good = session["refresh_token"]
    forged = refresh_token(claims(session["access_token"])["session_id"], 0, b"another key of thirty-two bytes!")
    cases = {
        "": "validation_failed",
        "short": "validation_failed",
        session["access_token"]: "validation_failed",
        good[:-1]: "validation_failed",
        "abcdefghijkl": "refresh_token_not_found",
        forged: "refresh_token_not_found",
        ("B" if good[30] != "B" else "C").join((good[:30], good[31:])): "refresh_token_not_found",
    }
    for token, code in cases.items():
        answer = await easy.refresh(token)
        assert (answer.status_code, answer.json().get("error_code")) == (400, code), token
    assert (await easy.refresh(good)).status_code == 200


async def test_the_database_holds_no_token_of_anybody(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    await easy.post("/recover", {"email": "ada@example.com"})
    letter = await easy.mail("ada@example.com")
    dump = ""
    for table in ("users", "identities", "sessions", "one_time_tokens", "flow_state", "audit_log_entries"):
        rows = await easy.database.fetch_rows(Statement(f"select row_to_json(t)::text from auth.{table} as t"))
        dump += "".join(str(row[0]) for row in rows)
    assert session["user"]["id"] in dump
    for secret in (session["refresh_token"], session["access_token"], PASSWORD, letter.token_hash, f'"{letter.code}"'):
        assert secret not in dump


async def test_logout_ends_what_it_says(easy: Auth) -> None:
    await easy.sign_up("ada@example.com")
    a, b, c = [(await easy.sign_in("ada@example.com")).json() for _ in range(3)]
    assert (await easy.post("/logout?scope=nonsense", token=a["access_token"])).status_code == 400
    answer = await easy.post("/logout?scope=local", token=a["access_token"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await easy.get("/user", token=a["access_token"])).json()["error_code"] == "session_not_found"
    assert (await easy.refresh(a["refresh_token"])).json()["error_code"] == "refresh_token_not_found"
    assert (await easy.post("/logout?scope=others", token=b["access_token"])).status_code == 204
    assert (await easy.get("/user", token=b["access_token"])).status_code == 200
    assert (await easy.get("/user", token=c["access_token"])).status_code == 403
    assert (await easy.post("/logout", token=b["access_token"])).status_code == 204
    assert await count(easy, "sessions") == 0
    again = await easy.post("/logout", token=b["access_token"])
    assert (again.status_code, again.json()["error_code"]) == (403, "session_not_found")


async def test_a_banned_user_gets_nowhere_and_comes_back_after_it(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    path = f"/admin/users/{session['user']['id']}"
    banned = await easy.put(path, {"ban_duration": "24h"}, key=easy.service_key)
    assert banned.json()["banned_until"]
    for answer in (await easy.refresh(session["refresh_token"]), await easy.sign_in("ada@example.com")):
        assert (answer.status_code, answer.json()["error_code"]) == (400, "user_banned")
    assert (await easy.get("/user", token=session["access_token"])).json()["error_code"] == "user_banned"
    easy.clock.advance(hours=25)
    assert (await easy.sign_in("ada@example.com")).status_code == 200


async def test_a_deleted_users_token_is_nobodys(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    deleted = await easy.delete(f"/admin/users/{session['user']['id']}", key=easy.service_key)
    assert (deleted.status_code, deleted.json()) == (200, {})
    gone = await easy.get("/user", token=session["access_token"])
    assert (gone.status_code, gone.json()["error_code"]) == (403, "user_not_found")
    assert (await easy.refresh(session["refresh_token"])).json()["error_code"] == "refresh_token_not_found"


async def test_an_expired_bearer_does_not_keep_a_session_from_being_refreshed(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    easy.clock.advance(hours=2)
    stale = await easy.get("/user", token=session["access_token"])
    assert (stale.status_code, stale.json()["error_code"]) == (403, "bad_jwt")
    body = {"refresh_token": session["refresh_token"]}
    answer = await easy.post("/token?grant_type=refresh_token", body, token=session["access_token"])
    assert answer.status_code == 200


async def test_other_grants_are_refused(easy: Auth) -> None:
    answer = await easy.post("/token?grant_type=magic", {})
    assert (answer.status_code, answer.json()["error_code"], answer.json()["msg"]) == (
        400,
        "invalid_credentials",
        "unsupported_grant_type",
    )
