"""How auth goes on after the first call, as supabase-py meets it: frames, objects, refreshing, mails, administration."""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import Callable
from typing import Any

import argon2
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from supabase_auth.errors import AuthApiError, AuthInvalidJwtError

from tests.auth import PASSWORD, SITE
from tests.contract.auth_flows import (
    APP,
    NEW_PASSWORD,
    address,
    claims,
    fragment,
    header,
    mail_to,
    mails_to,
    open_link,
    query,
    set_back,
    wrong_code,
)
from tests.contract.conftest import Member, PyMaker, Server
from tests.contract.test_auth_refusals_python import refused

ALWAYS = {
    "id", "aud", "role", "email", "phone", "app_metadata", "user_metadata", "identities", "created_at", "updated_at",
    "is_anonymous",
}  # fmt: skip


async def begun(supabase_py: PyMaker, server: Server, email: str | None = None, **data: Any) -> Any:
    """A client whose user just signed up."""
    me = supabase_py(server)
    options = {"data": data} if data else {}
    await me.auth.sign_up({"email": email or address(), "password": PASSWORD, "options": options})
    return me


async def session_of(me: Any) -> Any:
    return await me.auth.get_session()


async def signed_in(supabase_py: PyMaker, server: Server, member: Member) -> Any:
    me = supabase_py(server)
    await me.auth.sign_in_with_password({"email": member.email, "password": member.password})
    return me


