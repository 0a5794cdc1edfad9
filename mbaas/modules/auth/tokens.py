"""Access tokens: short-lived, signed, believed by every part of the server without asking the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from mbaas.adapters.secrets import Secrets, SigningKey
from mbaas.core.errors import ConfigError
from mbaas.core.expr.claims import ABSENT, at
from mbaas.http.identity import AUDIENCE
from mbaas.modules.auth.objects import User

RESERVED = frozenset(
    "iss sub aud exp iat nbf jti email phone app_metadata user_metadata role aal amr session_id is_anonymous".split()
)
"""Claims that mean something to us or to clients."""


def issue_token(
    user: User,
    *,
    session_id: str,
    aal: str,
    amr: Sequence[dict[str, Any]],
    now: datetime,
    lifetime_s: int,
    issuer: str,
    kid: str,
    key: ECKey,
    more: Mapping[str, Any] | None = None,
) -> str:
    """A signed access token for one session of one user.

    amr: ``{"method", "timestamp"}``, newest first (RFC 8176 for the idea). now: aware. lifetime_s: seconds.
    more: claims of the project's own.
    Source: RFC 7519 section 4.1 (iss, sub, aud, exp, iat), RFC 7518 section 3.4 (ES256).
    """
    issued = int(now.timestamp())
    claims = {
        **(more or {}),
        "iss": issuer,
        "sub": user.id,
        "aud": AUDIENCE,
        "exp": issued + lifetime_s,
        "iat": issued,
        "email": user.email,
        "phone": user.phone,
        "app_metadata": user.app_metadata,
        "user_metadata": user.user_metadata,
        "role": user.role,
        "aal": aal,
        "amr": list(amr),
        "session_id": session_id,
        "is_anonymous": user.is_anonymous,
    }
    return jwt.encode({"alg": "ES256", "kid": kid}, claims, key)


class TokenIssuer:
    """Issues with the signing key in force now."""

    def __init__(
        self,
        secrets: Callable[[], Secrets],
        *,
        issuer: str,
        lifetime_s: int,
        claims: Mapping[str, str] | None = None,
    ) -> None:
        """claims: further ones by name, each with its path in ``app_metadata``. Raises ConfigError."""
        self._claims = {name: _path(name, path) for name, path in (claims or {}).items()}
        self._secrets = secrets
        self._issuer = issuer
        self.lifetime_s = lifetime_s
        self._current: tuple[SigningKey, ECKey] | None = None

    def issue(self, user: User, *, session_id: str, aal: str, amr: Sequence[dict[str, Any]], now: datetime) -> str:
        key = self._secrets().signing_keys[0]
        if self._current is None or self._current[0] is not key:
            self._current = (key, ECKey.import_key(key.private_key))
        return issue_token(
            user,
            session_id=session_id,
            aal=aal,
            amr=amr,
            now=now,
            lifetime_s=self.lifetime_s,
            issuer=self._issuer,
            kid=key.kid,
            key=self._current[1],
            more=self._own_claims(user),
        )

    def _own_claims(self, user: User) -> dict[str, Any]:
        found = {name: at({"app_metadata": user.app_metadata}, path) for name, path in self._claims.items()}
        return {name: value for name, value in found.items() if value is not ABSENT}

    def public_keys(self, *, now: datetime) -> dict[str, list[dict[str, Any]]]:
        """The JWK set (RFC 7517 section 5): every key whose tokens may still be good, public parts only."""
        return {
            "keys": [
                {
                    **ECKey.import_key(key.private_key).as_dict(private=False),
                    "kid": key.kid,
                    "alg": "ES256",
                    "use": "sig",
                    "key_ops": ["verify"],
                }
                for key in self._secrets().signing_keys
                if key.retired_at is None or key.retired_at > now.timestamp()
            ]
        }


def _path(name: str, path: str) -> list[str]:
    """The steps of a configured claim. Raises ConfigError for a name of ours and for what users write themselves."""
    if name in RESERVED:
        raise ConfigError(f"auth.claims.{name}: {name} is a claim of ours", hint="choose another name")
    steps = path.split(".")
    if len(steps) < 2 or steps[0] != "app_metadata" or not all(steps):
        raise ConfigError(
            f"auth.claims.{name}: {path!r} is no path in app_metadata", hint="app_metadata.org; users write the rest"
        )
    return steps
