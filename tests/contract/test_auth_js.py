"""Sign-up, sign-in and tokens as supabase-js meets them."""

from __future__ import annotations

import base64
import json
import re
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.contract import auth_flows
from tests.contract.conftest import Js, Server

PASSWORD = "correct horse battery"


def address() -> str:
    return f"u{uuid.uuid4().hex[:12]}@example.com"


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))  # type: ignore[no-any-return]


async def mail_to(server: Server, to: str) -> str:
    """The text of the newest mail to an address, as it was left for a developer. Waits for the one being written."""
    await auth_flows.mail_to(server, to)
    return auth_flows.mails_to(server, to)[-1].text


def link_in(text: str) -> str:
    found = re.search(r"https?://\S+/auth/v1/verify\S+", text)
    assert found, text
    return found[0]


def code_in(text: str) -> str:
    found = re.search(r"\b\d{6}\b", text)
    assert found, text
    return found[0]


async def test_health_and_settings(server: Server, http: httpx.AsyncClient) -> None:
    health = (await http.get("/auth/v1/health")).json()
    assert health["name"] == "GoTrue"
    settings = (await http.get("/auth/v1/settings")).json()
    assert settings["external"]["email"] is True
    assert settings["external"]["anonymous_users"] is True
    assert (settings["mailer_autoconfirm"], settings["disable_signup"]) == (True, False)


async def test_sign_up_gives_a_session(js: Js) -> None:
    code = "return await client.auth.signUp({email: args.email, password: args.password, options: {data: {nick: 'n'}}})"
    mail = address()
    answer = await js(code, email=mail.upper(), password=PASSWORD)
    session, user = answer["data"]["session"], answer["data"]["user"]
    assert (user["email"], user["aud"], user["role"]) == (mail, "authenticated", "authenticated")
    assert user["user_metadata"]["nick"] == "n"
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert user["identities"][0]["identity_data"]["sub"] == user["id"]
    assert (session["token_type"], session["expires_in"]) == ("bearer", 3600)
    body = claims(session["access_token"])
    assert (body["sub"], body["role"], body["aal"], body["aud"]) == (
        user["id"],
        "authenticated",
        "aal1",
        "authenticated",
    )
    assert body["amr"][0]["method"] == "password"


async def test_anonymous_sign_in(js: Js) -> None:
    answer = await js("return await client.auth.signInAnonymously({options: {data: {from: 'app'}}})")
    user = answer["data"]["user"]
    assert user["is_anonymous"] is True
    assert claims(answer["data"]["session"]["access_token"])["is_anonymous"] is True


async def test_sign_in_with_a_password(js: Js) -> None:
    code = (
        "await client.auth.signUp({email: args.email, password: args.password});"
        "return await createClient().auth.signInWithPassword({email: args.email, password: args.password})"
    )
    mail = address()
    answer = await js(code, email=mail, password=PASSWORD)
    assert answer["data"]["user"]["email"] == mail
    assert answer["data"]["user"]["last_sign_in_at"]


async def test_refresh_rotates_and_the_parent_still_answers(js: Js) -> None:
    code = (
        "const {data} = await client.auth.signUp({email: args.email, password: args.password});"
        "const first = data.session.refresh_token;"
        "const a = await createClient().auth.refreshSession({refresh_token: first});"
        "const b = await createClient().auth.refreshSession({refresh_token: first});"
        "return [first, a.data.session, b.data.session]"
    )
    first, a, b = await js(code, email=address(), password=PASSWORD)
    assert a["refresh_token"] == b["refresh_token"] != first
    assert claims(a["access_token"])["session_id"] == claims(b["access_token"])["session_id"]


async def test_get_user_and_update_user(js: Js) -> None:
    code = (
        "await client.auth.signUp({email: args.email, password: args.password, options: {data: {a: 1, b: 2}}});"
        "const changed = await client.auth.updateUser({data: {a: null, c: 3}});"
        "const got = await client.auth.getUser();"
        "return [changed, got]"
    )
    changed, got = await js(code, email=address(), password=PASSWORD)
    assert changed["error"] is None
    metadata = got["data"]["user"]["user_metadata"]
    assert ("a" not in metadata, metadata["b"], metadata["c"]) == (True, 2, 3)


async def test_get_claims_verifies_locally(js: Js) -> None:
    code = "await client.auth.signUp({email: args.email, password: args.password});return await client.auth.getClaims()"
    answer = await js(code, email=address(), password=PASSWORD)
    assert answer["data"]["claims"]["role"] == "authenticated"
    assert answer["data"]["header"]["alg"] == "ES256"


