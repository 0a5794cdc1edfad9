"""Users and sessions as clients see them (``auth.user_object`` builds the first in SQL)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mbaas.hooks import events


class UserIdentity(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One way in. id: what the provider calls the user. identity_id: what we call the pair."""

    identity_id: str
    id: str
    user_id: str
    identity_data: dict[str, Any]
    provider: str
    last_sign_in_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    email: str | None = None


class Factor(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A second factor, without its secret. factor_type: totp, phone, webauthn, recovery_code."""

    id: str
    friendly_name: str = ""
    factor_type: str
    status: Literal["unverified", "verified"]
    phone: str | None = None
    last_challenged_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def is_verified(self) -> bool:
        return self.status == "verified"


class User(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A user, without anything secret. What has a default is left out until it is set."""

    id: str
    aud: str
    role: str
    email: str
    email_confirmed_at: datetime | None = None
    phone: str
    phone_confirmed_at: datetime | None = None
    confirmed_at: datetime | None = None
    confirmation_sent_at: datetime | None = None
    recovery_sent_at: datetime | None = None
    email_change_sent_at: datetime | None = None
    new_email: str | None = None
    new_phone: str | None = None
    reauthentication_sent_at: datetime | None = None
    invited_at: datetime | None = None
    last_sign_in_at: datetime | None = None
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]
    identities: list[UserIdentity]
    factors: list[Factor] = []
    created_at: datetime
    updated_at: datetime
    banned_until: datetime | None = None
    deleted_at: datetime | None = None
    is_anonymous: bool

    def is_banned(self, now: datetime) -> bool:
        return self.banned_until is not None and self.banned_until > now

    @property
    def has_factor(self) -> bool:
        """Whether a second factor stands between a password and ``aal2``."""
        return any(factor.is_verified for factor in self.factors)


class Weakness(msgspec.Struct, frozen=True):
    """What a password lacks. reasons: ``length``, ``characters``, ``pwned``."""

    message: str
    reasons: tuple[str, ...]


class Session(msgspec.Struct, kw_only=True):
    """What a client keeps. expires_in: seconds; expires_at: unix seconds. weak_password: of the one signed in with.

    provider_token, provider_refresh_token: for the API of the provider signed in with; told once, never stored.
    """

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - RFC 6750
    expires_in: int
    expires_at: int
    refresh_token: str
    user: User
    weak_password: Weakness | msgspec.UnsetType = msgspec.UNSET
    provider_token: str | msgspec.UnsetType = msgspec.UNSET
    provider_refresh_token: str | msgspec.UnsetType = msgspec.UNSET


def parse_user(text: str) -> User:
    """From the JSON that ``auth.user_object`` gives."""
    return msgspec.json.decode(text, type=User)


def told(user: User) -> events.User:
    """What hooks learn of a user."""
    return events.User(
        id=user.id,
        email=user.email or None,
        phone=user.phone or None,
        app_metadata=user.app_metadata,
        user_metadata=user.user_metadata,
        is_anonymous=user.is_anonymous,
    )
