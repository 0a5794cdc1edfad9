"""Providers that lie, browsers that began nothing, accounts that somebody else prepared."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey

from mbaas.config.settings import ProviderSettings
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.providers.provider import ProviderFailed
from tests.auth import PASSWORD, SITE, Auth, Landed, make_config, open_auth
from tests.idp.scripted import APP, Scripted, query, scripted_provider
from tests.integration.auth.test_oauth_certified import CHALLENGE, VERIFIER

MAIL = "alice@example.com"


@pytest.fixture
def idp() -> Iterator[Scripted]:
    with scripted_provider() as provider:
        yield provider


@pytest.fixture
def other() -> Iterator[Scripted]:
    with scripted_provider() as provider:
        yield provider


def settings(provider: Scripted, **fields: Any) -> ProviderSettings:
    return ProviderSettings(
        **{"issuer": provider.url, "client_id": APP, "client_secret": "s", "allow_private": True, **fields}
    )


@asynccontextmanager
async def opened(database_url: str, providers: dict[str, ProviderSettings], **fields: Any) -> AsyncIterator[Auth]:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), providers=providers, **{"manual_linking": True, **fields})
        async with open_auth(database_url, config) as auth:
            yield auth


@pytest.fixture
async def auth(database_url: str, idp: Scripted, other: Scripted) -> AsyncIterator[Auth]:
    async with opened(database_url, {"acme": settings(idp), "other": settings(other)}) as found:
        yield found


def another_browser(auth: Auth) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=auth.client._transport, base_url=auth.client.base_url)


async def begin(auth: Auth, provider: str = "acme", more: str = "") -> str:
    """Where we send a browser."""
    answer = await auth.client.get(f"/authorize?provider={provider}&redirect_to={SITE}/in{more}")
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def back(auth: Auth, browser: httpx.AsyncClient | None = None, **answer: str) -> Landed:
    got = await (browser or auth.client).get("/callback", params=answer)
    assert got.status_code == 302, got.text
    return Landed(got.headers["location"])


async def sign_in(auth: Auth, idp: Scripted, provider: str = "acme", more: str = "") -> Landed:
    address = await begin(auth, provider, more)
    return await back(auth, code=idp.code_for(address), state=query(address)["state"])


async def user_of(auth: Auth, landed: Landed) -> Any:
    answer = await auth.get("/user", token=landed.fragment["access_token"])
    assert answer.status_code == 200, landed.url
    return answer.json()


async def count(auth: Auth, table: str) -> int:
    row = await auth.database.fetch_row(Statement(f"select count(*) from auth.{table}"))
    assert row is not None
    return int(str(row[0]))


def refusal(landed: Landed) -> str:
    assert "access_token" not in landed.fragment
    assert "code" not in landed.query
    assert landed.query["error_code"] == landed.fragment["error_code"]
    return landed.fragment["error_code"]


# --- out -------------------------------------------------------------------------------------------------------------


async def test_the_provider_is_asked_with_state_nonce_and_challenge(auth: Auth) -> None:
    asked = query(await begin(auth, more="&scopes=calendar files&prompt=login"))
    assert asked["client_id"] == APP
    assert asked["redirect_uri"] == "http://127.0.0.1:8000/auth/v1/callback"
    assert asked["scope"] == "openid email profile calendar files"
    assert asked["prompt"] == "login"
    assert asked["code_challenge_method"] == "S256"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    again = query(await begin(auth))
    assert not {asked["state"], asked["nonce"], asked["code_challenge"]} & set(again.values())


async def test_an_app_cannot_set_what_is_ours(auth: Auth) -> None:
    names = ("client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge_methods", "request")
    asked = query(await begin(auth, more="".join(f"&{name}=evil" for name in names)))
    assert asked.pop("code_challenge_methods") == "evil"  # nobody's
    assert "evil" not in asked.values()
    assert "request" not in asked


async def test_what_cannot_begin_is_refused(auth: Auth) -> None:
    for name in ("unknown", "", "google"):
        answer = await auth.client.get(f"/authorize?provider={name}")
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "validation_failed"
        assert answer.json()["msg"] == "Unsupported provider: provider is not enabled"
    for more in ("&code_challenge=" + CHALLENGE, "&scopes=%22quoted%22"):
        answer = await auth.client.get(f"/authorize?provider=acme{more}")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


async def test_the_cookie_is_for_no_script_and_no_other_site(auth: Auth) -> None:
    answer = await auth.client.get("/authorize?provider=acme")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("mbaas-flow=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=300" in cookie


async def test_with_tls_no_neighbouring_host_can_set_the_cookie_and_apple_tells_a_name_once(
    database_url: str, idp: Scripted
) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), providers={"apple": settings(idp)})
        server = msgspec.structs.replace(config.server, public_url="https://api.example.com")
        async with open_auth(database_url, msgspec.structs.replace(config, server=server)) as auth:
            auth.client.base_url = httpx.URL("https://api.example.com/auth/v1")
            answer = await auth.client.get("/authorize?provider=apple")
            cookie = answer.headers["set-cookie"].lower()
            assert cookie.startswith("__host-mbaas-flow=")
            assert "secure" in cookie
            assert "path=/;" in cookie
            assert "domain" not in cookie
            address = answer.headers["location"]
            assert query(address)["response_mode"] == "form_post"
            assert "code_challenge" not in query(address)
            said = '{"name":{"firstName":"Ada","lastName":"King"},"email":"mallory@example.com"}'
            landed = await back(auth, code=idp.code_for(address), state=query(address)["state"], user=said)
            user = await user_of(auth, landed)
            assert (user["email"], user["user_metadata"]["full_name"]) == (MAIL, "Ada King")


async def test_the_database_has_neither_state_nor_cookie_nor_secret(auth: Auth) -> None:
    asked = query(await begin(auth))
    rows = await auth.database.fetch_rows(Statement("select f::text from auth.oauth_flows as f"))
    kept = str(rows)
    for secret in (asked["state"], asked["nonce"], asked["code_challenge"], *auth.client.cookies.values()):
        assert secret not in kept


# --- back: of which browser, which state, which provider -------------------------------------------------------------


async def test_an_answer_in_another_browser_is_refused_and_takes_nothing_away(auth: Auth, idp: Scripted) -> None:
    address = await begin(auth)
    answer = {"code": idp.code_for(address), "state": query(address)["state"]}
    async with another_browser(auth) as stranger:
        assert refusal(await back(auth, stranger, **answer)) == "bad_oauth_state"
        await stranger.get("/authorize?provider=acme")  # with a cookie of its own
        assert refusal(await back(auth, stranger, **answer)) == "bad_oauth_state"
    assert (await back(auth, **answer)).fragment["access_token"]


async def test_a_state_nobody_gave_out_leads_to_the_site_with_an_error(auth: Auth, idp: Scripted) -> None:
    address = await begin(auth)
    for state in ("", "0" * 56, "\u2603\x00"):
        landed = await back(auth, code=idp.code_for(address), state=state)
        assert refusal(landed) == "bad_oauth_state"
        assert landed.base == SITE
        assert landed.fragment["error"] == "invalid_request"


async def test_a_state_counts_once_also_of_twenty_at_once(auth: Auth, idp: Scripted) -> None:
    address = await begin(auth)
    state = query(address)["state"]
    codes = [idp.code_for(address) for _ in range(20)]
    landed = await asyncio.gather(*(back(auth, code=code, state=state) for code in codes))
    assert sum("access_token" in one.fragment for one in landed) == 1
    assert sum(one.fragment.get("error_code") == "bad_oauth_state" for one in landed) == 19
    assert await count(auth, "users") == 1


async def test_a_state_lasts_five_minutes(auth: Auth, idp: Scripted) -> None:
    address = await begin(auth)
    auth.clock.advance(minutes=5, seconds=1)
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"])
    assert refusal(landed) == "bad_oauth_state"


async def test_an_answer_of_one_provider_is_not_taken_to_another(auth: Auth, idp: Scripted, other: Scripted) -> None:
    address = await begin(auth)
    state = query(address)["state"]
    landed = await back(auth, code="stolen", state=state, iss=other.url)
    assert refusal(landed) == "bad_oauth_callback"
    assert not [path for path, *_ in (*idp.asked, *other.asked) if path == "/token"]


async def test_a_provider_that_says_it_names_itself_has_to(auth: Auth, idp: Scripted) -> None:
    idp.metadata["authorization_response_iss_parameter_supported"] = True
    address = await begin(auth)
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"])
    assert refusal(landed) == "bad_oauth_callback"
    address = await begin(auth)
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"], iss=idp.url)
    assert landed.fragment["access_token"]


async def test_a_code_is_bound_to_the_flow_that_asked_for_it(auth: Auth, idp: Scripted) -> None:
    """A code of the attacker's own flow, put into somebody's: the verifier does not fit."""
    foreign = idp.code_for(await begin(auth))
    address = await begin(auth)
    landed = await back(auth, code=foreign, state=query(address)["state"])
    assert refusal(landed) == "unexpected_failure"
    assert await count(auth, "users") == 0
    assert (await sign_in(auth, idp)).fragment["access_token"]


async def test_a_code_used_twice_is_the_providers_to_refuse_and_ours_to_tell(auth: Auth, idp: Scripted) -> None:
    address = await begin(auth)
    code = idp.code_for(address)
    assert (await back(auth, code=code, state=query(address)["state"])).fragment["access_token"]
    address = await begin(auth)
    assert refusal(await back(auth, code=code, state=query(address)["state"])) == "unexpected_failure"


async def test_what_a_provider_refuses_is_told_in_its_code_and_our_words(auth: Auth) -> None:
    address = await begin(auth)
    landed = await back(
        auth,
        state=query(address)["state"],
        error="access_denied",
        error_description="<script>call +1 555 0100</script>",
    )
    assert landed.base == f"{SITE}/in"
    assert landed.fragment["error"] == landed.query["error"] == "access_denied"
    assert "555" not in landed.url
    address = await begin(auth)
    landed = await back(auth, state=query(address)["state"], error="<b>odd</b>")
    assert landed.fragment["error"] == "server_error"


async def test_an_answer_by_form_is_taken_by_way_of_our_own_address(auth: Auth, idp: Scripted) -> None:
    """The form of another site comes without the cookie; the GET after it has it."""
    address = await begin(auth)
    form = {"code": idp.code_for(address), "state": query(address)["state"], "extra": "x"}
    async with another_browser(auth) as cookieless:
        answer = await cookieless.post("/callback", data=form)
    assert answer.status_code == 303
    url = answer.headers["location"]
    assert url.startswith("http://127.0.0.1:8000/auth/v1/callback?")
    assert query(url) == {"code": form["code"], "state": form["state"]}
    assert (await back(auth, **query(url))).fragment["access_token"]


# --- where it ends ---------------------------------------------------------------------------------------------------


async def test_a_target_off_the_list_is_the_site_from_the_beginning(auth: Auth, idp: Scripted) -> None:
    answer = await auth.client.get("/authorize?provider=acme&redirect_to=https://evil.example/")
    address = answer.headers["location"]
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"])
    assert landed.base == SITE


async def test_the_list_is_asked_again_at_the_end(auth: Auth, idp: Scripted) -> None:
    address = await begin(auth)
    await auth.database.execute("update auth.oauth_flows set redirect_to = 'https://evil.example/'")
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"])
    assert landed.base == SITE
    address = await begin(auth)
    await auth.database.execute("update auth.oauth_flows set redirect_to = 'https://evil.example/'")
    assert (await back(auth, state=query(address)["state"], error="access_denied")).base == SITE


async def test_unknown_parameters_of_the_target_stay(auth: Auth, idp: Scripted) -> None:
    landed = await sign_in(
        auth, idp, more="%3Fsb_flow_id%3D7&code_challenge=" + CHALLENGE + "&code_challenge_method=S256"
    )
    assert landed.query["sb_flow_id"] == "7"
    assert landed.query["code"]


# --- what is believed ------------------------------------------------------------------------------------------------


def lies(idp: Scripted, what: str) -> None:
    now = int(time.time())
    claims = {
        "iss": {"iss": "https://accounts.example"},
        "aud": {"aud": "another app"},
        "aud-list-without-azp": {"aud": [APP, "another app"]},
        "azp": {"azp": "another app"},
        "nonce": {"nonce": "of another flow"},
        "no-nonce": {"nonce": None},
        "expired": {"exp": now - 120},
        "no-exp": {"exp": None},
        "future": {"iat": now + 3600},
        "no-sub": {"sub": None},
        "sub-list": {"sub": ["alice"]},
        "at_hash": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    }
    idp.lie = claims.get(what, {})
    if what == "alg-none":
        idp.alg = "none"
    elif what == "alg-hs256-with-the-public-key":
        idp.alg, idp.sign_with = "HS256", idp.shared_secret()
    elif what == "key-of-somebody-else":
        idp.sign_with = ECKey.generate_key("P-256", {"kid": "one"})


LIES = [
    "iss", "aud", "aud-list-without-azp", "azp", "nonce", "no-nonce", "expired", "no-exp", "future", "no-sub", "sub-list",
    "at_hash", "alg-none", "alg-hs256-with-the-public-key", "key-of-somebody-else",
]  # fmt: skip


async def test_no_token_with_a_lie_in_it_is_believed(auth: Auth, idp: Scripted) -> None:
    for what in LIES:
        lies(idp, what)
        landed = await sign_in(auth, idp)
        assert refusal(landed) == "bad_oauth_callback", what
        assert landed.fragment["error_description"] == "The provider's answer cannot be used"
        idp.lie, idp.alg, idp.sign_with = {}, "ES256", None
    assert await count(auth, "users") == 0
    assert (await sign_in(auth, idp)).fragment["access_token"]


async def test_userinfo_of_somebody_else_is_not_believed(auth: Auth, idp: Scripted) -> None:
    idp.lie = {"email": None}
    idp.answers["/userinfo"] = (200, b'{"sub":"mallory","email":"alice@example.com","email_verified":true}')
    assert refusal(await sign_in(auth, idp)) == "unexpected_failure"


BROKEN = [
    ("/token", (500, b"<html>a stack trace</html>")),
    ("/token", (200, b"[]")),
    ("/token", (200, b'{"error":"incorrect_client_credentials"}')),
    ("/token", (200, b"{" + b" " * 300_000 + b"}")),
    ("/token", (302, b"")),
    ("/jwks", (404, b"{}")),
    ("/jwks", (200, b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"one"}]}')),
    ("/jwks", (200, b'{"keys":7}')),
]


async def test_a_provider_that_breaks_is_told_as_unavailable(auth: Auth, idp: Scripted) -> None:
    for path, answer in BROKEN:
        idp.answers = {path: answer}
        landed = await sign_in(auth, idp)
        assert refusal(landed) == "unexpected_failure"
        assert landed.fragment["error"] == "server_error"
        assert "stack" not in landed.url


async def test_a_new_key_of_the_provider_is_fetched(auth: Auth, idp: Scripted) -> None:
    assert (await sign_in(auth, idp)).fragment["access_token"]
    provider = auth.app.services.oauth.providers["acme"]
    assert provider._keys is not None
    provider._keys = (provider._keys[0] - 60, provider._keys[1])
    idp.key = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
    idp.kid = "two"
    assert (await sign_in(auth, idp)).fragment["access_token"]


async def test_metadata_that_lead_to_a_private_address_or_in_clear_are_refused(auth: Auth, idp: Scripted) -> None:
    """The provider's own address was allowed; what it leads to is looked at by itself."""
    provider = auth.app.services.oauth.providers["acme"]
    provider.settings = settings(idp, allow_private=False)
    for wanted in (f"{idp.url}/x", "https://127.0.0.1/x", "https://169.254.169.254/x", "file:///etc/passwd"):
        with pytest.raises(ProviderFailed, match=r"is no public address|would go in clear|is no URL"):
            await provider._decoded("GET", wanted, {}, b"")
    assert not idp.asked
    provider.settings = settings(idp)
    for where in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        idp.metadata, provider._failed = {where: "gopher://127.0.0.1/"}, (0.0, "")
        answer = await auth.client.get("/authorize?provider=acme")
        assert (answer.status_code, answer.json()["error_code"]) == (503, "unexpected_failure")


