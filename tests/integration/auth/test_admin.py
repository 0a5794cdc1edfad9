"""What the service key does to users."""

from __future__ import annotations

import uuid
from typing import Any

import argon2
import bcrypt

from mbaas.core.sql.fragment import Statement
from tests.auth import PASSWORD, Auth
from tests.integration.auth.test_sessions import claims, count


async def make(auth: Auth, **values: Any) -> Any:
    answer = await auth.post("/admin/users", values, key=auth.service_key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_user_is_made_read_changed_and_removed(auth: Auth) -> None:
    user = await make(
        auth,
        email="Ada@example.com",
        password=PASSWORD,
        email_confirm=True,
        user_metadata={"n": 1, "gone": None},
        app_metadata={"editor": True},
    )
    assert (user["email"], user["app_metadata"]["editor"], user["user_metadata"]["n"]) == ("ada@example.com", True, 1)
    assert user["app_metadata"]["provider"] == "email"
    assert (await auth.sign_in("ada@example.com")).status_code == 200
    path = f"/admin/users/{user['id']}"
    assert (await auth.get(path, key=auth.service_key)).json()["id"] == user["id"]
    values = {"app_metadata": {"editor": None, "org": 7}, "user_metadata": {"m": 2}, "email": "new@example.com"}
    changed = (await auth.put(path, values, key=auth.service_key)).json()
    assert changed["app_metadata"] == {"provider": "email", "providers": ["email"], "org": 7}
    assert (changed["user_metadata"]["n"], changed["user_metadata"]["m"]) == (1, 2)
    assert (changed["email"], changed["identities"][0]["email"]) == ("new@example.com", "new@example.com")
    assert (await auth.delete(path, {"should_soft_delete": False}, key=auth.service_key)).json() == {}
    gone = await auth.get(path, key=auth.service_key)
    assert (gone.status_code, gone.json()["error_code"]) == (404, "user_not_found")
    assert await count(auth, "identities") == 0


async def test_a_soft_deleted_user_keeps_the_row_and_nothing_else(auth: Auth) -> None:
    user = await make(auth, email="ada@example.com", password=PASSWORD, email_confirm=True, user_metadata={"n": 1})
    session = (await auth.sign_in("ada@example.com")).json()
    path = f"/admin/users/{user['id']}"
    assert (await auth.delete(path, {"should_soft_delete": True}, key=auth.service_key)).status_code == 200
    kept = (await auth.get(path, key=auth.service_key)).json()
    assert (kept["email"], kept["user_metadata"], kept["identities"]) == ("", {}, [])
    assert kept["deleted_at"]
    assert (await auth.sign_in("ada@example.com")).json()["error_code"] == "invalid_credentials"
    assert (await auth.refresh(session["refresh_token"])).status_code == 400
    assert (await auth.get("/user", token=session["access_token"])).json()["error_code"] == "user_not_found"
    await make(auth, email="ada@example.com")


async def test_a_page_of_users_links_to_the_next_and_the_last(auth: Auth) -> None:
    for number in range(5):
        await make(auth, email=f"u{number}@example.com")
    first = await auth.get("/admin/users?page=1&per_page=2", key=auth.service_key)
    assert [user["email"] for user in first.json()["users"]] == ["u4@example.com", "u3@example.com"]
    assert first.json()["aud"] == "authenticated"
    assert first.headers["x-total-count"] == "5"
    assert first.headers["link"] == (
        '</admin/users?page=2&per_page=2>; rel="next", </admin/users?page=3&per_page=2>; rel="last"'
    )
    last = await auth.get("/admin/users?page=3&per_page=2", key=auth.service_key)
    assert len(last.json()["users"]) == 1
    assert last.headers["link"] == '</admin/users?page=3&per_page=2>; rel="last"'
    beyond = await auth.get("/admin/users?page=9&per_page=2", key=auth.service_key)
    assert (beyond.json()["users"], beyond.headers["x-total-count"]) == ([], "5")
    assert len((await auth.get("/admin/users?page=&per_page=", key=auth.service_key)).json()["users"]) == 5
    for bad in ("page=0", "page=x", "per_page=-1", "page=99999999999999999999"):
        answer = await auth.get(f"/admin/users?{bad}", key=auth.service_key)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


async def test_what_is_taken_or_wrong_is_refused(auth: Auth) -> None:
    user = await make(auth, email="ada@example.com", phone="+49 151 2345678", phone_confirm=True)
    assert (user["phone"], bool(user["phone_confirmed_at"])) == ("491512345678", True)
    other = await make(auth, email="bob@example.com")
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"email": "ADA@example.com"}, 422, "email_exists"),
        ({"email": "c@example.com", "phone": "491512345678"}, 422, "phone_exists"),
        ({}, 400, "validation_failed"),
        ({"email": "nope"}, 400, "validation_failed"),
        ({"phone": "12ab"}, 400, "validation_failed"),
        ({"email": "c@example.com", "password": "short"}, 422, "weak_password"),
        ({"email": "c@example.com", "password_hash": "md5"}, 400, "validation_failed"),
        ({"email": "c@example.com", "ban_duration": "soon"}, 400, "validation_failed"),
        ({"email": "c@example.com", "role": "postgres"}, 400, "validation_failed"),
        ({"email": "c@example.com", "id": "no uuid"}, 400, "validation_failed"),
    ]
    for body, status, code in cases:
        answer = await auth.post("/admin/users", body, key=auth.service_key)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code), body
    clash = await auth.put(f"/admin/users/{other['id']}", {"email": "ada@example.com"}, key=auth.service_key)
    assert (clash.status_code, clash.json()["error_code"]) == (422, "email_exists")
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", {})):
        answer = await auth.ask(method, "/admin/users/no-uuid", body, key=auth.service_key)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "validation_failed")
        answer = await auth.ask(method, f"/admin/users/{uuid.uuid4()}", body, key=auth.service_key)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "user_not_found")


