"""Second factors and passkeys as supabase-js meets them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from tests.auth import PASSWORD
from tests.authenticator import Authenticator
from tests.contract.auth_flows import address, claims
from tests.contract.conftest import Js, Member, Server
from tests.contract.test_auth_phone_js import code_to

Codes = Callable[[str], str]

_SIGN_UP = """
const [made, seen] = recorded(undefined, {auth: {experimental: {recoveryCodes: true}}});
kept.me = made;
kept.seen = seen;
const {error} = await made.auth.signUp({email: args.email, password: args.password});
if (error) throw error;
"""
_ENROLL = "return await kept.me.auth.mfa.enroll({factorType: 'totp', friendlyName: args.name ?? 'app', issuer: 'Acme'})"
_VERIFY = """
const level = async () => (await kept.me.auth.mfa.getAuthenticatorAssuranceLevel()).data;
const before = await level();
const {data: challenge, error} = await kept.me.auth.mfa.challenge({factorId: args.factor});
if (error) return {error};
const verified = await kept.me.auth.mfa.verify({factorId: args.factor, challengeId: challenge.id, code: args.code});
return {before, challenge, verified, after: await level(), factors: (await kept.me.auth.mfa.listFactors()).data};
"""


async def protected(js: Js, codes: Codes) -> tuple[str, str]:
    """A new user whose session is aal2. Returns the id of the factor and its secret."""
    await js(_SIGN_UP, email=address(), password=PASSWORD)
    made = (await js(_ENROLL))["data"]
    answer = await js(_VERIFY, factor=made["id"], code=codes(made["totp"]["secret"]))
    assert answer["verified"]["error"] is None
    return made["id"], made["totp"]["secret"]


async def test_totp_from_enrolment_to_removal(factors_js: Js, codes: Codes) -> None:
    js = factors_js
    await js(_SIGN_UP, email=address(), password=PASSWORD)
    answer = await js(_ENROLL)
    assert answer["error"] is None
    made = answer["data"]
    assert (made["type"], made["friendly_name"]) == ("totp", "app")
    assert made["totp"]["qr_code"].startswith("data:image/svg+xml;utf-8,<svg ")
    assert made["totp"]["uri"].startswith("otpauth://totp/Acme:")
    answer = await js(_VERIFY, factor=made["id"], code=codes(made["totp"]["secret"]))
    assert answer["verified"]["error"] is None, answer
    assert (answer["before"]["currentLevel"], answer["before"]["nextLevel"]) == ("aal1", "aal1")
    assert (answer["after"]["currentLevel"], answer["after"]["nextLevel"]) == ("aal2", "aal2")
    methods = [entry["method"] for entry in answer["after"]["currentAuthenticationMethods"]]
    assert methods == ["totp", "password"]
    assert answer["challenge"]["type"] == "totp"
    assert [one["id"] for one in answer["factors"]["totp"]] == [made["id"]]
    code = """
    const once = await kept.me.auth.mfa.challengeAndVerify({factorId: args.factor, code: args.code});
    const again = await kept.me.auth.mfa.challengeAndVerify({factorId: args.factor, code: args.code});
    const refreshed = await kept.me.auth.refreshSession();
    const gone = await kept.me.auth.mfa.unenroll({factorId: args.factor});
    const after = await kept.me.auth.refreshSession();
    return {once, again, refreshed: refreshed.data.session.access_token, gone, after: after.data.session.access_token};
    """
    answer = await js(code, factor=made["id"], code=codes(made["totp"]["secret"]))
    assert answer["once"]["error"] is None
    assert (answer["again"]["error"]["code"], answer["again"]["error"]["message"]) == (
        "mfa_verification_failed",
        "Invalid TOTP code entered",
    )
    assert claims(answer["refreshed"])["aal"] == "aal2"
    assert answer["gone"] == {"data": {"id": made["id"]}, "error": None}
    assert claims(answer["after"])["aal"] == "aal1"


async def test_errors_of_enrolment(factors_js: Js) -> None:
    code = """
    const first = await kept.me.auth.mfa.enroll({factorType: "totp", friendlyName: "a"});
    const same = await kept.me.auth.mfa.enroll({factorType: "totp", friendlyName: "a"});
    for (let n = 0; n < 9; n++) await kept.me.auth.mfa.enroll({factorType: "totp", friendlyName: `f${n}`});
    const many = await kept.me.auth.mfa.enroll({factorType: "totp", friendlyName: "last"});
    const anonymous = createClient();
    await anonymous.auth.signInAnonymously();
    const nobody = await anonymous.auth.mfa.enroll({factorType: "totp"});
    return [first.error, same.error.code, many.error.code, nobody.error.code, nobody.error.status];
    """
    await factors_js(_SIGN_UP, email=address(), password=PASSWORD)
    assert await factors_js(code) == [
        None,
        "mfa_factor_name_conflict",
        "too_many_enrolled_mfa_factors",
        "no_authorization",
        403,
    ]


async def test_what_takes_aal2(factors_js: Js, codes: Codes) -> None:
    await factors_js(_SIGN_UP, email=(email := address()), password=PASSWORD)
    made = (await factors_js(_ENROLL))["data"]
    await factors_js(_VERIFY, factor=made["id"], code=codes(made["totp"]["secret"]))
    code = """
    const other = createClient();
    const {data: {session}} = await other.auth.signInWithPassword({email: args.email, password: args.password});
    const level = await other.auth.mfa.getAuthenticatorAssuranceLevel(session.access_token);
    const password = await other.auth.updateUser({password: "another horse battery"});
    const enroll = await other.auth.mfa.enroll({factorType: "totp", friendlyName: "second"});
    const unenroll = await other.auth.mfa.unenroll({factorId: args.factor});
    return {level: level.data, errors: [password, enroll, unenroll].map(({error}) => [error.status, error.code])};
    """
    answer = await factors_js(code, email=email, password=PASSWORD, factor=made["id"])
    assert (answer["level"]["currentLevel"], answer["level"]["nextLevel"]) == ("aal1", "aal2")
    assert answer["errors"] == [[401, "insufficient_aal"], [403, "insufficient_aal"], [422, "insufficient_aal"]]


async def test_errors_of_verification(factors_js: Js, codes: Codes) -> None:
    factor, secret = await protected(factors_js, codes)
    code = """
    const {mfa} = kept.me.auth;
    const unknown = await mfa.challenge({factorId: "00000000-0000-4000-8000-000000000000"});
    const wrong = await mfa.challengeAndVerify({factorId: args.factor, code: "abcdef"});
    const {data: challenge} = await mfa.challenge({factorId: args.factor});
    const first = await mfa.verify({factorId: args.factor, challengeId: challenge.id, code: args.code});
    const again = await mfa.verify({factorId: args.factor, challengeId: challenge.id, code: args.code});
    return [unknown, wrong, first, again].map(({error}) => error && [error.status, error.code]);
    """
    assert await factors_js(code, factor=factor, code=codes(secret)) == [
        [404, "mfa_factor_not_found"],
        [422, "mfa_verification_failed"],
        None,
        [422, "mfa_ip_address_mismatch"],
    ]


async def test_a_challenge_runs_out_and_too_many_tries_are_refused(factors_js: Js, codes: Codes) -> None:
    factor, secret = await protected(factors_js, codes)
    code = """
    const {mfa} = kept.me.auth;
    const {data: challenge} = await mfa.challenge({factorId: args.factor});
    const tries = [];
    for (let n = 0; n < 11; n++) {
        const {error} = await mfa.verify({factorId: args.factor, challengeId: challenge.id, code: "abcdef"});
        tries.push(error.code);
    }
    const {data: fresh} = await mfa.challenge({factorId: args.factor});
    const right = await mfa.verify({factorId: args.factor, challengeId: fresh.id, code: args.code});
    return [tries, right.error.status];
    """
    tries, status = await factors_js(code, factor=factor, code=codes(secret))
    assert tries == ["mfa_verification_failed"] * 5 + ["mfa_challenge_expired"] * 5 + ["over_request_rate_limit"]
    assert status == 429


async def test_a_phone_as_a_factor(factors_js: Js, factors_server: Server) -> None:
    await factors_js(_SIGN_UP, email=address(), password=PASSWORD)
    code = """
    const {mfa} = kept.me.auth;
    const {data: made, error} = await mfa.enroll({factorType: "phone", friendlyName: "mobile", phone: args.phone});
    if (error) return {error};
    const {data: challenge} = await mfa.challenge({factorId: made.id, channel: "sms"});
    return {made, challenge};
    """
    answer = await factors_js(code, phone="+4915155555555")
    assert answer["made"]["phone"] == "4915155555555"
    assert answer["challenge"]["type"] == "phone"
    code = """
    const {mfa} = kept.me.auth;
    const {error} = await mfa.verify({factorId: args.factor, challengeId: args.challenge, code: args.code});
    if (error) return {error};
    const again = await mfa.enroll({factorType: "phone", friendlyName: "twice", phone: args.phone});
    return {factors: (await mfa.listFactors()).data, again: again.error.code};
    """
    answer = await factors_js(
        code,
        factor=answer["made"]["id"],
        challenge=answer["challenge"]["id"],
        code=code_to(factors_server, "+4915155555555"),
        phone="+4915155555555",
    )
    assert len(answer["factors"]["phone"]) == 1
    assert answer["again"] == "mfa_verified_factor_exists"


async def test_a_security_key_as_a_factor(factors_js: Js) -> None:
    await factors_js(_SIGN_UP, email=address(), password=PASSWORD)
    key = Authenticator(verifies=False)
    factor = (await factors_js("return await kept.me.auth.mfa.enroll({factorType: 'webauthn', friendlyName: 'key'})"))[
        "data"
    ]["id"]
    challenge_code = """
    const {error} = await kept.me.auth.mfa.challenge(
        {factorId: args.factor, webauthn: {rpId: "localhost", rpOrigins: ["http://localhost:3000"]}});
    return error ?? JSON.parse(kept.seen.at(-1).body);
    """
    verify_code = """
    const {data, error} = await kept.me.auth.mfa.verify({
        factorId: args.factor, challengeId: args.challenge,
        webauthn: {rpId: "localhost", rpOrigins: ["http://localhost:3000"], type: args.type,
                   credential_response: {toJSON: () => args.credential}}});
    return error ? {error} : {token: data.access_token, factors: (await kept.me.auth.mfa.listFactors()).data.webauthn};
    """
    for kind in ("create", "request"):
        challenge: Any = await factors_js(challenge_code, factor=factor)
        assert challenge["webauthn"]["type"] == kind
        options = challenge["webauthn"]["credential_options"]["publicKey"]
        credential = key.create(options) if kind == "create" else key.get(options)
        answer = await factors_js(
            verify_code, factor=factor, challenge=challenge["id"], type=kind, credential=credential
        )
        assert [entry["method"] for entry in claims(answer["token"])["amr"]] == ["mfa/webauthn", "password"], answer
        assert [one["id"] for one in answer["factors"]] == [factor]


async def test_recovery_codes(factors_js: Js, codes: Codes) -> None:
    await factors_js(_SIGN_UP, email=(email := address()), password=PASSWORD)
    code = """
    const {recoveryCodes} = kept.me.auth.mfa;
    return [(await recoveryCodes.getStatus()).error.code, (await recoveryCodes.generate()).error.code];
    """
    assert await factors_js(code) == ["mfa_factor_not_found", "mfa_recovery_codes_sole_factor"]
    made = (await factors_js(_ENROLL))["data"]
    await factors_js(_VERIFY, factor=made["id"], code=codes(made["totp"]["secret"]))
    code = """
    const first = await kept.me.auth.mfa.recoveryCodes.generate({friendlyName: "Paper"});
    const second = await kept.me.auth.mfa.recoveryCodes.generate();
    const set = await kept.me.auth.mfa.recoveryCodes.regenerate();
    const other = createClient(undefined, {auth: {experimental: {recoveryCodes: true}}});
    await other.auth.signInWithPassword({email: args.email, password: args.password});
    const {recoveryCodes} = other.auth.mfa;
    const former = await recoveryCodes.verify({code: first.data.codes[0]});
    const right = await recoveryCodes.verify({code: set.data.codes[0].toUpperCase()});
    const again = await recoveryCodes.verify({code: set.data.codes[0]});
    const status = await recoveryCodes.getStatus();
    const listed = (await other.auth.mfa.listFactors()).data.recovery_code.length;
    const gone = await recoveryCodes.unenroll();
    return {first, second, set, former, right, again, status, listed, gone};
    """
    answer = await factors_js(code, email=email, password=PASSWORD)
    assert (answer["first"]["data"]["total"], len(answer["first"]["data"]["codes"])) == (10, 10)
    assert answer["first"]["data"]["friendly_name"] == "Paper"
    assert answer["second"]["error"]["code"] == "mfa_verified_factor_exists"
    assert answer["set"]["data"]["id"] == answer["first"]["data"]["id"]
    assert answer["former"]["error"]["code"] == "mfa_verification_failed"
    assert claims(answer["right"]["data"]["access_token"])["amr"][0]["method"] == "mfa/recovery_code"
    assert answer["again"]["error"]["code"] == "mfa_verification_failed"
    assert answer["status"]["data"]["remaining"] == 9
    assert answer["listed"] == 1
    assert answer["gone"]["data"] == {"id": answer["set"]["data"]["id"]}


async def test_a_rule_asks_for_aal2(factors_js: Js, codes: Codes) -> None:
    await factors_js(_SIGN_UP, email=address(), password=PASSWORD)
    code = """
    const written = await kept.me.from("diaries").insert({text: "dear diary"}).select().single();
    const removed = await kept.me.from("diaries").delete().eq("id", args.id ?? written.data.id).select();
    return {written: written.error, removed: removed.data};
    """
    answer = await factors_js(code)
    assert answer == {"written": None, "removed": []}
    made = (await factors_js(_ENROLL))["data"]
    await factors_js(_VERIFY, factor=made["id"], code=codes(made["totp"]["secret"]))
    assert len((await factors_js(code))["removed"]) == 1
    await factors_js("return await kept.me.auth.mfa.unenroll({factorId: args.factor})", factor=made["id"])
    async with asyncio.timeout(5):  # the same access token, which still says aal2
        while (await factors_js(code))["removed"]:
            pass


async def test_a_role_asks_for_aal2_of_everything(
    factors_js: Js, factors_server: Server, member: Any, codes: Codes
) -> None:
    editor: Member = member(factors_server, app_metadata={"roles": ["editor"]})
    code = """
    kept.me = createClient();
    await kept.me.auth.signInWithPassword({email: args.email, password: args.password});
    const read = await kept.me.from("diaries").select();
    const changed = await kept.me.auth.updateUser({data: {a: 1}});
    return {read: [read.status, read.error.code], changed: [changed.error.status, changed.error.code]};
    """
    answer = await factors_js(code, email=editor.email, password=editor.password)
    assert answer == {"read": [403, "42501"], "changed": [403, "insufficient_aal"]}
    made = (await factors_js(_ENROLL))["data"]
    assert (await factors_js(_VERIFY, factor=made["id"], code=codes(made["totp"]["secret"])))["verified"]["data"]
    answer = await factors_js("return [await kept.me.from('diaries').select(), await kept.me.auth.getUser()]")
    assert answer[0]["status"] == 200
    assert answer[1]["error"] is None


async def test_an_administrator_removes_a_factor(factors_js: Js, codes: Codes) -> None:
    factor, _ = await protected(factors_js, codes)
    code = """
    const admin = createClient(serviceKey).auth.admin;
    const userId = (await kept.me.auth.getUser()).data.user.id;
    const listed = await admin.mfa.listFactors({userId});
    const deleted = await admin.mfa.deleteFactor({userId, id: args.factor});
    const again = await admin.mfa.deleteFactor({userId, id: args.factor});
    const refused = await kept.me.auth.admin.mfa.listFactors({userId});
    return {listed, deleted, again: again.error.code, refused: refused.error.code};
    """
    answer = await factors_js(code, factor=factor)
    assert [one["status"] for one in answer["listed"]["data"]["factors"]] == ["verified"]
    assert answer["deleted"]["data"]["data"]["id"] == factor
    assert answer["again"] == "mfa_factor_not_found"
    assert answer["refused"] in ("not_admin", "no_authorization")


async def test_passkeys(factors_js: Js) -> None:
    await factors_js(_SIGN_UP, email=(email := address()), password=PASSWORD)
    key = Authenticator()
    begun = await factors_js("return await kept.me.auth.passkey.startRegistration()")
    assert begun["error"] is None
    code = """
    const {passkey} = kept.me.auth;
    const registered = await passkey.verifyRegistration({challengeId: args.challenge, credential: args.credential});
    return {registered, begun: await createClient().auth.passkey.startAuthentication()};
    """
    challenge, options = begun["data"]["challenge_id"], begun["data"]["options"]
    answer = await factors_js(code, challenge=challenge, credential=key.create(options))
    assert answer["registered"]["error"] is None
    passkey = answer["registered"]["data"]["id"]
    code = """
    kept.me = createClient();
    const {passkey} = kept.me.auth;
    const signed = await passkey.verifyAuthentication({challengeId: args.challenge, credential: args.credential});
    const again = await passkey.verifyAuthentication({challengeId: args.challenge, credential: args.credential});
    const renamed = await passkey.update({passkeyId: args.passkey, friendlyName: "Laptop"});
    const listed = await passkey.list();
    const admin = createClient(serviceKey).auth.admin.passkey;
    const seen = await admin.listPasskeys({userId: signed.data.user.id});
    const gone = await passkey.delete({passkeyId: args.passkey});
    const twice = await admin.deletePasskey({userId: signed.data.user.id, passkeyId: args.passkey});
    return {signed, again: again.error.code, renamed, listed, seen, gone, twice: twice.error.code,
            left: (await passkey.list()).data};
    """
    challenge, options = answer["begun"]["data"]["challenge_id"], answer["begun"]["data"]["options"]
    answer = await factors_js(code, challenge=challenge, credential=key.get(options), passkey=passkey)
    said = claims(answer["signed"]["data"]["session"]["access_token"])
    assert (said["aal"], [entry["method"] for entry in said["amr"]], said["email"]) == ("aal2", ["passkey"], email)
    assert answer["again"] == "webauthn_challenge_not_found"
    assert answer["renamed"]["data"]["friendly_name"] == "Laptop"
    assert [one["id"] for one in answer["listed"]["data"]] == [passkey]
    assert [one["id"] for one in answer["seen"]["data"]] == [passkey]
    assert (answer["gone"]["error"], answer["twice"]) == (None, "webauthn_credential_not_found")
    assert answer["left"] == []


async def test_passkeys_are_announced(factors_server: Server, server: Server) -> None:
    for there, expected in ((factors_server, True), (server, False)):
        answer = httpx.get(f"{there.url}/auth/v1/settings", headers=there.headers())
        assert answer.json()["passkeys_enabled"] is expected


async def test_without_passkeys_the_client_is_told(js: Js) -> None:
    answer = await js("return await client.auth.passkey.startAuthentication()")
    assert (answer["error"]["status"], answer["error"]["code"]) == (422, "passkey_disabled")
