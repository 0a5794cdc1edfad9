"""Second factors as supabase-py meets them; what it has no call for goes over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from supabase_auth.errors import AuthApiError

from tests.auth import PASSWORD
from tests.authenticator import Authenticator
from tests.contract.auth_flows import address, claims
from tests.contract.conftest import Member, PyMaker, Server
from tests.contract.test_auth_phone_js import code_to

Codes = Callable[[str], str]


async def signed_up(supabase_py: PyMaker, server: Server, email: str | None = None) -> Any:
    me = supabase_py(server)
    await me.auth.sign_up({"email": email or address(), "password": PASSWORD})
    return me


async def protected(me: Any, codes: Codes) -> Any:
    """Enroll TOTP and verify it. Returns what enrolling gave."""
    made = await me.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "app", "issuer": "Acme"})
    await me.auth.mfa.challenge_and_verify({"factor_id": made.id, "code": codes(made.totp.secret)})
    return made


async def token_of(me: Any) -> str:
    return str((await me.auth.get_session()).access_token)


async def raw(me: Any, server: Server, method: str, path: str, body: Any = None) -> httpx.Response:
    """What this client has no call for, in its user's name."""
    async with httpx.AsyncClient(base_url=f"{server.url}/auth/v1", headers=server.headers(await token_of(me))) as http:
        return await http.request(method, path, json=body)


async def test_totp_from_enrolment_to_removal(factors_server: Server, supabase_py: PyMaker, codes: Codes) -> None:
    me = await signed_up(supabase_py, factors_server)
    made = await me.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "app", "issuer": "Acme"})
    assert made.totp.qr_code.startswith("data:image/svg+xml;utf-8,<svg ")
    assert made.totp.uri.startswith("otpauth://totp/Acme:")
    before = await me.auth.mfa.get_authenticator_assurance_level()
    assert (before.current_level, before.next_level) == ("aal1", "aal1")
    challenge = await me.auth.mfa.challenge({"factor_id": made.id})
    verify = {"factor_id": made.id, "challenge_id": challenge.id, "code": codes(made.totp.secret)}
    await me.auth.mfa.verify(verify)
    after = await me.auth.mfa.get_authenticator_assurance_level()
    assert (after.current_level, after.next_level) == ("aal2", "aal2")
    assert [entry.method for entry in after.current_authentication_methods] == ["totp", "password"]
    listed = await me.auth.mfa.list_factors()
    assert [one.id for one in listed.totp] == [made.id]
    once = {"factor_id": made.id, "code": codes(made.totp.secret)}
    await me.auth.mfa.challenge_and_verify(once)
    with pytest.raises(AuthApiError) as caught:
        await me.auth.mfa.challenge_and_verify(once)
    assert (caught.value.code, caught.value.message) == ("mfa_verification_failed", "Invalid TOTP code entered")
    await me.auth.refresh_session()
    assert claims(await token_of(me))["aal"] == "aal2"
    gone = await me.auth.mfa.unenroll({"factor_id": made.id})
    assert gone.id == made.id
    await me.auth.refresh_session()
    assert claims(await token_of(me))["aal"] == "aal1"


async def test_errors_of_enrolment(factors_server: Server, supabase_py: PyMaker) -> None:
    me = await signed_up(supabase_py, factors_server)
    for number in range(10):
        await me.auth.mfa.enroll({"factor_type": "totp", "friendly_name": f"f{number}"})
    for name, code in (("f0", "too_many_enrolled_mfa_factors"), ("last", "too_many_enrolled_mfa_factors")):
        with pytest.raises(AuthApiError) as caught:
            await me.auth.mfa.enroll({"factor_type": "totp", "friendly_name": name})
        assert caught.value.code == code
    other = await signed_up(supabase_py, factors_server)
    await other.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "a"})
    with pytest.raises(AuthApiError) as caught:
        await other.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "a"})
    assert caught.value.code == "mfa_factor_name_conflict"
    anonymous = supabase_py(factors_server)
    await anonymous.auth.sign_in_anonymously()
    with pytest.raises(AuthApiError) as caught:
        await anonymous.auth.mfa.enroll({"factor_type": "totp"})
    assert (caught.value.status, caught.value.code) == (403, "no_authorization")


