"""Sign-up, sign-in, mails and administration as supabase-py meets them: one test a line of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from tests.auth import PASSWORD, SITE
from tests.contract.auth_flows import address, fragment, mail_to, open_link
from tests.contract.conftest import Member, PyMaker, Server

Make = Callable[..., Any]


@pytest.fixture
def connect(supabase_py: PyMaker) -> Make:
    """Makes clients: what supabase-py calls ``client.auth``."""
    return lambda server, key=None, **options: supabase_py(server, key, **options).auth


@pytest.fixture
def client(connect: Make, server: Server) -> Any:
    return connect(server)


@pytest.fixture
def admin(connect: Make, server: Server) -> Any:
    return connect(server, server.service_key).admin


async def signed_up(client: Any, mail: str | None = None, **options: Any) -> Any:
    answer = await client.sign_up({"email": mail or address(), "password": PASSWORD, "options": options})  # type: ignore[typeddict-item]
    assert answer.session is not None
    assert answer.user is not None
    return answer


def refusal(caught: pytest.ExceptionInfo[AuthApiError]) -> tuple[int, str | None]:
    return caught.value.status, caught.value.code


async def test_health_and_settings(server: Server) -> None:
    async with httpx.AsyncClient(base_url=f"{server.url}/auth/v1") as http:
        headers = {"apikey": server.anon_key}
        assert (await http.get("/health", headers=headers)).json()["name"] == "GoTrue"
        assert (await http.get("/settings", headers=headers)).json()["external"]["email"] is True


async def test_sign_up_with_a_session(client: Any) -> None:
    mail = address()
    answer = await signed_up(client, mail.upper(), data={"nick": "n"})
    assert answer.user.email == mail
    assert answer.user.user_metadata["nick"] == "n"
    assert answer.user.identities[0].identity_id
    assert answer.session.expires_in == 3600
    with pytest.raises(AuthApiError) as caught:
        await signed_up(client, mail)
    assert refusal(caught) == (422, "user_already_exists")


async def test_sign_up_with_confirmation(connect: Make, strict_server: Server) -> None:
    client, mail = connect(strict_server), address()
    answer = await client.sign_up(
        {"email": mail, "password": PASSWORD, "options": {"email_redirect_to": f"{SITE}/welcome"}}
    )
    assert answer.session is None
    assert answer.user is not None
    with pytest.raises(AuthApiError) as caught:
        await client.sign_in_with_password({"email": mail, "password": PASSWORD})
    assert refusal(caught) == (400, "email_not_confirmed")
    landed = await open_link((await mail_to(strict_server, mail)).link)
    assert landed.startswith(f"{SITE}/welcome#access_token=")
    assert (await client.sign_in_with_password({"email": mail, "password": PASSWORD})).user.email == mail  # type: ignore[union-attr]


async def test_sign_up_refused(client: Any) -> None:
    with pytest.raises(AuthWeakPasswordError) as weak:
        await client.sign_up({"email": address(), "password": "short"})
    assert (weak.value.status, list(weak.value.reasons)) == (422, ["length"])
    with pytest.raises(AuthApiError) as caught:
        await client.sign_up({"email": "nope", "password": PASSWORD})
    assert refusal(caught) == (400, "validation_failed")
    with pytest.raises(AuthApiError) as caught:
        await client.sign_up({"phone": "+491512345678", "password": PASSWORD})
    assert refusal(caught) == (422, "phone_provider_disabled")


async def test_anonymous(client: Any, connect: Make, strict_server: Server) -> None:
    answer = await client.sign_in_anonymously({"options": {"data": {"from": "app"}}})
    assert answer.user is not None
    assert answer.user.is_anonymous is True
    assert answer.session is not None
    with pytest.raises(AuthApiError) as caught:
        await connect(strict_server).sign_in_anonymously()
    assert refusal(caught) == (422, "anonymous_provider_disabled")


async def test_password_grant(client: Any, connect: Make, server: Server, admin: Any) -> None:
    mail = address()
    made = await signed_up(client, mail)
    other = connect(server)
    answer = await other.sign_in_with_password({"email": mail, "password": PASSWORD})
    assert answer.user is not None
    assert answer.user.last_sign_in_at is not None
    for who, password in ((mail, "wrong password"), (address(), PASSWORD)):
        with pytest.raises(AuthApiError, match="Invalid login credentials") as caught:
            await other.sign_in_with_password({"email": who, "password": password})
        assert refusal(caught) == (400, "invalid_credentials")
    await admin.update_user_by_id(made.user.id, {"ban_duration": "24h"})
    with pytest.raises(AuthApiError) as caught:
        await other.sign_in_with_password({"email": mail, "password": PASSWORD})
    assert refusal(caught) == (400, "user_banned")


async def test_refresh_grant(client: Any) -> None:
    first = (await signed_up(client)).session.refresh_token
    second = (await client.refresh_session(first)).session
    assert second is not None
    assert second.refresh_token != first
    again = (await client.refresh_session(first)).session
    assert again is not None
    assert again.refresh_token == second.refresh_token
    with pytest.raises(AuthApiError) as caught:
        await client.refresh_session("abcdefghijkl")
    assert refusal(caught) == (400, "refresh_token_not_found")
    with pytest.raises(AuthApiError) as caught:
        await client.refresh_session("nonsense")
    assert refusal(caught) == (400, "validation_failed")


async def test_pkce_grant(connect: Make, server: Server) -> None:
    client, mail = connect(server, flow_type="pkce"), address()
    await client.sign_in_with_otp({"email": mail, "options": {"email_redirect_to": "contract://callback"}})
    landed = await open_link((await mail_to(server, mail)).link)
    assert landed.startswith("contract://callback?code=")
    code = parse_qs(urlsplit(landed).query)["code"][0]
    answer = await client.exchange_code_for_session(
        {"auth_code": code, "code_verifier": "", "redirect_to": "contract://callback"}
    )
    assert answer.user is not None
    assert answer.user.email == mail
    with pytest.raises(AuthApiError) as caught:
        await client.exchange_code_for_session({"auth_code": code, "code_verifier": "v" * 43, "redirect_to": ""})
    assert refusal(caught) == (404, "flow_state_not_found")


async def test_otp_link_and_code(connect: Make, server: Server) -> None:
    client, mail = connect(server), address()
    sent = await client.sign_in_with_otp({"email": mail, "options": {"data": {"n": 1}}})
    assert (sent.user, sent.session) == (None, None)
    letter = await mail_to(server, mail)
    wrong = "000000" if letter.code != "000000" else "000001"
    with pytest.raises(AuthApiError, match="Token has expired or is invalid") as caught:
        await client.verify_otp({"email": mail, "token": wrong, "type": "email"})
    assert refusal(caught) == (403, "otp_expired")
    answer = await client.verify_otp({"email": mail, "token": letter.code, "type": "email"})
    assert answer.session is not None
    assert answer.session.user.user_metadata["n"] == 1
    with pytest.raises(AuthApiError, match="Signups not allowed for otp") as caught:
        await client.sign_in_with_otp({"email": address(), "options": {"should_create_user": False}})
    assert refusal(caught) == (422, "otp_disabled")


async def test_recover(connect: Make, server: Server) -> None:
    client, mail = connect(server), address()
    await signed_up(client, mail)
    await client.reset_password_for_email(address())
    await client.reset_password_for_email(mail, {"redirect_to": f"{SITE}/reset"})
    landed = await open_link((await mail_to(server, mail)).link)
    assert landed.startswith(f"{SITE}/reset#")
    given = fragment(landed)
    assert given["type"] == "recovery"
    recovering = connect(server)
    await recovering.set_session(given["access_token"], given["refresh_token"])
    await recovering.update_user({"password": "another horse battery"})
    assert (await client.sign_in_with_password({"email": mail, "password": "another horse battery"})).user


async def test_resend(connect: Make, server: Server, member: Callable[..., Member]) -> None:
    client, mail = connect(server), member(server, email_confirm=False).email
    await client.resend({"type": "signup", "email": mail})
    first = await mail_to(server, mail)
    await client.resend({"type": "signup", "email": mail})
    second = await mail_to(server, mail, number=2)
    assert "error_code" in fragment(await open_link(first.link))
    answer = await client.verify_otp({"token_hash": second.token_hash, "type": "email"})
    assert answer.user is not None
    assert answer.user.email == mail
    await client.resend({"type": "signup", "email": address()})


async def test_verify_in_the_browser(connect: Make, server: Server) -> None:
    client, mail = connect(server), address()
    await client.sign_in_with_otp({"email": mail})
    letter = await mail_to(server, mail)
    given = fragment(await open_link(letter.link))
    assert (await client.set_session(given["access_token"], given["refresh_token"])).user.email == mail  # type: ignore[union-attr]
    again = fragment(await open_link(letter.link))
    assert (again["error"], again["error_code"]) == ("access_denied", "otp_expired")
    assert again["error_description"] == "Email link is invalid or has expired"


@pytest.mark.parametrize("scope", ["global", "local", "others"])
async def test_logout(connect: Make, server: Server, scope: Any) -> None:
    here, there, mail = connect(server), connect(server), address()
    await signed_up(here, mail)
    await there.sign_in_with_password({"email": mail, "password": PASSWORD})
    tokens = [(await client.get_session()).access_token for client in (here, there)]  # type: ignore[union-attr]
    await here.sign_out({"scope": scope})
    ended = {"global": [True, True], "local": [True, False], "others": [False, True]}[scope]
    for token, is_over in zip(tokens, ended, strict=True):
        if not is_over:
            assert await connect(server).get_user(token) is not None
            continue
        with pytest.raises(AuthApiError) as caught:
            await connect(server).get_user(token)
        assert refusal(caught) == (403, "session_not_found")


async def test_get_and_update_user(client: Any) -> None:
    made = await signed_up(client, data={"a": 1, "b": 2})
    got = await client.get_user()
    assert got is not None
    assert got.user.id == made.user.id
    changed = await client.update_user({"data": {"a": None, "c": 3}})
    metadata = changed.user.user_metadata
    assert ("a" in metadata, metadata["b"], metadata["c"]) == (False, 2, 3)
    with pytest.raises(AuthApiError) as caught:
        await client.update_user({"password": PASSWORD})
    assert refusal(caught) == (422, "same_password")


async def test_change_of_address(connect: Make, server: Server) -> None:
    client, old, new = connect(server), address(), address()
    await signed_up(client, old)
    pending = await client.update_user({"email": new})
    assert (pending.user.email, pending.user.new_email) == (old, new)
    first = fragment(await open_link((await mail_to(server, old)).link))
    assert first["message"].startswith("Confirmation link accepted")
    second = fragment(await open_link((await mail_to(server, new)).link))
    assert second["type"] == "email_change"
    got = await client.get_user(second["access_token"])
    assert got is not None
    assert got.user.email == new


async def test_the_anon_key_is_no_user(client: Any, server: Server) -> None:
    with pytest.raises(AuthApiError) as caught:
        await client.get_user(server.anon_key)
    assert refusal(caught) == (403, "bad_jwt")


async def test_claims_are_verified_with_the_published_keys(client: Any) -> None:
    made = await signed_up(client)
    claims = await client.get_claims()
    assert claims is not None
    assert claims["claims"]["sub"] == made.user.id
    assert claims["headers"]["alg"] == "ES256"


async def test_admin_users(admin: Any) -> None:
    mail = address()
    values = {"email": mail, "password": PASSWORD, "email_confirm": True, "app_metadata": {"editor": True}}
    made = (await admin.create_user(values)).user
    assert made.app_metadata["editor"] is True
    assert (await admin.get_user_by_id(made.id)).user.email == mail
    assert len(await admin.list_users(page=1, per_page=1)) == 1
    changed = (await admin.update_user_by_id(made.id, {"user_metadata": {"n": 1}, "ban_duration": "24h"})).user
    assert changed.user_metadata["n"] == 1
    with pytest.raises(AuthApiError) as caught:
        await admin.create_user({"email": mail})
    assert refusal(caught) == (422, "email_exists")
    await admin.delete_user(made.id)
    with pytest.raises(AuthApiError) as caught:
        await admin.get_user_by_id(made.id)
    assert refusal(caught) == (404, "user_not_found")


async def test_soft_deletion(admin: Any) -> None:
    made = (await admin.create_user({"email": address()})).user
    await admin.delete_user(made.id, should_soft_delete=True)
    assert (await admin.get_user_by_id(made.id)).user.email == ""


async def test_admin_is_for_the_service_key(client: Any, connect: Make, server: Server) -> None:
    with pytest.raises(AuthApiError) as caught:
        await client.admin.list_users()
    assert refusal(caught) == (403, "not_admin")
    session = (await signed_up(client)).session
    own = connect(server, headers={"Authorization": f"Bearer {session.access_token}"})
    with pytest.raises(AuthApiError) as caught:
        await own.admin.list_users()
    assert refusal(caught) == (403, "not_admin")


async def test_invite(admin: Any, server: Server) -> None:
    mail = address()
    invited = (await admin.invite_user_by_email(mail, {"data": {"t": 1}, "redirect_to": f"{SITE}/join"})).user
    assert invited.invited_at is not None
    landed = await open_link((await mail_to(server, mail)).link)
    assert landed.startswith(f"{SITE}/join#")
    assert fragment(landed)["type"] == "invite"


@pytest.mark.parametrize("kind", ["signup", "invite", "magiclink", "recovery"])
async def test_generate_link(admin: Any, client: Any, kind: Any) -> None:
    mail = address()
    if kind == "recovery":
        await admin.create_user({"email": mail, "email_confirm": True})
    made = await admin.generate_link({"type": kind, "email": mail, "password": PASSWORD})
    assert made.user.email == mail
    properties = made.properties
    assert properties.verification_type == ("signup" if kind == "magiclink" else kind)
    answer = await client.verify_otp({"token_hash": properties.hashed_token, "type": properties.verification_type})
    assert answer.session is not None
    assert answer.session.user.email == mail


async def test_generate_links_for_a_change_of_address(admin: Any, client: Any) -> None:
    old, new = address(), address()
    await admin.create_user({"email": old, "email_confirm": True})
    given = {}
    for kind in ("email_change_current", "email_change_new"):
        made = await admin.generate_link({"type": kind, "email": old, "new_email": new})
        given = fragment(await open_link(made.properties.action_link))
    got = await client.get_user(given["access_token"])
    assert got is not None
    assert got.user.email == new
    with pytest.raises(AuthApiError) as caught:
        await admin.generate_link({"type": "recovery", "email": address()})
    assert refusal(caught) == (404, "user_not_found")
