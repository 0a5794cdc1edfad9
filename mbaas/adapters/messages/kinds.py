"""Every kind of message, what its template may say, and sample values to try a template with."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Medium: TypeAlias = Literal["mail", "sms"]


class Kind(msgspec.Struct, frozen=True):
    """variables: beside ``app``, ``site_url``, ``to``, ``name``, which all have. proof: one of which it must show."""

    medium: Medium
    variables: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()


_LINK = ("link", "code", "link_minutes", "code_minutes")
_CODE = ("code", "code_minutes")
_EITHER = ("link", "code")

KINDS: dict[str, Kind] = {
    "confirm": Kind("mail", _LINK, _EITHER),
    "magic_link": Kind("mail", _LINK, _EITHER),
    "email_otp": Kind("mail", _CODE, ("code",)),
    "recovery": Kind("mail", _LINK, _EITHER),
    "invite": Kind("mail", _LINK, _EITHER),
    "email_change": Kind("mail", (*_LINK, "new_email"), _EITHER),
    "email_change_current": Kind("mail", (*_LINK, "new_email"), _EITHER),
    "reauthentication": Kind("mail", _CODE, ("code",)),
    "password_changed": Kind("mail"),
    "email_changed": Kind("mail", ("new_email",)),
    "phone_changed": Kind("mail", ("new_phone",)),
    "factor_enrolled": Kind("mail", ("factor",)),
    "factor_removed": Kind("mail", ("factor",)),
    "identity_linked": Kind("mail", ("provider",)),
    "identity_unlinked": Kind("mail", ("provider",)),
    "sms_otp": Kind("sms", _CODE, ("code",)),
    "sms_phone_change": Kind("sms", _CODE, ("code",)),
    "sms_reauthentication": Kind("sms", _CODE, ("code",)),
}

SAMPLES: dict[str, str] = {
    "app": "Fieldnotes",
    "site_url": "https://app.example.com",
    "to": "ada@example.com",
    "name": "Ada",
    "link": "https://api.example.com/auth/v1/verify?token=sample&type=signup",
    "code": "123456",
    "link_minutes": "60",
    "code_minutes": "10",
    "new_email": "ada.lovelace@example.com",
    "new_phone": "+49 ••• 678",
    "factor": "TOTP",
    "provider": "GitHub",
}


def sample(kind: str) -> dict[str, str]:
    """Values for a kind as it would be sent."""
    wanted = {"app", "site_url", "to", "name", *KINDS[kind].variables}
    values = {name: text for name, text in SAMPLES.items() if name in wanted}
    return {**values, "to": "+4915112345678"} if KINDS[kind].medium == "sms" else values