async def test_jwks_lists_public_keys_only(http: httpx.AsyncClient) -> None:
    keys = (await http.get("/auth/v1/.well-known/jwks.json", headers={"apikey": ""})).json()["keys"]
    assert keys
    assert all(key["alg"] == "ES256" and "d" not in key and key["key_ops"] == ["verify"] for key in keys)


async def test_others_find_the_keys_by_the_issuer_of_a_token(js: Js, http: httpx.AsyncClient) -> None:
    code = "await client.auth.signUp({email: args.email, password: args.password});return await client.auth.getClaims()"
    issuer = (await js(code, email=address(), password=PASSWORD))["data"]["claims"]["iss"]
    path = "/auth/v1/.well-known/openid-configuration"
    told = (await http.get(path, headers={"apikey": ""})).json()
    assert told["issuer"] == issuer
    assert f"{issuer}/.well-known/openid-configuration".endswith(path)
    assert told["jwks_uri"] == f"{issuer}/.well-known/jwks.json"
    assert told["id_token_signing_alg_values_supported"] == ["ES256"]


async def test_a_grant_that_nobody_knows_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/auth/v1/token", params={"grant_type": "device_code"}, json={})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_credentials")
    assert answer.json()["msg"] == "unsupported_grant_type"


async def test_sign_out_scopes(js: Js) -> None:
    code = (
        "await client.auth.signUp({email: args.email, password: args.password});"
        "const second = createClient();"
        "await second.auth.signInWithPassword({email: args.email, password: args.password});"
        "const others = await client.auth.signOut({scope: 'others'});"
        "const gone = await second.auth.getUser();"
        "const here = await client.auth.getUser();"
        "const token = (await client.auth.getSession()).data.session.access_token;"
        "const all = await client.auth.signOut();"
        "const after = await createClient().auth.getUser(token);"
        "return [others, gone, here, all, after]"
    )
    others, gone, here, everything, after = await js(code, email=address(), password=PASSWORD)
    assert (others["error"], here["error"], everything["error"]) == (None, None, None)
    assert gone["error"]["name"] == "AuthSessionMissingError"
    assert after["error"] is not None


async def test_logout_is_204_and_needs_a_user(server: Server, http: httpx.AsyncClient, person: Any) -> None:
    somebody = person()
    answer = await http.post("/auth/v1/logout?scope=nonsense", headers=server.headers(somebody.token))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")
    answer = await http.post("/auth/v1/logout?scope=global", headers=server.headers(somebody.token))
    assert (answer.status_code, answer.content) == (204, b"")
    answer = await http.get("/auth/v1/user", headers=server.headers(somebody.token))
    assert (answer.status_code, answer.json()["error_code"]) == (403, "session_not_found")


async def test_a_magic_link_signs_in(server: Server, js: Js) -> None:
    mail = address()
    answer = await js("return await client.auth.signInWithOtp({email: args.email})", email=mail)
    assert answer["error"] is None
    async with httpx.AsyncClient() as client:
        opened = await client.get(link_in(await mail_to(server, mail)))
    assert opened.status_code == 303
    fragment = parse_qs(urlsplit(opened.headers["location"]).fragment)
    assert fragment["token_type"] == ["bearer"]
    assert claims(fragment["access_token"][0])["email"] == mail
    async with httpx.AsyncClient() as client:
        again = await client.get(link_in(await mail_to(server, mail)))
    assert "error_code=otp_expired" in again.headers["location"]


async def test_a_code_signs_in_once(server: Server, js: Js) -> None:
    mail = address()
    await js("return await client.auth.signInWithOtp({email: args.email})", email=mail)
    code = code_in(await mail_to(server, mail))
    verify = "return await client.auth.verifyOtp({email: args.email, token: args.code, type: 'email'})"
    wrong = await js(verify, email=mail, code="000000" if code != "000000" else "000001")
    assert (wrong["error"]["status"], wrong["error"]["code"]) == (403, "otp_expired")
    right = await js(verify, email=mail, code=code)
    assert right["data"]["session"]["user"]["email"] == mail
    again = await js(verify, email=mail, code=code)
    assert again["error"]["code"] == "otp_expired"


