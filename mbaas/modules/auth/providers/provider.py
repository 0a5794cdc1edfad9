"""One configured provider: where to send a browser, what a code is worth, whom a token is of."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from mbaas.adapters.egress import check_url, fetch
from mbaas.config.settings import ProviderSettings
from mbaas.core.errors import ConfigError, MbaasError
from mbaas.core.later import later
from mbaas.modules.auth.providers.apple_secret import apple_secret
from mbaas.modules.auth.providers.id_token import Expected, IdTokenRefused, check_id_token, key_id
from mbaas.modules.auth.providers.presets import GENERIC, PRESETS
from mbaas.modules.auth.providers.profile import Profile

if TYPE_CHECKING:
    import httpx
    from authlib.oauth2 import auth, rfc6749, rfc7636
else:
    httpx = later("httpx")
    auth = later("authlib.oauth2.auth")
    rfc6749 = later("authlib.oauth2.rfc6749.parameters")
    rfc7636 = later("authlib.oauth2.rfc7636")

METADATA_S = 3600.0
KEYS_S = 600.0
KEYS_PAUSE_S = 10.0
FAILED_S = 5.0
"""How long what a provider says of itself is believed; the pause between two looks for a key that was not there; and
after it did not answer."""

MAX_BYTES = 262_144
_JSON = {"accept": "application/json", "user-agent": "mbaas"}
_FORM = "application/x-www-form-urlencoded"


class ProviderFailed(Exception):
    """A provider did not answer as it should. Its words are for the log."""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's metadata say (OpenID Connect Discovery section 3, RFC 8414), or the settings.

    sends_issuer: it says in its answers which one it is (RFC 9207).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None = None
    jwks_uri: str | None = None
    code_challenge_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    sends_issuer: bool = msgspec.field(name="authorization_response_iss_parameter_supported", default=False)


class Tokens(msgspec.Struct, frozen=True):
    """What a code was worth. The provider's, for its own API."""

    access_token: str
    refresh_token: str | None = None
    id_token: str | None = None


_OURS = frozenset({"email", "phone", "web3"})


