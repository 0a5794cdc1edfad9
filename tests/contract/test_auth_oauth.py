"""Sign-in with a certified provider, identities and the id_token grant, through supabase-js and supabase-py."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.contract.auth_flows import claims, fragment, query
from tests.contract.conftest import Js, PyMaker, Server, supabase_js, variant
from tests.idp.certified import CLIENT_ID, CLIENT_SECRET, certified_provider, sign_in_at

SITE = "http://localhost:3000/in"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with certified_provider() as url:
        yield url


@pytest.fixture(scope="module")
def server(cluster: EmbeddedPostgres, issuer: str) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OIDC_ISSUER", issuer)
        patch.setenv("OIDC_SECRET", CLIENT_SECRET)
        with variant(cluster, "oauth") as started:
            yield started


@pytest.fixture(scope="module")
def js(server: Server) -> Iterator[Js]:
    with supabase_js(server) as driver:
        yield driver


def login() -> str:
    return f"u{uuid.uuid4().hex[:10]}"


async def walk(url: str, name: str) -> str:
    """A browser that opens an address of ours, signs in at the provider and comes back: where the app gets it."""
    async with httpx.AsyncClient() as browser:
        begun = await browser.get(url)
        assert begun.status_code == 302, begun.text
        back = await sign_in_at(browser, begun.headers["location"], name)
        landed = await browser.get(back)
    assert landed.status_code == 302, landed.text
    return str(landed.headers["location"])


async def id_token(issuer: str, name: str, nonce: str | None = None) -> dict[str, Any]:
    """What an app on a phone gets from the provider itself."""
    verifier, back = "v" * 50, "http://127.0.0.1:1/auth/v1/callback"
    wanted = {
        "client_id": CLIENT_ID,
        "redirect_uri": back,
        "response_type": "code",
        "scope": "openid email profile",
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if nonce is not None:
        wanted["nonce"] = hashlib.sha256(nonce.encode()).hexdigest()
    async with httpx.AsyncClient() as browser:
        url = await sign_in_at(browser, str(httpx.URL(f"{issuer}/auth", params=wanted)), name)
        body = {
            "grant_type": "authorization_code", "code": query(url)["code"], "redirect_uri": back, "code_verifier": verifier,
        }  # fmt: skip
        answer = await browser.post(f"{issuer}/token", data=body, auth=(CLIENT_ID, CLIENT_SECRET.replace(" ", "+")))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


# --- supabase-js -----------------------------------------------------------------------------------------------------


BEGIN_JS = """
kept.oauth = createClient(anonKey, {auth: {flowType: args.flow, storage: kept.store = memory(), persistSession: true}});
const {data, error} = await kept.oauth.auth.signInWithOAuth(
  {provider: 'keycloak', options: {redirectTo: args.to, scopes: 'offline_access', skipBrowserRedirect: true,
   queryParams: {login_hint: 'x'}}});
