"""Signing up: at once, after a mail, or as nobody."""

from __future__ import annotations

import asyncio
from typing import Any

from mbaas.core.sql.fragment import Statement
from tests.auth import PASSWORD, SITE, Auth
from tests.integration.auth.test_sessions import claims


async def test_without_confirmation_signing_up_gives_a_session(easy: Auth) -> None:
    session = await easy.sign_up("Ada@Example.com", data={"nick": "a", "sub": "forged"})
    user = session["user"]
    assert user["email"] == "ada@example.com"
    assert user["email_confirmed_at"]
    assert user["user_metadata"]["nick"] == "a"
    assert user["user_metadata"]["sub"] == user["id"]
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert user["identities"][0]["identity_data"]["email_verified"] is True
    assert session["expires_in"] == 3600
    assert len(session["refresh_token"]) == 60


async def test_with_confirmation_signing_up_gives_the_user_and_a_mail(auth: Auth) -> None:
    user = await auth.sign_up("ada@example.com")
    assert "access_token" not in user
    assert user["identities"][0]["identity_data"]["email_verified"] is False
    assert "email_confirmed_at" not in user
    refused = await auth.sign_in("ada@example.com")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "email_not_confirmed")
    landed = await auth.open((await auth.mail("ada@example.com")).link)
    assert landed.base == SITE
    assert landed.fragment["type"] == "signup"
    me = (await auth.get("/user", token=landed.fragment["access_token"])).json()
    assert me["id"] == user["id"]
    assert me["user_metadata"]["email_verified"] is True
    assert me["identities"][0]["identity_data"]["email_verified"] is True
    assert (await auth.sign_in("ada@example.com")).status_code == 200


async def test_a_confirmed_address_answers_like_a_new_one_and_gets_no_mail(auth: Auth) -> None:
    await auth.sign_up("ada@example.com", data={"n": 1})
    await auth.open((await auth.mail("ada@example.com")).link)
    before = len(await auth.mails())
    again = await auth.sign_up("ada@example.com", data={"n": 1})
    fresh = await auth.sign_up("bob@example.com", data={"n": 1})
    assert again["identities"] == []
    assert set(again) == set(fresh)
    assert set(again["user_metadata"]) == set(fresh["user_metadata"])
    assert len(await auth.mails("ada@example.com")) == before
    assert (await auth.sign_in("ada@example.com")).status_code == 200


async def test_signing_up_again_before_confirming_begins_anew(auth: Auth) -> None:
    first = await auth.sign_up("ada@example.com", "the password of a stranger")
    stale = (await auth.mail("ada@example.com")).link
    second = await auth.sign_up("ada@example.com", PASSWORD)
    assert first["id"] == second["id"]
    assert (await auth.open(stale)).fragment["error_code"] == "otp_expired"
    await auth.open((await auth.mail("ada@example.com")).link)
    assert (await auth.sign_in("ada@example.com", "the password of a stranger")).status_code == 400
    assert (await auth.sign_in("ada@example.com")).status_code == 200


async def test_a_password_set_by_a_stranger_dies_when_the_owner_comes_another_way(auth: Auth) -> None:
    await auth.sign_up("ada@example.com", "the password of a stranger")
    await auth.mail("ada@example.com")  # so that the next one is the newest
    await auth.post("/otp", {"email": "ada@example.com"})
    landed = await auth.open((await auth.mail("ada@example.com")).link)
    assert landed.fragment["access_token"]
    refused = await auth.sign_in("ada@example.com", "the password of a stranger")
    assert refused.json()["error_code"] == "invalid_credentials"


async def test_who_signs_up_twice_without_confirmation_is_told(easy: Auth) -> None:
    await easy.sign_up("ada@example.com")
    again = await easy.post("/signup", {"email": "ADA@example.com", "password": PASSWORD})
    assert (again.status_code, again.json()["error_code"]) == (422, "user_already_exists")
    assert again.json()["msg"] == "User already registered"


async def test_of_many_sign_ups_of_one_address_at_once_one_makes_the_user(easy: Auth) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(easy.post("/signup", body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 7
    rows = await easy.database.fetch_rows(Statement("select count(*) from auth.users"))
    assert rows == [("1",)]


async def test_of_many_unconfirmed_sign_ups_at_once_all_are_told_the_same_user(auth: Auth) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(auth.post("/signup", body) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    rows = await auth.database.fetch_rows(Statement("select count(*) from auth.one_time_tokens"))
    assert rows == [("1",)]


async def test_anonymous_users_are_kept_apart(easy: Auth) -> None:
    session = (await easy.post("/signup", {"data": {"from": "app"}})).json()
    user = session["user"]
    assert (user["is_anonymous"], user["email"], user["identities"]) == (True, "", [])
    assert user["user_metadata"] == {"from": "app"}
    assert (await easy.get("/user", token=session["access_token"])).json()["id"] == user["id"]
    refreshed = (await easy.refresh(session["refresh_token"])).json()
    for token in (session["access_token"], refreshed["access_token"]):  # what rules and policies ask
        assert claims(token)["is_anonymous"] is True


async def refused(auth: Auth, body: Any) -> tuple[int, str]:
    answer = await auth.post("/signup", body)
    return answer.status_code, answer.json()["error_code"]


async def test_what_cannot_sign_up_is_told_why(auth: Auth) -> None:
    assert await refused(auth, {"email": "nope", "password": PASSWORD}) == (400, "validation_failed")
    assert await refused(auth, {"email": "a@example.com"}) == (400, "validation_failed")
    assert await refused(auth, {"email": "a@example.com", "password": "short"}) == (422, "weak_password")
    assert await refused(auth, {"email": "a@example.com", "password": "x" * 1001}) == (400, "validation_failed")
    assert await refused(auth, {"phone": "+491512345678", "password": PASSWORD}) == (422, "phone_provider_disabled")
    assert await refused(auth, {"email": 7}) == (400, "validation_failed")
    big = {"email": "a@example.com", "password": PASSWORD, "data": {"x": "y" * 20_000}}
    assert await refused(auth, big) == (400, "validation_failed")
    nul = {"email": "a@example.com", "password": PASSWORD, "data": {"x": "\x00"}}
    assert await refused(auth, nul) == (400, "validation_failed")
    half = {"email": "a@example.com", "password": PASSWORD, "code_challenge": "x" * 43}
    assert await refused(auth, half) == (400, "validation_failed")


async def test_a_weak_password_says_what_it_lacks(auth: Auth) -> None:
    answer = await auth.post("/signup", {"email": "a@example.com", "password": "short"})
    assert answer.json()["weak_password"]["reasons"] == ["length"]
    assert answer.json()["msg"] == "Password should be at least 8 characters."
