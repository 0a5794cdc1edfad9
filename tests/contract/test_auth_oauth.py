"""Sign-in with a certified provider, identities and the id_token grant, through supabase-js and supabase-py."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.contract.auth_flows import claims, fragment, query
from tests.contract.conftest import Js, PyMaker, Server, supabase_js, variant
from tests.idp.certified import CLIENT_ID, CLIENT_SECRET, certified_provider, sign_in_at
from tests.wallets import Ethereum, Solana, stamp

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


WEB3_JS = """
const bytes = (text) => Uint8Array.from(Buffer.from(text, 'base64url'))
const {chain, message, signature} = args.given
return await client.auth.signInWithWeb3({chain, message, signature: chain === 'solana' ? bytes(signature) : signature})
"""
# A wallet that signs what the client wrote: first it tells what that is, then it has the signature.
WALLET_JS = """
const {chain, address, signature, issuedAt} = args
const bytes = (text) => Uint8Array.from(Buffer.from(text, 'base64url'))
let written
const ethereum = {request: async ({method, params}) => {
  if (method === 'eth_requestAccounts') return [address]
  if (method === 'eth_chainId') return '0x1'
  written = Buffer.from(params[0].slice(2), 'hex').toString()
  return signature ?? '0x' + '00'.repeat(65)
}}
const solana = {publicKey: {toBase58: () => address}, signMessage: async (message) => {
  written = Buffer.from(message).toString()
  return signature ? bytes(signature) : new Uint8Array(64)
}}
const options = {
  url: 'http://localhost:3000/in?from=home#top',
  signInWithEthereum: {issuedAt: new Date(issuedAt), resources: ['https://example.com/terms']},
  signInWithSolana: {issuedAt, resources: ['https://example.com/terms']},
}
const wallet = chain === 'solana' ? solana : ethereum
const {data, error} = await client.auth.signInWithWeb3({chain, wallet, statement: 'I accept the terms.', options})
return {written, user: data?.user, error}
"""


def wallet_of(chain: str) -> Ethereum | Solana:
    return (Solana if chain == "solana" else Ethereum)(uuid.uuid4().int)


@pytest.mark.parametrize("chain", ["ethereum", "solana"])
async def test_js_signs_in_with_a_wallet_once_a_message(js: Js, chain: str) -> None:
    wallet = wallet_of(chain)
    text = wallet.message()
    given = {"chain": chain, "message": text, "signature": wallet.sign(text)}
    answer = await js(WEB3_JS, given=given)
    assert answer["error"] is None
    user, session = answer["data"]["user"], answer["data"]["session"]
    assert user["app_metadata"] == {"provider": "web3", "providers": ["web3"]}
    assert user["identities"][0]["id"] == f"web3:{chain}:{wallet.address}"
    assert user["user_metadata"]["custom_claims"]["address"] == wallet.address
    assert claims(session["access_token"])["amr"][0]["method"] == "web3"
    refused = await js(WEB3_JS, given=given)
    assert (refused["error"]["status"], refused["error"]["message"]) == (400, "Message was used before, sign a new one")


@pytest.mark.parametrize("chain", ["ethereum", "solana"])
async def test_js_writes_a_message_that_signs_in(js: Js, chain: str) -> None:
    wallet = wallet_of(chain)
    asked = {"chain": chain, "address": wallet.address, "issuedAt": stamp(datetime.now(UTC))}
    first = await js(WALLET_JS, **asked)
    assert (first["error"]["status"], first["error"]["message"]) == (400, "Signature does not match address in message")
    second = await js(WALLET_JS, **asked, signature=wallet.sign(first["written"]))
    assert second["error"] is None
    assert second["user"]["user_metadata"]["custom_claims"]["statement"] == "I accept the terms."


async def test_js_is_told_of_a_wallet_that_cannot_be_used(js: Js) -> None:
    wallet = wallet_of("ethereum")
    for fields, reason in (
        ({"domain": "evil.example"}, "message has a domain that does not match its URI"),
        ({"URI": "https://evil.example/"}, "message is for a URI that is not allowed on this server"),
        ({"Issued At": "2024-01-01T00:00:00Z"}, "message was issued too long ago"),
    ):
        text = wallet.message(**fields)
        refused = await js(WEB3_JS, given={"chain": "ethereum", "message": text, "signature": wallet.sign(text)})
        assert (refused["error"]["status"], refused["error"]["message"]) == (400, reason)


async def test_js_is_told_that_web3_is_off(strict_js: Js) -> None:
    snippet = "return await client.auth.signInWithWeb3({chain: 'ethereum', message: 'm', signature: '0x00'})"
    refused = await strict_js(snippet)
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


def web3(server: Server, **body: str) -> httpx.Response:
    return httpx.post(f"{server.url}/auth/v1/token?grant_type=web3", json=body, headers=server.headers())


@pytest.mark.parametrize("chain", ["ethereum", "solana"])
def test_a_wallet_signs_in_once_a_message(server: Server, chain: str) -> None:
    wallet = wallet_of(chain)
    text = wallet.message()
    body = {"chain": chain, "message": text, "signature": wallet.sign(text)}
    answer = web3(server, **body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["identities"][0]["id"] == f"web3:{chain}:{wallet.address}"
    again = web3(server, **body)
    wanted = {"error": "invalid_grant", "error_description": "Message was used before, sign a new one"}
    assert (again.status_code, again.json()) == (400, wanted)


def test_a_message_of_a_wallet_for_another_app_or_time_is_refused(server: Server) -> None:
    wallet = wallet_of("solana")
    for fields in ({"domain": "evil.example"}, {"Issued At": "2024-01-01T00:00:00Z"}):
        text = wallet.message(**fields)
        answer = web3(server, chain="solana", message=text, signature=wallet.sign(text))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_wallet_of_another_chain_is_unsupported(server: Server) -> None:
    answer = web3(server, chain="bitcoin", message="m", signature="s")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "web3_unsupported_chain")


def test_web3_is_off(strict_server: Server) -> None:
    answer = web3(strict_server, chain="solana", message="m", signature="s")
    assert (answer.status_code, answer.json()["error_code"]) == (422, "web3_provider_disabled")
