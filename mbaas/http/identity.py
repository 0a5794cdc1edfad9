"""From a project key and a bearer token to who is asking.

A token says which key to check it with, never how: ES256 goes with the signing key of its ``kid``, HS256 with the
project's own secret, and nothing else is accepted (RFC 8725). What was verified once is kept by its text until it
expires, so a request of a known caller costs a look-up.
"""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey

from mbaas.adapters.secrets import KEY_ISSUER, PUBLISHABLE, SECRET, ApiKeys, Secrets
from mbaas.config.settings import ServerSettings
from mbaas.core.errors import Revoked, TokenExpired, TokenInvalid, TokenRevoked, Unauthenticated
from mbaas.core.identity import ANON, SERVICE, Identity, Role

AUDIENCE = "authenticated"
MAX_TOKEN = 32_768  # characters
MAX_HEADER = 512
CACHED = 10_000  # callers
CLOCK_SKEW_S = 30  # of nodes among themselves, for nbf
_ROLES = ("anon", "authenticated", "service_role")
_FOREVER = math.inf


def auth_url(server: ServerSettings) -> str:
    """The public address of ``/auth/v1``: issuer of the tokens and base of the links in mails."""
    base = server.public_url or f"http://{server.host}:{server.port}"
    return base.rstrip("/") + "/auth/v1"


class _Key(msgspec.Struct, frozen=True):
    """One accepted project key. until: unix seconds."""

    text: bytes
    identity: Identity
    until: float


class _Known(msgspec.Struct, frozen=True):
    """A caller that was checked. until: unix seconds from which it has to be checked again."""

    identity: Identity
    until: float


class Revocation(msgspec.Struct, frozen=True):
    """A user's or a session's tokens are not good any more; or of a session that was ``lowered``, those issued up to
    ``until`` not for ``aal2``. until, forget_at: unix seconds; tokens of that subject that are not good for another
    reason after ``forget_at`` need not be known."""

    reason: Revoked | Literal["lowered"]
    until: float
    forget_at: float