async def test_metadata_of_another_issuer_are_refused(auth: Auth, idp: Scripted) -> None:
    idp.metadata["issuer"] = "https://accounts.example"
    answer = await auth.client.get("/authorize?provider=acme")
    assert answer.status_code == 503


# --- whose account it is ---------------------------------------------------------------------------------------------


async def test_an_address_that_both_sides_have_proven_is_one_account_and_its_owner_is_told(
    auth: Auth, idp: Scripted
) -> None:
    await auth.sign_up(MAIL)
    confirmed = await auth.open((await auth.mail(MAIL)).link)
    owner = await user_of(auth, confirmed)
    user = await user_of(auth, await sign_in(auth, idp))
    assert user["id"] == owner["id"]
    assert user["app_metadata"] == {"provider": "email", "providers": ["email", "acme"]}
    assert (await auth.sign_in(MAIL)).status_code == 200
    assert "linked" in (await auth.mail(MAIL)).subject


async def test_who_signed_up_somebody_elses_address_loses_password_session_and_identity(
    auth: Auth, idp: Scripted
) -> None:
    await auth.sign_up(MAIL, data={"name": "Mallory"})
    link = (await auth.mail(MAIL)).link
    user = await user_of(auth, await sign_in(auth, idp))
    assert [one["provider"] for one in user["identities"]] == ["acme"]
    assert "Mallory" not in str(user)
    assert (await auth.sign_in(MAIL)).json()["error_code"] == "invalid_credentials"
    assert (await auth.open(link)).fragment["error_code"] == "otp_expired"


