"""Addresses and numbers as we keep them: one spelling each."""

from __future__ import annotations

import re

from email_validator import EmailNotValidError, validate_email

from mbaas.modules.auth.errors import ValidationFailed

_E164 = re.compile(r"[1-9][0-9]{1,14}")


def parse_email(text: str) -> str:
    """An address in lower case, a domain of other scripts in its ASCII form. Raises ValidationFailed.

    >>> parse_email("Ada@Exämple.com")
    'ada@xn--exmple-cua.com'
    """
    try:
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError:
        raise ValidationFailed("Unable to validate email address: invalid format") from None
    return (found.ascii_email or found.normalized).lower()


def parse_phone(text: str) -> str:
    """A number as we keep it: digits with the country code, no plus. Raises ValidationFailed.

    >>> parse_phone("+49 151 2345678")
    '491512345678'
    """
    digits = "".join(text.split()).removeprefix("+")
    if not _E164.fullmatch(digits):
        raise ValidationFailed("Invalid phone number format (E.164 required)")
    return digits
