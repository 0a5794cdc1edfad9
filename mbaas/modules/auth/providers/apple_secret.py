"""Apple's client secret: a token that the app signs with its own key, good for minutes."""

from __future__ import annotations

from joserfc import jwt
from joserfc.jwk import ECKey

AUDIENCE = "https://appleid.apple.com"
LIFETIME_S = 300


def apple_secret(private_key: str, *, team_id: str, key_id: str, client_id: str, now: int) -> str:
    """A client secret. private_key: the PEM text of the ``.p8`` file. now: unix seconds.

    Raises ValueError for a key that is none. Source: Apple, "Creating a client secret".
    """
    key = ECKey.import_key(private_key)
    if key.curve_name != "P-256":
        raise ValueError("a key for ES256 is wanted")
    claims = {"iss": team_id, "iat": now, "exp": now + LIFETIME_S, "aud": AUDIENCE, "sub": client_id}
    return jwt.encode({"alg": "ES256", "kid": key_id}, claims, key)