async def test_who_came_by_a_lax_provider_with_somebody_elses_address_loses_it(
    auth: Auth, idp: Scripted, other: Scripted
) -> None:
    other.person = {"sub": "mallory", "email": MAIL, "email_verified": False}
    assert refusal(await sign_in(auth, other, "other")) == "provider_email_needs_verification"
    user = await user_of(auth, await sign_in(auth, idp))
    assert [one["provider"] for one in user["identities"]] == ["acme"]
    assert refusal(await sign_in(auth, other, "other")) == "provider_email_needs_verification"
    assert len((await auth.get("/admin/users", key=auth.service_key)).json()["users"]) == 1


async def test_an_unverified_address_joins_no_account(auth: Auth, idp: Scripted, other: Scripted) -> None:
    await user_of(auth, await sign_in(auth, idp))
    other.person = {"sub": "mallory", "email": MAIL, "email_verified": False}
    before = len(await auth.mails())
    assert refusal(await sign_in(auth, other, "other")) == "provider_email_needs_verification"
    assert (await count(auth, "users"), await count(auth, "identities")) == (1, 1)
    assert len(await auth.mails()) == before


async def test_an_account_of_a_number_keeps_everything_but_the_unproven_address(auth: Auth, idp: Scripted) -> None:
    body = {"email": MAIL, "phone": "15005550006", "phone_confirm": True, "password": PASSWORD}
    owner = (await auth.post("/admin/users", body, key=auth.service_key)).json()
    user = await user_of(auth, await sign_in(auth, idp))
    assert user["id"] != owner["id"]
    left = (await auth.get(f"/admin/users/{owner['id']}", key=auth.service_key)).json()
    assert (left["email"], left["phone"]) == ("", "15005550006")


