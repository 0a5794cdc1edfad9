"""Sign-up, sign-in and change of number by phone, as far as their SMS."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mbaas.config.settings import SmsSettings
from tests.auth import PASSWORD, Auth, make_config, open_auth
from tests.integration.auth.test_sessions import claims

ADA, EVE = "+4915112345678", "+4915187654321"


@pytest.fixture
async def phones(database_url: str) -> AsyncIterator[Auth]:
    """Messages to phones are files; a number has to be confirmed."""
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), sms=SmsSettings(provider="console"), autoconfirm=True)
        async with open_auth(database_url, config) as opened:
            yield opened


async def messages(auth: Auth) -> list[str]:
    await auth.settle()
    return [path.read_text() for path in sorted((auth.config.data / "sms").glob("*.txt"))]


async def code_to(auth: Auth, phone: str) -> str:
    newest = [text for text in await messages(auth) if f"to {phone}:" in text][-1]
    found = re.search(r"\b\d{6}\b", newest.partition(": ")[2])
    assert found, newest
    return found[0]


async def signed_in(auth: Auth, phone: str) -> dict[str, object]:
    answer = await auth.post("/otp", {"phone": phone})
    assert answer.status_code == 200, answer.text
    answer = await auth.post("/verify", {"type": "sms", "phone": phone, "token": await code_to(auth, phone)})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_a_sign_up_by_phone_is_confirmed_by_the_code_sent_there(phones: Auth) -> None:
    answer = await phones.post("/signup", {"phone": "+49 1511 2345678", "password": PASSWORD, "data": {"a": 1}})
    user = answer.json()
    assert answer.status_code == 200
    assert (user["phone"], user["email"], "access_token" in user) == ("4915112345678", "", False)
    assert user["app_metadata"] == {"provider": "phone", "providers": ["phone"]}
    assert user["user_metadata"]["phone_verified"] is False
    waiting = await phones.post("/token?grant_type=password", {"phone": ADA, "password": PASSWORD})
    assert (waiting.status_code, waiting.json()["error_code"]) == (400, "phone_not_confirmed")
    body = {"type": "sms", "phone": ADA, "token": await code_to(phones, ADA)}
    session = (await phones.post("/verify", body)).json()
    assert session["user"]["phone_confirmed_at"]
    assert session["user"]["user_metadata"]["phone_verified"] is True
    assert [one["provider"] for one in session["user"]["identities"]] == ["phone"]
    assert claims(session["access_token"])["phone"] == "4915112345678"
    again = await phones.post("/verify", body)
    assert (again.status_code, again.json()["error_code"]) == (403, "otp_expired")
    signed = await phones.post("/token?grant_type=password", {"phone": ADA, "password": PASSWORD})
    assert signed.status_code == 200


async def test_signing_up_a_confirmed_number_answers_like_a_new_one_and_sends_nothing(phones: Auth) -> None:
    await signed_in(phones, ADA)
    before = await messages(phones)
    known = (await phones.post("/signup", {"phone": ADA, "password": PASSWORD})).json()
    fresh = (await phones.post("/signup", {"phone": EVE, "password": PASSWORD})).json()
    assert set(known) == set(fresh)
    assert known["identities"] == []
    assert len(await messages(phones)) == len(before) + 1


async def test_a_code_by_sms_signs_in_whoever_is_new_or_known(phones: Auth) -> None:
    answer = await phones.post("/otp", {"phone": ADA, "channel": "sms"})
    assert set(answer.json()) == {"message_id"}
    first = await signed_in(phones, ADA)
    second = await signed_in(phones, ADA)
    assert first["user"]["id"] == second["user"]["id"]  # type: ignore[index]
    unknown = await phones.post("/otp", {"phone": EVE, "create_user": False})
    assert (unknown.status_code, unknown.json()["error_code"]) == (422, "otp_disabled")


async def test_five_wrong_codes_end_the_right_one(phones: Auth) -> None:
    await phones.post("/otp", {"phone": ADA})
    code = await code_to(phones, ADA)
    wrong = "000000" if code != "000000" else "111111"
    for token in [wrong] * 5 + [code]:
        answer = await phones.post("/verify", {"type": "sms", "phone": ADA, "token": token})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "otp_expired")


async def test_a_password_set_before_a_number_was_proven_dies_with_a_sign_in_by_code(phones: Auth) -> None:
    await phones.post("/signup", {"phone": ADA, "password": "the intruder's password"})
    await signed_in(phones, ADA)
    answer = await phones.post("/token?grant_type=password", {"phone": ADA, "password": "the intruder's password"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_credentials")


async def test_a_change_of_number_waits_for_the_new_one_and_is_told_by_mail(phones: Auth) -> None:
    session = await phones.sign_up("ada@example.com")
    token = session["access_token"]
    pending = (await phones.put("/user", {"phone": ADA}, token=token)).json()
    assert (pending["phone"], pending["new_phone"]) == ("", "4915112345678")
    old = await code_to(phones, ADA)
    again = await phones.post("/resend", {"type": "phone_change", "phone": ADA})
    assert set(again.json()) == {"message_id"}
    code = await code_to(phones, ADA)
    if code != old:
        dead = await phones.post("/verify", {"type": "phone_change", "phone": ADA, "token": old})
        assert dead.status_code == 403
    done = await phones.post("/verify", {"type": "phone_change", "phone": ADA, "token": code})
    user = done.json()["user"]
    assert (user["phone"], "new_phone" in user, bool(user["phone_confirmed_at"])) == ("4915112345678", False, True)
    assert {one["provider"] for one in user["identities"]} == {"email", "phone"}
    notice = await phones.mail("ada@example.com")
    assert notice.subject == "Your phone number was changed - Fieldnotes"
    assert "+49 ••• 678" in notice.text
    assert "4915112345678" not in notice.text
    taken = await phones.put("/user", {"phone": ADA}, token=(await phones.sign_up("eve@example.com"))["access_token"])
    assert (taken.status_code, taken.json()["error_code"]) == (422, "phone_exists")


async def test_an_anonymous_user_becomes_permanent_by_a_number_and_keeps_the_id(phones: Auth) -> None:
    session = (await phones.post("/signup", {})).json()
    await phones.put("/user", {"phone": ADA}, token=session["access_token"])
    body = {"type": "phone_change", "phone": ADA, "token": await code_to(phones, ADA)}
    user = (await phones.post("/verify", body)).json()["user"]
    assert (user["id"], user["is_anonymous"], user["phone"]) == (session["user"]["id"], False, "4915112345678")
    assert user["app_metadata"] == {"provider": "phone", "providers": ["phone"]}


async def test_a_sign_up_is_sent_again_and_unknown_numbers_answer_alike(phones: Auth) -> None:
    await phones.post("/signup", {"phone": ADA, "password": PASSWORD})
    await messages(phones)
    for phone in (ADA, EVE):
        answer = await phones.post("/resend", {"type": "sms", "phone": phone})
        assert (answer.status_code, set(answer.json())) == (200, {"message_id"})
    assert len(await messages(phones)) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"phone": "12"}, "validation_failed"),
        ({"phone": "abc"}, "validation_failed"),
        ({"phone": ADA, "channel": "pigeon"}, "validation_failed"),
        ({"phone": ADA, "email": "a@example.com"}, "validation_failed"),
        ({"phone": "+449098790000"}, "phone_provider_disabled"),
    ],
)
async def test_what_is_no_number_to_write_to_is_refused(phones: Auth, body: dict[str, str], code: str) -> None:
    answer = await phones.post("/otp", body)
    assert answer.json()["error_code"] == code
    assert await messages(phones) == []


async def test_settings_of_phones_hold(database_url: str, tmp_path: Path) -> None:
    sms = SmsSettings(provider="console", countries=("AT",))
    config = make_config(tmp_path, sms=sms, phone_autoconfirm=True, max_frequency_s=60)
    async with open_auth(database_url, config) as auth:
        told = (await auth.get("/settings")).json()
        assert (told["external"]["phone"], told["phone_autoconfirm"], told["sms_provider"]) == (True, True, "console")
        refused = await auth.post("/signup", {"phone": ADA, "password": PASSWORD})
        assert refused.json()["error_code"] == "phone_provider_disabled"
        session = (await auth.post("/signup", {"phone": "+436641234567", "password": PASSWORD})).json()
        assert session["access_token"]
        taken = await auth.post("/signup", {"phone": "+436641234567", "password": PASSWORD})
        assert taken.json()["error_code"] == "user_already_exists"
        changed = await auth.put("/user", {"phone": "+436647654321"}, token=session["access_token"])
        assert changed.json()["phone"] == "436647654321"
        assert (await auth.post("/otp", {"phone": "+436647654321"})).status_code == 200
        paused = await auth.post("/otp", {"phone": "+436647654321"})
        assert (paused.status_code, paused.json()["error_code"]) == (429, "over_sms_send_rate_limit")


async def test_a_code_proves_anew_who_one_is(database_url: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, autoconfirm=True, password_reauthentication=True)
    async with open_auth(database_url, config) as auth:
        token = (await auth.sign_up("ada@example.com"))["access_token"]
        new = {"password": "another horse battery"}
        needed = await auth.put("/user", new, token=token)
        assert (needed.status_code, needed.json()["error_code"]) == (400, "reauthentication_needed")
        assert (await auth.get("/reauthenticate", token=token)).json() == {}
        code = (await auth.mail("ada@example.com")).code
        wrong = await auth.put("/user", {**new, "nonce": "000000" if code != "000000" else "1" * 6}, token=token)
        assert (wrong.status_code, wrong.json()["error_code"]) == (422, "reauthentication_not_valid")
        changed = await auth.put("/user", {**new, "nonce": code}, token=token)
        assert changed.json()["reauthentication_sent_at"]
        assert (await auth.mail("ada@example.com")).subject == "Your password was changed - Fieldnotes"
        again = await auth.put("/user", {"password": "a third horse battery", "nonce": code}, token=token)
        assert again.json()["error_code"] == "reauthentication_not_valid"
