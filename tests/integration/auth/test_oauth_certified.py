"""Sign-in with a provider that others wrote and certified, from its pages to a session."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from mbaas.config.settings import ProviderSettings
from tests.auth import SITE, Auth, Landed, make_config, open_auth
from tests.idp.certified import CLIENT_ID, CLIENT_SECRET, certified_provider, sign_in_at

VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with certified_provider() as url:
        yield url


@pytest.fixture
async def auth(database_url: str, issuer: str) -> AsyncIterator[Auth]:
    provider = ProviderSettings(issuer=issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, allow_private=True)
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), manual_linking=True, providers={"acme": provider})
        async with open_auth(database_url, config) as opened:
            yield opened


async def land(auth: Auth, login: str, query: str = "") -> Landed:
    """All the way: to the provider, through its pages, back, and on to the app."""
    begun = await auth.client.get(f"/authorize?provider=acme&redirect_to={SITE}/in{query}")
    assert begun.status_code == 302, begun.text
    async with httpx.AsyncClient() as browser:
        url = await sign_in_at(browser, begun.headers["location"], login)
    answer = await auth.client.get(f"/callback?{url.partition('?')[2]}")
    assert answer.status_code == 302, answer.text
    return Landed(answer.headers["location"])


async def test_somebody_new_comes_back_with_a_session_and_the_providers_token(auth: Auth) -> None:
    landed = await land(auth, "alice")
    assert landed.base == f"{SITE}/in"
    assert landed.fragment["provider_token"]
    user = (await auth.get("/user", token=landed.fragment["access_token"])).json()
    assert user["email"] == "alice@idp.example"
    assert user["app_metadata"] == {"provider": "acme", "providers": ["acme"]}
    assert [one["provider"] for one in user["identities"]] == ["acme"]
    assert user["user_metadata"]["full_name"] == "Name of alice"


async def test_with_a_challenge_the_app_gets_a_code_that_only_it_can_redeem(auth: Auth) -> None:
    landed = await land(auth, "bob", f"&code_challenge={CHALLENGE}&code_challenge_method=s256")
    assert landed.fragment == {}
    body = {"auth_code": landed.query["code"], "code_verifier": VERIFIER}
    answer = await auth.post("/token?grant_type=pkce", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["email"] == "bob@idp.example"
    assert answer.json()["provider_token"]
    assert (await auth.post("/token?grant_type=pkce", body)).status_code == 404


async def test_whoever_comes_again_is_the_same_user(auth: Auth) -> None:
    first, second = await land(auth, "carol"), await land(auth, "carol")
    users = [(await auth.get("/user", token=one.fragment["access_token"])).json()["id"] for one in (first, second)]
    assert users[0] == users[1]


async def test_an_address_that_the_provider_has_not_verified_is_proven_by_mail_first(auth: Auth) -> None:
    landed = await land(auth, "unverified-dan")
    assert landed.query["error_code"] == landed.fragment["error_code"] == "provider_email_needs_verification"
    confirmed = await auth.open((await auth.mail("unverified-dan@idp.example")).link)
    assert confirmed.fragment["access_token"]
    again = await land(auth, "unverified-dan")
    assert again.fragment["access_token"]