async def test_a_user_may_bring_id_and_hash_from_elsewhere(auth: Auth) -> None:
    mine = str(uuid.uuid4())
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    assert (await make(auth, id=mine, email="a@example.com", password_hash=old, email_confirm=True))["id"] == mine
    weaker = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await make(auth, email="b@example.com", password_hash=weaker, email_confirm=True)
    for who in ("a@example.com", "b@example.com"):
        assert (await auth.sign_in(who, "a wrong password")).status_code == 400
        assert (await auth.sign_in(who)).status_code == 200
    rows = await auth.database.fetch_rows(Statement("select encrypted_password from auth.users"))
    assert all(str(row[0]).startswith("$argon2id$v=19$m=19456,t=2,p=1$") for row in rows)
    assert (await auth.sign_in("a@example.com")).status_code == 200
    costly = "$argon2id$v=19$m=4194304,t=9,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng"
    answer = await auth.post("/admin/users", {"email": "c@example.com", "password_hash": costly}, key=auth.service_key)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


async def test_an_administrators_new_password_ends_every_session(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    path = f"/admin/users/{session['user']['id']}"
    assert (await easy.put(path, {"password": "set by an admin"}, key=easy.service_key)).status_code == 200
    assert (await easy.refresh(session["refresh_token"])).json()["error_code"] == "refresh_token_not_found"
    assert (await easy.sign_in("ada@example.com", "set by an admin")).status_code == 200


async def test_an_invitation_is_mailed_and_accepted(auth: Auth) -> None:
    user = await auth.post("/invite", {"email": "ada@example.com", "data": {"t": 1}}, key=auth.service_key)
    assert user.json()["invited_at"]
    assert user.json()["user_metadata"]["t"] == 1
    landed = await auth.open((await auth.mail("ada@example.com")).link)
    assert landed.fragment["type"] == "invite"
    assert claims(landed.fragment["access_token"])["sub"] == user.json()["id"]
    again = await auth.post("/invite", {"email": "ada@example.com"}, key=auth.service_key)
    assert (again.status_code, again.json()["error_code"]) == (422, "email_exists")


async def generate(auth: Auth, **body: Any) -> Any:
    answer = await auth.post("/admin/generate_link?redirect_to=fieldnotes://callback", body, key=auth.service_key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_links_of_every_type_work_and_no_mail_is_sent(auth: Auth) -> None:
    made = await generate(auth, type="signup", email="ada@example.com", password=PASSWORD, data={"n": 1})
    assert made["email"] == "ada@example.com"
    assert made["redirect_to"] == "fieldnotes://callback"
    assert made["action_link"] == (
        f"http://127.0.0.1:8000/auth/v1/verify?token={made['hashed_token']}&type=signup"
        "&redirect_to=fieldnotes%3A%2F%2Fcallback"
    )
    landed = await auth.open(made["action_link"])
    assert landed.base == "fieldnotes://callback"
    assert (await auth.sign_in("ada@example.com")).status_code == 200
    for kind in ("magiclink", "recovery"):
        made = await generate(auth, type=kind, email="ada@example.com")
        assert made["verification_type"] == kind
        assert "access_token" in (await auth.open(made["action_link"])).fragment
        made = await generate(auth, type=kind, email="ada@example.com")
        body = {"type": kind, "email": "ada@example.com", "token": made["email_otp"]}
        assert (await auth.post("/verify", body)).status_code == 200
    made = await generate(auth, type="invite", email="bob@example.com")
    body = {"type": made["verification_type"], "token_hash": made["hashed_token"]}
    assert (await auth.post("/verify", body)).json()["user"]["email"] == "bob@example.com"
    made = await generate(auth, type="magiclink", email="new@example.com")
    assert made["verification_type"] == "signup"
    body = {"type": made["verification_type"], "token_hash": made["hashed_token"]}
    assert (await auth.post("/verify", body)).json()["user"]["email"] == "new@example.com"
    assert await auth.mails() == []


async def test_links_for_a_change_of_address_need_both_halves(auth: Auth) -> None:
    await make(auth, email="old@example.com", email_confirm=True)
    wanted = {"email": "old@example.com", "new_email": "new@example.com"}
    current = await generate(auth, type="email_change_current", **wanted)
    new = await generate(auth, type="email_change_new", **wanted)
    assert "&type=email_change&" in new["action_link"]
    assert "message" in (await auth.open(current["action_link"])).fragment
    assert (
        "message"
        in (await auth.open((await generate(auth, type="email_change_current", **wanted))["action_link"])).fragment
    )
    landed = await auth.open(new["action_link"])
    assert claims(landed.fragment["access_token"])["email"] == "new@example.com"


async def test_links_that_cannot_be_made_are_refused(auth: Auth) -> None:
    await make(auth, email="ada@example.com", email_confirm=True)
    cases = [
        ({"type": "recovery", "email": "nobody@example.com"}, 404, "user_not_found"),
        ({"type": "signup", "email": "ada@example.com", "password": PASSWORD}, 422, "email_exists"),
        ({"type": "signup", "email": "b@example.com"}, 400, "validation_failed"),
        ({"type": "invite", "email": "ada@example.com"}, 422, "email_exists"),
        ({"type": "nonsense", "email": "ada@example.com"}, 400, "validation_failed"),
        ({"type": "email_change_new", "email": "ada@example.com"}, 400, "validation_failed"),
    ]
    for body, status, code in cases:
        answer = await auth.post("/admin/generate_link", body, key=auth.service_key)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code), body


async def test_acts_leave_a_trace_without_secrets(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    await easy.put("/user", {"password": "another horse"}, token=session["access_token"])
    await easy.delete(f"/admin/users/{session['user']['id']}", key=easy.service_key)
    rows = await easy.database.fetch_rows(
        Statement(
            "select payload ->> 'action', payload ->> 'actor_id', payload::text from auth.audit_log_entries order by created_at"
        )
    )
    assert [row[0] for row in rows] == ["user_signedup", "login", "user_modified", "user_deleted"]
    assert [row[1] for row in rows] == ["anon", "anon", session["user"]["id"], "service_role"]
    assert "horse" not in "".join(str(row[2]) for row in rows)
