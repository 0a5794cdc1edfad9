"""Addresses as we keep them: one spelling each."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from mbaas.modules.auth.errors import ValidationFailed


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