async def test_the_person_is_issuer_and_subject_whatever_the_address(auth: Auth, idp: Scripted) -> None:
    first = await user_of(auth, await sign_in(auth, idp))
    idp.person = {"sub": "alice", "email": "new@example.com", "email_verified": True}
    assert (await user_of(auth, await sign_in(auth, idp)))["id"] == first["id"]
    idp.person = {"sub": "alice2", "email": "third@example.com", "email_verified": True}
    assert (await user_of(auth, await sign_in(auth, idp)))["id"] != first["id"]


async def test_the_same_subject_of_another_issuer_is_somebody_else(auth: Auth, idp: Scripted, other: Scripted) -> None:
    first = await user_of(auth, await sign_in(auth, idp))
    other.person = {"sub": "alice", "email": "other@example.com", "email_verified": True}
    assert (await user_of(auth, await sign_in(auth, other, "other")))["id"] != first["id"]


async def test_a_provider_that_moved_to_another_issuer_opens_no_old_account(
    database_url: str, idp: Scripted, other: Scripted
) -> None:
    async with opened(database_url, {"acme": settings(idp)}) as auth:
        assert (await sign_in(auth, idp)).fragment["access_token"]
    async with opened(database_url, {"acme": settings(other)}) as auth:
        assert refusal(await sign_in(auth, other)) == "bad_oauth_callback"


