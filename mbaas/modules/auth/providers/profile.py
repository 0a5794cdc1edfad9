"""What a provider says of a person, out of the words each one has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mbaas.modules.auth.addresses import parse_email
from mbaas.modules.auth.errors import ValidationFailed

MAX_SUBJECT = 255  # OpenID Connect Core section 2
MAX_TEXT = 1024


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """issuer and subject: who it is, for good. issuer: ``None``: the subject is nobody's to give, as a wallet's is.
    email: in our form. claims: what else is kept of it.
    """

    issuer: str | None
    subject: str
    email: str | None = None
    email_verified: bool = False
    claims: dict[str, Any] = {}

    def data(self) -> dict[str, Any]:
        """As an identity keeps it and as ``user_metadata`` gains it."""
        known = {
            "iss": self.issuer,
            "sub": self.subject,
            "provider_id": self.subject,
            "email": self.email,
            "email_verified": self.email_verified,
            "phone_verified": False,
            **self.claims,
        }
        return {name: value for name, value in known.items() if value is not None}


def standard(issuer: str, given: Mapping[str, Any]) -> Profile:
    """From the claims of OpenID Connect (Core section 5.1)."""
    return made(
        issuer,
        given.get("sub"),
        email=given.get("email"),
        verified=_is_true(given.get("email_verified")),
        name=given.get("name") or _joined(given.get("given_name"), given.get("family_name")),
        picture=given.get("picture"),
        user_name=given.get("preferred_username") or given.get("nickname"),
    )


def microsoft(issuer: str, given: Mapping[str, Any]) -> Profile:
    """An address there is what an administrator wrote; ``xms_edov`` says that its domain was proven to be theirs."""
    return standard(issuer, {**given, "email_verified": _is_true(given.get("xms_edov"))})


def github(issuer: str, given: Mapping[str, Any]) -> Profile:
    """emails: from a request of its own, since the profile has at most the one shown to everybody."""
    told = given.get("emails")
    emails = [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []
    best = next((entry for entry in emails if entry.get("primary")), None) or next(iter(emails), {})
    return made(
        issuer,
        given.get("id"),
        email=best.get("email"),
        verified=best.get("verified") is True,
        name=given.get("name"),
        picture=given.get("avatar_url"),
        user_name=given.get("login"),
    )


def discord(issuer: str, given: Mapping[str, Any]) -> Profile:
    subject, avatar = given.get("id"), given.get("avatar")
    return made(
        issuer,
        subject,
        email=given.get("email"),
        verified=given.get("verified") is True,
        name=given.get("global_name") or given.get("username"),
        picture=f"https://cdn.discordapp.com/avatars/{subject}/{avatar}.png" if avatar else None,
        user_name=given.get("username"),
    )


def facebook(issuer: str, given: Mapping[str, Any]) -> Profile:
    """It tells an address only once its owner has confirmed it."""
    data = given.get("picture")
    inner = data.get("data") if isinstance(data, dict) else None
    picture = inner.get("url") if isinstance(inner, dict) else None
    email = given.get("email")
    return made(issuer, given.get("id"), email=email, verified=True, name=given.get("name"), picture=picture)


def twitch(issuer: str, given: Mapping[str, Any]) -> Profile:
    """Its reference calls the address the verified one."""
    rows = given.get("data")
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    return made(
        issuer,
        row.get("id"),
        email=row.get("email"),
        verified=True,
        name=row.get("display_name"),
        picture=row.get("profile_image_url"),
        user_name=row.get("login"),
    )


def spotify(issuer: str, given: Mapping[str, Any]) -> Profile:
    """Its reference says of the address that nobody verified it."""
    images = given.get("images")
    first = images[0] if isinstance(images, list) and images and isinstance(images[0], dict) else {}
    return made(
        issuer, given.get("id"), email=given.get("email"), name=given.get("display_name"), picture=first.get("url")
    )


def x(issuer: str, given: Mapping[str, Any]) -> Profile:
    row = given.get("data")
    row = row if isinstance(row, dict) else {}
    return made(
        issuer,
        row.get("id"),
        email=row.get("confirmed_email"),
        verified=True,
        name=row.get("name"),
        picture=row.get("profile_image_url"),
        user_name=row.get("username"),
    )


def made(
    issuer: str,
    subject: Any,
    *,
    email: Any = None,
    verified: bool = False,
    name: Any = None,
    picture: Any = None,
    user_name: Any = None,
) -> Profile:
    """A profile of what may be anything. Raises ValueError when it does not say of whom it is."""
    if isinstance(subject, bool) or not isinstance(subject, str | int) or not 0 < len(str(subject)) <= MAX_SUBJECT:
        raise ValueError("there is no subject")
    if not str(subject).isprintable():
        raise ValueError("the subject is no name")
    address = _address(email)
    picture = _text(picture)
    claims = {
        "name": _text(name),
        "full_name": _text(name),
        "avatar_url": picture,
        "picture": picture,
        "user_name": _text(user_name),
        "preferred_username": _text(user_name),
    }
    return Profile(
        issuer=issuer,
        subject=str(subject),
        email=address,
        email_verified=verified and address is not None,
        claims={key: value for key, value in claims.items() if value is not None},
    )


def _address(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_email(value)
    except ValidationFailed:
        return None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    cleaned = "".join(sign for sign in value if sign.isprintable()).strip()
    return cleaned[:MAX_TEXT] or None


def _joined(*parts: Any) -> str | None:
    return " ".join(part for part in parts if isinstance(part, str)) or None


def _is_true(value: Any) -> bool:
    """Apple writes it as text; Microsoft as a number."""
    return value is True or value == "true" or (value == 1 and not isinstance(value, bool)) or value == "1"
