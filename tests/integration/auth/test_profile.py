"""What users change of themselves."""

from __future__ import annotations

from typing import Any

from tests.auth import PASSWORD, Auth, Landed
from tests.integration.auth.test_sessions import claims


async def test_metadata_is_merged_and_null_removes(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com", data={"a": 1, "b": 2})
    changed = await easy.put("/user", {"data": {"a": None, "c": {"d": None}}}, token=session["access_token"])
    metadata = changed.json()["user_metadata"]
    assert "a" not in metadata
    assert (metadata["b"], metadata["c"]) == (2, {"d": None})
    huge = await easy.put("/user", {"data": {"x": "y" * 20_000}}, token=session["access_token"])
    assert (huge.status_code, huge.json()["error_code"]) == (400, "validation_failed")


async def test_nobody_raises_themselves(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    token = session["access_token"]
    refused = await easy.put("/user", {"app_metadata": {"role": "admin"}}, token=token)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "not_admin")
    extra = {"role": "service_role", "aud": "x", "id": "y", "email_confirmed_at": None, "banned_until": None}
    changed = (await easy.put("/user", {"data": {"role": "service_role"}, **extra}, token=token)).json()
    assert (changed["role"], changed["aud"], changed["id"]) == ("authenticated", "authenticated", session["user"]["id"])
    again = (await easy.refresh(session["refresh_token"])).json()
    assert claims(again["access_token"])["role"] == "authenticated"


async def test_a_new_password_ends_the_other_sessions(easy: Auth) -> None:
    here = await easy.sign_up("ada@example.com")
    there = (await easy.sign_in("ada@example.com")).json()
    token = here["access_token"]
    same = await easy.put("/user", {"password": PASSWORD}, token=token)
    assert (same.status_code, same.json()["error_code"]) == (422, "same_password")
    assert same.json()["msg"] == "New password should be different from the old password."
    weak = await easy.put("/user", {"password": "short"}, token=token)
    assert (weak.status_code, weak.json()["error_code"]) == (422, "weak_password")
    wrong = await easy.put("/user", {"password": "another horse", "current_password": "no"}, token=token)
    assert (wrong.status_code, wrong.json()["error_code"]) == (400, "current_password_invalid")
    right = await easy.put("/user", {"password": "another horse", "current_password": PASSWORD}, token=token)
    assert right.status_code == 200
    assert (await easy.refresh(there["refresh_token"])).json()["error_code"] == "refresh_token_not_found"
    assert (await easy.refresh(here["refresh_token"])).status_code == 200


async def test_a_new_password_ends_links_sent_before(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    await easy.post("/recover", {"email": "ada@example.com"})
    letter = await easy.mail("ada@example.com")
    await easy.put("/user", {"password": "another horse"}, token=session["access_token"])
    assert (await easy.open(letter.link)).fragment["error_code"] == "otp_expired"


async def change(auth: Auth, token: str, address: str) -> Any:
    answer = await auth.put("/user", {"email": address}, token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def message(landed: Landed) -> str:
    return landed.fragment["message"]


async def test_a_change_of_address_needs_both_addresses(easy: Auth) -> None:
    session = await easy.sign_up("old@example.com")
    pending = await change(easy, session["access_token"], "New@example.com")
    assert (pending["email"], pending["new_email"]) == ("old@example.com", "new@example.com")
    old, new = await easy.mail("old@example.com"), await easy.mail("new@example.com")
    first = await easy.open(new.link)
    assert message(first).startswith("Confirmation link accepted. Please proceed to confirm link")
    assert "access_token" not in first.fragment
    assert (await easy.get("/user", token=session["access_token"])).json()["email"] == "old@example.com"
    assert "error_code" in (await easy.open(new.link)).fragment
    second = await easy.open(old.link)
    assert claims(second.fragment["access_token"])["email"] == "new@example.com"
    me = (await easy.get("/user", token=session["access_token"])).json()
    assert (me["email"], me["user_metadata"]["email"]) == ("new@example.com", "new@example.com")
    assert "new_email" not in me
    assert me["identities"][0]["email"] == "new@example.com"
    assert (await easy.sign_in("old@example.com")).status_code == 400
    assert (await easy.sign_in("new@example.com")).status_code == 200


async def test_a_change_of_address_by_codes(easy: Auth) -> None:
    session = await easy.sign_up("old@example.com")
    await change(easy, session["access_token"], "new@example.com")
    old, new = await easy.mail("old@example.com"), await easy.mail("new@example.com")
    body = {"type": "email_change", "email": "old@example.com", "token": old.code}
    half = await easy.post("/verify", body)
    assert (half.status_code, half.json()["code"]) == (200, "200")
    assert half.json()["msg"].startswith("Confirmation link accepted.")
    body = {"type": "email_change", "email": "new@example.com", "token": new.code}
    done = await easy.post("/verify", body)
    assert done.json()["user"]["email"] == "new@example.com"


async def test_one_address_cannot_agree_twice(easy: Auth) -> None:
    session = await easy.sign_up("old@example.com")
    token = session["access_token"]
    await change(easy, token, "new@example.com")
    await easy.open((await easy.mail("new@example.com")).link)
    assert (await easy.post("/resend", {"type": "email_change", "email": "old@example.com"})).json() == {}
    await easy.open((await easy.mail("new@example.com")).link)
    assert (await easy.get("/user", token=token)).json()["email"] == "old@example.com"
    await easy.open((await easy.mail("old@example.com")).link)
    assert (await easy.get("/user", token=token)).json()["email"] == "new@example.com"


async def test_a_second_wish_ends_the_first(easy: Auth) -> None:
    session = await easy.sign_up("old@example.com")
    token = session["access_token"]
    await change(easy, token, "first@example.com")
    first = await easy.mail("first@example.com")
    await change(easy, token, "second@example.com")
    assert "error_code" in (await easy.open(first.link)).fragment
    assert (await easy.get("/user", token=token)).json()["new_email"] == "second@example.com"


async def test_an_address_somebody_has_is_refused(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    await easy.sign_up("bob@example.com")
    answer = await easy.put("/user", {"email": "bob@example.com"}, token=session["access_token"])
    assert (answer.status_code, answer.json()["error_code"]) == (422, "email_exists")
    await change(easy, session["access_token"], "new@example.com")
    await easy.sign_up("new@example.com")
    await easy.open((await easy.mail("ada@example.com")).link)
    late = await easy.open((await easy.mail("new@example.com")).link)
    assert late.fragment["error_code"] == "email_exists"


async def test_links_to_the_former_address_open_nothing(easy: Auth) -> None:
    session = await easy.sign_up("old@example.com")
    await easy.post("/recover", {"email": "old@example.com"})
    recovery = await easy.mail("old@example.com")
    await change(easy, session["access_token"], "new@example.com")
    await easy.open((await easy.mail("old@example.com")).link)
    await easy.open((await easy.mail("new@example.com")).link)
    assert (await easy.open(recovery.link)).fragment["error_code"] == "otp_expired"


async def test_what_was_sent_to_an_address_is_of_the_account_that_had_it(easy: Auth) -> None:
    ada, bob = await easy.sign_up("a@example.com"), await easy.sign_up("b@example.com")
    await easy.get("/reauthenticate", token=ada["access_token"])
    code = (await easy.mail("a@example.com")).code
    await easy.post("/recover", {"email": "a@example.com"})
    link = (await easy.mail("a@example.com")).link
    for session, address in ((ada, "c@example.com"), (bob, "a@example.com")):  # by an administrator, who ends no link
        path = f"/admin/users/{session['user']['id']}"
        moved = await easy.put(path, {"email": address, "email_confirm": True}, key=easy.service_key)
        assert moved.json()["email"] == address
    taken = await easy.put("/user", {"password": "another horse", "nonce": code}, token=bob["access_token"])
    assert (taken.status_code, taken.json()["error_code"]) == (422, "reauthentication_not_valid")
    assert (await easy.open(link)).fragment["error_code"] == "otp_expired"


async def test_an_anonymous_user_becomes_permanent_and_keeps_the_id(easy: Auth) -> None:
    session = (await easy.post("/signup", {})).json()
    token = session["access_token"]
    bare = await easy.put("/user", {"password": PASSWORD}, token=token)
    assert (bare.status_code, bare.json()["error_code"]) == (422, "validation_failed")
    user = (await easy.put("/user", {"email": "ada@example.com", "password": PASSWORD}, token=token)).json()
    assert (user["id"], user["email"], user["is_anonymous"]) == (session["user"]["id"], "ada@example.com", False)
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert (await easy.sign_in("ada@example.com")).json()["user"]["id"] == user["id"]


async def test_with_confirmation_an_anonymous_user_proves_the_address_first(auth: Auth) -> None:
    session = (await auth.post("/signup", {})).json()
    pending = await change(auth, session["access_token"], "ada@example.com")
    assert (pending["is_anonymous"], pending["new_email"]) == (True, "ada@example.com")
    landed = await auth.open((await auth.mail("ada@example.com")).link)
    body = claims(landed.fragment["access_token"])
    assert (body["sub"], body["email"], body["is_anonymous"]) == (session["user"]["id"], "ada@example.com", False)
