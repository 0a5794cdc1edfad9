"""Whether an ID token may be believed (OpenID Connect Core section 3.1.3.7). A decision; the keys are handed in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures with a key pair: never ``none``, never a shared secret that a public key could be mistaken for."""
LEEWAY_S = 60
MAX_TOKEN = 16_384
_TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class IdTokenRefused(ValueError):
    """What was wrong, in words for the log."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """issuers: any of them; one may have ``{tenantid}`` in it. audiences: what the provider calls this app.

    nonces: any of them; ``None``: not looked at here. now: unix seconds.
    """

    issuers: tuple[str, ...]
    audiences: Collection[str]
    nonces: Collection[str] | None
    now: int


def key_id(token: str) -> str | None:
    """The name of the key that a token says it is signed with. Raises IdTokenRefused when it is no token."""
    try:
        head = token.split(".")[0]
        header = msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, msgspec.MsgspecError) as error:
        raise IdTokenRefused("it is no JWT") from error
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) else None


def check_id_token(token: str, keys: KeySet, expected: Expected, *, access_token: str | None = None) -> dict[str, Any]:
    """The claims of a token. access_token: that came with it, for ``at_hash``. Raises IdTokenRefused."""
    if len(token) > MAX_TOKEN:
        raise IdTokenRefused("it is too long")
    try:
        found = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
        claims = dict(found.claims)
        JWTClaimsRegistry(
            now=expected.now,
            leeway=LEEWAY_S,
            iss={"essential": True},
            sub={"essential": True},
            aud={"essential": True, "values": list(expected.audiences)},
            exp={"essential": True},
            iat={"essential": True},
        ).validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IdTokenRefused(f"{type(error).__name__}: {error}") from error
    if not any(_is_issuer(claims, issuer) for issuer in expected.issuers):
        raise IdTokenRefused("iss: another issuer")
    _check_audience(claims, expected.audiences)
    if expected.nonces is not None and not _is_one_of(claims.get("nonce"), expected.nonces):
        raise IdTokenRefused("nonce: another one")
    if access_token is not None and "at_hash" in claims:
        _check_hash(claims["at_hash"], access_token, str(found.header.get("alg")))
    return claims


def _is_issuer(claims: Mapping[str, Any], issuer: str) -> bool:
    if "{tenantid}" in issuer:
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            return False
        issuer = issuer.replace("{tenantid}", tenant)
    return hmac.compare_digest(str(claims["iss"]).encode(), issuer.encode())


def _check_audience(claims: Mapping[str, Any], audiences: Collection[str]) -> None:
    """Of a token for several, the one it was made for must be us, too (section 3.1.3.7, steps 4 and 5)."""
    aud, azp = claims["aud"], claims.get("azp")
    several = isinstance(aud, list) and len(aud) > 1
    if (several and azp is None) or (azp is not None and azp not in audiences):
        raise IdTokenRefused("azp: made for another app")


def _check_hash(given: Any, access_token: str, alg: str) -> None:
    """Section 3.1.3.8: the left half of the digest that the signature uses."""
    digest = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}.get(alg[-3:])
    if digest is None:  # EdDSA: which digest depends on the curve, and providers do not agree
        return
    raw = digest(access_token.encode("utf-8", "surrogatepass")).digest()
    wanted = base64.urlsafe_b64encode(raw[: len(raw) // 2]).rstrip(b"=").decode()
    if not _is_one_of(given, (wanted,)):
        raise IdTokenRefused("at_hash: of another access token")


def _is_one_of(given: Any, wanted: Collection[str]) -> bool:
    if not isinstance(given, str):
        return False
    return any(hmac.compare_digest(given.encode("utf-8", "surrogatepass"), one.encode()) for one in wanted)