class Provider:
    """Of one ``[auth.providers.<name>]``."""

    def __init__(self, name: str, settings: ProviderSettings, *, callback: str) -> None:
        """callback: our address that the provider answers to. Raises ConfigError for settings that cannot work."""
        self.name = name
        self.settings = settings
        self.preset = PRESETS.get(name, GENERIC)
        self.issuer = settings.issuer or self.preset.issuer
        self._callback = callback
        self._metadata: tuple[float, Endpoints] | None = None
        self._failed = (0.0, "")
        self._keys: tuple[float, KeySet] | None = None
        self._lock = asyncio.Lock()
        self._check()

    @property
    def audiences(self) -> tuple[str, ...]:
        return (self.settings.client_id, *self.settings.client_ids)

    @property
    def has_id_tokens(self) -> bool:
        return self.preset.discovery and self.settings.userinfo_url is None

    async def address(
        self, state: str, *, verifier: str, nonce: str, scopes: tuple[str, ...], asked: Mapping[str, str]
    ) -> str:
        """Where to send the browser. asked: further parameters of the request. Raises ProviderFailed."""
        endpoints = await self.endpoints()
        preset, settings = self.preset, self.settings
        parameters = {**preset.parameters, **asked, **settings.parameters}
        if preset.form_post:
            parameters["response_mode"] = "form_post"
        if self.has_id_tokens and preset.nonce:
            parameters["nonce"] = nonce
        if self._has_pkce(endpoints):
            parameters |= {
                "code_challenge": rfc7636.create_s256_code_challenge(verifier),
                "code_challenge_method": "S256",
            }
        return str(
            rfc6749.prepare_grant_uri(
                endpoints.authorization_endpoint,
                settings.client_id,
                "code",
                redirect_uri=self._callback,
                scope=tuple(dict.fromkeys((*preset.scopes, *settings.scopes, *scopes))),
                state=state,
                **parameters,
            )
        )

    async def exchange(self, code: str, *, verifier: str, nonce: str, now: datetime) -> tuple[Profile, Tokens]:
        """Of whom a code is. Raises ProviderFailed, IdTokenRefused."""
        endpoints = await self.endpoints()
        given = {"code": code, "redirect_uri": self._callback}
        if self._has_pkce(endpoints):
            given["code_verifier"] = verifier
        client = auth.ClientAuth(self.settings.client_id, self._secret(now), self._auth_method(endpoints))
        body = rfc6749.prepare_token_request("authorization_code", **given)
        headers = {**_JSON, "content-type": _FORM}
        url, headers, body = client.prepare("POST", endpoints.token_endpoint, headers, body)
        answer = await self._json("POST", url, headers=headers, content=body.encode())
        tokens = _tokens(answer)
        if not self.has_id_tokens:
            return self._profile(endpoints.issuer, await self._userinfo(endpoints, tokens.access_token)), tokens
        if tokens.id_token is None:
            raise ProviderFailed("there is no ID token")
        nonces = (nonce,) if self.preset.nonce else None
        claims = await self.claims(tokens.id_token, nonces=nonces, now=now, access_token=tokens.access_token)
        return await self.profile(claims, tokens.access_token), tokens

    async def claims(
        self, id_token: str, *, nonces: Collection[str] | None, now: datetime, access_token: str | None = None
    ) -> dict[str, Any]:
        """What an ID token says, once it is believed. Raises IdTokenRefused, ProviderFailed."""
        endpoints = await self.endpoints()
        expected = Expected(
            issuers=(endpoints.issuer, *self.preset.aliases),
            audiences=self.audiences,
            nonces=nonces,
            now=int(now.timestamp()),
        )
        keys = await self._key_set(endpoints, key_id(id_token))
        return check_id_token(id_token, keys, expected, access_token=access_token)

    async def profile(self, claims: Mapping[str, Any], access_token: str | None) -> Profile:
        """Of an ID token's claims; what they leave out the provider tells for the access token.

        Raises ProviderFailed.
        """
        endpoints = await self.endpoints()
        if "email" not in claims and access_token and endpoints.userinfo_endpoint:
            more = await self._userinfo(endpoints, access_token)
            if more.get("sub") != claims["sub"]:  # Core section 5.3.2
                raise ProviderFailed("userinfo is of somebody else")
            claims = {**more, **claims}
        return self._profile(str(claims["iss"]), claims)

    async def endpoints(self) -> Endpoints:
        """Raises ProviderFailed."""
        fixed = self._fixed()
        if fixed is not None:
            return fixed
        async with self._lock:
            now = time.monotonic()
            if self._metadata is not None and now < self._metadata[0]:
                return self._metadata[1]
            if now < self._failed[0]:  # those who come meanwhile do not wait in a row for the same failure
                raise ProviderFailed(self._failed[1])
            try:
                self._metadata = (now + METADATA_S, await self._discover())
            except ProviderFailed as error:
                self._failed = (time.monotonic() + FAILED_S, str(error))
                raise
            return self._metadata[1]

    def _profile(self, issuer: str, claims: Mapping[str, Any]) -> Profile:
        if issuer in self.preset.aliases and self.issuer:
            issuer = self.issuer
        try:
            return self.preset.read(issuer, claims)
        except ValueError as error:
            raise ProviderFailed(str(error)) from error

    def _fixed(self) -> Endpoints | None:
        """What needs no discovery."""
        settings, preset = self.settings, self.preset
        authorize, token = settings.authorize_url or preset.authorize_url, settings.token_url or preset.token_url
        userinfo = settings.userinfo_url or preset.userinfo_url
        if not authorize or not token or not userinfo:
            return None
        return Endpoints(
            issuer=self.issuer or f"https://{urlsplit(authorize).netloc}",
            authorization_endpoint=authorize,
            token_endpoint=token,
            userinfo_endpoint=userinfo,
        )

    async def _discover(self) -> Endpoints:
        issuer = str(self.issuer)
        answer = await self._json("GET", issuer.rstrip("/") + "/.well-known/openid-configuration", headers=_JSON)
        try:
            found = msgspec.convert(answer, Endpoints)
            for url in (found.authorization_endpoint, found.token_endpoint, found.userinfo_endpoint, found.jwks_uri):
                if url is not None:
                    check_url(url, allow_private=self.settings.allow_private)
        except (msgspec.ValidationError, ConfigError) as error:
            raise ProviderFailed(f"its metadata: {error}") from error
        tenants = found.issuer.endswith("/{tenantid}/v2.0") and issuer == self.preset.issuer
        if found.issuer.rstrip("/") != issuer.rstrip("/") and not tenants:  # Discovery section 4.3
            raise ProviderFailed("its metadata are of another issuer")
        settings = self.settings
        return msgspec.structs.replace(
            found,
            authorization_endpoint=settings.authorize_url or found.authorization_endpoint,
            token_endpoint=settings.token_url or found.token_endpoint,
        )

    async def _key_set(self, endpoints: Endpoints, kid: str | None) -> KeySet:
        """The provider's keys; anew when they are old, or lack the one that is wanted."""
        url = self.settings.jwks_url or self.preset.jwks_url or endpoints.jwks_uri
        if url is None:
            raise ProviderFailed("it publishes no keys")
        async with self._lock:
            now = time.monotonic()
            if self._keys is not None:
                age = now - self._keys[0]
                known = kid is None or any(key.kid == kid for key in self._keys[1].keys)
                if age < (KEYS_S if known else KEYS_PAUSE_S):
                    return self._keys[1]
            answer = await self._json("GET", url, headers=_JSON)
            try:
                found = KeySet.import_key_set({"keys": _signing(answer.get("keys"))})
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise ProviderFailed(f"its keys: {error}") from error
            self._keys = (now, found)
            return found

    async def _userinfo(self, endpoints: Endpoints, access_token: str) -> dict[str, Any]:
        headers = {**_JSON, "authorization": f"Bearer {access_token}"}
        if self.preset.headers_client_id:
            headers["client-id"] = self.settings.client_id
        found = await self._json("GET", str(endpoints.userinfo_endpoint), headers=headers)
        if self.preset.emails_url is not None:
            emails = self.settings.userinfo_url and self.settings.userinfo_url.rstrip("/") + "/emails"
            found["emails"] = await self._list(emails or self.preset.emails_url, headers=headers)
        return found

    async def _json(self, method: str, url: str, *, headers: dict[str, str], content: bytes = b"") -> dict[str, Any]:
        found = await self._decoded(method, url, headers, content)
        if not isinstance(found, dict):
            raise ProviderFailed(f"{_where(url)} answered no object")
        return found

    async def _list(self, url: str, *, headers: dict[str, str]) -> list[Any]:
        found = await self._decoded("GET", url, headers, b"")
        return found if isinstance(found, list) else []

    async def _decoded(self, method: str, url: str, headers: dict[str, str], content: bytes) -> Any:
        private, timeout = self.settings.allow_private, self.settings.timeout_s
        try:
            check_url(url, allow_private=private)
            async with (
                asyncio.timeout(timeout),
                # No proxy of the environment: it would resolve names by itself.
                httpx.AsyncClient(timeout=timeout, trust_env=False, verify=_tls()) as client,
            ):
                answer = await fetch(
                    client, method, url, allow_private=private, headers=headers, content=content, max_bytes=MAX_BYTES
                )
        except (MbaasError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ProviderFailed(f"{_where(url)}: {type(error).__name__}: {error}") from error
        if not 200 <= answer.status < 300:
            raise ProviderFailed(f"{_where(url)} answered {answer.status}")
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.MsgspecError, RecursionError):
            raise ProviderFailed(f"{_where(url)} answered no JSON") from None

    def _has_pkce(self, endpoints: Endpoints) -> bool:
        wanted = self.settings.pkce if self.settings.pkce is not None else self.preset.pkce
        return "S256" in endpoints.code_challenge_methods_supported if wanted is None else wanted

    def _auth_method(self, endpoints: Endpoints) -> str:
        if not self.settings.client_secret and self.name != "apple":
            return "none"
        if self.preset.auth_method is not None:
            return self.preset.auth_method
        offered = endpoints.token_endpoint_auth_methods_supported
        return "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"

    def _secret(self, now: datetime) -> str | None:
        settings = self.settings
        if not (settings.private_key and settings.team_id and settings.key_id):
            return settings.client_secret
        return apple_secret(
            settings.private_key,
            team_id=settings.team_id,
            key_id=settings.key_id,
            client_id=settings.client_id,
            now=int(now.timestamp()),
        )

    def _check(self) -> None:
        settings, where = self.settings, f"auth.providers.{self.name}"
        if self.name in _OURS:  # its subjects would be taken for ours
            raise ConfigError(f"{where} has the name of a way in of our own", hint="call it anything else")
        if not settings.client_id:
            raise ConfigError(f"{where} has no client_id", hint="the provider gives it when you register the app there")
        if self.preset.discovery and not self.issuer and self._fixed() is None:
            hint = 'issuer = "https://login.example.com", or authorize_url, token_url and userinfo_url'
            raise ConfigError(f"{where} has no issuer, and no provider of that name is known", hint=hint)
        given = (self.issuer, settings.authorize_url, settings.token_url, settings.userinfo_url, settings.jwks_url)
        for url in given:
            if url is not None:
                check_url(url, allow_private=settings.allow_private)
        if self.name == "apple" and settings.private_key:
            try:
                apple_secret(settings.private_key, team_id="", key_id="", client_id="", now=0)
            except (ValueError, JoseError):
                raise ConfigError(
                    f"{where}.private_key is no key of Apple's", hint="the text of the .p8 file"
                ) from None
            if not settings.team_id or not settings.key_id:
                raise ConfigError(
                    f"{where} needs team_id and key_id beside private_key", hint="from your Apple account"
                )