async def test_what_takes_aal2(factors_server: Server, supabase_py: PyMaker, codes: Codes) -> None:
    me = await signed_up(supabase_py, factors_server, email := address())
    made = await protected(me, codes)
    other = supabase_py(factors_server)
    await other.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    level = await other.auth.mfa.get_authenticator_assurance_level()
    assert (level.current_level, level.next_level) == ("aal1", "aal2")
    for status, call in (
        (401, lambda: other.auth.update_user({"password": "another horse battery"})),
        (403, lambda: other.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "second"})),
        (422, lambda: other.auth.mfa.unenroll({"factor_id": made.id})),
    ):
        with pytest.raises(AuthApiError) as caught:
            await call()
        assert (caught.value.status, caught.value.code) == (status, "insufficient_aal")


async def test_errors_of_verification(factors_server: Server, supabase_py: PyMaker, codes: Codes) -> None:
    me = await signed_up(supabase_py, factors_server)
    made = await protected(me, codes)
    challenge = await me.auth.mfa.challenge({"factor_id": made.id})
    verify = {"factor_id": made.id, "challenge_id": challenge.id, "code": codes(made.totp.secret)}
    await me.auth.mfa.verify(verify)
    for status, code, call in (
        (404, "mfa_factor_not_found", lambda: me.auth.mfa.challenge({"factor_id": challenge.id})),
        (422, "mfa_ip_address_mismatch", lambda: me.auth.mfa.verify(verify)),
        (422, "mfa_verification_failed", lambda: me.auth.mfa.challenge_and_verify(
            {"factor_id": made.id, "code": "abcdef"})),
    ):  # fmt: skip
        with pytest.raises(AuthApiError) as caught:
            await call()
        assert (caught.value.status, caught.value.code) == (status, code)


async def test_a_challenge_runs_out_and_too_many_tries_are_refused(
    factors_server: Server, supabase_py: PyMaker, codes: Codes
) -> None:
    me = await signed_up(supabase_py, factors_server)
    made = await protected(me, codes)
    challenge = await me.auth.mfa.challenge({"factor_id": made.id})
    refused = []
    for _ in range(11):
        with pytest.raises(AuthApiError) as caught:
            await me.auth.mfa.verify({"factor_id": made.id, "challenge_id": challenge.id, "code": "abcdef"})
        refused.append(caught.value.code)
    assert refused == ["mfa_verification_failed"] * 5 + ["mfa_challenge_expired"] * 5 + ["over_request_rate_limit"]
    with pytest.raises(AuthApiError) as caught:
        await me.auth.mfa.challenge_and_verify({"factor_id": made.id, "code": codes(made.totp.secret)})
    assert caught.value.status == 429


async def test_a_phone_as_a_factor(factors_server: Server, supabase_py: PyMaker) -> None:
    me = await signed_up(supabase_py, factors_server)
    phone = "+4915144444444"
    made = await me.auth.mfa.enroll({"factor_type": "phone", "friendly_name": "mobile", "phone": phone})
    challenge = await me.auth.mfa.challenge({"factor_id": made.id, "channel": "sms"})
    assert challenge.factor_type == "phone"
    code = code_to(factors_server, phone)
    await me.auth.mfa.verify({"factor_id": made.id, "challenge_id": challenge.id, "code": code})
    assert [one.id for one in (await me.auth.mfa.list_factors()).phone] == [made.id]
    with pytest.raises(AuthApiError) as caught:
        await me.auth.mfa.enroll({"factor_type": "phone", "friendly_name": "twice", "phone": phone})
    assert caught.value.code == "mfa_verified_factor_exists"


async def test_a_security_key_as_a_factor(factors_server: Server, supabase_py: PyMaker) -> None:
    me, key = await signed_up(supabase_py, factors_server), Authenticator(verifies=False)
    made = (await raw(me, factors_server, "POST", "/factors", {"factor_type": "webauthn"})).json()
    assert made == {"id": made["id"], "type": "webauthn", "friendly_name": ""}
    challenge = (await raw(me, factors_server, "POST", f"/factors/{made['id']}/challenge")).json()
    credential = key.create(challenge["webauthn"]["credential_options"]["publicKey"])
    body = {"challenge_id": challenge["id"], "webauthn": {"type": "create", "credential_response": credential}}
    answer = await raw(me, factors_server, "POST", f"/factors/{made['id']}/verify", body)
    assert claims(answer.json()["access_token"])["amr"][0]["method"] == "mfa/webauthn"