return {url: data.url, error};
"""


async def test_js_signs_in_and_gets_the_session_in_the_fragment(js: Js) -> None:
    name = login()
    landed = await walk((await js(BEGIN_JS, flow="implicit", to=SITE))["url"], name)
    assert landed.startswith(SITE + "#")
    found = fragment(landed)
    assert found["token_type"] == "bearer"
    assert found["provider_token"]
    snippet = (
        "await client.auth.setSession({access_token: args.access, refresh_token: args.refresh});"
        "return (await client.auth.getUser()).data.user"
    )
    user = await js(snippet, access=found["access_token"], refresh=found["refresh_token"])
    assert user["email"] == f"{name}@idp.example"
    assert user["app_metadata"] == {"provider": "keycloak", "providers": ["keycloak"]}
    assert [(one["provider"], one["id"]) for one in user["identities"]] == [("keycloak", name)]
    assert user["user_metadata"]["full_name"] == f"Name of {name}"
    assert claims(found["access_token"])["amr"][0]["method"] == "oauth"


async def test_js_exchanges_the_code_once_for_session_and_provider_token(js: Js) -> None:
    name = login()
    landed = await walk((await js(BEGIN_JS, flow="pkce", to=f"{SITE}?sb_flow_id=1"))["url"], name)
    assert query(landed)["sb_flow_id"] == "1"
    exchange = "return await kept.oauth.auth.exchangeCodeForSession(args.code)"
    answer = await js(exchange, code=query(landed)["code"])
    assert answer["error"] is None
    session = answer["data"]["session"]
    assert session["user"]["email"] == f"{name}@idp.example"
    assert session["provider_token"]


async def test_js_is_told_what_the_provider_refused(js: Js, server: Server) -> None:
    url = (await js(BEGIN_JS, flow="pkce", to=SITE))["url"]
    await told_what_the_provider_refused(url, server)


async def told_what_the_provider_refused(url: str, server: Server) -> None:
    async with httpx.AsyncClient() as browser:
        begun = await browser.get(url)
        provider = urlsplit(begun.headers["location"])
        state, issuer = query(begun.headers["location"])["state"], f"http://{provider.netloc}"
        answer = await browser.get(
            f"{server.url}/auth/v1/callback", params={"state": state, "error": "access_denied", "iss": issuer}
        )
        again = await browser.get(f"{server.url}/auth/v1/callback", params={"state": state, "code": "x"})
    assert answer.status_code == 302
    landed = answer.headers["location"]
    assert query(landed)["error"] == fragment(landed)["error"] == "access_denied"
    assert fragment(landed)["error_description"]
    assert query(again.headers["location"])["error_code"] == "bad_oauth_state"


def test_a_provider_that_is_not_enabled_is_unsupported(server: Server) -> None:
    for version in ({}, {"x-supabase-api-version": "2024-01-01"}):
        answer = httpx.get(f"{server.url}/auth/v1/authorize?provider=google", headers=version)
        said = answer.json()
        assert answer.status_code == 400
        assert said.get("error_code", said["code"]) == "validation_failed"
        assert said.get("msg", said.get("message")) == "Unsupported provider: provider is not enabled"


def test_settings_tell_which_providers_are_on(server: Server) -> None:
    external = httpx.get(f"{server.url}/auth/v1/settings", headers=server.headers()).json()["external"]
    assert (external["keycloak"], external["github"], external["google"]) == (True, True, False)


LINK_JS = """
kept.link = createClient(anonKey, {auth: {flowType: args.flow ?? 'implicit', storage: memory(), persistSession: true}});
await kept.link.auth.signInAnonymously();
const {data, error} = await kept.link.auth.linkIdentity(
  {provider: 'keycloak', options: {redirectTo: args.to, skipBrowserRedirect: true}});
return {url: data?.url, error, id: (await kept.link.auth.getUser()).data.user.id};
"""


async def test_js_links_an_identity_to_an_anonymous_user(js: Js) -> None:
    begun = await js(LINK_JS, to=SITE, flow="pkce")
    assert begun["error"] is None
    landed = await walk(begun["url"], login())
    answer = await js("return await kept.link.auth.exchangeCodeForSession(args.code)", code=query(landed)["code"])
    user = answer["data"]["session"]["user"]
    assert (user["id"], user["is_anonymous"]) == (begun["id"], False)
    assert [one["provider"] for one in user["identities"]] == ["keycloak"]


async def test_js_is_told_that_an_identity_is_linked_already(js: Js) -> None:
    name = login()
    await walk((await js(BEGIN_JS, flow="implicit", to=SITE))["url"], name)
    landed = await walk((await js(LINK_JS, to=SITE))["url"], name)
    assert query(landed)["error_code"] == fragment(landed)["error_code"] == "identity_already_exists"


UNLINK_JS = """
const person = createClient(anonKey);
await person.auth.signUp({email: args.email, password: 'correct horse battery'});
const linked = await person.auth.linkIdentity({provider: 'keycloak', token: args.token});
const {identities} = (await person.auth.getUserIdentities()).data;
const of = provider => identities.find(one => one.provider === provider);
const gone = await person.auth.unlinkIdentity(of('keycloak'));
const again = await person.auth.unlinkIdentity({...of('email'), identity_id: of('keycloak').identity_id});
const last = await person.auth.unlinkIdentity(of('email'));
const left = (await person.auth.getUserIdentities()).data.identities.map(one => one.provider);
return {linked: linked.error, providers: identities.map(one => one.provider), gone: gone.error, again: again.error,
  last: last.error, left};
