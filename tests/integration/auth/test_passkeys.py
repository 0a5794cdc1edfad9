"""Passkeys: registered by whoever may, signing in by themselves, and only with the answer of the one authenticator."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fido2 import cbor

from mbaas.core.observe import SecurityEvent
from tests.auth import Auth, make_config, open_auth
from tests.authenticator import ORIGIN, Authenticator, decode, encode
from tests.integration.auth.installed import ADA, App, code_of, installed


@pytest.fixture
async def auth(database_url: str) -> AsyncIterator[Auth]:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        async with open_auth(database_url, make_config(Path(name), autoconfirm=True, passkeys=True)) as opened:
            yield opened


async def register(app: App, key: Authenticator, **options: Any) -> Any:
    begun = await app.ask("POST", "/passkeys/registration/options", {})
    assert begun.status_code == 200, begun.text
    credential = key.create(begun.json()["options"], **options)
    body = {"challenge_id": begun.json()["challenge_id"], "credential": credential}
    return await app.ask("POST", "/passkeys/registration/verify", body)


async def begin(auth: Auth) -> Any:
    begun = await auth.post("/passkeys/authentication/options", {})
    assert begun.status_code == 200, begun.text
    return begun.json()


async def finish(auth: Auth, begun: Any, credential: dict[str, Any]) -> Any:
    body = {"challenge_id": begun["challenge_id"], "credential": credential}
    return await auth.post("/passkeys/authentication/verify", body)


async def sign_in(auth: Auth, key: Authenticator, **options: Any) -> Any:
    begun = await begin(auth)
    return await finish(auth, begun, key.get(begun["options"], **options))


async def test_a_passkey_is_registered_and_signs_in_at_aal2(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    begun = (await app.ask("POST", "/passkeys/registration/options", {})).json()
    options = begun["options"]
    assert options["rp"] == {"id": "localhost", "name": "Fieldnotes"}
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert abs(begun["expires_at"] - auth.clock.now().timestamp() - 300) < 10
    answer = await register(app, key)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"id", "created_at"}
    begun = await begin(auth)
    assert begun["options"]["allowCredentials"] == []
    assert begun["options"]["userVerification"] == "required"
    answer = await finish(auth, begun, key.get(begun["options"]))
    assert answer.status_code == 200, answer.text
    signed_in = App(auth, answer.json())
    assert (signed_in.aal, signed_in.amr) == ("aal2", ["passkey"])
    assert signed_in.session["user"]["email"] == ADA
    refreshed = App(auth, (await auth.refresh(signed_in.session["refresh_token"])).json())
    assert refreshed.aal == "aal2"
    (listed,) = (await app.ask("GET", "/passkeys")).json()
    assert set(listed) == {"id", "created_at", "last_used_at"}


async def test_passkeys_are_named_and_removed_and_what_they_opened_ends(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    passkey = (await register(app, key)).json()["id"]
    here, there = [App(auth, (await sign_in(auth, key)).json()) for _ in range(2)]
    renamed = await here.ask("PATCH", f"/passkeys/{passkey}", {"friendly_name": "Laptop"})
    assert renamed.json()["friendly_name"] == "Laptop"
    assert code_of(await here.ask("PATCH", "/passkeys/nonsense", {"friendly_name": "x"}))[0] == 404
    assert code_of(await app.ask("DELETE", f"/passkeys/{passkey}")) == (422, "insufficient_aal")
    gone = await here.ask("DELETE", f"/passkeys/{passkey}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert code_of(await there.ask("GET", "/user")) == (403, "session_not_found")
    here.session = (await auth.refresh(here.session["refresh_token"])).json()
    assert here.aal == "aal1"
    assert code_of(await sign_in(auth, key)) == (404, "webauthn_credential_not_found")


async def test_a_password_adds_no_passkey_beside_a_factor_or_passkey(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    begun = (await app.ask("POST", "/passkeys/registration/options", {})).json()
    assert (await register(app, key)).status_code == 200
    assert code_of(await app.ask("POST", "/passkeys/registration/options", {})) == (403, "insufficient_aal")
    body = {"challenge_id": begun["challenge_id"], "credential": Authenticator().create(begun["options"])}
    assert code_of(await app.ask("POST", "/passkeys/registration/verify", body)) == (403, "insufficient_aal")
    answer = await app.ask("POST", "/factors", {"factor_type": "totp"})
    assert code_of(answer) == (403, "insufficient_aal")
    bob = await (await installed(auth, "bob@example.com")).protect()
    password_only = await installed(auth, "bob@example.com")
    assert code_of(await password_only.ask("POST", "/passkeys/registration/options", {})) == (403, "insufficient_aal")
    assert (await register(bob, Authenticator())).status_code == 200  # and both work together
    assert len(bob.session["user"]["factors"]) == 1


async def test_an_authenticator_is_registered_once(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    signed_in = App(auth, (await sign_in(auth, key)).json())
    begun = (await signed_in.ask("POST", "/passkeys/registration/options", {})).json()
    assert [one["id"] for one in begun["options"]["excludeCredentials"]] == [encode(key.device.credential_id)]
    thief = await installed(auth, "eve@example.com")
    begun = (await thief.ask("POST", "/passkeys/registration/options", {})).json()
    kept, copy = key.device.credential_id, Authenticator()
    copy.device.cred_init = lambda rp_id, handle: _same(copy, rp_id, handle, kept)  # type: ignore[method-assign]
    credential = copy.create(begun["options"])
    assert credential["id"] == encode(kept)
    body = {"challenge_id": begun["challenge_id"], "credential": credential}
    answer = await thief.ask("POST", "/passkeys/registration/verify", body)
    assert code_of(answer) == (422, "webauthn_credential_exists")


def _same(key: Authenticator, rp_id: str, handle: bytes, credential_id: bytes) -> None:
    type(key.device).cred_init(key.device, rp_id, handle)
    key.device.credential_id = credential_id


async def test_ten_passkeys_are_enough(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    signed_in = App(auth, (await sign_in(auth, key)).json())
    for _ in range(9):
        assert (await register(signed_in, Authenticator())).status_code == 200
    assert code_of(await signed_in.ask("POST", "/passkeys/registration/options", {})) == (422, "too_many_passkeys")


# --- answers that do not hold ----------------------------------------------------------------------------------------


async def test_a_challenge_is_answered_once_and_in_time(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    begun = await begin(auth)
    answers = await asyncio.gather(*(finish(auth, begun, key.get(begun["options"])) for _ in range(20)))
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert {code_of(answer) for answer in answers if answer.status_code != 200} == {
        (400, "webauthn_challenge_not_found")
    }
    begun = await begin(auth)
    auth.clock.advance(seconds=301)
    answer = await finish(auth, begun, key.get(begun["options"]))
    assert code_of(answer) == (422, "webauthn_challenge_expired")


async def test_a_challenge_serves_one_purpose_and_session(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    begun = (await app.ask("POST", "/passkeys/registration/options", {})).json()
    body = {"challenge_id": begun["challenge_id"], "credential": key.create(begun["options"])}
    bob = await installed(auth, "bob@example.com")
    answer = await bob.ask("POST", "/passkeys/registration/verify", body)
    assert code_of(answer) == (400, "webauthn_challenge_not_found")
    answer = await auth.post("/passkeys/authentication/verify", body)
    assert code_of(answer) == (400, "webauthn_challenge_not_found")
    assert (await app.ask("POST", "/passkeys/registration/verify", body)).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://localhost:3001", "https://localhost:3000", "http://localhost:3000.evil.example", "null"]
)
async def test_the_origin_is_ours_exactly(auth: Auth, origin: str) -> None:
    app, key = await installed(auth), Authenticator()
    answer = await register(app, key, origin=origin)
    assert code_of(answer) == (422, "webauthn_verification_failed")
    await register(app, key)
    assert code_of(await sign_in(auth, key, origin=origin)) == (422, "webauthn_verification_failed")
    assert (await sign_in(auth, key)).status_code == 200


async def test_the_domain_is_ours(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    begun = (await app.ask("POST", "/passkeys/registration/options", {})).json()
    options = begun["options"] | {"rp": {"id": "evil.example", "name": "x"}}
    body = {"challenge_id": begun["challenge_id"], "credential": key.create(options)}
    answer = await app.ask("POST", "/passkeys/registration/verify", body)
    assert code_of(answer) == (422, "webauthn_verification_failed")
    await register(app, key)
    begun = await begin(auth)
    answer = await finish(auth, begun, key.get(begun["options"] | {"rpId": "evil.example"}))
    assert code_of(answer) == (422, "webauthn_verification_failed")


async def test_a_passkey_verifies_its_user(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator(verifies=False)
    assert code_of(await register(app, key)) == (422, "webauthn_verification_failed")
    key.flags = 0x05
    assert (await register(app, key)).status_code == 200
    key.flags = 0x01
    assert code_of(await sign_in(auth, key)) == (422, "webauthn_verification_failed")


async def test_an_algorithm_nobody_asked_for_is_refused(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    begun = (await app.ask("POST", "/passkeys/registration/options", {})).json()
    credential = key.create(begun["options"])
    # The same key, said to be of ES512: in a COSE key, the algorithm follows 03; -7 is 26, -36 is 38 23.
    attestation = cbor.decode(decode(credential["response"]["attestationObject"]))
    assert attestation["authData"].count(b"\x01\x02\x03\x26") == 1
    attestation["authData"] = attestation["authData"].replace(b"\x01\x02\x03\x26", b"\x01\x02\x03\x38\x23")
    credential["response"]["attestationObject"] = encode(cbor.encode(attestation))
    body = {"challenge_id": begun["challenge_id"], "credential": credential}
    answer = await app.ask("POST", "/passkeys/registration/verify", body)
    assert code_of(answer) == (422, "webauthn_verification_failed")


async def test_a_counter_that_stands_still_is_a_copy_and_told(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    assert (await sign_in(auth, key, count=5)).status_code == 200
    for count in (5, 4, 0):
        assert code_of(await sign_in(auth, key, count=count)) == (422, "webauthn_verification_failed")
    kinds = [seen.kind for seen in auth.observed if isinstance(seen, SecurityEvent)]
    assert kinds == ["webauthn_counter"] * 3
    assert (await sign_in(auth, key, count=6)).status_code == 200


async def test_an_authenticator_that_does_not_count_signs_in(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    for _ in range(2):
        assert (await sign_in(auth, key, count=0)).status_code == 200


async def test_a_signature_and_a_user_are_the_passkeys_own(auth: Auth) -> None:
    app, key, other = await installed(auth), Authenticator(), Authenticator()
    await register(app, key)
    begun = await begin(auth)
    credential = key.get(begun["options"])
    credential["response"]["userHandle"] = encode(b"\x00" * 16)
    assert code_of(await finish(auth, begun, credential)) == (404, "webauthn_credential_not_found")
    other.device.cred_init("localhost", key.device.user_handle)
    other.device.credential_id = key.device.credential_id
    assert code_of(await sign_in(auth, other)) == (422, "webauthn_verification_failed")


async def test_answers_that_are_none_are_refused_without_a_fault(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    begun = await begin(auth)
    good = key.get(begun["options"])
    junk = encode(b"\xa1" * 40)
    for credential in (
        {},
        {**good, "response": None},
        {**good, "response": {}},
        {**good, "response": {**good["response"], "authenticatorData": junk}},
        {**good, "response": {**good["response"], "clientDataJSON": encode(b"[]")}},
        {**good, "response": {**good["response"], "signature": 7}},
        {**good, "rawId": "ä"},
        {**good, "padding": "x" * 20_000},
    ):
        begun = await begin(auth)
        answer = await finish(auth, begun, credential)
        assert answer.status_code in (404, 422), answer.text
        made = (await app.ask("POST", "/passkeys/authentication/options")).json()
        assert made["options"]["challenge"]
    for body in ({}, {"challenge_id": "x"}, {"credential": {}}):
        assert code_of(await auth.post("/passkeys/authentication/verify", body)) == (400, "validation_failed")


async def test_a_banned_user_does_not_come_in_by_passkey(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    user_id = app.session["user"]["id"]
    await auth.put(f"/admin/users/{user_id}", {"ban_duration": "24h"}, key=auth.service_key)
    assert code_of(await sign_in(auth, key)) == (400, "user_banned")


async def test_a_user_deleted_in_name_alone_does_not_come_in_by_passkey(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    await register(app, key)
    user_id = app.session["user"]["id"]
    await auth.delete(f"/admin/users/{user_id}", {"should_soft_delete": True}, key=auth.service_key)
    assert code_of(await sign_in(auth, key)) == (404, "webauthn_credential_not_found")


async def test_an_administrator_sees_and_removes_passkeys(auth: Auth) -> None:
    app, key = await installed(auth), Authenticator()
    passkey = (await register(app, key)).json()["id"]
    opened = App(auth, (await sign_in(auth, key)).json())
    user_id = app.session["user"]["id"]
    path = f"/admin/users/{user_id}/passkeys"
    assert [one["id"] for one in (await auth.get(path, key=auth.service_key)).json()] == [passkey]
    assert (await auth.delete(f"{path}/{passkey}", key=auth.service_key)).status_code == 204
    assert code_of(await opened.ask("GET", "/user")) == (403, "session_not_found")
    assert code_of(await auth.delete(f"{path}/{passkey}", key=auth.service_key)) == (
        404,
        "webauthn_credential_not_found",
    )


async def test_without_passkeys_there_are_none(database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        async with open_auth(database_url, make_config(Path(name), autoconfirm=True)) as auth:
            app = await installed(auth)
            assert code_of(await app.ask("POST", "/passkeys/registration/options", {})) == (422, "passkey_disabled")
            assert code_of(await auth.post("/passkeys/authentication/options", {})) == (422, "passkey_disabled")
            assert (await auth.get("/settings")).json()["passkeys_enabled"] is False


def test_the_authenticator_of_these_tests_says_what_a_browser_says() -> None:
    key = Authenticator()
    key.device.cred_init("localhost", b"\x01" * 16)
    credential = key.get({"challenge": "AAAA", "rpId": "localhost"})
    said = json.loads(base64.urlsafe_b64decode(credential["response"]["clientDataJSON"] + "=="))
    assert said == {"type": "webauthn.get", "challenge": "AAAA", "origin": ORIGIN}