async def test_an_error_follows_the_version_header(server: Server, supabase_py: PyMaker) -> None:
    who = {"email": address(), "password": PASSWORD}
    new, old = supabase_py(server), supabase_py(server, without=["x-supabase-api-version"])
    assert (await refused(new.auth.sign_in_with_password(who))).code == "invalid_credentials"
    assert new.answers[-1].headers["x-supabase-api-version"] == "2024-01-01"
    assert new.answers[-1].headers["x-sb-error-code"] == "invalid_credentials"
    assert new.answers[-1].json() == {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert (await refused(old.auth.sign_in_with_password(who))).code == "invalid_credentials"
    assert "x-supabase-api-version" not in old.answers[-1].headers
    body = {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}
    assert old.answers[-1].json() == body


async def test_a_body_has_a_limit(server: Server, supabase_py: PyMaker) -> None:
    data = {"x": "x" * 1_100_000}
    call = supabase_py(server).auth.sign_up({"email": address(), "password": PASSWORD, "options": {"data": data}})
    error = await refused(call)
    assert (error.status, error.code) == (413, "request_entity_too_large")


async def test_a_captcha_nobody_asked_for_is_ignored(server: Server, supabase_py: PyMaker) -> None:
    options = {"captcha_token": "solved"}
    answer = await supabase_py(server).auth.sign_up({"email": address(), "password": PASSWORD, "options": options})
    assert answer.session is not None


async def test_an_unknown_key_of_the_project_is_refused(server: Server, supabase_py: PyMaker) -> None:
    for client in (supabase_py(server, "sb_publishable_nonsense"), supabase_py(server, without=["apikey"])):
        error = await refused(client.auth.sign_up({"email": address(), "password": PASSWORD}))
        assert error.status == 401


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
async def test_links_lead_where_they_may(server: Server, supabase_py: PyMaker, wanted: str | None, given: str) -> None:
    mail = address()
    options = {"email_redirect_to": wanted} if wanted else {}
    await supabase_py(server).auth.sign_in_with_otp({"email": mail, "options": options})
    landed = await open_link((await mail_to(server, mail)).link)
    assert landed.partition("#")[0] == given
    assert fragment(landed)["token_type"] == "bearer"


async def test_too_many_requests_are_429(mailless_server: Server, supabase_py: PyMaker) -> None:
    me = supabase_py(mailless_server, headers={"X-Forwarded-For": "203.0.113.7"})
    codes = set()
    for _ in range(200):
        error = await refused(me.auth.sign_in_with_password({"email": "a@example.com", "password": PASSWORD}))
        codes.add((error.status, error.code))
        if error.status == 429:
            break
    assert codes == {(422, "email_provider_disabled"), (429, "over_request_rate_limit")}
    assert int(me.answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("flow", ["sign-up", "otp", "recover", "resend"])
async def test_a_second_mail_waits(strict_server: Server, supabase_py: PyMaker, flow: str) -> None:
    me, mail = supabase_py(strict_server).auth, address()
    call = {
        "sign-up": lambda: me.sign_up({"email": mail, "password": PASSWORD}),
        "otp": lambda: me.sign_in_with_otp({"email": mail}),
        "recover": lambda: me.reset_password_for_email(mail),
        "resend": lambda: me.resend({"type": "signup", "email": mail}),
    }[flow]
    await call()
    error = await refused(call())
    assert (error.status, error.code) == (429, "over_email_send_rate_limit")
    assert error.message.startswith("For security purposes, you can only request this after ")
    assert error.message.endswith(" seconds.")


async def test_a_user_is_whole(server: Server, supabase_py: PyMaker) -> None:
    mail = address()
    me = await begun(supabase_py, server, mail.upper(), nick="n")
    user = me.answers[-1].json()["user"]
    assert user.keys() >= ALWAYS
    assert user.keys().isdisjoint({"banned_until", "deleted_at", "new_email", "invited_at", "factors"})
    assert (user["email"], user["phone"], user["is_anonymous"]) == (mail, "", False)
    assert (user["aud"], user["role"]) == ("authenticated", "authenticated")
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    mine = {"sub": user["id"], "email": mail, "email_verified": True, "phone_verified": False}
    assert user["user_metadata"] == {"nick": "n", **mine}
    (identity,) = user["identities"]
    assert (identity["id"], identity["user_id"], identity["provider"]) == (user["id"], user["id"], "email")
    assert identity["identity_id"] != identity["id"]
    assert identity["identity_data"].items() >= mine.items()
    assert {"created_at", "updated_at", "email"} <= identity.keys()


async def test_a_session_and_its_claims_are_whole(server: Server, supabase_py: PyMaker) -> None:
    me = await begun(supabase_py, server)
    body, session = me.answers[-1].json(), await session_of(me)
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert abs(body["expires_at"] - time.time() - 3600) < 60
    assert len(body["refresh_token"]) >= 12
    said = claims(session.access_token)
    assert said["iss"] == f"{server.url}/auth/v1"
    assert (said["sub"], said["email"], said["phone"]) == (session.user.id, session.user.email, "")
    assert (said["aud"], said["role"], said["aal"]) == ("authenticated", "authenticated", "aal1")
    assert (said["exp"] - said["iat"], said["exp"]) == (3600, body["expires_at"])
    assert said["amr"][0]["method"] == "password"
    assert said.keys() >= {"session_id", "is_anonymous", "app_metadata", "user_metadata"}
    assert header(session.access_token)["alg"] == "ES256"
    assert header(session.access_token)["kid"]


async def test_a_password_too_weak_by_now_is_told_at_sign_in(
    server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    stored = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("short")
    somebody = member(server, password=None, password_hash=stored)
    me = supabase_py(server)
    answer = await me.auth.sign_in_with_password({"email": somebody.email, "password": "short"})
    assert answer.session is not None
    told = me.answers[-1].json()["weak_password"]
    assert told == {"message": "Password should be at least 8 characters.", "reasons": ["length"]}


async def test_a_confirmed_address_signs_up_like_a_new_one(
    strict_server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    known = member(strict_server)
    answer = await supabase_py(strict_server).auth.sign_up({"email": known.email, "password": PASSWORD})
    assert answer.session is None
    assert answer.user.id != known.id
    assert answer.user.identities == []
    assert mails_to(strict_server, known.email) == []


async def test_the_parent_of_the_current_token_answers_at_any_time(
    strict_server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    me = await signed_in(supabase_py, strict_server, member(strict_server))
    first = (await session_of(me)).refresh_token
    second = (await me.auth.refresh_session(first)).session.refresh_token
    again = (await me.auth.refresh_session(first)).session.refresh_token
    assert first != second == again


async def test_an_older_token_inside_the_interval_gets_the_current_one(server: Server, supabase_py: PyMaker) -> None:
    me = await begun(supabase_py, server)
    first = (await session_of(me)).refresh_token
    for _ in range(2):
        await me.auth.refresh_session()
    current = (await session_of(me)).refresh_token
    assert (await supabase_py(server).auth.refresh_session(first)).session.refresh_token == current


async def test_an_older_token_after_the_interval_ends_the_session(
    strict_server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    me = await signed_in(supabase_py, strict_server, member(strict_server))
    first = (await session_of(me)).refresh_token
    for _ in range(2):
        await me.auth.refresh_session()
    current = await session_of(me)
    error = await refused(supabase_py(strict_server).auth.refresh_session(first))
    assert (error.status, error.code) == (400, "refresh_token_already_used")
    assert error.message == "Invalid Refresh Token: Already Used"
    error = await refused(supabase_py(strict_server).auth.refresh_session(current.refresh_token))
    assert error.code == "refresh_token_not_found"
    error = await refused(supabase_py(strict_server).auth.get_user(current.access_token))
    assert (error.status, error.code) == (403, "session_not_found")


async def test_twenty_refreshes_at_once_get_one_successor(
    strict_server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    me = await signed_in(supabase_py, strict_server, member(strict_server))
    token = (await session_of(me)).refresh_token
    clients = [supabase_py(strict_server) for _ in range(20)]
    answers = await asyncio.gather(*(client.auth.refresh_session(token) for client in clients))
    (successor,) = {answer.session.refresh_token for answer in answers}
    assert successor != token
    assert (await me.auth.refresh_session(successor)).session is not None


async def test_signing_out_ends_refreshing_and_user_at_once(server: Server, supabase_py: PyMaker) -> None:
    me = await begun(supabase_py, server)
    session = await session_of(me)
    await me.auth.sign_out()
    assert (me.answers[-1].status_code, me.answers[-1].content) == (204, b"")
    error = await refused(supabase_py(server).auth.refresh_session(session.refresh_token))
    assert (error.status, error.code) == (400, "refresh_token_not_found")
    error = await refused(supabase_py(server).auth.get_user(session.access_token))
    assert (error.status, error.code) == (403, "session_not_found")


async def test_a_new_password_ends_the_other_sessions(server: Server, supabase_py: PyMaker) -> None:
    mail = address()
    here, there = await begun(supabase_py, server, mail), supabase_py(server)
    await there.auth.sign_in_with_password({"email": mail, "password": PASSWORD})
    gone = await session_of(there)
    await here.auth.update_user({"password": NEW_PASSWORD})
    assert (await here.auth.get_user()).user.email == mail
    assert (await here.auth.refresh_session()).session is not None
    assert (await refused(there.auth.get_user(gone.access_token))).code == "session_not_found"
    assert (await refused(there.auth.refresh_session(gone.refresh_token))).code == "refresh_token_not_found"
    assert (await refused(there.auth.sign_in_with_password({"email": mail, "password": PASSWORD}))).status == 400
    assert (await there.auth.sign_in_with_password({"email": mail, "password": NEW_PASSWORD})).session is not None


async def test_a_banned_user_gets_nowhere(server: Server, supabase_py: PyMaker, member: Callable[..., Member]) -> None:
    somebody = member(server)
    me = await signed_in(supabase_py, server, somebody)
    session = await session_of(me)
    link = await supabase_py(server, server.service_key).auth.admin.generate_link(
        {"type": "recovery", "email": somebody.email}
    )
    await supabase_py(server, server.service_key).auth.admin.update_user_by_id(somebody.id, {"ban_duration": "24h"})
    refresh = await refused(me.auth.refresh_session(session.refresh_token))
    assert (refresh.status, refresh.code) == (400, "user_banned")
    password = await refused(me.auth.sign_in_with_password({"email": somebody.email, "password": somebody.password}))
    assert (password.status, password.code) == (400, "user_banned")
    verify = await refused(me.auth.verify_otp({"type": "recovery", "token_hash": link.properties.hashed_token}))
    assert (verify.status, verify.code) == (403, "user_banned")


async def test_a_session_past_its_end_is_not_refreshed(
    strict_server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    me = await signed_in(supabase_py, strict_server, member(strict_server))
    await set_back(strict_server, "sessions", "not_after")
    error = await refused(me.auth.refresh_session())
    assert (error.status, error.code) == (400, "session_expired")


async def pkce_code(supabase_py: PyMaker, server: Server, mail: str) -> tuple[Any, str]:
    me = supabase_py(server, flow_type="pkce")
    await me.auth.sign_in_with_otp({"email": mail, "options": {"email_redirect_to": APP}})
    letter = await mail_to(server, mail)
    assert letter.token_hash.startswith("pkce_")
    landed = await open_link(letter.link)
    assert landed.startswith(f"{APP}?code=")
    return me, query(landed)["code"]


async def exchange(me: Any, code: str, verifier: str = "") -> Any:
    return await me.auth.exchange_code_for_session({"auth_code": code, "code_verifier": verifier, "redirect_to": ""})


async def test_an_auth_code_works_once_and_for_its_app_alone(server: Server, supabase_py: PyMaker) -> None:
    mail = address()
    me, code = await pkce_code(supabase_py, server, mail)
    answer = await exchange(me, code)
    assert answer.user.email == mail
    assert claims(answer.session.access_token)["amr"][0]["method"] == "magiclink"
    error = await refused(exchange(me, code, "v" * 43))
    assert (error.status, error.code) == (404, "flow_state_not_found")
    me, code = await pkce_code(supabase_py, server, address())
    error = await refused(exchange(me, code, "v" * 43))
    assert (error.status, error.code) == (400, "bad_code_verifier")


async def test_an_auth_code_runs_out(strict_server: Server, supabase_py: PyMaker) -> None:
    me, code = await pkce_code(supabase_py, strict_server, address())
    await set_back(strict_server, "flow_state", "expires_at")
    error = await refused(exchange(me, code))
    assert (error.status, error.code) == (422, "flow_state_expired")


@pytest.mark.parametrize("way", ["code", "hash"])
@pytest.mark.parametrize("kind", ["signup", "invite", "magiclink", "recovery", "email"])
async def test_a_mail_verifies_once(
    server: Server, supabase_py: PyMaker, member: Callable[..., Member], kind: str, way: str
) -> None:
    me, mail = supabase_py(server).auth, address()
    if kind == "signup":
        mail = member(server, email_confirm=False).email
        await me.resend({"type": "signup", "email": mail})
    elif kind == "invite":
        await supabase_py(server, server.service_key).auth.admin.invite_user_by_email(mail)
    elif kind == "recovery":
        mail = member(server).email
        await me.reset_password_for_email(mail)
    else:
        mail = member(server).email if kind == "magiclink" else mail
        await me.sign_in_with_otp({"email": mail, "options": {"data": {"n": 1}}})
    letter = await mail_to(server, mail)
    wrong = await refused(me.verify_otp({"type": kind, "email": mail, "token": wrong_code(letter)}))
    assert (wrong.status, wrong.code, wrong.message) == (403, "otp_expired", "Token has expired or is invalid")
    proof = {"email": mail, "token": letter.code} if way == "code" else {"token_hash": letter.token_hash}
    answer = await me.verify_otp({"type": kind, **proof})
    assert answer.session is not None
    assert (answer.user.email, answer.user.email_confirmed_at is not None) == (mail, True)
    assert claims(answer.session.access_token)["amr"][0]["method"] == "otp"
    again = await refused(me.verify_otp({"type": kind, **proof}))
    assert (again.status, again.code) == (403, "otp_expired")


async def test_a_magic_link_makes_a_user_with_data(server: Server, supabase_py: PyMaker) -> None:
    me, mail = supabase_py(server), address()
    await me.auth.sign_in_with_otp({"email": mail, "options": {"data": {"n": 1}}})
    assert me.answers[-1].json() == {}
    letter = await mail_to(server, mail)
    answer = await me.auth.verify_otp({"type": "email", "email": mail, "token": letter.code})
    assert answer.user.user_metadata["n"] == 1


async def test_links_and_codes_run_out(strict_server: Server, supabase_py: PyMaker) -> None:
    me, mail = supabase_py(strict_server).auth, address()
    await me.sign_in_with_otp({"email": mail})
    letter = await mail_to(strict_server, mail)
    await set_back(strict_server, "one_time_tokens", "expires_at")
    await set_back(strict_server, "one_time_tokens", "code_expires_at")
    for proof in ({"email": mail, "token": letter.code}, {"token_hash": letter.token_hash}):
        error = await refused(me.verify_otp({"type": "email", **proof}))
        assert (error.status, error.code) == (403, "otp_expired")


async def test_a_used_link_leads_to_an_error(server: Server, supabase_py: PyMaker) -> None:
    told = {"error": "access_denied", "error_code": "otp_expired"}
    told["error_description"] = "Email link is invalid or has expired"
    for flow in ("implicit", "pkce"):
        mail = address()
        await supabase_py(server, flow_type=flow).auth.sign_in_with_otp({"email": mail})
        link = (await mail_to(server, mail)).link
        await open_link(link)
        landed = await open_link(link)
        assert fragment(landed).items() >= told.items()
        assert query(landed).items() >= (told.items() if flow == "pkce" else set())


async def test_a_change_of_address_wants_both(server: Server, supabase_py: PyMaker) -> None:
    old, new = address(), address()
    me = await begun(supabase_py, server, old)
    pending = await me.auth.update_user({"email": new}, {"email_redirect_to": f"{SITE}/changed"})
    assert (pending.user.email, pending.user.new_email) == (old, new)
    code = (await mail_to(server, new)).code
    await me.auth.verify_otp({"type": "email_change", "email": new, "token": code})
    half = me.answers[-1].json()
    assert half["code"] == "200"
    assert half["msg"].startswith("Confirmation link accepted.")
    await me.auth.resend({"type": "email_change", "email": old})
    await me.auth.verify_otp({"type": "email_change", "token_hash": (await mail_to(server, old, number=2)).token_hash})
    landed = await open_link((await mail_to(server, new, number=2)).link)
    assert landed.startswith(SITE)
    assert fragment(landed)["type"] == "email_change"
    assert (await supabase_py(server).auth.get_user(fragment(landed)["access_token"])).user.email == new


async def test_an_anonymous_user_becomes_permanent(server: Server, supabase_py: PyMaker) -> None:
    me, mail = supabase_py(server).auth, address()
    answer = await me.sign_in_anonymously({"options": {"data": {"from": "app"}}})
    assert (answer.user.is_anonymous, answer.user.email, answer.user.user_metadata) == (True, "", {"from": "app"})
    assert claims(answer.session.access_token)["is_anonymous"] is True
    assert claims(answer.session.access_token)["amr"][0]["method"] == "anonymous"
    changed = await me.update_user({"email": mail, "password": PASSWORD})
    assert (changed.user.id, changed.user.email, changed.user.is_anonymous) == (answer.user.id, mail, False)
    assert (
        await supabase_py(server).auth.sign_in_with_password({"email": mail, "password": PASSWORD})
    ).session is not None


def shared_token(server: Server, **said: Any) -> str:
    """A token as a service that holds the project's secret would make it."""
    secret = tomllib.loads((server.root / ".mbaas" / "secrets.toml").read_text())["jwt_secret"]
    body = {"iss": f"{server.url}/auth/v1", "aud": "authenticated", "role": "authenticated", **said}
    return jwt.encode({"alg": "HS256"}, body, OctKey.import_key(secret))


async def test_whose_token_is_not_good_is_nobody(
    server: Server, supabase_py: PyMaker, member: Callable[..., Member]
) -> None:
    somebody, ahead = member(server), int(time.time()) + 600
    me = supabase_py(server).auth
    expired = shared_token(server, sub=somebody.id, exp=int(time.time()) - 600)
    for token in (expired, server.anon_key, "a.b.c"):
        error = await refused(me.get_user(token))
        assert (error.status, error.code) == (403, "bad_jwt")
    assert (await me.get_user(shared_token(server, sub=somebody.id, exp=ahead))).user.id == somebody.id
    signed = await session_of(await signed_in(supabase_py, server, somebody))
    await supabase_py(server, server.service_key).auth.admin.delete_user(somebody.id)
    error = await refused(me.get_user(signed.access_token))
    assert (error.status, error.code) == (403, "user_not_found")


async def test_the_user_needs_a_bearer(server: Server, supabase_py: PyMaker) -> None:
    me = await begun(supabase_py, server)
    token = (await session_of(me)).access_token
    bare = supabase_py(server, without=["authorization"]).auth
    for call in (bare.get_user(token), bare.admin.sign_out(token)):
        error = await refused(call)
        assert (error.status, error.code) == (401, "no_authorization")


async def test_signing_out_by_token(server: Server, supabase_py: PyMaker) -> None:
    me = await begun(supabase_py, server)
    token, admin = (await session_of(me)).access_token, supabase_py(server, server.service_key).auth.admin
    error = await refused(admin.sign_out(token, "nowhere"))
    assert (error.status, error.code) == (400, "validation_failed")
    error = await refused(admin.sign_out(server.anon_key))
    assert (error.status, error.code) == (403, "bad_jwt")
    await admin.sign_out(token, "local")
    error = await refused(admin.sign_out(token))
    assert (error.status, error.code) == (403, "session_not_found")
    await me.auth.sign_out()  # the client swallows it
    assert await session_of(me) is None


async def test_claims_are_checked_with_the_published_keys(server: Server, supabase_py: PyMaker) -> None:
    me = await begun(supabase_py, server)
    token = (await session_of(me)).access_token
    assert (await me.auth.get_claims(token))["claims"]["sub"]
    published = next(answer for answer in me.answers if answer.url.path.endswith("/.well-known/jwks.json"))
    assert published.headers["cache-control"] == "public, max-age=600"
    for key in published.json()["keys"]:
        assert (key["kty"], key["alg"], key["use"], key["key_ops"]) == ("EC", "ES256", "sig", ["verify"])
        assert "d" not in key
    head, _, tail = token.rpartition(".")
    with pytest.raises(AuthInvalidJwtError):
        await me.auth.get_claims(f"{head}.{tail[:-8]}AAAAAAAA")


async def test_pages_of_users(server: Server, supabase_py: PyMaker, member: Callable[..., Member]) -> None:
    made = [member(server) for _ in range(3)]
    admin = supabase_py(server, server.service_key)
    first = await admin.auth.admin.list_users(page=1, per_page=2)
    assert [user.id for user in first] == [made[2].id, made[1].id]
    answer = admin.answers[-1]
    assert answer.json()["aud"] == "authenticated"
    total = int(answer.headers["x-total-count"])
    last = -(-total // 2)
    links = f'</admin/users?page=2&per_page=2>; rel="next", </admin/users?page={last}&per_page=2>; rel="last"'
    assert answer.headers["link"] == links
    await admin.auth.admin.list_users()
    assert len(admin.answers[-1].json()["users"]) == min(total, 50)


async def test_an_administrator_sets_everything(server: Server, supabase_py: PyMaker) -> None:
    admin, mail = supabase_py(server, server.service_key).auth.admin, address()
    stored = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    number = f"49151{int(time.time() * 1000) % 10**9:09d}"
    wanted = f"{int(time.time() * 1e6):032x}"
    wanted = f"{wanted[:8]}-{wanted[8:12]}-4{wanted[13:16]}-8{wanted[17:20]}-{wanted[20:]}"
    values = {
        "id": wanted, "email": mail, "email_confirm": True, "phone": f"+{number}", "phone_confirm": True,
        "password_hash": stored, "user_metadata": {"a": 1, "b": 2}, "app_metadata": {"editor": True},
        "role": "authenticated", "ban_duration": "1h",
    }  # fmt: skip
    made = (await admin.create_user(values)).user
    assert (made.id, made.email, made.phone) == (wanted, mail, number)
    assert (made.email_confirmed_at is not None, made.phone_confirmed_at is not None) == (True, True)
    assert made.app_metadata == {"provider": "email", "providers": ["email"], "editor": True}
    assert made.banned_until is not None
    error = await refused(admin.create_user({"email": address(), "phone": number}))
    assert (error.status, error.code) == (422, "phone_exists")
    changes = {"ban_duration": "none", "user_metadata": {"a": None, "c": 3}, "email": f"new.{mail}"}
    changed = (await admin.update_user_by_id(made.id, changes)).user
    assert (changed.email, changed.banned_until) == (f"new.{mail}", None)
    assert changed.user_metadata.items() >= {"b": 2, "c": 3}.items()
    assert "a" not in changed.user_metadata
    me = supabase_py(server).auth
    assert (await me.sign_in_with_password({"email": f"new.{mail}", "password": PASSWORD})).session is not None
    await admin.update_user_by_id(made.id, {"password": NEW_PASSWORD})
    assert (await refused(me.get_user((await me.get_session()).access_token))).code == "session_not_found"


async def test_a_user_path_must_be_a_uuid(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers(key=server.service_key)) as raw:
        for method in ("GET", "PUT", "DELETE"):
            answer = await raw.request(method, "/auth/v1/admin/users/7", json={})
            assert (answer.status_code, answer.json()["error_code"]) == (404, "validation_failed")


async def test_what_is_no_request_of_a_client(server: Server) -> None:
    async with httpx.AsyncClient(base_url=f"{server.url}/auth/v1", headers=server.headers()) as raw:
        answer = await raw.post("/signup", content=b"{", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error_code"]) == (400, "bad_json")
        answer = await raw.post("/otp", json={"email": address(), "code_challenge": "c" * 43})
        assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")
        answer = await raw.post("/signup", json={"email": address(), "password": PASSWORD, "surprise": 1})
        assert answer.status_code == 200
        mail = address()
        await raw.post("/otp", json={"email": mail}, headers={"redirect_to": APP})
        assert (await open_link((await mail_to(server, mail)).link)).startswith(f"{APP}#")
        answer = await raw.get("/admin/users?page=&per_page=", headers=server.headers(key=server.service_key))
        assert answer.status_code == 200


async def test_deleting_for_good_or_softly(server: Server, supabase_py: PyMaker, member: Callable[..., Member]) -> None:
    hard, soft = member(server), member(server)
    client = supabase_py(server, server.service_key)
    await client.auth.admin.delete_user(hard.id)
    assert client.answers[-1].json() == {}
    assert (await refused(client.auth.admin.get_user_by_id(hard.id))).code == "user_not_found"
    await client.auth.admin.delete_user(soft.id, should_soft_delete=True)
    left = (await client.auth.admin.get_user_by_id(soft.id)).user
    assert left.email == ""
    assert client.answers[-1].json()["deleted_at"]
    with pytest.raises(AuthApiError):
        await supabase_py(server).auth.sign_in_with_password({"email": soft.email, "password": soft.password})


async def test_a_generated_link_is_not_mailed(server: Server, supabase_py: PyMaker) -> None:
    mail = address()
    client = supabase_py(server, server.service_key)
    params = {"type": "magiclink", "email": mail, "options": {"redirect_to": f"{SITE}/in", "data": {"t": 1}}}
    made = await client.auth.admin.generate_link(params)
    flat = client.answers[-1].json()
    assert {"action_link", "email_otp", "hashed_token", "verification_type", "redirect_to"} <= flat.keys()
    link = f"{server.url}/auth/v1/verify?token={made.properties.hashed_token}&type=signup&redirect_to="
    assert made.properties.action_link.startswith(link)
    assert (made.properties.redirect_to, made.user.user_metadata["t"]) == (f"{SITE}/in", 1)
    answer = await supabase_py(server).auth.verify_otp(
        {"type": "email", "email": mail, "token": made.properties.email_otp}
    )
    assert answer.session is not None
    assert mails_to(server, mail) == []
