"""Links and codes: magic links, recovery, sending again; once, in time, for one purpose, back to the right app."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

from tests.auth import PASSWORD, SITE, Auth, make_config, open_auth
from tests.integration.auth.test_sessions import claims

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "s256"}


async def verify(auth: Auth, **body: Any) -> tuple[int, Any]:
    answer = await auth.post("/verify", body)
    return answer.status_code, answer.json()


async def test_a_magic_link_makes_a_user_and_works_once(auth: Auth) -> None:
    answer = await auth.post("/otp", {"email": "Ada@example.com", "data": {"nick": "a"}})
    assert (answer.status_code, answer.json()) == (200, {})
    letter = await auth.mail("ada@example.com")
    landed = await auth.open(letter.link)
    assert landed.fragment["token_type"] == "bearer"
    assert set(landed.fragment) >= {"access_token", "refresh_token", "expires_in", "expires_at", "type"}
    body = claims(landed.fragment["access_token"])
    assert (body["email"], body["amr"][0]["method"]) == ("ada@example.com", "otp")
    assert body["user_metadata"]["nick"] == "a"
    again = await auth.open(letter.link)
    assert again.fragment["error"] == "access_denied"
    assert again.fragment["error_code"] == "otp_expired"
    assert again.fragment["error_description"] == "Email link is invalid or has expired"


async def test_a_code_does_what_its_link_does_and_ends_it(auth: Auth) -> None:
    await auth.post("/otp", {"email": "ada@example.com"})
    letter = await auth.mail("ada@example.com")
    status, session = await verify(auth, type="email", email="ADA@example.com", token=letter.code)
    assert (status, session["user"]["email"]) == (200, "ada@example.com")
    assert (await auth.open(letter.link)).fragment["error_code"] == "otp_expired"
    assert (await verify(auth, type="email", email="ada@example.com", token=letter.code))[0] == 403


async def test_a_token_hash_signs_the_app_in_itself(auth: Auth) -> None:
    await auth.post("/otp", {"email": "ada@example.com"})
    letter = await auth.mail("ada@example.com")
    status, session = await verify(auth, type="magiclink", token_hash=letter.token_hash)
    assert (status, session["user"]["email"]) == (200, "ada@example.com")
    status, body = await verify(auth, type="magiclink", token_hash=letter.token_hash)
    assert (status, body["error_code"]) == (403, "otp_expired")


async def test_after_five_wrong_codes_the_right_one_is_refused_and_the_link_is_not(auth: Auth) -> None:
    await auth.post("/otp", {"email": "ada@example.com"})
    letter = await auth.mail("ada@example.com")
    wrong = "000000" if letter.code != "000000" else "000001"
    answers = await asyncio.gather(
        *(verify(auth, type="email", email="ada@example.com", token=wrong) for _ in range(5))
    )
    assert {status for status, _ in answers} == {403}
    assert (await verify(auth, type="email", email="ada@example.com", token=letter.code))[0] == 403
    assert "access_token" in (await auth.open(letter.link)).fragment


async def test_links_and_codes_run_out(auth: Auth) -> None:
    await auth.post("/otp", {"email": "ada@example.com"})
    letter = await auth.mail("ada@example.com")
    auth.clock.advance(minutes=11)
    assert (await verify(auth, type="email", email="ada@example.com", token=letter.code))[0] == 403
    auth.clock.advance(minutes=50)
    assert (await auth.open(letter.link)).fragment["error_code"] == "otp_expired"


async def test_a_newer_mail_ends_the_older(auth: Auth) -> None:
    await auth.post("/otp", {"email": "ada@example.com"})
    older = await auth.mail("ada@example.com")
    await auth.post("/otp", {"email": "ada@example.com"})
    newer = await auth.mail("ada@example.com")
    assert older.link != newer.link
    assert (await auth.open(older.link)).fragment["error_code"] == "otp_expired"
    assert "access_token" in (await auth.open(newer.link)).fragment


async def test_signing_in_by_one_link_ends_the_other_ways_in(easy: Auth) -> None:
    await easy.sign_up("ada@example.com")
    await easy.post("/recover", {"email": "ada@example.com"})
    recovery = await easy.mail("ada@example.com")
    await easy.post("/otp", {"email": "ada@example.com"})
    await easy.open((await easy.mail("ada@example.com")).link)
    assert (await easy.open(recovery.link)).fragment["error_code"] == "otp_expired"


async def test_a_link_serves_one_purpose(easy: Auth) -> None:
    await easy.sign_up("ada@example.com")
    await easy.post("/recover", {"email": "ada@example.com"})
    letter = await easy.mail("ada@example.com")
    for other in ("signup", "magiclink", "email", "invite", "email_change"):
        assert (await verify(easy, type=other, token_hash=letter.token_hash))[1]["error_code"] == "otp_expired"
    status, session = await verify(easy, type="recovery", token_hash=letter.token_hash)
    assert (status, session["user"]["email"]) == (200, "ada@example.com")


async def test_a_code_of_one_address_is_nothing_at_another(easy: Auth) -> None:
    await easy.sign_up("ada@example.com")
    await easy.sign_up("eve@example.com")
    await easy.post("/otp", {"email": "ada@example.com"})
    letter = await easy.mail("ada@example.com")
    assert (await verify(easy, type="email", email="eve@example.com", token=letter.code))[0] == 403


async def test_what_verify_cannot_use_is_refused(auth: Auth) -> None:
    for body in (
        {"type": "email"},
        {"type": "email", "email": "a@example.com"},
        {"type": "email", "token": "123456"},
        {"type": "email", "token": "123456", "token_hash": "x"},
        {"type": "email", "token_hash": "x", "email": "a@example.com"},
        {"type": "nonsense", "token_hash": "x"},
        {"token_hash": "x"},
    ):
        status, answer = await verify(auth, **body)
        assert (status, answer["error_code"]) == (400, "validation_failed"), body
    status, answer = await verify(auth, type="sms", phone="+491512345678", token="123456")
    assert (status, answer["error_code"]) == (422, "phone_provider_disabled")


async def test_with_pkce_a_link_gives_a_code_that_only_its_app_can_use(auth: Auth) -> None:
    await auth.post("/otp?redirect_to=fieldnotes://callback", {"email": "ada@example.com", **PKCE})
    letter = await auth.mail("ada@example.com")
    assert letter.token_hash.startswith("pkce_")
    landed = await auth.open(letter.link)
    assert landed.base == "fieldnotes://callback"
    assert landed.fragment == {}
    code = landed.query["code"]
    exchange = {"auth_code": code, "code_verifier": VERIFIER}
    answer = await auth.post("/token?grant_type=pkce", exchange)
    assert answer.status_code == 200, answer.text
    assert claims(answer.json()["access_token"])["amr"][0]["method"] == "magiclink"
    again = await auth.post("/token?grant_type=pkce", exchange)
    assert (again.status_code, again.json()["error_code"]) == (404, "flow_state_not_found")


async def test_an_auth_code_is_gone_after_a_wrong_verifier_and_after_five_minutes(auth: Auth) -> None:
    async def new_code() -> str:
        await auth.post("/otp", {"email": "ada@example.com", **PKCE})
        return (await auth.open((await auth.mail("ada@example.com")).link)).query["code"]

    code = await new_code()
    wrong = await auth.post("/token?grant_type=pkce", {"auth_code": code, "code_verifier": "w" * 64})
    assert (wrong.status_code, wrong.json()["error_code"]) == (400, "bad_code_verifier")
    right = await auth.post("/token?grant_type=pkce", {"auth_code": code, "code_verifier": VERIFIER})
    assert right.status_code == 404
    code = await new_code()
    auth.clock.advance(minutes=6)
    late = await auth.post("/token?grant_type=pkce", {"auth_code": code, "code_verifier": VERIFIER})
    assert (late.status_code, late.json()["error_code"]) == (422, "flow_state_expired")
    empty = await auth.post("/token?grant_type=pkce", {"auth_code": "", "code_verifier": VERIFIER})
    assert (empty.status_code, empty.json()["error_code"]) == (400, "validation_failed")


async def test_a_pkce_error_is_in_query_and_fragment(auth: Auth) -> None:
    landed = await auth.open("http://x/auth/v1/verify?token=pkce_nothing&type=magiclink")
    assert landed.query["error_code"] == landed.fragment["error_code"] == "otp_expired"


async def test_recovery_sets_a_new_password(easy: Auth) -> None:
    await easy.sign_up("ada@example.com")
    old = (await easy.sign_in("ada@example.com")).json()
    answer = await easy.post("/recover", {"email": "ada@example.com", "code_challenge": None})
    assert (answer.status_code, answer.json()) == (200, {})
    landed = await easy.open((await easy.mail("ada@example.com")).link)
    assert landed.fragment["type"] == "recovery"
    token = landed.fragment["access_token"]
    changed = await easy.put("/user", {"password": "another horse battery"}, token=token)
    assert changed.status_code == 200
    assert (await easy.sign_in("ada@example.com")).status_code == 400
    assert (await easy.sign_in("ada@example.com", "another horse battery")).status_code == 200
    assert (await easy.refresh(old["refresh_token"])).json()["error_code"] == "refresh_token_not_found"
    assert (await easy.get("/user", token=token)).status_code == 200


async def test_unknown_addresses_get_the_same_answers_and_no_mail(auth: Auth) -> None:
    for path, body in (
        ("/recover", {}),
        ("/resend", {"type": "signup"}),
        ("/resend", {"type": "email_change"}),
    ):
        answer = await auth.post(path, {"email": "nobody@example.com", **body})
        assert (answer.status_code, answer.json()) == (200, {}), path
    assert await auth.mails() == []


async def test_otp_for_somebody_new_can_be_forbidden(auth: Auth) -> None:
    answer = await auth.post("/otp", {"email": "nobody@example.com", "create_user": False})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "otp_disabled")
    assert answer.json()["msg"] == "Signups not allowed for otp"
    assert await auth.mails() == []


async def test_phones_wait_for_a_provider(auth: Auth) -> None:
    phone = "+491512345678"
    for path, body in (
        ("/otp", {"phone": phone}),
        ("/token?grant_type=password", {"phone": phone, "password": PASSWORD}),
        ("/resend", {"type": "sms", "phone": phone}),
    ):
        answer = await auth.post(path, body)
        assert (answer.status_code, answer.json()["error_code"]) == (422, "phone_provider_disabled"), path


async def test_resending_a_confirmation_confirms(auth: Auth) -> None:
    await auth.sign_up("ada@example.com")
    first = await auth.mail("ada@example.com")
    assert (await auth.post("/resend", {"type": "signup", "email": "ada@example.com"})).json() == {}
    second = await auth.mail("ada@example.com")
    assert first.link != second.link
    assert "access_token" in (await auth.open(second.link)).fragment
    assert (await auth.sign_in("ada@example.com")).status_code == 200
    before = len(await auth.mails())
    await auth.post("/resend", {"type": "signup", "email": "ada@example.com"})
    assert len(await auth.mails()) == before
    wrong = await auth.post("/resend", {"type": "nonsense", "email": "ada@example.com"})
    assert (wrong.status_code, wrong.json()["error_code"]) == (400, "validation_failed")


async def test_an_address_is_written_to_once_a_minute_known_or_not(database_url: str, tmp_path: Any) -> None:
    async with open_auth(database_url, make_config(tmp_path, autoconfirm=True, max_frequency_s=60)) as auth:
        await auth.sign_up("ada@example.com")
        for who in ("ada@example.com", "nobody@example.com"):
            answers = await asyncio.gather(*(auth.post("/recover", {"email": who}) for _ in range(10)))
            assert sorted(answer.status_code for answer in answers) == [200] + [429] * 9
            limited = next(answer for answer in answers if answer.status_code == 429)
            assert limited.json()["error_code"] == "over_email_send_rate_limit"
            assert limited.json()["msg"].startswith("For security purposes, you can only request this after ")
            assert 1 <= int(limited.headers["retry-after"]) <= 60
        assert len(await auth.mails()) == 1
        assert (await auth.post("/otp", {"email": "ada@example.com"})).status_code == 200
        auth.clock.advance(seconds=61)
        assert (await auth.post("/recover", {"email": "ada@example.com"})).status_code == 200


async def test_links_lead_only_where_the_settings_allow(auth: Auth) -> None:
    for wanted, base in (
        (f"{SITE}/welcome", f"{SITE}/welcome"),
        ("fieldnotes://callback", "fieldnotes://callback"),
        ("http://127.0.0.1:51234/cb", "http://127.0.0.1:51234/cb"),
        ("https://evil.example/", SITE),
        ("http://localhost:3000@evil.example/", SITE),
        ("javascript:alert(1)", SITE),
    ):
        answer = await auth.client.post(
            "/otp", params={"redirect_to": wanted}, json={"email": "ada@example.com"}, headers=auth.headers()
        )
        assert answer.status_code == 200
        letter = await auth.mail("ada@example.com")
        assert letter.link.startswith("http://127.0.0.1:8000/auth/v1/verify?")
        assert (await auth.open(letter.link)).base == base, wanted
    tampered = await auth.open("http://x/?token=nothing&type=magiclink&redirect_to=https%3A%2F%2Fevil.example")
    assert tampered.base == SITE


async def test_hosts_and_forwarding_headers_do_not_move_the_links_in_mails(auth: Auth) -> None:
    headers = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "origin": "https://evil.example",
        "referer": "https://evil.example/",
    }
    await auth.post("/otp", {"email": "ada@example.com"}, headers=headers)
    letter = await auth.mail("ada@example.com")
    assert "evil" not in letter.text + letter.html


async def test_query_parameters_of_a_target_survive(auth: Auth) -> None:
    await auth.client.post(
        "/otp",
        params={"redirect_to": "fieldnotes://callback?sb_flow_id=7&x=a%20b"},
        json={"email": "ada@example.com", **PKCE},
        headers=auth.headers(),
    )
    landed = await auth.open((await auth.mail("ada@example.com")).link)
    assert landed.url.startswith("fieldnotes://callback?sb_flow_id=7&x=a%20b&code=")