class Authenticator:
    """Checks keys and tokens against the secrets in force.

    secrets: asked at each request, so a rotated key counts from the next one on. issuer: see ``auth_url``.
    """

    def __init__(self, secrets: Callable[[], Secrets], *, issuer: str) -> None:
        self._secrets = secrets
        self._issuer = issuer
        self._known: dict[tuple[str | None, str | None], _Known] = {}
        self._revoked: dict[str, Revocation] = {}
        self._adopt(secrets())

    def identify(self, apikey: str | None, bearer: str | None, *, now: float) -> Identity:
        """Who is asking. apikey: the project key. bearer: the token, ``None`` when there is none. now: unix seconds.

        Raises Unauthenticated when the key is missing or not ours; TokenInvalid or TokenExpired for the bearer.
        """
        if self._secrets() is not self._adopted:
            self._adopt(self._secrets())
        known = self._known.get((apikey, bearer))
        if known is not None and now < known.until:
            return known.identity
        return self._check(apikey, bearer, now)

    def verify(self, bearer: str, *, now: float) -> Identity:
        """Who a bearer token is for, whatever key came with it. Raises TokenInvalid, TokenExpired."""
        return self._bearer(bearer, now).identity

    def revoke(self, changed: Mapping[str, Revocation], *, now: float) -> None:
        """Let no token of these users and sessions pass from now on. changed: by id.

        Callers that are known cost nothing more for it: who is revoked is forgotten here, and checked when they come.
        """
        self._revoked.update(changed)
        gone = [subject for subject, revocation in self._revoked.items() if revocation.forget_at <= now]
        for subject in gone:
            del self._revoked[subject]
        for known in [key for key, value in self._known.items() if _is_of(value.identity, changed)]:
            del self._known[known]

    def _adopt(self, secrets: Secrets) -> None:
        """Make these secrets the ones in force and forget every verdict under the former."""
        self._adopted = secrets
        self._known.clear()
        generations = (secrets, *secrets.retired_keys)
        self._keys = tuple(key for keys in generations for key in _keys(keys))
        self._shared = tuple((OctKey.import_key(keys.jwt_secret), _until(keys.retired_at)) for keys in generations)
        self._signing = {
            key.kid: (ECKey.import_key(key.private_key), _until(key.retired_at)) for key in secrets.signing_keys
        }

    def _check(self, apikey: str | None, bearer: str | None, now: float) -> Identity:
        if not apikey:
            raise Unauthenticated("No API key found in request", hint="send the project's key in the header `apikey`")
        key = self._project_key(apikey, now)
        if key is None:
            raise Unauthenticated("Invalid API key", hint="check the key of this project; it may have been rotated")
        if not bearer or bearer == apikey:
            known = _Known(key.identity, key.until)
        else:
            found = self._bearer(bearer, now)
            known = _Known(found.identity, min(found.until, key.until))
        self._remember((apikey, bearer), known, now)
        return known.identity

    def _bearer(self, bearer: str, now: float) -> _Known:
        key = self._project_key(bearer, now)
        if key is not None:
            return _Known(key.identity, key.until)
        if bearer.startswith((PUBLISHABLE, SECRET)):
            raise TokenInvalid("invalid API key in the Authorization header")
        return self._token(bearer, now)

    def _project_key(self, text: str, now: float) -> _Key | None:
        """The accepted key of that text. Each is compared in full, so the time tells nothing of them."""
        given = text.encode("utf-8", "surrogatepass")
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.text, given) and now < key.until:
                found = key
        return found

    def _token(self, token: str, now: float) -> _Known:
        """The caller of a JWT. Raises TokenInvalid, TokenExpired."""
        header = _header(token)
        if header["alg"] == "ES256":
            key, until = self._signing.get(header.get("kid", ""), (None, 0.0))
            if key is None or now >= until:
                raise TokenInvalid("the token was signed with a key that is not ours")
            claims = _verified(token, key, "ES256")
            issuers: tuple[str, ...] = (self._issuer,)
        else:
            claims, until = self._shared_claims(token, now)
            issuers = (self._issuer, KEY_ISSUER)
        identity, expires = self._identity(claims, issuers, now)
        return _Known(identity, min(expires, until))

    def _shared_claims(self, token: str, now: float) -> tuple[dict[str, Any], float]:
        """Claims of a token signed with the project's secret, the present one or one in its grace."""
        failure: TokenInvalid | None = None
        for key, until in self._shared:
            if now >= until:
                continue
            try:
                return _verified(token, key, "HS256"), until
            except TokenInvalid as error:
                failure = error
        raise failure or TokenInvalid("the token's signature does not hold")

    def _identity(self, claims: dict[str, Any], issuers: tuple[str, ...], now: float) -> tuple[Identity, float]:
        """The caller that verified claims stand for, and when they end (RFC 7519 section 4.1)."""
        expires = _seconds(claims, "exp")
        if expires is None:
            raise TokenInvalid("the token never expires")
        if now >= expires:
            raise TokenExpired("JWT expired", hint="refresh the session")
        if (_seconds(claims, "nbf") or 0) > now + CLOCK_SKEW_S:
            raise TokenInvalid("the token is not valid yet")
        if claims.get("iss") not in issuers:
            raise TokenInvalid("the token was issued for another project")
        role = claims.get("role")
        if role not in _ROLES:
            raise TokenInvalid("the token has no role of ours")
        subject = claims.get("sub")
        # A user's token names user and audience; the project's own may do without either.
        if (subject is not None or role == "authenticated") and claims.get("aud") != AUDIENCE:
            raise TokenInvalid("the token is for another audience")
        if not (isinstance(subject, str) and subject) and (subject is not None or role == "authenticated"):
            raise TokenInvalid("the token names no user")
        for name in (subject, claims.get("session_id")):
            revocation = self._revoked.get(name) if isinstance(name, str) else None
            if revocation is None:
                continue
            if revocation.reason == "lowered":
                if (_seconds(claims, "iat") or 0) <= revocation.until:
                    claims = _without_factors(claims)
            elif now < revocation.until:
                raise TokenRevoked(revocation.reason)
        return Identity(role=cast(Role, role), claims=claims), expires

    def _remember(self, caller: tuple[str | None, str | None], known: _Known, now: float) -> None:
        if len(self._known) >= CACHED:
            live = [(key, value) for key, value in self._known.items() if now < value.until]
            self._known = dict(live[-CACHED // 2 :])
        self._known[caller] = known


def _is_of(identity: Identity, subjects: Mapping[str, Revocation]) -> bool:
    return identity.user_id in subjects or identity.session_id in subjects


def _without_factors(claims: dict[str, Any]) -> dict[str, Any]:
    """What the session still stands for: as its next token will have it."""
    ways = claims.get("amr")
    kept = [way for way in ways if not _is_second(way)] if isinstance(ways, list) else []
    return {**claims, "aal": "aal1", "amr": kept}


def _is_second(way: Any) -> bool:
    method = way.get("method") if isinstance(way, dict) else None
    return method == "totp" or str(method).startswith("mfa/")


def _until(retired_at: int | None) -> float:
    return _FOREVER if retired_at is None else float(retired_at)


def _keys(keys: ApiKeys) -> tuple[_Key, ...]:
    """The four keys of one generation. The two that are tokens end with their own ``exp``, too."""
    until = _until(keys.retired_at)

    def expiry(token: str) -> float:
        return float(json_segment(token.split(".")[1])["exp"])

    return (
        _Key(keys.anon_key.encode(), ANON, min(until, expiry(keys.anon_key))),
        _Key(keys.service_key.encode(), SERVICE, min(until, expiry(keys.service_key))),
        _Key(keys.publishable_key.encode(), ANON, until),
        _Key(keys.secret_key.encode(), SERVICE, until),
    )


def json_segment(segment: str) -> dict[str, Any]:
    """One part of a JWT as an object. Raises ValueError."""
    raw = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    return msgspec.json.decode(raw, type=dict[str, Any])  # its errors are ValueErrors


def _header(token: str) -> dict[str, Any]:
    """The header of a token that may be looked at. Unknown parameters, ``crit`` among them, are refused."""
    if len(token) > MAX_TOKEN or not token.isascii() or token.count(".") != 2:
        raise TokenInvalid("not a token")
    segment = token.split(".", 1)[0]
    try:
        header = json_segment(segment) if len(segment) <= MAX_HEADER else {}
    except (ValueError, RecursionError):
        raise TokenInvalid("the token's header cannot be read") from None
    alg, kid = header.get("alg"), header.get("kid")
    if not header.keys() <= {"alg", "kid", "typ"}:
        raise TokenInvalid("the token's header has parameters that are not understood")
    if header.get("typ", "JWT") not in {"JWT", "jwt"}:
        raise TokenInvalid("the token is of another kind")
    # The secret has no kid: a token that names one was signed with something else.
    if not ((alg == "ES256" and isinstance(kid, str)) or (alg == "HS256" and kid is None)):
        raise TokenInvalid("the token's algorithm is not accepted")
    return header


def _verified(token: str, key: ECKey | OctKey, algorithm: str) -> dict[str, Any]:
    """The claims of a token whose signature holds under that key with that algorithm."""
    try:
        return dict(jwt.decode(token, key, algorithms=[algorithm]).claims)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenInvalid("the token's signature does not hold") from error


def _seconds(claims: dict[str, Any], name: str) -> float | None:
    """A NumericDate claim, ``None`` when there is none."""
    found = claims.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise TokenInvalid(f"the token's {name} is not a time")
    return float(found)