async def test_recovery_by_pkce(server: Server, js: Js) -> None:
    mail = address()
    await js(
        "return await client.auth.signUp({email: args.email, password: args.password})", email=mail, password=PASSWORD
    )
    code = (
        "const me = createClient(anonKey, {auth: {flowType: 'pkce', storage: memory(), persistSession: true}});"
        "kept.recovering = me;"
        "return await me.auth.resetPasswordForEmail(args.email, {redirectTo: 'contract://callback'})"
    )
    assert (await js(code, email=mail))["error"] is None
    async with httpx.AsyncClient() as client:
        opened = await client.get(link_in(await mail_to(server, mail)))
    location = urlsplit(opened.headers["location"])
    assert (opened.status_code, location.scheme) == (303, "contract")
    answer = await js(
        "const got = await kept.recovering.auth.exchangeCodeForSession(args.code);"
        "const changed = await kept.recovering.auth.updateUser({password: 'another horse battery'});"
        "const signed = await createClient().auth.signInWithPassword({email: args.email, password: 'another horse battery'});"
        "return [got, changed, signed]",
        code=parse_qs(location.query)["code"][0],
        email=mail,
    )
    assert [part["error"] for part in answer] == [None, None, None]


async def test_recovery_of_an_unknown_address_looks_the_same(js: Js) -> None:
    answer = await js("return await client.auth.resetPasswordForEmail(args.email)", email=address())
    assert (answer["data"], answer["error"]) == ({}, None)


async def test_resend_of_an_unknown_address_looks_the_same(js: Js) -> None:
    answer = await js("return await client.auth.resend({type: 'signup', email: args.email})", email=address())
    assert answer["error"] is None


async def test_admin_users(js: Js) -> None:
    code = (
        "const admin = createClient(serviceKey).auth.admin;"
        "const made = await admin.createUser({email: args.email, password: args.password, email_confirm: true,"
        " user_metadata: {n: 1}, app_metadata: {editor: true}});"
        "const id = made.data.user.id;"
        "const got = await admin.getUserById(id);"
        "const page = await admin.listUsers({page: 1, perPage: 1});"
        "const banned = await admin.updateUserById(id, {ban_duration: '24h'});"
        "const blocked = await createClient().auth.signInWithPassword({email: args.email, password: args.password});"
        "const free = await admin.updateUserById(id, {ban_duration: 'none'});"
        "const signed = await createClient().auth.signInWithPassword({email: args.email, password: args.password});"
        "const deleted = await admin.deleteUser(id);"
        "const gone = await admin.getUserById(id);"
        "return {made, got, page, banned, blocked, free, signed, deleted, gone}"
    )
    answer = await js(code, email=address(), password=PASSWORD)
    assert answer["got"]["data"]["user"]["app_metadata"]["editor"] is True
    assert len(answer["page"]["data"]["users"]) == 1
    assert answer["page"]["data"]["total"] >= 1
    assert answer["banned"]["data"]["user"]["banned_until"]
    assert answer["blocked"]["error"]["code"] == "user_banned"
    assert answer["signed"]["error"] is None
    assert answer["deleted"]["error"] is None
    assert answer["gone"]["error"]["code"] == "user_not_found"


async def test_generate_link_and_invite(server: Server, js: Js) -> None:
    invited, linked = address(), address()
    code = (
        "const admin = createClient(serviceKey).auth.admin;"
        "const invite = await admin.inviteUserByEmail(args.invited, {data: {t: 1}});"
        "const link = await admin.generateLink({type: 'magiclink', email: args.linked});"
        "const session = await client.auth.verifyOtp({token_hash: link.data.properties.hashed_token,"
        " type: link.data.properties.verification_type});"
        "return {invite, link, session}"
    )
    answer = await js(code, invited=invited, linked=linked)
    assert answer["invite"]["data"]["user"]["invited_at"]
    assert "/auth/v1/verify" in link_in(await mail_to(server, invited))
    properties = answer["link"]["data"]["properties"]
    assert set(properties) == {"action_link", "email_otp", "hashed_token", "redirect_to", "verification_type"}
    assert answer["session"]["data"]["user"]["email"] == linked


async def test_an_unknown_grant(http: httpx.AsyncClient) -> None:
    answer = await http.post("/auth/v1/token?grant_type=magic", json={})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_credentials")


async def test_the_anon_key_is_no_user(http: httpx.AsyncClient) -> None:
    answer = await http.get("/auth/v1/user")
    assert (answer.status_code, answer.json()["error_code"]) == (403, "bad_jwt")