async def test_a_banned_user_and_a_closed_door_are_told(database_url: str, idp: Scripted, other: Scripted) -> None:
    async with opened(database_url, {"acme": settings(idp)}) as auth:
        user = await user_of(auth, await sign_in(auth, idp))
        await auth.put(f"/admin/users/{user['id']}", {"ban_duration": "24h"}, key=auth.service_key)
        assert refusal(await sign_in(auth, idp)) == "user_banned"
    async with opened(database_url, {"other": settings(other)}, disable_signup=True) as auth:
        other.person = {"sub": "new", "email": "new@example.com", "email_verified": True}
        assert refusal(await sign_in(auth, other, "other")) == "signup_disabled"


async def test_without_an_address_nobody_new_comes_in_unless_the_settings_let_them(
    database_url: str, idp: Scripted
) -> None:
    idp.person = {"sub": "alice"}
    async with opened(database_url, {"acme": settings(idp)}) as auth:
        assert refusal(await sign_in(auth, idp)) == "email_address_not_provided"
    async with opened(database_url, {"acme": settings(idp, email_optional=True)}) as auth:
        assert (await user_of(auth, await sign_in(auth, idp)))["email"] == ""


async def test_ten_at_once_of_somebody_new_make_one_user(auth: Auth, idp: Scripted) -> None:
    addresses = [await begin(auth) for _ in range(10)]
    landed = await asyncio.gather(
        *(back(auth, code=idp.code_for(address), state=query(address)["state"]) for address in addresses)
    )
    assert all("access_token" in one.fragment for one in landed)
    assert (await count(auth, "users"), await count(auth, "identities")) == (1, 1)


