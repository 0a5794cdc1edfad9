"""How auth goes on after the first call, as supabase-js meets it: frames, objects, refreshing, mails, administration."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import argon2
import pytest

from tests.auth import PASSWORD, SITE
from tests.contract.auth_flows import (
    APP,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    address,
    claims,
    fragment,
    mail_to,
    mails_to,
    open_link,
    query,
    set_back,
    wrong_code,
)
from tests.contract.conftest import Js, Member, Server
from tests.contract.test_auth_flows_python import ALWAYS, shared_token

SIGN_UP = "const session = (await client.auth.signUp({email: args.email, password: args.password})).data.session;"
SIGN_IN = (
    "const session = (await client.auth.signInWithPassword({email: args.email, password: args.password})).data.session;"
)
REFRESH = "const refresh = async t => await createClient().auth.refreshSession({refresh_token: t});"
OTP = "return await client.auth.signInWithOtp({email: args.email, options: args.options ?? {}})"
VERIFY = "return await client.auth.verifyOtp(args.proof)"


def refusal(answer: Any) -> tuple[int, str]:
    return answer["error"]["status"], answer["error"]["code"]


async def test_an_error_follows_the_version_header(js: Js) -> None:
    snippet = (
        "const found = [];"
        "for (const without of [[], ['x-supabase-api-version']]) {"
        "  const [me, seen] = recorded(anonKey, {without});"
        "  const {error} = await me.auth.signInWithPassword({email: args.email, password: args.password});"
        "  found.push([error.code, seen[0].headers, JSON.parse(seen[0].body)]);"
        "} return found"
    )
    new, old = await js(snippet, email=address(), password=PASSWORD)
    assert new[0] == old[0] == "invalid_credentials"
    assert new[1]["x-supabase-api-version"] == "2024-01-01"
    assert new[1]["x-sb-error-code"] == old[1]["x-sb-error-code"] == "invalid_credentials"
    assert new[2] == {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert "x-supabase-api-version" not in old[1]
    assert old[2] == {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}


async def test_a_body_has_a_limit(js: Js) -> None:
    snippet = (
        "return await client.auth.signUp({email: args.email, password: args.password,"
        " options: {data: {x: 'x'.repeat(1100000)}}})"
    )
    assert refusal(await js(snippet, email=address(), password=PASSWORD)) == (413, "request_entity_too_large")


async def test_a_captcha_nobody_asked_for_is_ignored(js: Js) -> None:
    snippet = (
        "return await client.auth.signUp({email: args.email, password: args.password,"
        " options: {captchaToken: 'solved'}})"
    )
    assert (await js(snippet, email=address(), password=PASSWORD))["data"]["session"]


async def test_an_unknown_key_of_the_project_is_refused(js: Js) -> None:
    snippet = (
        "const [bare] = recorded(anonKey, {without: ['apikey']}); const found = [];"
        "for (const me of [createClient('sb_publishable_nonsense'), bare])"
        "  found.push((await me.auth.signUp({email: args.email, password: args.password})).error.status);"
        "return found"
    )
    assert await js(snippet, email=address(), password=PASSWORD) == [401, 401]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        pytest.param(f"{SITE}/welcome?step=2", f"{SITE}/welcome?step=2", id="site"),
        pytest.param("http://127.0.0.1:51234/cb", "http://127.0.0.1:51234/cb", id="loopback"),
        pytest.param(APP, APP, id="allow-list"),
        pytest.param("https://evil.example/x", SITE, id="elsewhere"),
        pytest.param(None, SITE, id="nothing"),
    ],
)
async def test_links_lead_where_they_may(server: Server, js: Js, wanted: str | None, given: str) -> None:
    mail = address()
    await js(OTP, email=mail, options={"emailRedirectTo": wanted} if wanted else {})
    landed = await open_link((await mail_to(server, mail)).link)
    assert landed.partition("#")[0] == given
    set_session = "return await client.auth.setSession(args.tokens)"
    tokens = {name: fragment(landed)[name] for name in ("access_token", "refresh_token")}
    assert (await js(set_session, tokens=tokens))["data"]["user"]["email"] == mail


async def test_too_many_requests_are_429(mailless_js: Js) -> None:
    snippet = (
        "const me = createClient(anonKey, {global: {headers: {'X-Forwarded-For': '203.0.113.8'}}}); const codes = [];"
        "for (let i = 0; i < 200; i++) {"
        "  const {error} = await me.auth.signInWithPassword({email: 'a@example.com', password: args.password});"
        "  codes.push([error.status, error.code]); if (error.status === 429) break;"
        "} return codes"
    )
    codes = await mailless_js(snippet, password=PASSWORD)
    assert codes[0] == [422, "email_provider_disabled"]
    assert codes[-1] == [429, "over_request_rate_limit"]


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("signUp({email: args.email, password: args.password})", id="sign-up"),
        pytest.param("signInWithOtp({email: args.email})", id="otp"),
        pytest.param("resetPasswordForEmail(args.email)", id="recover"),
        pytest.param("resend({type: 'signup', email: args.email})", id="resend"),
    ],
)
async def test_a_second_mail_waits(strict_js: Js, call: str) -> None:
    snippet = f"await client.auth.{call}; return await client.auth.{call}"
    answer = await strict_js(snippet, email=address(), password=PASSWORD)
    assert refusal(answer) == (429, "over_email_send_rate_limit")
    assert answer["error"]["message"].startswith("For security purposes, you can only request this after ")
    assert answer["error"]["message"].endswith(" seconds.")


async def test_a_user_is_whole(js: Js) -> None:
    mail = address()
    snippet = (
        "return await client.auth.signUp({email: args.email, password: args.password, options: {data: {nick: 'n'}}})"
    )
    user = (await js(snippet, email=mail.upper(), password=PASSWORD))["data"]["user"]
    assert user.keys() >= ALWAYS
    assert user.keys().isdisjoint({"banned_until", "deleted_at", "new_email", "invited_at", "factors"})
    assert (user["email"], user["phone"], user["is_anonymous"]) == (mail, "", False)
    mine = {"sub": user["id"], "email": mail, "email_verified": True, "phone_verified": False}
    assert user["user_metadata"] == {"nick": "n", **mine}
    (identity,) = user["identities"]
    assert (identity["id"], identity["user_id"], identity["provider"]) == (user["id"], user["id"], "email")
    assert identity["identity_id"] != identity["id"]


async def test_a_password_too_weak_by_now_is_told_at_sign_in(
    server: Server, js: Js, member: Callable[..., Member]
) -> None:
    stored = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("short")
    somebody = member(server, password=None, password_hash=stored)
    snippet = "return await client.auth.signInWithPassword({email: args.email, password: 'short'})"
    answer = await js(snippet, email=somebody.email)
    assert answer["data"]["session"]
    told = {"message": "Password should be at least 8 characters.", "reasons": ["length"]}
    assert answer["data"]["weakPassword"] == told


async def test_sign_up_with_confirmation(strict_server: Server, strict_js: Js) -> None:
    mail = address()
    snippet = (
        "return await client.auth.signUp({email: args.email, password: args.password,"
        f" options: {{emailRedirectTo: '{SITE}/welcome'}}}})"
    )
    answer = await strict_js(snippet, email=mail, password=PASSWORD)
    assert (answer["data"]["session"], answer["data"]["user"]["email"]) == (None, mail)
    landed = await open_link((await mail_to(strict_server, mail)).link)
    assert landed.startswith(f"{SITE}/welcome#access_token=")
    assert (await strict_js(SIGN_IN + "return session", email=mail, password=PASSWORD))["user"]["email"] == mail


async def test_a_confirmed_address_signs_up_like_a_new_one(
    strict_server: Server, strict_js: Js, member: Callable[..., Member]
) -> None:
    known = member(strict_server)
    snippet = "return await client.auth.signUp({email: args.email, password: args.password})"
    data = (await strict_js(snippet, email=known.email, password=PASSWORD))["data"]
    assert (data["session"], data["user"]["identities"]) == (None, [])
    assert data["user"]["id"] != known.id
    assert mails_to(strict_server, known.email) == []


async def test_the_parent_of_the_current_token_answers_at_any_time(
    strict_server: Server, strict_js: Js, member: Callable[..., Member]
) -> None:
    snippet = (
        f"{SIGN_IN}{REFRESH} const first = session.refresh_token;"
        "return [first, (await refresh(first)).data.session.refresh_token,"
        " (await refresh(first)).data.session.refresh_token]"
    )
    first, second, again = await strict_js(snippet, email=member(strict_server).email, password=PASSWORD)
    assert first != second == again


TWICE = (
    "const first = session.refresh_token;"
    "const second = (await refresh(first)).data.session.refresh_token;"
    "const current = (await refresh(second)).data.session;"
)


async def test_an_older_token_inside_the_interval_gets_the_current_one(js: Js) -> None:
    snippet = SIGN_UP + REFRESH + TWICE + "return [current, (await refresh(first)).data.session]"
    current, again = await js(snippet, email=address(), password=PASSWORD)
    assert current["refresh_token"] == again["refresh_token"]


async def test_an_older_token_after_the_interval_ends_the_session(
    strict_server: Server, strict_js: Js, member: Callable[..., Member]
) -> None:
    snippet = (
        f"{SIGN_IN}{REFRESH}{TWICE}"
        "return [await refresh(first), await refresh(current.refresh_token),"
        " await createClient().auth.getUser(current.access_token)]"
    )
    old, current, user = await strict_js(snippet, email=member(strict_server).email, password=PASSWORD)
    assert refusal(old) == (400, "refresh_token_already_used")
    assert old["error"]["message"] == "Invalid Refresh Token: Already Used"
    assert refusal(current) == (400, "refresh_token_not_found")
    assert user["error"]["name"] == "AuthSessionMissingError"


async def test_twenty_refreshes_at_once_get_one_successor(
    strict_server: Server, strict_js: Js, member: Callable[..., Member]
) -> None:
    snippet = (
        f"{SIGN_IN}{REFRESH}"
        "const all = await Promise.all(Array.from({length: 20}, () => refresh(session.refresh_token)));"
        "const tokens = all.map(one => one.data.session.refresh_token);"
        "return [session.refresh_token, tokens, await refresh(tokens[0])]"
    )
    first, tokens, after = await strict_js(snippet, email=member(strict_server).email, password=PASSWORD)
    assert len(set(tokens)) == 1
    assert tokens[0] != first
    assert after["error"] is None


async def test_signing_out_ends_refreshing_and_user_at_once(js: Js) -> None:
    snippet = (
        "const [client, seen] = recorded();" + SIGN_UP + REFRESH + "await client.auth.signOut();"
        "return [seen.at(-1), await refresh(session.refresh_token), await createClient().auth.getUser("
        "session.access_token)]"
    )
    snippet = "{" + snippet + "}"
    out, refresh, user = await js(snippet, email=address(), password=PASSWORD)
    assert (out["status"], out["body"]) == (204, "")
    assert refusal(refresh) == (400, "refresh_token_not_found")
    assert user["error"]["name"] == "AuthSessionMissingError"


async def test_a_new_password_ends_the_other_sessions(js: Js) -> None:
    snippet = (
        "const there = createClient(); const who = {email: args.email, password: args.password};" + SIGN_UP + REFRESH
        + "const gone = (await there.auth.signInWithPassword(who)).data.session;"
        "const changed = await client.auth.updateUser({password: args.newer});"
        "return [changed, await client.auth.refreshSession(), await refresh(gone.refresh_token),"
        " await createClient().auth.getUser(gone.access_token), await createClient().auth.signInWithPassword(who),"
        " await createClient().auth.signInWithPassword({...who, password: args.newer})]"
    )  # fmt: skip
    changed, here, there, user, old, new = await js(snippet, email=address(), password=PASSWORD, newer=NEW_PASSWORD)
    assert (changed["error"], here["error"], new["error"]) == (None, None, None)
    assert refusal(there) == (400, "refresh_token_not_found")
    assert user["error"]["name"] == "AuthSessionMissingError"
    assert refusal(old) == (400, "invalid_credentials")


async def test_a_banned_user_gets_nowhere(server: Server, js: Js, member: Callable[..., Member]) -> None:
    somebody = member(server)
    snippet = (
        f"{SIGN_IN}{REFRESH} const admin = createClient(serviceKey).auth.admin;"
        "const link = await admin.generateLink({type: 'recovery', email: args.email});"
        "await admin.updateUserById(args.id, {ban_duration: '24h'});"
        "return [await refresh(session.refresh_token), await createClient().auth.signInWithPassword({email: args.email,"
        " password: args.password}), await createClient().auth.verifyOtp({type: 'recovery',"
        " token_hash: link.data.properties.hashed_token})]"
    )
    found = await js(snippet, id=somebody.id, email=somebody.email, password=PASSWORD)
    assert [refusal(answer) for answer in found] == [(400, "user_banned"), (400, "user_banned"), (403, "user_banned")]


async def test_a_session_past_its_end_is_not_refreshed(
    strict_server: Server, strict_js: Js, member: Callable[..., Member]
) -> None:
    session = await strict_js(SIGN_IN + "return session", email=member(strict_server).email, password=PASSWORD)
    await set_back(strict_server, "sessions", "not_after")
    answer = await strict_js(f"{REFRESH} return await refresh(args.token)", token=session["refresh_token"])
    assert refusal(answer) == (400, "session_expired")


async def pkce_code(js: Js, server: Server) -> str:
    """The code a link gave to the client that is now ``kept.me``."""
    mail = address()
    await js(
        "kept.me = createClient(anonKey, {auth: {flowType: 'pkce', storage: memory(), persistSession: true}});"
        f"return await kept.me.auth.signInWithOtp({{email: args.email, options: {{emailRedirectTo: '{APP}'}}}})",
        email=mail,
    )
    letter = await mail_to(server, mail)
    assert letter.token_hash.startswith("pkce_")
    landed = await open_link(letter.link)
    assert landed.startswith(f"{APP}?code=")
    return query(landed)["code"]


STRANGER = (
    "const stranger = createClient(anonKey, {auth: {flowType: 'pkce', persistSession: true, storage: {...memory(),"
    " getItem: name => name.endsWith('-code-verifier') ? JSON.stringify('v'.repeat(43)) : null}}});"
    "return await stranger.auth.exchangeCodeForSession(args.code)"
)


async def test_an_auth_code_works_once_and_for_its_app_alone(server: Server, js: Js) -> None:
    code = await pkce_code(js, server)
    answer = await js("return await kept.me.auth.exchangeCodeForSession(args.code)", code=code)
    assert claims(answer["data"]["session"]["access_token"])["amr"][0]["method"] == "magiclink"
    assert refusal(await js(STRANGER, code=code)) == (404, "flow_state_not_found")
    assert refusal(await js(STRANGER, code=await pkce_code(js, server))) == (400, "bad_code_verifier")


async def test_an_auth_code_runs_out(strict_server: Server, strict_js: Js) -> None:
    code = await pkce_code(strict_js, strict_server)
    await set_back(strict_server, "flow_state", "expires_at")
    answer = await strict_js("return await kept.me.auth.exchangeCodeForSession(args.code)", code=code)
    assert refusal(answer) == (422, "flow_state_expired")


@pytest.mark.parametrize("way", ["code", "hash"])
@pytest.mark.parametrize("kind", ["signup", "invite", "magiclink", "recovery", "email"])
async def test_a_mail_verifies_once(server: Server, js: Js, member: Callable[..., Member], kind: str, way: str) -> None:
    mail = address() if kind in ("invite", "email") else member(server, email_confirm=kind != "signup").email
    ask = {
        "signup": "client.auth.resend({type: 'signup', email: args.email})",
        "invite": "createClient(serviceKey).auth.admin.inviteUserByEmail(args.email)",
        "recovery": "client.auth.resetPasswordForEmail(args.email)",
    }.get(kind, "client.auth.signInWithOtp({email: args.email, options: {data: {n: 1}}})")
    assert (await js(f"return await {ask}", email=mail))["error"] is None
    letter = await mail_to(server, mail)
    wrong = await js(VERIFY, proof={"type": kind, "email": mail, "token": wrong_code(letter)})
    assert refusal(wrong) == (403, "otp_expired")
    assert wrong["error"]["message"] == "Token has expired or is invalid"
    proof = {"email": mail, "token": letter.code} if way == "code" else {"token_hash": letter.token_hash}
    answer = await js(VERIFY, proof={"type": kind, **proof})
    user, session = answer["data"]["user"], answer["data"]["session"]
    assert (user["email"], "email_confirmed_at" in user) == (mail, True)
    assert claims(session["access_token"])["amr"][0]["method"] == "otp"
    assert refusal(await js(VERIFY, proof={"type": kind, **proof})) == (403, "otp_expired")


async def test_links_and_codes_run_out(strict_server: Server, strict_js: Js) -> None:
    mail = address()
    await strict_js(OTP, email=mail)
    letter = await mail_to(strict_server, mail)
    await set_back(strict_server, "one_time_tokens", "expires_at")
    await set_back(strict_server, "one_time_tokens", "code_expires_at")
    for proof in ({"email": mail, "token": letter.code}, {"token_hash": letter.token_hash}):
        assert refusal(await strict_js(VERIFY, proof={"type": "email", **proof})) == (403, "otp_expired")


async def test_a_used_link_leads_to_an_error(server: Server, js: Js) -> None:
    told = {"error": "access_denied", "error_code": "otp_expired"}
    told["error_description"] = "Email link is invalid or has expired"
    for flow in ("implicit", "pkce"):
        mail = address()
        snippet = (
            "const me = createClient(anonKey, {auth: {flowType: args.flow, storage: memory(), persistSession: true}});"
            "return await me.auth.signInWithOtp({email: args.email})"
        )
        await js(snippet, email=mail, flow=flow)
        link = (await mail_to(server, mail)).link
        await open_link(link)
        landed = await open_link(link)
        assert fragment(landed).items() >= told.items()
        assert query(landed).items() >= (told.items() if flow == "pkce" else set())


async def test_a_change_of_address_wants_both(server: Server, js: Js) -> None:
    old, new = address(), address()
    snippet = (
        SIGN_UP + f"return await client.auth.updateUser({{email: args.new}}, {{emailRedirectTo: '{SITE}/changed'}})"
    )
    user = (await js(snippet, email=old, password=PASSWORD, new=new))["data"]["user"]
    assert (user["email"], user["new_email"]) == (old, new)
    snippet = (
        "const [me, seen] = recorded(); await me.auth.verifyOtp({type: 'email_change', email: args.email,"
        " token: args.code}); return JSON.parse(seen[0].body)"
    )
    half = await js(snippet, email=new, code=(await mail_to(server, new)).code)
    assert half["code"] == "200"
    assert half["msg"].startswith("Confirmation link accepted.")
    resend = "return await client.auth.resend({type: 'email_change', email: args.email})"
    assert (await js(resend, email=old))["error"] is None
    token_hash = (await mail_to(server, old, number=2)).token_hash
    await js(VERIFY, proof={"type": "email_change", "token_hash": token_hash})
    landed = fragment(await open_link((await mail_to(server, new, number=2)).link))
    assert landed["type"] == "email_change"
    get_user = "return await client.auth.getUser(args.token)"
    assert (await js(get_user, token=landed["access_token"]))["data"]["user"]["email"] == new


async def test_an_anonymous_user_becomes_permanent(js: Js) -> None:
    snippet = (
        "const made = await client.auth.signInAnonymously();"
        "return [made, await client.auth.updateUser({email: args.email, password: args.password}),"
        " await createClient().auth.signInWithPassword({email: args.email, password: args.password})]"
    )
    mail = address()
    made, changed, signed = await js(snippet, email=mail, password=PASSWORD)
    assert (made["data"]["user"]["email"], made["data"]["user"]["is_anonymous"]) == ("", True)
    assert claims(made["data"]["session"]["access_token"])["amr"][0]["method"] == "anonymous"
    user = changed["data"]["user"]
    assert (user["id"], user["email"], user["is_anonymous"]) == (made["data"]["user"]["id"], mail, False)
    assert signed["error"] is None


async def test_whose_token_is_not_good_is_nobody(server: Server, js: Js, member: Callable[..., Member]) -> None:
    somebody = member(server)
    get_user = "return await client.auth.getUser(args.token)"
    for token in (shared_token(server, sub=somebody.id, exp=int(time.time()) - 600), server.anon_key, "a.b.c"):
        assert refusal(await js(get_user, token=token)) == (403, "bad_jwt")
    session = await js(SIGN_IN + "return session", email=somebody.email, password=PASSWORD)
    await js("return await createClient(serviceKey).auth.admin.deleteUser(args.id)", id=somebody.id)
    assert refusal(await js(get_user, token=session["access_token"])) == (403, "user_not_found")


async def test_the_user_needs_a_bearer(js: Js) -> None:
    snippet = (
        SIGN_UP + "const [bare] = recorded(anonKey, {without: ['authorization']});"
        "return [await bare.auth.getUser(session.access_token), await bare.auth.admin.signOut(session.access_token)]"
    )
    for answer in await js(snippet, email=address(), password=PASSWORD):
        assert refusal(answer) == (401, "no_authorization")


async def test_signing_out_by_token(js: Js) -> None:
    snippet = (
        SIGN_UP + "const token = session.access_token, admin = createClient(serviceKey).auth.admin;"
        "const anon = await admin.signOut(anonKey);"
        "const local = await admin.signOut(token, 'local'); const gone = await admin.signOut(token);"
        "return [anon, local, gone, await client.auth.signOut()]"
    )
    anon, local, gone, swallowed = await js(snippet, email=address(), password=PASSWORD)
    assert refusal(anon) == (403, "bad_jwt")
    assert (local["error"], swallowed["error"]) == (None, None)
    assert gone["error"]["name"] == "AuthSessionMissingError"


async def test_claims_are_checked_with_the_published_keys(js: Js) -> None:
    snippet = (
        "const [me, seen] = recorded(); const {data} = await me.auth.signUp({email: args.email,"
        " password: args.password}); const token = data.session.access_token;"
        "const right = await me.auth.getClaims(token);"
        "return [right, await me.auth.getClaims(token.slice(0, -8) + 'AAAAAAAA'), seen]"
    )
    right, wrong, seen = await js(snippet, email=address(), password=PASSWORD)
    assert right["data"]["claims"]["sub"]
    assert wrong["error"]["name"] == "AuthInvalidJwtError"
    assert not [one for one in seen if one["url"].endswith("/user")]


async def test_pages_of_users(server: Server, js: Js, member: Callable[..., Member]) -> None:
    made = [member(server) for _ in range(3)]
    snippet = (
        "const admin = createClient(serviceKey).auth.admin;"
        "return [await admin.listUsers({page: 1, perPage: 2}), await admin.listUsers()]"
    )
    first, everybody = await js(snippet)
    assert [user["id"] for user in first["data"]["users"]] == [made[2].id, made[1].id]
    total = first["data"]["total"]
    assert (first["data"]["aud"], first["data"]["nextPage"]) == ("authenticated", 2)
    assert str(first["data"]["lastPage"]) == str(-(-total // 2))[0]  # the client reads one digit
    assert len(everybody["data"]["users"]) == min(total, 50)


async def test_an_administrator_sets_everything(js: Js) -> None:
    mail, wanted = address(), str(uuid.uuid4())
    number = f"49152{int(time.time() * 1000) % 10**9:09d}"
    stored = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    values = {
        "id": wanted, "email": mail, "email_confirm": True, "phone": f"+{number}", "phone_confirm": True,
        "password_hash": stored, "user_metadata": {"a": 1, "b": 2}, "app_metadata": {"editor": True},
        "role": "authenticated", "ban_duration": "1h",
    }  # fmt: skip
    snippet = (
        "const admin = createClient(serviceKey).auth.admin; const made = await admin.createUser(args.values);"
        "const taken = await admin.createUser({email: args.other, phone: args.values.phone});"
        "const changed = await admin.updateUserById(args.values.id, args.changes);"
        "return [made, taken, changed, await client.auth.signInWithPassword({email: args.changes.email,"
        " password: args.password})]"
    )
    changes = {"ban_duration": "none", "user_metadata": {"a": None, "c": 3}, "email": f"new.{mail}"}
    found = await js(snippet, values=values, changes=changes, other=address(), password=PASSWORD)
    made, changed = found[0]["data"]["user"], found[2]["data"]["user"]
    assert (made["id"], made["email"], made["phone"]) == (wanted, mail, number)
    assert made["banned_until"]
    assert made["app_metadata"] == {"provider": "email", "providers": ["email"], "editor": True}
    assert refusal(found[1]) == (422, "phone_exists")
    assert (changed["email"], "banned_until" in changed, "a" in changed["user_metadata"]) == (
        f"new.{mail}",
        False,
        False,
    )
    assert found[3]["error"] is None


async def test_deleting_for_good_or_softly(server: Server, js: Js, member: Callable[..., Member]) -> None:
    hard, soft = member(server), member(server)
    snippet = (
        "const admin = createClient(serviceKey).auth.admin;"
        "return [await admin.deleteUser(args.hard), await admin.getUserById(args.hard),"
        " await admin.deleteUser(args.soft, true), await admin.getUserById(args.soft)]"
    )
    deleted, gone, emptied, left = await js(snippet, hard=hard.id, soft=soft.id)
    assert (deleted["error"], emptied["error"]) == (None, None)
    assert refusal(gone) == (404, "user_not_found")
    assert left["data"]["user"]["email"] == ""
    assert left["data"]["user"]["deleted_at"]
    snippet = "return await client.auth.signInWithPassword({email: args.email, password: args.password})"
    assert refusal(await js(snippet, email=soft.email, password=WRONG_PASSWORD)) == (400, "invalid_credentials")


@pytest.mark.parametrize("kind", ["signup", "invite", "magiclink", "recovery"])
async def test_generate_link(server: Server, js: Js, member: Callable[..., Member], kind: str) -> None:
    mail = member(server).email if kind == "recovery" else address()
    snippet = (
        "const made = await createClient(serviceKey).auth.admin.generateLink({type: args.kind, email: args.email,"
        f" password: args.password, options: {{redirectTo: '{SITE}/in'}}}}); const p = made.data.properties;"
        "return [made, await client.auth.verifyOtp({type: p.verification_type, token_hash: p.hashed_token})]"
    )
    made, verified = await js(snippet, kind=kind, email=mail, password=PASSWORD)
    properties, told = made["data"]["properties"], "signup" if kind == "magiclink" else kind
    assert (properties["verification_type"], properties["redirect_to"]) == (told, f"{SITE}/in")
    link = f"{server.url}/auth/v1/verify?token={properties['hashed_token']}&type={told}&redirect_to="
    assert properties["action_link"].startswith(link)
    assert verified["data"]["user"]["email"] == mail
    assert mails_to(server, mail) == []


async def test_generate_links_for_a_change_of_address(server: Server, js: Js, member: Callable[..., Member]) -> None:
    old, new, landed = member(server).email, address(), {}
    for kind in ("email_change_current", "email_change_new"):
        snippet = "return await createClient(serviceKey).auth.admin.generateLink(args.wanted)"
        made = await js(snippet, wanted={"type": kind, "email": old, "newEmail": new, "new_email": new})
        landed = fragment(await open_link(made["data"]["properties"]["action_link"]))
    assert landed["type"] == "email_change"
