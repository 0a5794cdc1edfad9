"""Addresses and numbers as we keep them: one spelling each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mbaas.adapters.sms.provider import Channel
from mbaas.core.later import later
from mbaas.modules.auth.errors import ValidationFailed

if TYPE_CHECKING:
    import email_validator
    import phonenumbers
else:
    email_validator = later("email_validator")
    phonenumbers = later("phonenumbers")


class Contact(msgspec.Struct, frozen=True):
    """How somebody is reached. address: as ``parse_email`` or ``parse_phone`` gave it. via: ``None``: by mail."""

    address: str
    via: Channel | None = None

    @property
    def email(self) -> str | None:
        return self.address if self.via is None else None

    @property
    def phone(self) -> str | None:
        return None if self.via is None else self.address

    @property
    def provider(self) -> str:
        """The way in that this is."""
        return "email" if self.via is None else "phone"

    @property
    def metadata(self) -> dict[str, object]:
        """What ``app_metadata`` says of a user with this alone."""
        return {"provider": self.provider, "providers": [self.provider]}


def parse_email(text: str) -> str:
    """An address in lower case, a domain of other scripts in its ASCII form. Raises ValidationFailed.

    >>> parse_email("Ada@Exämple.com")
    'ada@xn--exmple-cua.com'
    """
    try:
        found = email_validator.validate_email(
            text.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True
        )
    except email_validator.EmailNotValidError:
        raise ValidationFailed("Unable to validate email address: invalid format") from None
    return (found.ascii_email or found.normalized).lower()


def parse_phone(text: str) -> str:
    """A number as we keep it: digits with the country code, no plus. Raises ValidationFailed.

    >>> parse_phone("+49 151 2345678")
    '491512345678'
    """
    try:
        number = phonenumbers.parse("+" + text.strip().removeprefix("+")[:30])
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise ValidationFailed("Invalid phone number format (E.164 required)")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def country_of(phone: str) -> str | None:
    """The two-letter code of the country a number is of, ``None`` for one of no country or that costs its owner extra.

    >>> country_of("4915112345678"), country_of("449098790000")
    ('DE', None)
    """
    number = phonenumbers.parse(f"+{phone}")
    if phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        return None
    return phonenumbers.region_code_for_number(number)
