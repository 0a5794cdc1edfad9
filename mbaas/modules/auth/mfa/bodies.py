"""Bodies of requests about factors and passkeys. Keys we do not know are ignored; null is absent."""

from __future__ import annotations

from typing import Any

import msgspec


class EnrollBody(msgspec.Struct, frozen=True, kw_only=True):
    factor_type: str | None = None
    friendly_name: str | None = None
    issuer: str | None = None
    phone: str | None = None


class WantedRelyingParty(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a client takes them to be: the host and origin of its page."""

    rp_id: str | None = None
    rp_origins: list[str] | None = None


class ChallengeBody(msgspec.Struct, frozen=True, kw_only=True):
    channel: str | None = None
    webauthn: WantedRelyingParty | None = None


class WebauthnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    credential_response: dict[str, Any] | None = None


class FactorAnswerBody(msgspec.Struct, frozen=True, kw_only=True):
    challenge_id: str | None = None
    code: str | None = None
    webauthn: WebauthnAnswer | None = None


class GenerateBody(msgspec.Struct, frozen=True, kw_only=True):
    friendly_name: str | None = None


class RecoveryCodeBody(msgspec.Struct, frozen=True, kw_only=True):
    code: str | None = None


class PasskeyAnswerBody(msgspec.Struct, frozen=True, kw_only=True):
    challenge_id: str | None = None
    credential: dict[str, Any] | None = None


class RenameBody(msgspec.Struct, frozen=True, kw_only=True):
    friendly_name: str | None = None
