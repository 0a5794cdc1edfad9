"""Bodies of requests. Keys we do not know are ignored, as clients send more than they need; null is absent."""

from __future__ import annotations

from typing import Any

import msgspec


class Security(msgspec.Struct, frozen=True, kw_only=True):
    captcha_token: str | None = None


class SignUpBody(msgspec.Struct, frozen=True, kw_only=True):
    email: str | None = None
    phone: str | None = None
    channel: str | None = None
    password: str | None = None
    data: dict[str, Any] | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    gotrue_meta_security: Security | None = None


class TokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """Of every grant."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    refresh_token: str | None = None
    auth_code: str | None = None
    code_verifier: str | None = None
    provider: str | None = None
    id_token: str | None = None
    access_token: str | None = None
    nonce: str | None = None
    link_identity: bool | None = None
    chain: str | None = None
    message: str | None = None
    signature: str | None = None
    gotrue_meta_security: Security | None = None


class OtpBody(msgspec.Struct, frozen=True, kw_only=True):
    email: str | None = None
    phone: str | None = None
    channel: str | None = None
    create_user: bool | None = True
    data: dict[str, Any] | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    gotrue_meta_security: Security | None = None


class RecoverBody(msgspec.Struct, frozen=True, kw_only=True):
    email: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    gotrue_meta_security: Security | None = None


class ResendBody(msgspec.Struct, frozen=True, kw_only=True):
    type: str | None = None
    email: str | None = None
    phone: str | None = None
    channel: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    gotrue_meta_security: Security | None = None


class VerifyBody(msgspec.Struct, frozen=True, kw_only=True):
    type: str | None = None
    email: str | None = None
    phone: str | None = None
    token: str | None = None
    token_hash: str | None = None


class UserBody(msgspec.Struct, frozen=True, kw_only=True):
    email: str | None = None
    phone: str | None = None
    channel: str | None = None
    password: str | None = None
    current_password: str | None = None
    nonce: str | None = None
    data: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None


class DeleteBody(msgspec.Struct, frozen=True, kw_only=True):
    should_soft_delete: bool | None = False


class InviteBody(msgspec.Struct, frozen=True, kw_only=True):
    email: str | None = None
    data: dict[str, Any] | None = None


class LinkBody(msgspec.Struct, frozen=True, kw_only=True):
    type: str | None = None
    email: str | None = None
    new_email: str | None = None
    password: str | None = None
    data: dict[str, Any] | None = None