async def test_amr_says_oauth_and_the_providers_tokens_are_not_kept_in_clear(auth: Auth, idp: Scripted) -> None:
    landed = await sign_in(auth, idp, more=f"&code_challenge={CHALLENGE}&code_challenge_method=S256")
    rows = await auth.database.fetch_rows(Statement("select f::text from auth.flow_state as f"))
    assert len(rows) == 1
    assert "provider-" not in str(rows)
    answer = await auth.post("/token?grant_type=pkce", {"auth_code": landed.query["code"], "code_verifier": VERIFIER})
    session = answer.json()
    assert (session["provider_token"], session["provider_refresh_token"]) == ("provider-access", "provider-refresh")
    rows = await auth.database.fetch_rows(Statement("select s.amr from auth.sessions as s"))
    assert '"oauth"' in str(rows)
    assert await count(auth, "flow_state") == 0


# --- linking ---------------------------------------------------------------------------------------------------------


async def linking(auth: Auth, token: str, more: str = "") -> httpx.Response:
    return await auth.get(
        f"/user/identities/authorize?provider=acme&skip_http_redirect=true&redirect_to={SITE}/in{more}", token=token
    )


async def opened_link(auth: Auth, url: str, browser: httpx.AsyncClient | None = None) -> str:
    assert url.startswith("http://127.0.0.1:8000/auth/v1/authorize?flow=")
    answer = await (browser or auth.client).get("/authorize?" + url.partition("?")[2])
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def test_an_anonymous_user_links_a_provider_and_stays_the_same(auth: Auth, idp: Scripted) -> None:
    session = (await auth.post("/signup", {})).json()
    url = (await linking(auth, session["access_token"])).json()["url"]
    address = await opened_link(auth, url)
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"])
    user = await user_of(auth, landed)
    assert user["id"] == session["user"]["id"]
    assert (user["is_anonymous"], user["email"]) == (False, MAIL)
    assert user["app_metadata"]["providers"] == ["acme"]


