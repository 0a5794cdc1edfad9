"""Second factors: enrolled, verified, removed; what a session may before and after; what guessing and replaying get."""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.config.settings import SmsSettings
from mbaas.core.errors import TokenRevoked
from mbaas.core.observe import SecurityEvent
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import TooManyTries
from mbaas.modules.auth.mfa.totp import PERIOD_S
from mbaas.modules.auth.mfa.tries import ADDRESS, count_try
from tests.auth import PASSWORD, Auth, make_config, open_auth
from tests.authenticator import Authenticator
from tests.contract.auth_flows import claims
from tests.integration.auth.installed import ADA, App, code_of, installed


@pytest.fixture
async def auth(database_url: str) -> AsyncIterator[Auth]:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(
            Path(name), autoconfirm=True, passkeys=True, sms=SmsSettings(provider="console"), phone_autoconfirm=True
        )
        async with open_auth(database_url, config) as opened:
            yield opened


# --- enrolment -------------------------------------------------------------------------------------------------------


async def test_a_totp_factor_is_enrolled_and_gives_aal2(auth: Auth) -> None:
    app = await installed(auth)
    made = await app.enroll("Phone", issuer="Acme")
    assert (made["type"], made["friendly_name"]) == ("totp", "Phone")
    assert made["totp"]["uri"].startswith("otpauth://totp/Acme:ada%40example.com?")
    svg = made["totp"]["qr_code"]
    assert svg.startswith("<svg ")
    assert not {"#", "%"} & set(svg)  # it goes into a data URL unescaped
    before = app.session
    (factor,) = (await app.ask("GET", "/user")).json()["factors"]
    assert (factor["status"], factor["factor_type"]) == ("unverified", "totp")
    answer = await app.verify()
    assert answer.status_code == 200, answer.text
    assert (app.aal, app.amr) == ("aal2", ["totp", "password"])
    assert claims(app.token)["session_id"] == claims(before["access_token"])["session_id"]
    assert app.session["user"]["factors"][0]["status"] == "verified"
    assert "last_challenged_at" in app.session["user"]["factors"][0]
    refreshed = await auth.refresh(app.session["refresh_token"])
    assert claims(refreshed.json()["access_token"])["aal"] == "aal2"


async def test_a_users_factors_are_left_out_while_there_are_none(auth: Auth) -> None:
    assert "factors" not in (await installed(auth)).session["user"]


async def test_names_of_factors_differ_and_ten_are_enough(auth: Auth) -> None:
    app = await installed(auth)
    for name in ("", "app"):
        await app.enroll(name)
        answer = await app.ask("POST", "/factors", {"factor_type": "totp", "friendly_name": name})
        assert code_of(answer) == (422, "mfa_factor_name_conflict")
    answers = await asyncio.gather(
        *(app.ask("POST", "/factors", {"factor_type": "totp", "friendly_name": f"f{n}"}) for n in range(12))
    )
    assert sorted(map(code_of, answers)) == [(200, "")] * 8 + [(422, "too_many_enrolled_mfa_factors")] * 4
    auth.clock.advance(minutes=11)
    await app.enroll("app")  # what nobody finished has made room


async def test_what_cannot_be_enrolled_is_said_clearly(auth: Auth) -> None:
    app = await installed(auth)
    answer = await app.ask("POST", "/factors", {"factor_type": "carrier pigeon"})
    assert code_of(answer) == (400, "validation_failed")
    answer = await app.ask("POST", "/factors", {"factor_type": "totp", "friendly_name": "x" * 201})
    assert code_of(answer) == (400, "validation_failed")
    anonymous = App(auth, (await auth.post("/signup", {})).json())
    answer = await anonymous.ask("POST", "/factors", {"factor_type": "totp"})
    assert code_of(answer) == (403, "no_authorization")
    answer = await auth.post("/factors", {"factor_type": "totp"})
    assert code_of(answer) == (403, "bad_jwt")


