"""Access tokens: short-lived, signed, believed by every part of the server without asking the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from mbaas.adapters.secrets import Secrets, SigningKey
from mbaas.http.identity import AUDIENCE
from mbaas.modules.auth.objects import User


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
) -> str:
    """A signed access token for one session of one user.

    amr: ``{"method", "timestamp"}``, newest first (RFC 8176 for the idea). now: aware. lifetime_s: seconds.
    Source: RFC 7519 section 4.1 (iss, sub, aud, exp, iat), RFC 7518 section 3.4 (ES256).
    """
    issued = int(now.timestamp())
    claims = {
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

    def __init__(self, secrets: Callable[[], Secrets], *, issuer: str, lifetime_s: int) -> None:
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
        )

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