async def test_with_a_challenge_nothing_is_linked_before_the_app_redeems_its_code(auth: Auth, idp: Scripted) -> None:
    """Mallory sends Alice the address of a flow of his own account: Alice's browser has no verifier for it."""
    session = (await auth.post("/signup", {})).json()
    more = f"&code_challenge={CHALLENGE}&code_challenge_method=S256"
    url = (await linking(auth, session["access_token"], more)).json()["url"]
    async with another_browser(auth) as alice:
        address = await opened_link(auth, url, alice)
        landed = await back(auth, alice, code=idp.code_for(address), state=query(address)["state"])
    code = landed.query["code"]
    assert await count(auth, "identities") == 0
    wrong = await auth.post("/token?grant_type=pkce", {"auth_code": code, "code_verifier": "w" * 50})
    assert wrong.json()["error_code"] == "bad_code_verifier"
    assert await count(auth, "identities") == 0
    url = (await linking(auth, session["access_token"], more)).json()["url"]
    address = await opened_link(auth, url)
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"])
    right = await auth.post("/token?grant_type=pkce", {"auth_code": landed.query["code"], "code_verifier": VERIFIER})
    assert [one["provider"] for one in right.json()["user"]["identities"]] == ["acme"]


async def test_the_address_of_a_flow_opens_in_one_browser(auth: Auth) -> None:
    session = (await auth.post("/signup", {})).json()
    url = (await linking(auth, session["access_token"])).json()["url"]
    await opened_link(auth, url)
    async with another_browser(auth) as second:
        answer = await second.get("/authorize?" + url.partition("?")[2])
    assert (answer.status_code, answer.json()["error_code"]) == (400, "bad_oauth_state")


async def test_an_identity_is_linked_to_one_user(auth: Auth, idp: Scripted) -> None:
    await sign_in(auth, idp)
    session = (await auth.post("/signup", {})).json()
    address = await opened_link(auth, (await linking(auth, session["access_token"])).json()["url"])
    landed = await back(auth, code=idp.code_for(address), state=query(address)["state"])
    assert refusal(landed) == "identity_already_exists"
    assert landed.fragment["error_description"] == "Identity is already linked to another user"


async def test_unlinking_leaves_one_way_in_and_tells_the_owner(auth: Auth, idp: Scripted) -> None:
    await auth.sign_up(MAIL)
    await auth.open((await auth.mail(MAIL)).link)
    landed = await sign_in(auth, idp)
    token, user = landed.fragment["access_token"], await user_of(auth, landed)
    ids = {one["provider"]: one["identity_id"] for one in user["identities"]}
    assert (await auth.delete("/user/identities/none", token=token)).status_code == 404
    missing = await auth.delete(f"/user/identities/{user['id']}", token=token)
    assert (missing.status_code, missing.json()["error_code"]) == (422, "identity_not_found")
    gone = await auth.delete(f"/user/identities/{ids['email']}", token=token)
    assert (gone.status_code, gone.json()) == (200, {})
    assert "unlinked" in (await auth.mail(MAIL)).subject
    assert (await auth.sign_in(MAIL)).json()["error_code"] == "invalid_credentials"
    user = await user_of(auth, landed)
    assert (user["email"], user["app_metadata"]) == (MAIL, {"provider": "acme", "providers": ["acme"]})
    last = await auth.delete(f"/user/identities/{ids['acme']}", token=token)
    assert (last.status_code, last.json()["error_code"]) == (422, "single_identity_not_deletable")


async def test_two_unlinkings_at_once_leave_one_way_in(auth: Auth, idp: Scripted) -> None:
    await auth.sign_up(MAIL)
    await auth.open((await auth.mail(MAIL)).link)
    landed = await sign_in(auth, idp)
    ids = [one["identity_id"] for one in (await user_of(auth, landed))["identities"]]
    token = landed.fragment["access_token"]
    answers = await asyncio.gather(*(auth.delete(f"/user/identities/{one}", token=token) for one in ids))
    assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_nobody_unlinks_an_identity_of_somebody_else(auth: Auth, idp: Scripted, other: Scripted) -> None:
    victim = await user_of(auth, await sign_in(auth, idp))
    other.person = {"sub": "mallory", "email": "mallory@example.com", "email_verified": True}
    token = (await sign_in(auth, other, "other")).fragment["access_token"]
    answer = await auth.delete(f"/user/identities/{victim['identities'][0]['identity_id']}", token=token)
    assert answer.json()["error_code"] == "identity_not_found"
    assert await count(auth, "identities") == 2


async def test_linking_by_hand_is_off_unless_switched_on(database_url: str, idp: Scripted) -> None:
    async with opened(database_url, {"acme": settings(idp)}, manual_linking=False) as auth:
        session = (await auth.post("/signup", {})).json()
        token = session["access_token"]
        for answer in (
            await linking(auth, token),
            await auth.delete(f"/user/identities/{session['user']['id']}", token=token),
            await auth.post("/token?grant_type=id_token", {"link_identity": True}, token=token),
        ):
            assert (answer.status_code, answer.json()["error_code"]) == (404, "manual_linking_disabled")