async def test_a_second_factor_wants_the_first_one_proven(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    other = await installed(auth)
    answer = await other.ask("POST", "/factors", {"factor_type": "totp", "friendly_name": "second"})
    assert code_of(answer) == (403, "insufficient_aal")
    await app.enroll("second")
    assert (await app.verify()).status_code == 200
    assert len(app.session["user"]["factors"]) == 2


async def test_an_enrolment_begun_before_the_first_factor_is_no_way_around_it(auth: Auth) -> None:
    thief = await installed(auth)
    await thief.enroll("stolen")
    app = await installed(auth)
    await app.enroll()
    prepared = (await thief.challenge())["id"]
    # The factor's other sessions end with it, so the thief signs in once more with the password.
    assert (await app.verify()).status_code == 200
    again = await installed(auth)
    again.factor, again.secret = thief.factor, thief.secret
    assert code_of(await again.verify()) == (403, "insufficient_aal")
    assert code_of(await thief.answer(prepared, thief.code()))[0] == 403


# --- verification ----------------------------------------------------------------------------------------------------


async def test_a_step_counts_once_and_one_to_either_side_counts(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    auth.clock.advance(seconds=PERIOD_S - auth.clock.now().timestamp() % PERIOD_S)  # a step has just begun
    code = app.code()
    assert (await app.verify(code)).status_code == 200
    assert code_of(await app.verify(code)) == (422, "mfa_verification_failed")
    assert (await app.verify(code)).json()["msg"] == "Invalid TOTP code entered"
    assert (await app.verify(app.code(1))).status_code == 200
    assert code_of(await app.verify(code)) == (422, "mfa_verification_failed")  # earlier than one that was taken
    for _ in range(5):
        await app.next_step()
    assert code_of(await app.verify(app.code(-2))) == (422, "mfa_verification_failed")
    assert code_of(await app.verify(app.code(2))) == (422, "mfa_verification_failed")
    assert (await app.verify(app.code(-1))).status_code == 200


async def test_five_wrong_codes_end_a_challenge(auth: Auth) -> None:
    app = await installed(auth)
    await app.enroll()
    challenge = (await app.challenge())["id"]
    wrong = "000000" if app.code() != "000000" else "000001"
    for _ in range(5):
        assert code_of(await app.answer(challenge, wrong)) == (422, "mfa_verification_failed")
    assert code_of(await app.answer(challenge, app.code())) == (422, "mfa_challenge_expired")


async def test_tries_are_counted_for_the_account_whatever_the_challenge_or_session(auth: Auth) -> None:
    app = await installed(auth)
    await app.enroll()
    for _ in range(10):
        assert code_of(await app.verify("abcdef")) == (422, "mfa_verification_failed")
    answer = await app.verify()
    assert code_of(answer) == (429, "over_request_rate_limit")
    assert 0 < int(answer.headers["retry-after"]) <= 900
    auth.clock.advance(minutes=15)
    assert (await app.verify()).status_code == 200


async def test_tries_are_counted_for_the_address_whatever_the_account(auth: Auth) -> None:
    app = await installed(auth)
    await app.enroll()
    now, elsewhere = auth.clock.now(), "2001:db8::1"
    for number in range(ADDRESS[0].tries):
        await count_try(auth.database, f"user{number}", elsewhere, now=now)
    for address in (elsewhere, "2001:db8::2"):  # of one network
        with pytest.raises(TooManyTries):
            await count_try(auth.database, "another", address, now=now)
    await count_try(auth.database, "another", "2001:db8:1::1", now=now)
    assert (await app.verify()).status_code == 200


async def test_a_day_of_tries_has_an_end(auth: Auth) -> None:
    app = await installed(auth)
    await app.enroll()
    user_id = app.session["user"]["id"]
    for _ in range(5):
        for _ in range(10):
            await count_try(auth.database, user_id, None, now=auth.clock.now())
        auth.clock.advance(minutes=16)
    app.session = (await auth.refresh(app.session["refresh_token"])).json()
    answer = await app.verify()
    assert code_of(answer) == (429, "over_request_rate_limit")
    assert int(answer.headers["retry-after"]) > 80_000
    auth.clock.advance(days=1)
    app.session = (await auth.refresh(app.session["refresh_token"])).json()
    assert (await app.verify()).status_code == 200


async def test_a_challenge_is_answered_by_its_session_and_factor_in_time_and_once(auth: Auth) -> None:
    app = await installed(auth)
    await app.enroll()
    other = await installed(auth)
    other.factor, other.secret = app.factor, app.secret
    challenge = (await app.challenge())["id"]
    assert code_of(await other.answer(challenge, app.code())) == (422, "mfa_factor_not_found")
    bob = await installed(auth, "bob@example.com")
    bob.factor = app.factor
    assert code_of(await bob.answer(challenge, app.code())) == (404, "mfa_factor_not_found")
    assert code_of(await bob.ask("POST", f"/factors/{app.factor}/challenge"))[0] == 404
    await bob.enroll()
    assert code_of(await bob.answer(challenge, bob.code())) == (422, "mfa_factor_not_found")
    for nothing in ("", "x", "00000000-0000-4000-8000-000000000000"):
        assert code_of(await app.answer(nothing, app.code())) == (422, "mfa_factor_not_found")
    auth.clock.advance(seconds=301)
    assert code_of(await app.answer(challenge, app.code())) == (422, "mfa_challenge_expired")
    fresh = (await app.challenge())["id"]
    answer = await app.answer(fresh, app.code())
    assert answer.status_code == 200
    app.session = answer.json()
    await app.next_step()
    assert code_of(await app.answer(fresh, app.code())) == (422, "mfa_ip_address_mismatch")


async def test_a_challenge_is_answered_from_where_it_was_asked_for(auth: Auth) -> None:
    app = await installed(auth)
    await app.enroll()
    challenge = (await app.challenge())["id"]
    await auth.database.fetch_row(Statement("update auth.mfa_challenges set ip = '192.0.2.9'"))
    assert code_of(await app.answer(challenge, app.code())) == (422, "mfa_ip_address_mismatch")


async def test_no_refresh_token_from_before_gives_aal2(auth: Auth) -> None:
    app = await installed(auth)
    before = app.session["refresh_token"]
    await app.protect()
    assert code_of(await auth.refresh(before)) == (400, "refresh_token_not_found")
    turned = await auth.refresh(app.session["refresh_token"])
    assert claims(turned.json()["access_token"])["aal"] == "aal2"  # and the session lives


async def test_an_access_token_from_before_does_not_grow(auth: Auth) -> None:
    app = await installed(auth)
    before = app.session
    await app.protect()
    answer = await App(auth, before).ask("DELETE", f"/factors/{app.factor}")
    assert code_of(answer) == (422, "insufficient_aal")


async def test_other_sessions_that_proved_less_end(auth: Auth) -> None:
    first, second = await installed(auth), await installed(auth)
    await first.protect()
    assert code_of(await second.ask("GET", "/user")) == (403, "session_not_found")
    assert code_of(await auth.refresh(second.session["refresh_token"])) == (400, "refresh_token_not_found")
    third = await installed(auth)
    third.factor, third.secret = first.factor, first.secret
    await first.next_step()
    assert (await third.verify()).status_code == 200
    assert (await first.ask("GET", "/user")).status_code == 200


# --- what a password alone may not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"email": "eve@example.com"}, {"password": "another horse battery"}, {"phone": "+4915112345678"}]
)
async def test_address_and_password_are_changed_with_the_factor_alone(auth: Auth, change: dict[str, str]) -> None:
    app = await (await installed(auth)).protect()
    password_only = await installed(auth)
    assert code_of(await password_only.ask("PUT", "/user", change)) == (401, "insufficient_aal")
    assert (await password_only.ask("PUT", "/user", {"data": {"nick": "a"}})).status_code == 200
    assert (await app.ask("PUT", "/user", change)).status_code == 200


async def test_a_factor_is_removed_with_aal2_and_its_sessions_fall_back(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    password_only = await installed(auth)
    answer = await password_only.ask("DELETE", f"/factors/{app.factor}")
    assert code_of(answer) == (422, "insufficient_aal")
    answer = await app.ask("DELETE", f"/factors/{app.factor}")
    assert (answer.status_code, answer.json()) == (200, {"id": app.factor})
    # The access token still says aal2; auth asks the session.
    assert code_of(await app.ask("POST", "/factors/recovery-codes"))[1] == "mfa_recovery_codes_sole_factor"
    app.session = (await auth.refresh(app.session["refresh_token"])).json()
    assert (app.aal, app.amr) == ("aal1", ["password"])
    assert code_of(await app.ask("DELETE", f"/factors/{app.factor}")) == (404, "mfa_factor_not_found")


def edge_aal(node: Auth, token: str) -> str:
    """What any prefix hears of a token, no table with it."""
    found = node.edge._identify(node.anon_key, token, now=0.0)
    told = found.claims
    assert told["aal"] == found.aal
    assert (found.aal == "aal2") is any(way["method"] == "totp" for way in told["amr"])
    return found.aal


async def test_a_removed_factor_lowers_access_tokens_on_every_node_a_look_later(database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), autoconfirm=True)
        async with open_auth(database_url, config) as auth, open_auth(database_url, config) as other:
            app = await (await installed(auth)).protect()
            before, second = app.token, await installed(auth)
            second.factor, second.secret = app.factor, app.secret
            await app.next_step()
            await second.verify()
            tokens = (before, second.token)
            assert [edge_aal(node, token) for node in (auth, other) for token in tokens] == ["aal2"] * 4
            assert (await app.ask("DELETE", f"/factors/{app.factor}")).status_code == 200
            for node in (auth, other):
                await node.revocations.look()
                assert [edge_aal(node, token) for token in tokens] == ["aal1"] * 2
            async with open_auth(database_url, config) as late:  # started after it happened
                assert edge_aal(late, before) == "aal1"
            auth.clock.advance(seconds=1)
            await app.protect()  # what is proven since counts, and what was before does not come back with it
            for node in (auth, other):
                await node.revocations.look()
                assert (edge_aal(node, app.token), edge_aal(node, before)) == ("aal2", "aal1")
            assert (await app.ask("POST", "/logout?scope=global")).status_code == 204  # ends lowered sessions as others
            for node in (auth, other):
                await node.revocations.look()
                for token in (*tokens, app.token):
                    with pytest.raises(TokenRevoked):
                        edge_aal(node, token)


async def test_somebody_elses_factor_is_nobodys(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    bob = await (await installed(auth, "bob@example.com")).protect()
    assert code_of(await bob.ask("DELETE", f"/factors/{app.factor}")) == (404, "mfa_factor_not_found")
    assert code_of(await bob.ask("DELETE", "/factors/nonsense")) == (404, "mfa_factor_not_found")


async def test_a_reset_gives_no_aal2_and_removes_no_factor(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    await auth.post("/recover", {"email": ADA})
    mail = await auth.mail(ADA)
    answer = await auth.post("/verify", {"type": "recovery", "token_hash": mail.token_hash})
    reset = App(auth, answer.json())
    assert reset.aal == "aal1"
    assert code_of(await reset.ask("PUT", "/user", {"password": "another horse battery"})) == (401, "insufficient_aal")
    assert [one["status"] for one in reset.session["user"]["factors"]] == ["verified"]
    reset.factor, reset.secret = app.factor, app.secret
    await app.next_step()
    assert (await reset.verify()).status_code == 200
    assert (await reset.ask("PUT", "/user", {"password": "another horse battery"})).status_code == 200


# --- recovery codes --------------------------------------------------------------------------------------------------


async def test_recovery_codes_stand_in_for_a_factor_each_once(auth: Auth) -> None:
    app = await installed(auth)
    assert code_of(await app.ask("POST", "/factors/recovery-codes")) == (422, "mfa_recovery_codes_sole_factor")
    assert code_of(await app.ask("GET", "/factors/recovery-codes")) == (404, "mfa_factor_not_found")
    await app.protect()
    made = (await app.ask("POST", "/factors/recovery-codes", {"friendly_name": "Paper"})).json()
    assert (made["type"], made["total"], made["friendly_name"]) == ("recovery_code", 10, "Paper")
    assert len(set(made["codes"])) == 10
    assert code_of(await app.ask("POST", "/factors/recovery-codes")) == (422, "mfa_verified_factor_exists")
    lost = await installed(auth)
    assert code_of(await lost.ask("POST", "/factors/recovery-codes/regenerate")) == (403, "insufficient_aal")
    written = "-".join(made["codes"][0][n : n + 4] for n in range(0, 16, 4)).upper()
    answer = await lost.ask("POST", "/factors/recovery-codes/verify", {"code": f" {written} "})
    assert answer.status_code == 200, answer.text
    lost.session = answer.json()
    assert (lost.aal, lost.amr) == ("aal2", ["mfa/recovery_code", "password"])
    status = (await lost.ask("GET", "/factors/recovery-codes")).json()
    assert status == {"id": made["id"], "type": "recovery_code", "total": 10, "remaining": 9}
    again = await lost.ask("POST", "/factors/recovery-codes/verify", {"code": made["codes"][0]})
    assert code_of(again) == (422, "mfa_verification_failed")
    assert SecurityEvent("recovery_code_used", app.session["user"]["id"]) in auth.observed


async def test_a_new_set_ends_the_former_as_a_whole(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    former = (await app.ask("POST", "/factors/recovery-codes")).json()
    new = (await app.ask("POST", "/factors/recovery-codes/regenerate")).json()
    assert (new["id"], new["total"]) == (former["id"], 10)
    assert not set(new["codes"]) & set(former["codes"])
    for code in former["codes"][:3]:
        answer = await app.ask("POST", "/factors/recovery-codes/verify", {"code": code})
        assert code_of(answer) == (422, "mfa_verification_failed")
    answer = await app.ask("POST", "/factors/recovery-codes/verify", {"code": new["codes"][9]})
    assert answer.status_code == 200


async def test_recovery_codes_lock_after_too_many_tries(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    codes = (await app.ask("POST", "/factors/recovery-codes")).json()["codes"]
    for _ in range(10):
        await app.ask("POST", "/factors/recovery-codes/verify", {"code": "aaaaaaaaaaaaaaaa"})
    answer = await app.ask("POST", "/factors/recovery-codes/verify", {"code": codes[0]})
    assert code_of(answer) == (429, "mfa_recovery_codes_locked")
    assert (await app.ask("POST", "/factors/recovery-codes/regenerate")).status_code == 200  # which unlocks


async def test_recovery_codes_go_with_the_last_factor(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    await app.ask("POST", "/factors/recovery-codes")
    assert (await app.ask("DELETE", f"/factors/{app.factor}")).status_code == 200
    assert "factors" not in (await app.ask("GET", "/user")).json()
    await app.protect()
    await app.ask("POST", "/factors/recovery-codes")
    assert (await app.ask("DELETE", "/factors/recovery-codes")).status_code == 200
    assert len((await app.ask("GET", "/user")).json()["factors"]) == 1


# --- phone -----------------------------------------------------------------------------------------------------------


def last_sms(auth: Auth) -> str:
    return sorted((auth.config.data / "sms").iterdir())[-1].read_text()


async def test_a_phone_is_a_factor(auth: Auth) -> None:
    app = await installed(auth)
    made = await app.enroll("mobile", factor_type="phone", phone="+49 151 12345678")
    assert made["phone"] == "4915112345678"
    challenge = await app.challenge(channel="sms")
    assert challenge["type"] == "phone"
    await auth.settle()
    (code,) = re.findall(r"\b\d{6}\b", last_sms(auth))
    assert code_of(await app.answer(challenge["id"], "abcdef")) == (422, "mfa_verification_failed")
    answer = await app.answer(challenge["id"], code)
    assert answer.status_code == 200, answer.text
    app.session = answer.json()
    assert (app.aal, app.amr) == ("aal2", ["mfa/phone", "password"])
    again = await app.ask("POST", "/factors", {"factor_type": "phone", "phone": "+4915112345678"})
    assert code_of(again) == (422, "mfa_verified_factor_exists")


# --- security keys ---------------------------------------------------------------------------------------------------


async def verified_key(app: App, key: Authenticator) -> Any:
    challenge = await app.challenge(webauthn={"rpId": "localhost", "rpOrigins": ["http://localhost:3000"]})
    options = challenge["webauthn"]["credential_options"]["publicKey"]
    kind = challenge["webauthn"]["type"]
    credential = key.create(options) if kind == "create" else key.get(options)
    body = {"challenge_id": challenge["id"], "webauthn": {"type": kind, "credential_response": credential}}
    return await app.ask("POST", f"/factors/{app.factor}/verify", body)


async def test_a_security_key_is_a_factor(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator(verifies=False)
    await app.enroll("key", factor_type="webauthn")
    answer = await verified_key(app, key)
    assert answer.status_code == 200, answer.text
    app.session = answer.json()
    assert (app.aal, app.amr) == ("aal2", ["mfa/webauthn", "password"])
    other = await installed(auth)
    other.factor = app.factor
    answer = await verified_key(other, key)
    assert answer.status_code == 200, answer.text
    key.device.sign_count = 0  # a copy that was made before
    assert code_of(await verified_key(other, key)) == (422, "webauthn_verification_failed")
    events = [seen for seen in auth.observed if isinstance(seen, SecurityEvent)]
    assert [event.kind for event in events] == ["webauthn_counter"]


async def test_a_challenge_of_a_security_key_is_for_our_domain(auth: Auth) -> None:
    app = await installed(auth)
    await app.enroll("key", factor_type="webauthn")
    for wanted in ({"rpId": "evil.example"}, {"rpId": "localhost", "rpOrigins": ["https://evil.example"]}):
        answer = await app.ask("POST", f"/factors/{app.factor}/challenge", {"webauthn": wanted})
        assert code_of(answer) == (400, "validation_failed")


# --- told, kept, administered ----------------------------------------------------------------------------------------


async def test_a_user_is_told_of_factors_that_come_and_go(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    assert "authenticator app" in (await auth.mail(ADA)).text
    await app.ask("DELETE", f"/factors/{app.factor}")
    assert len(await auth.mails(ADA)) == 2


async def test_the_database_holds_no_secret_of_a_factor_in_clear(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    codes = (await app.ask("POST", "/factors/recovery-codes")).json()["codes"]
    everything = ""
    for table in ("mfa_factors", "mfa_recovery_codes", "mfa_challenges", "audit_log_entries"):
        rows = await auth.database.fetch_rows(Statement(f"select to_jsonb(t) from auth.{table} as t"))
        everything += " ".join(str(row[0]) for row in rows)
    assert len(everything) > 1000
    seed = base64.b32decode(app.secret)
    for secret in (app.secret, app.secret.encode().hex(), seed.hex(), *codes, *(code.encode().hex() for code in codes)):
        assert secret.lower() not in everything.lower()


async def test_an_administrator_sees_and_removes_factors(auth: Auth) -> None:
    app = await (await installed(auth)).protect()
    user_id = app.session["user"]["id"]
    listed = await auth.get(f"/admin/users/{user_id}/factors", key=auth.service_key)
    assert [one["id"] for one in listed.json()] == [app.factor]
    assert (await auth.get(f"/admin/users/{user_id}/factors")).status_code in (401, 403)
    removed = await auth.delete(f"/admin/users/{user_id}/factors/{app.factor}", key=auth.service_key)
    assert (removed.status_code, removed.json()["id"]) == (200, app.factor)
    again = await auth.delete(f"/admin/users/{user_id}/factors/{app.factor}", key=auth.service_key)
    assert code_of(again) == (404, "mfa_factor_not_found")
    assert claims((await auth.refresh(app.session["refresh_token"])).json()["access_token"])["aal"] == "aal1"


# --- policies --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def required(database_url: str) -> AsyncIterator[Auth]:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        async with open_auth(database_url, make_config(Path(name), autoconfirm=True, mfa_policy="required")) as opened:
            yield opened


ONLY_WITH_AAL2 = [
    ("PUT", "/user", {"password": "another horse battery"}),
    ("PUT", "/user", {"email": "eve@example.com"}),
    ("PUT", "/user", {"data": {"a": 1}}),
    ("GET", "/reauthenticate", None),
    ("POST", "/factors/recovery-codes", None),
    ("POST", "/factors/recovery-codes/regenerate", None),
    ("DELETE", "/factors/recovery-codes", None),
    ("PATCH", "/passkeys/00000000-0000-4000-8000-000000000000", {"friendly_name": "a"}),
    ("DELETE", "/passkeys/00000000-0000-4000-8000-000000000000", None),
]


async def test_where_a_factor_is_required_aal1_may_enroll_verify_and_leave(required: Auth) -> None:
    app = await installed(required)
    for method, path, body in ONLY_WITH_AAL2:
        assert code_of(await app.ask(method, path, body)) == (403, "insufficient_aal"), path
    assert (await app.ask("GET", "/user")).status_code == 200
    left = await installed(required)
    assert (await left.ask("POST", "/logout?scope=local")).status_code == 204
    assert code_of(await left.ask("GET", "/user")) == (403, "session_not_found")
    await app.protect()
    assert (await app.ask("PUT", "/user", {"data": {"a": 1}})).status_code == 200
    refreshed = await required.refresh(app.session["refresh_token"])
    assert refreshed.status_code == 200
    anonymous = App(required, (await required.post("/signup", {})).json())
    assert (await anonymous.ask("PUT", "/user", {"data": {"a": 1}})).status_code == 200


async def test_a_factor_is_required_of_roles(database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), autoconfirm=True, mfa_policy="roles", mfa_roles=("editor",))
        async with open_auth(database_url, config) as auth:
            for metadata, expected in (
                ({"roles": ["editor"]}, 403),
                ({"role": "editor"}, 403),
                ({"roles": ["x"]}, 200),
            ):
                body = {"email": f"u{expected}{len(str(metadata))}@example.com", "password": PASSWORD}
                body |= {"email_confirm": True, "app_metadata": metadata}  # type: ignore[dict-item]
                made = await auth.post("/admin/users", body, key=auth.service_key)
                assert made.status_code == 200, made.text
                app = await installed(auth, str(body["email"]))
                assert (await app.ask("PUT", "/user", {"data": {"a": 1}})).status_code == expected, metadata


async def test_kinds_of_factor_are_switched_off_one_by_one(database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        async with open_auth(database_url, make_config(Path(name), autoconfirm=True, mfa=())) as auth:
            app = await installed(auth)
            for kind in ("totp", "phone", "webauthn"):
                answer = await app.ask("POST", "/factors", {"factor_type": kind})
                assert code_of(answer) == (422, f"mfa_{kind}_enroll_not_enabled")
            answer = await app.ask("POST", "/factors/recovery-codes")
            assert code_of(answer) == (422, "mfa_recovery_codes_enroll_not_enabled")
            answer = await app.ask("POST", "/factors/recovery-codes/verify", {"code": "x"})
            assert code_of(answer) == (422, "mfa_recovery_codes_verify_not_enabled")