async def test_recovery_codes(factors_server: Server, supabase_py: PyMaker, codes: Codes) -> None:
    me = await signed_up(supabase_py, factors_server)
    alone = await raw(me, factors_server, "POST", "/factors/recovery-codes")
    assert (alone.status_code, alone.json()["error_code"]) == (422, "mfa_recovery_codes_sole_factor")
    await protected(me, codes)
    made = (await raw(me, factors_server, "POST", "/factors/recovery-codes")).json()
    body = {"code": made["codes"][0]}
    first = await raw(me, factors_server, "POST", "/factors/recovery-codes/verify", body)
    assert claims(first.json()["access_token"])["amr"][0]["method"] == "mfa/recovery_code"
    again = await raw(me, factors_server, "POST", "/factors/recovery-codes/verify", body)
    assert again.json()["error_code"] == "mfa_verification_failed"
    status = await raw(me, factors_server, "GET", "/factors/recovery-codes")
    assert status.json() == {"id": made["id"], "type": "recovery_code", "total": 10, "remaining": 9}
    new = await raw(me, factors_server, "POST", "/factors/recovery-codes/regenerate")
    assert new.json()["id"] == made["id"]
    assert (await raw(me, factors_server, "DELETE", "/factors/recovery-codes")).json() == {"id": made["id"]}


async def test_a_role_asks_for_aal2_of_everything(
    factors_server: Server, supabase_py: PyMaker, member: Any, codes: Codes
) -> None:
    editor: Member = member(factors_server, app_metadata={"role": "editor"})
    me = supabase_py(factors_server)
    await me.auth.sign_in_with_password({"email": editor.email, "password": editor.password})
    with pytest.raises(AuthApiError) as caught:
        await me.auth.update_user({"data": {"a": 1}})
    assert (caught.value.status, caught.value.code) == (403, "insufficient_aal")
    await protected(me, codes)
    await me.auth.update_user({"data": {"a": 1}})


async def test_an_administrator_removes_a_factor(factors_server: Server, supabase_py: PyMaker, codes: Codes) -> None:
    me = await signed_up(supabase_py, factors_server)
    made = await protected(me, codes)
    user_id = (await me.auth.get_user()).user.id
    admin = supabase_py(factors_server, factors_server.service_key).auth.admin.mfa
    listed = await admin.list_factors({"user_id": user_id})
    assert [one.id for one in getattr(listed, "factors", listed)] == [made.id]
    gone = await admin.delete_factor({"user_id": user_id, "id": made.id})
    assert gone.id == made.id
    with pytest.raises(AuthApiError) as caught:
        await admin.delete_factor({"user_id": user_id, "id": made.id})
    assert caught.value.code == "mfa_factor_not_found"


async def test_passkeys(factors_server: Server, supabase_py: PyMaker) -> None:
    me, key = await signed_up(supabase_py, factors_server), Authenticator()
    begun = (await raw(me, factors_server, "POST", "/passkeys/registration/options", {})).json()
    body = {"challenge_id": begun["challenge_id"], "credential": key.create(begun["options"])}
    made = (await raw(me, factors_server, "POST", "/passkeys/registration/verify", body)).json()
    assert [one["id"] for one in (await raw(me, factors_server, "GET", "/passkeys")).json()] == [made["id"]]
    async with httpx.AsyncClient(base_url=f"{factors_server.url}/auth/v1", headers=factors_server.headers()) as http:
        begun = (await http.post("/passkeys/authentication/options", json={})).json()
        body = {"challenge_id": begun["challenge_id"], "credential": key.get(begun["options"])}
        session = (await http.post("/passkeys/authentication/verify", json=body)).json()
        assert claims(session["access_token"])["aal"] == "aal2"
        http.headers.update(factors_server.headers(session["access_token"]))
        renamed = await http.patch(f"/passkeys/{made['id']}", json={"friendly_name": "Laptop"})
        assert renamed.json()["friendly_name"] == "Laptop"
        http.headers.update(factors_server.headers(key=factors_server.service_key))
        path = f"/admin/users/{session['user']['id']}/passkeys"
        assert [one["id"] for one in (await http.get(path)).json()] == [made["id"]]
        gone = await http.delete(f"{path}/{made['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
