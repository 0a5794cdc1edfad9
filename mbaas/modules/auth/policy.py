"""The settings of auth that flows decide by."""

from __future__ import annotations

import msgspec

from mbaas.config.settings import AuthSettings, SmsSettings


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """email: with an address. autoconfirm: an address needs no proof; phone_autoconfirm: nor a number. frequency_s: the
    pause between two mails to one address, two SMS to one number. countries: whose numbers are written to; empty: all.
    factors: kinds of second factor.
    """

    email: bool
    autoconfirm: bool
    phone_autoconfirm: bool
    disable_signup: bool
    anonymous: bool
    frequency_s: int
    countries: tuple[str, ...]
    password_reauthentication: bool
    factors: frozenset[str]
    passkeys: bool
    recent_sign_in_s: int


def policy_of(settings: AuthSettings, sms: SmsSettings) -> Policy:
    return Policy(
        email=settings.email,
        autoconfirm=settings.autoconfirm,
        phone_autoconfirm=settings.phone_autoconfirm,
        disable_signup=settings.disable_signup,
        anonymous=settings.anonymous,
        frequency_s=settings.max_frequency_s,
        countries=sms.countries,
        password_reauthentication=settings.password_reauthentication,
        factors=frozenset(settings.mfa),
        passkeys=settings.passkeys,
        recent_sign_in_s=settings.recent_sign_in_s,
    )


# Providers whose switches clients look for in /settings, on or off.
PROVIDERS = (
    "apple azure bitbucket discord facebook figma fly github gitlab google kakao keycloak linkedin linkedin_oidc "
    "notion slack slack_oidc snapchat spotify twitch twitter x workos zoom"
).split()