"""


async def test_js_links_by_token_and_unlinks(js: Js, issuer: str) -> None:
    token = (await id_token(issuer, login()))["id_token"]
    found = await js(UNLINK_JS, email=f"{login()}@example.com", token=token)
    assert found["linked"] is None
    assert found["providers"] == ["email", "keycloak"]
    assert found["gone"] is None
    assert found["again"]["code"] == "identity_not_found"
    assert (found["last"]["status"], found["last"]["code"]) == (422, "single_identity_not_deletable")
    assert found["left"] == ["email"]


ID_TOKEN_JS = "return await client.auth.signInWithIdToken(args.given)"


async def test_js_signs_in_with_an_id_token(js: Js, issuer: str) -> None:
    name = login()
    given = await id_token(issuer, name, "raw nonce")
    wanted = {"provider": "keycloak", "token": given["id_token"], "access_token": given["access_token"]}
    answer = await js(ID_TOKEN_JS, given={**wanted, "nonce": "raw nonce"})
    assert answer["error"] is None
    assert answer["data"]["session"]["user"]["email"] == f"{name}@idp.example"
    for nonce, text in (("another", "Nonces mismatch"), (None, "Passed nonce and nonce in id_token should either")):
        refused = await js(ID_TOKEN_JS, given={**wanted, **({"nonce": nonce} if nonce else {})})
        assert refused["error"]["status"] == 400
        assert refused["error"]["message"].startswith(text)


async def test_js_is_told_of_an_id_token_that_cannot_be_used(js: Js, issuer: str) -> None:
    refused = await js(ID_TOKEN_JS, given={"provider": "keycloak", "token": "x.y.z"})
    assert (refused["error"]["status"], refused["error"]["message"]) == (400, "Bad ID token")
    refused = await js(ID_TOKEN_JS, given={"provider": "google", "token": "x.y.z"})
    assert (refused["error"]["status"], refused["error"]["code"]) == (400, "provider_disabled")


async def test_js_is_told_that_web3_is_off(js: Js) -> None:
    snippet = "return await client.auth.signInWithWeb3({chain: 'ethereum', message: 'm', signature: '0x00'})"
    refused = await js(snippet)
    assert (refused["error"]["status"], refused["error"]["code"]) == (422, "web3_provider_disabled")


async def test_js_is_told_that_linking_is_off(strict_server: Server, strict_js: Js, member: Any) -> None:
    person = member(strict_server)
    snippet = (
        "await client.auth.signInWithPassword({email: args.email, password: args.password});"
        "const {identities} = (await client.auth.getUserIdentities()).data;"
        "return [await client.auth.linkIdentity({provider: 'github', options: {skipBrowserRedirect: true}}),"
        " await client.auth.unlinkIdentity(identities[0])]"
    )
    for refused in await strict_js(snippet, email=person.email, password=person.password):
        assert (refused["error"]["status"], refused["error"]["code"]) == (404, "manual_linking_disabled")


# --- supabase-py -----------------------------------------------------------------------------------------------------


async def test_py_signs_in_and_gets_the_session_in_the_fragment(server: Server, supabase_py: PyMaker) -> None:
    name, client = login(), supabase_py(server)
    begun = await client.auth.sign_in_with_oauth({"provider": "keycloak", "options": {"redirect_to": SITE}})
    found = fragment(await walk(begun.url, name))
    await client.auth.set_session(found["access_token"], found["refresh_token"])
    user = (await client.auth.get_user()).user
    assert user.email == f"{name}@idp.example"
    assert [one.provider for one in user.identities] == ["keycloak"]


async def test_py_exchanges_the_code_once_for_session_and_provider_token(server: Server, supabase_py: PyMaker) -> None:
    name, client = login(), supabase_py(server, flow_type="pkce")
    begun = await client.auth.sign_in_with_oauth({"provider": "keycloak", "options": {"redirect_to": SITE}})
    landed = await walk(begun.url, name)
    answer = await client.auth.exchange_code_for_session({"auth_code": query(landed)["code"]})
    assert answer.session.provider_token
    assert answer.user.email == f"{name}@idp.example"


async def test_py_is_told_what_the_provider_refused(server: Server, supabase_py: PyMaker) -> None:
    client = supabase_py(server, flow_type="pkce")
    begun = await client.auth.sign_in_with_oauth({"provider": "keycloak", "options": {"redirect_to": SITE}})
    await told_what_the_provider_refused(begun.url, server)


async def test_py_links_an_identity_to_an_anonymous_user(server: Server, supabase_py: PyMaker) -> None:
    client = supabase_py(server)
    anonymous = await client.auth.sign_in_anonymously()
    begun = await client.auth.link_identity({"provider": "keycloak", "options": {"redirect_to": SITE}})
    found = fragment(await walk(begun.url, login()))
    await client.auth.set_session(found["access_token"], found["refresh_token"])
    user = (await client.auth.get_user()).user
    assert (user.id, user.is_anonymous) == (anonymous.user.id, False)


async def test_py_is_told_that_an_identity_is_linked_already(server: Server, supabase_py: PyMaker) -> None:
    name, client = login(), supabase_py(server)
    begun = await client.auth.sign_in_with_oauth({"provider": "keycloak", "options": {"redirect_to": SITE}})
    await walk(begun.url, name)
    await client.auth.sign_in_anonymously()
    begun = await client.auth.link_identity({"provider": "keycloak", "options": {"redirect_to": SITE}})
    landed = await walk(begun.url, name)
    assert query(landed)["error_code"] == fragment(landed)["error_code"] == "identity_already_exists"


async def test_py_unlinks(server: Server, supabase_py: PyMaker, issuer: str) -> None:
    client = supabase_py(server)
    session = (
        await client.auth.sign_up({"email": f"{login()}@example.com", "password": "correct horse battery"})
    ).session
    body = {"provider": "keycloak", "id_token": (await id_token(issuer, login()))["id_token"], "link_identity": True}
    linked = httpx.post(
        f"{server.url}/auth/v1/token?grant_type=id_token", json=body, headers=server.headers(session.access_token)
    )
    assert linked.status_code == 200, linked.text
    identities = {one.provider: one for one in (await client.auth.get_user_identities()).identities}
    assert list(identities) == ["email", "keycloak"]
    await client.auth.unlink_identity(identities["keycloak"])
    with pytest.raises(Exception, match="User must have at least 1 identity after unlinking"):
        await client.auth.unlink_identity(identities["email"])
    assert (client.answers[-1].status_code, client.answers[-1].headers["x-sb-error-code"]) == (
        422,
        "single_identity_not_deletable",
    )


async def test_py_signs_in_with_an_id_token(server: Server, supabase_py: PyMaker, issuer: str) -> None:
    name, client = login(), supabase_py(server)
    given = await id_token(issuer, name, "raw nonce")
    wanted = {"provider": "keycloak", "token": given["id_token"], "access_token": given["access_token"]}
    answer = await client.auth.sign_in_with_id_token({**wanted, "nonce": "raw nonce"})
    assert answer.user.email == f"{name}@idp.example"
    with pytest.raises(Exception, match="Nonces mismatch"):
        await client.auth.sign_in_with_id_token({**wanted, "nonce": "another"})


async def test_py_is_told_of_an_id_token_that_cannot_be_used(server: Server, supabase_py: PyMaker) -> None:
    client = supabase_py(server)
    with pytest.raises(Exception, match="Bad ID token"):
        await client.auth.sign_in_with_id_token({"provider": "keycloak", "token": "x.y.z"})
    assert client.answers[-1].json() == {"error": "invalid_request", "error_description": "Bad ID token"}
    with pytest.raises(Exception, match="Provider is not enabled"):
        await client.auth.sign_in_with_id_token({"provider": "google", "token": "x.y.z"})


async def test_py_is_told_that_linking_is_off(strict_server: Server, supabase_py: PyMaker, member: Any) -> None:
    person, client = member(strict_server), supabase_py(strict_server)
    await client.auth.sign_in_with_password({"email": person.email, "password": person.password})
    identities = (await client.auth.get_user_identities()).identities
    with pytest.raises(Exception, match="Manual linking is disabled"):
        await client.auth.link_identity({"provider": "github"})
    with pytest.raises(Exception, match="Manual linking is disabled"):
        await client.auth.unlink_identity(identities[0])
    assert client.answers[-1].status_code == 404


def test_web3_is_off(server: Server) -> None:
    body = {"chain": "solana", "message": "m", "signature": "s"}
    answer = httpx.post(f"{server.url}/auth/v1/token?grant_type=web3", json=body, headers=server.headers())
    assert (answer.status_code, answer.json()["error_code"]) == (422, "web3_provider_disabled")