def build_providers(settings: Mapping[str, ProviderSettings], *, callback: str) -> dict[str, Provider]:
    """Those that are switched on, by name. Raises ConfigError."""
    return {name: Provider(name, given, callback=callback) for name, given in settings.items() if given.enabled}


@functools.cache
def _tls() -> ssl.SSLContext:
    """Reading the authorities takes some 20 ms."""
    return ssl.create_default_context()


def _tokens(answer: Mapping[str, Any]) -> Tokens:
    """Raises ProviderFailed; some refuse with a 200."""
    access, refresh, id_token = (answer.get(name) for name in ("access_token", "refresh_token", "id_token"))
    if not isinstance(access, str) or not access:
        error = answer.get("error")
        raise ProviderFailed(f"no access token: {str(error)[:80]!r}")
    return Tokens(
        access,
        refresh if isinstance(refresh, str) else None,
        id_token if isinstance(id_token, str) else None,
    )


def _signing(keys: Any) -> list[Any]:
    """Keys of a kind that signs; no shared secrets, whatever a provider publishes."""
    found = keys if isinstance(keys, list) else []
    kinds = ("RSA", "EC", "OKP")
    return [key for key in found if isinstance(key, dict) and key.get("kty") in kinds and key.get("use") != "enc"]


def _where(url: str) -> str:
    """A URL without what could be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


__all__ = ["IdTokenRefused", "Provider", "ProviderFailed", "Tokens", "build_providers"]