# --- the id_token grant ----------------------------------------------------------------------------------------------


async def grant(auth: Auth, token: str | None, **fields: Any) -> httpx.Response:
    body = {"provider": "acme", "id_token": token, **fields}
    return await auth.post("/token?grant_type=id_token", body)


async def test_an_id_token_opens_a_session(auth: Auth, idp: Scripted) -> None:
    hashed = hashlib.sha256(b"raw").hexdigest()
    answer = await grant(auth, idp.id_token(nonce=hashed), nonce="raw")
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["email"] == MAIL
    assert (await grant(auth, idp.id_token())).status_code == 200


async def test_no_id_token_with_a_lie_in_it_opens_a_session(auth: Auth, idp: Scripted, other: Scripted) -> None:
    tokens = {}
    for what in LIES:
        if "nonce" not in what:
            lies(idp, what)
            tokens[what] = idp.id_token()
            idp.lie, idp.alg, idp.sign_with = {}, "ES256", None
    tokens |= {"of another provider": other.id_token(), "no token": "x.y.z", "binary": "\x00.\u2603."}
    for what, token in tokens.items():
        answer = await grant(auth, token, access_token="provider-access")
        assert answer.status_code == 400, what
        assert answer.json() == {"error": "invalid_request", "error_description": "Bad ID token"}, what
    assert await count(auth, "users") == 0


async def test_the_nonce_of_an_id_token_must_be_the_hash_of_the_apps(auth: Auth, idp: Scripted) -> None:
    hashed = hashlib.sha256(b"raw").hexdigest()
    for token, nonce in ((idp.id_token(nonce=hashed), None), (idp.id_token(), "raw")):
        answer = await grant(auth, token, nonce=nonce)
        assert answer.status_code == 400, (nonce, "opened a session")
        assert answer.json()["error_description"].startswith("Passed nonce and nonce in id_token should either")
    for claimed in (hashlib.sha256(b"other").hexdigest(), "raw"):
        answer = await grant(auth, idp.id_token(nonce=claimed), nonce="raw")
        assert answer.json() == {"error": "invalid_request", "error_description": "Nonces mismatch"}


async def test_the_keys_that_count_are_the_configured_providers(auth: Auth, idp: Scripted, other: Scripted) -> None:
    """A token that names keys of its own is checked with the provider's all the same."""
    other.lie = {"iss": idp.url, "jku": f"{other.url}/jwks"}
    answer = await grant(auth, other.id_token())
    assert (answer.status_code, answer.json().get("error_description")) == (400, "Bad ID token")
    assert not other.asked


async def test_odd_requests_for_a_session_of_an_id_token_are_told(auth: Auth, idp: Scripted) -> None:
    answer = await grant(auth, None)
    assert answer.json() == {"error": "invalid_request", "error_description": "id_token required"}
    answer = await grant(auth, idp.id_token(), provider="google")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "provider_disabled")
    idp.answers["/jwks"] = (500, b"")
    assert (await grant(auth, idp.id_token())).json()["error"] == "server_error"
    answer = await auth.post("/token?grant_type=web3", {"chain": "ethereum"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "web3_provider_disabled")


async def test_an_id_token_links_for_whoever_is_signed_in(auth: Auth, idp: Scripted) -> None:
    session = (await auth.post("/signup", {})).json()
    body = {"provider": "acme", "id_token": idp.id_token(), "link_identity": True}
    assert (await auth.post("/token?grant_type=id_token", body)).status_code == 401
    answer = await auth.post("/token?grant_type=id_token", body, token=session["access_token"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["id"] == session["user"]["id"]
    again = await auth.post("/token?grant_type=id_token", body, token=session["access_token"])
    assert (again.status_code, again.json()["error_code"]) == (422, "identity_already_exists")


async def test_settings_name_the_providers_that_are_on(auth: Auth) -> None:
    external = (await auth.get("/settings")).json()["external"]
    assert (external["acme"], external["google"]) == (True, False)
