"""What auth refuses, and how this protocol words it: the one table from our classes to GoTrue's codes and statuses.

With the request header ``X-Supabase-Api-Version`` the body is ``{"code", "message"}`` and the header comes back;
without it, it is ``{"code": <status>, "error_code", "msg"}``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from mbaas.core.errors import (
    BodyInvalid,
    Conflict,
    DatabaseError,
    MbaasError,
    QueryError,
    RateLimited,
    Timeout,
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from mbaas.http.errors import BodyTooSlow, status_of
from mbaas.http.respond import Header, Reply, Scope
from mbaas.http.step_up import StepUpRequired

API_VERSION = "2024-01-01"
MAX_BODY = 1_000_000  # bytes


class AuthError(MbaasError):
    """Base of what auth refuses. text: the words when there is nothing more exact to say."""

    text: ClassVar[str] = ""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.text)


class ValidationFailed(AuthError):
    code = "validation_failed"


class UnknownUserId(ValidationFailed):
    """A path names a user by something that is no UUID."""

    text = "user_id must be an UUID"


class PasswordWithoutAddress(ValidationFailed):
    text = "Updating password of an anonymous user without an email or phone is not allowed"


class InvalidCredentials(AuthError):
    code = "invalid_credentials"
    text = "Invalid login credentials"


class EmailNotConfirmed(AuthError):
    code = "email_not_confirmed"
    text = "Email not confirmed"


class PhoneNotConfirmed(AuthError):
    code = "phone_not_confirmed"
    text = "Phone not confirmed"


class UserBanned(AuthError):
    code = "user_banned"
    text = "User is banned"


class UserBannedSince(UserBanned):
    """The same, of somebody who holds a link, a code or an access token."""


class NoAuthorization(AuthError):
    code = "no_authorization"
    text = "This endpoint requires a valid Bearer token"


class AnonymousHasNone(NoAuthorization):
    """Of factors and passkeys: they protect an account, and an anonymous user has none."""

    text = "Anonymous users cannot enroll factors or passkeys"


class NotAdmin(AuthError):
    code = "not_admin"
    text = "User not allowed"


class BadJwt(AuthError):
    code = "bad_jwt"
    text = "invalid claim: missing sub claim"


class SessionNotFound(AuthError):
    code = "session_not_found"
    text = "Session from session_id claim in JWT does not exist"


class NoSuchSession(SessionNotFound):
    """A path names a session that is not there, or somebody else's."""

    text = "Session not found"


class UserGone(AuthError):
    """The token is good, its user is not there any more."""

    code = "user_not_found"
    text = "User from sub claim in JWT does not exist"


class UserNotFound(AuthError):
    code = "user_not_found"
    text = "User not found"


class UserAlreadyExists(AuthError):
    code = "user_already_exists"
    text = "User already registered"


class EmailExists(AuthError):
    code = "email_exists"
    text = "A user with this email address has already been registered"


class PhoneExists(AuthError):
    code = "phone_exists"
    text = "A user with this phone number has already been registered"


class SignupDisabled(AuthError):
    code = "signup_disabled"
    text = "Signups not allowed for this instance"


class OtpDisabled(AuthError):
    code = "otp_disabled"
    text = "Signups not allowed for otp"


class AnonymousDisabled(AuthError):
    code = "anonymous_provider_disabled"
    text = "Anonymous sign-ins are disabled"


class EmailDisabled(AuthError):
    code = "email_provider_disabled"
    text = "Signing up and in with an email address is disabled"


class PhoneDisabled(AuthError):
    code = "phone_provider_disabled"
    text = "Phone sign-ins are disabled: no SMS provider is configured"


class ReauthenticationNeeded(AuthError):
    code = "reauthentication_needed"
    text = "Password update requires reauthentication"


class ReauthenticationNotValid(AuthError):
    code = "reauthentication_not_valid"
    text = "Verification requires a valid nonce"


class SamePassword(AuthError):
    code = "same_password"
    text = "New password should be different from the old password."


class CurrentPasswordInvalid(AuthError):
    code = "current_password_invalid"
    text = "The current password is not right"


class OtpExpired(AuthError):
    code = "otp_expired"
    text = "Token has expired or is invalid"


class LinkExpired(OtpExpired):
    text = "Email link is invalid or has expired"


class RefreshTokenNotFound(AuthError):
    code = "refresh_token_not_found"
    text = "Invalid Refresh Token: Refresh Token Not Found"


class RefreshTokenUsed(AuthError):
    code = "refresh_token_already_used"
    text = "Invalid Refresh Token: Already Used"


class SessionExpired(AuthError):
    code = "session_expired"
    text = "Invalid Refresh Token: Session Expired"


class FlowStateNotFound(AuthError):
    code = "flow_state_not_found"
    text = "invalid flow state, no valid flow state found"


class FlowStateExpired(AuthError):
    code = "flow_state_expired"
    text = "invalid flow state, flow state has expired"


class BadCodeVerifier(AuthError):
    code = "bad_code_verifier"
    text = "code challenge does not match previously saved code verifier"


class UnsupportedProvider(ValidationFailed):
    text = "Unsupported provider: provider is not enabled"


class ProviderDisabled(AuthError):
    code = "provider_disabled"
    text = "Provider is not enabled"


class BadOAuthState(AuthError):
    code = "bad_oauth_state"
    text = "The sign-in was begun elsewhere, took too long or is over; begin it again"


class BadOAuthCallback(AuthError):
    code = "bad_oauth_callback"
    text = "The provider's answer cannot be used"


class ProviderRefused(AuthError):
    """In the provider's own code (RFC 6749 section 4.1.2.1), one of those known. Its words are not passed on."""

    code = "bad_oauth_callback"

    def __init__(self, error: str) -> None:
        super().__init__(f"The provider refused: {error}")
        self.error = error


class ProviderUnavailable(AuthError):
    code = "unexpected_failure"
    text = "The provider did not answer as expected; try again later"


class EmailNotProvided(AuthError):
    code = "email_address_not_provided"
    text = "Error getting user email from external provider"


class EmailNeedsVerification(AuthError):
    code = "provider_email_needs_verification"

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"Unverified email with {provider}. A confirmation email has been sent to your {provider} email"
        )


class IdentityExists(AuthError):
    code = "identity_already_exists"
    text = "Identity is already linked to another user"


class IdentityNotFound(AuthError):
    code = "identity_not_found"
    text = "Identity doesn't exist"


class UnknownIdentityId(ValidationFailed):
    """A path names an identity by something that is no UUID."""

    text = "identity_id must be an UUID"


class SingleIdentity(AuthError):
    code = "single_identity_not_deletable"
    text = "User must have at least 1 identity after unlinking"


class EmailConflictsAfterUnlinking(AuthError):
    code = "email_conflict_identity_not_deletable"
    text = "Unable to unlink identity: the email address of another one belongs to another user"


class ManualLinkingDisabled(AuthError):
    code = "manual_linking_disabled"
    text = "Manual linking is disabled"


class Web3Disabled(AuthError):
    code = "web3_provider_disabled"
    text = "Web3 provider is disabled"


class Web3ChainUnsupported(AuthError):
    code = "web3_unsupported_chain"
    text = "Unsupported chain: it is ethereum or solana"


class OAuthShaped(AuthError):
    """Said as OAuth 2.0 says errors (RFC 6749 section 5.2). error: one of its codes."""

    def __init__(self, error: Literal["invalid_request", "invalid_grant", "server_error"], description: str) -> None:
        super().__init__(description)
        self.error = error


class WeakPassword(AuthError):
    """reasons: ``length``, ``characters``, ``pwned``."""

    code = "weak_password"

    def __init__(self, message: str, reasons: tuple[str, ...]) -> None:
        super().__init__(message)
        self.reasons = reasons


class InsufficientAal(AuthError):
    code = "insufficient_aal"
    text = "AAL2 session is required: verify a second factor first"


class RemovalNeedsAal2(InsufficientAal):
    text = "AAL2 session is required to remove a verified factor"


class ChangeNeedsAal2(InsufficientAal):
    text = "AAL2 session is required to update email or password when MFA is enabled."


class FactorNotFound(AuthError):
    code = "mfa_factor_not_found"
    text = "Factor not found"


class ChallengeNotFound(AuthError):
    code = "mfa_factor_not_found"
    text = "MFA factor with the provided challenge ID not found"


class FactorNameTaken(AuthError):
    code = "mfa_factor_name_conflict"


class FactorExists(AuthError):
    code = "mfa_verified_factor_exists"


class TooManyFactors(AuthError):
    code = "too_many_enrolled_mfa_factors"


class FactorKindDisabled(AuthError):
    """Which code it is depends on the kind of factor and on what was asked of it."""

    def __init__(self, kind: str, what: Literal["enroll", "verify"]) -> None:
        super().__init__(f"MFA {what} is disabled for {kind.replace('_', ' ')}")
        self.wire = f"mfa_{'recovery_codes' if kind == 'recovery_code' else kind}_{what}_not_enabled"


class ChallengeExpired(AuthError):
    code = "mfa_challenge_expired"
    text = "MFA challenge has expired, verify against another challenge or create a new challenge."


class ChallengeElsewhere(AuthError):
    """A challenge is asked of from another address, or was used."""

    code = "mfa_ip_address_mismatch"
    text = "Challenge and verify IP addresses mismatch"


class FactorNotVerified(AuthError):
    code = "mfa_verification_failed"
    text = "Invalid TOTP code entered"


class RecoveryCodesAlone(AuthError):
    code = "mfa_recovery_codes_sole_factor"
    text = "Recovery codes cannot be the only factor: enroll and verify another one first"


class PasskeyDisabled(AuthError):
    code = "passkey_disabled"
    text = "Passkeys are disabled"


class TooManyPasskeys(AuthError):
    code = "too_many_passkeys"


class PasskeyChallengeNotFound(AuthError):
    code = "webauthn_challenge_not_found"
    text = "There is no such challenge, or it was used"


class PasskeyChallengeExpired(AuthError):
    code = "webauthn_challenge_expired"
    text = "The challenge has expired: begin again"


class WebauthnFailed(AuthError):
    """reason: for the caller; nothing secret is in an authenticator's answer."""

    code = "webauthn_verification_failed"


class CredentialExists(AuthError):
    code = "webauthn_credential_exists"
    text = "This authenticator is registered already"


class CredentialNotFound(AuthError):
    code = "webauthn_credential_not_found"
    text = "There is no such passkey"


class TooManyTries(RateLimited):
    """Codes were tried too often, of one account or from one address."""

    code = "over_request_rate_limit"


class RecoveryCodesLocked(TooManyTries):
    code = "mfa_recovery_codes_locked"


class CaptchaFailed(AuthError):
    code = "captcha_failed"
    text = "captcha protection: request disallowed"


class MailPaused(RateLimited):
    """An address was written to a moment ago."""

    code = "over_email_send_rate_limit"


class SmsPaused(RateLimited):
    """A number was written to a moment ago."""

    code = "over_sms_send_rate_limit"


STATUS: dict[type[AuthError], int] = {
    ValidationFailed: 400,
    UnknownUserId: 404,
    PasswordWithoutAddress: 422,
    InvalidCredentials: 400,
    EmailNotConfirmed: 400,
    PhoneNotConfirmed: 400,
    UserBanned: 400,
    UserBannedSince: 403,
    NoAuthorization: 401,
    AnonymousHasNone: 403,
    NotAdmin: 403,
    BadJwt: 403,
    SessionNotFound: 403,
    NoSuchSession: 404,
    UserGone: 403,
    UserNotFound: 404,
    UserAlreadyExists: 422,
    EmailExists: 422,
    PhoneExists: 422,
    SignupDisabled: 422,
    OtpDisabled: 422,
    AnonymousDisabled: 422,
    EmailDisabled: 422,
    PhoneDisabled: 422,
    SamePassword: 422,
    ReauthenticationNeeded: 400,
    ReauthenticationNotValid: 422,
    CurrentPasswordInvalid: 400,
    OtpExpired: 403,
    RefreshTokenNotFound: 400,
    RefreshTokenUsed: 400,
    SessionExpired: 400,
    FlowStateNotFound: 404,
    FlowStateExpired: 422,
    BadCodeVerifier: 400,
    ProviderDisabled: 400,
    BadOAuthState: 400,
    BadOAuthCallback: 400,
    ProviderRefused: 400,
    ProviderUnavailable: 503,
    EmailNotProvided: 422,
    EmailNeedsVerification: 403,
    IdentityExists: 422,
    IdentityNotFound: 422,
    UnknownIdentityId: 404,
    SingleIdentity: 422,
    EmailConflictsAfterUnlinking: 422,
    ManualLinkingDisabled: 404,
    Web3Disabled: 422,
    Web3ChainUnsupported: 400,
    OAuthShaped: 400,
    WeakPassword: 422,
    InsufficientAal: 403,
    RemovalNeedsAal2: 422,
    ChangeNeedsAal2: 401,
    FactorNotFound: 404,
    ChallengeNotFound: 422,
    FactorNameTaken: 422,
    FactorExists: 422,
    TooManyFactors: 422,
    FactorKindDisabled: 422,
    ChallengeExpired: 422,
    ChallengeElsewhere: 422,
    FactorNotVerified: 422,
    RecoveryCodesAlone: 422,
    PasskeyDisabled: 422,
    TooManyPasskeys: 422,
    PasskeyChallengeNotFound: 400,
    PasskeyChallengeExpired: 422,
    WebauthnFailed: 422,
    CredentialExists: 422,
    CredentialNotFound: 404,
    CaptchaFailed: 400,
}
"""Of auth's own errors, whose codes are GoTrue's already. A class without a line takes its parent's."""

CODES: dict[type[MbaasError], tuple[int, str]] = {
    BodyInvalid: (400, "bad_json"),
    QueryError: (400, "validation_failed"),
    Unauthenticated: (401, "no_authorization"),
    TokenInvalid: (403, "bad_jwt"),
    TokenExpired: (403, "bad_jwt"),
    Conflict: (409, "conflict"),
    TooLarge: (413, "request_entity_too_large"),
    MailPaused: (429, "over_email_send_rate_limit"),
    SmsPaused: (429, "over_sms_send_rate_limit"),
    RecoveryCodesLocked: (429, "mfa_recovery_codes_locked"),
    RateLimited: (429, "over_request_rate_limit"),
    StepUpRequired: (403, "insufficient_aal"),
    BodyTooSlow: (408, "request_timeout"),
    Timeout: (504, "request_timeout"),
    Unavailable: (503, "unexpected_failure"),
}
"""Of errors the whole server shares. What is in neither table keeps its own code, with the status it has everywhere."""

_STATES = {
    "22": (400, "validation_failed", "A value cannot be stored: a NUL character, or out of range"),
    "23503": (409, "conflict", "Other records depend on this user"),
}
"""Of PostgreSQL's errors, by the beginning of their SQLSTATE. Its own words stay in the log."""

_REVOKED = {"ended": SessionNotFound, "banned": UserBannedSince, "deleted": UserGone}
"""What this protocol says of a token that was good, where every other prefix says that it is invalid."""

_FAILED = "Something went wrong on our side"


def auth_dialect(error: MbaasError, scope: Scope) -> Reply:
    """Any of our errors as this protocol says it. Of a 500 the caller learns nothing but that it was one."""
    if isinstance(error, OAuthShaped):
        return Reply(400, msgspec.json.encode({"error": error.error, "error_description": error.message}))
    status, code = _outcome(error)
    message = _message(error, status)
    version = _header(scope, b"x-supabase-api-version")
    headers: list[Header] = [(b"x-sb-error-code", code.encode())]
    body: dict[str, Any]
    if version is not None and version >= API_VERSION:
        headers.append((b"x-supabase-api-version", API_VERSION.encode()))
        body = {"code": code, "message": message}
    else:
        body = {"code": status, "error_code": code, "msg": message}
        if isinstance(error, Unauthenticated):
            body["message"] = message  # what every prefix says of a missing key
    if isinstance(error, WeakPassword):
        body["weak_password"] = {"message": message, "reasons": error.reasons}
    if isinstance(error, RateLimited | Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    return Reply(status, msgspec.json.encode(body), tuple(headers))


def wire_code(error: MbaasError) -> str:
    """The code alone, for a redirect that carries it."""
    return _outcome(error)[1]


def wire_words(error: MbaasError) -> str:
    """The text alone, likewise; of a 500 nothing but that it was one."""
    return _message(error, _outcome(error)[0])


def _outcome(error: MbaasError) -> tuple[int, str]:
    if isinstance(error, TokenRevoked):
        error = _REVOKED[error.reason]()
    if isinstance(error, DatabaseError):
        known = next((state for state in _STATES if error.sqlstate.startswith(state)), None)
        return _STATES[known][:2] if known else (500, "unexpected_failure")
    for kind in type(error).__mro__:
        if issubclass(kind, AuthError) and kind in STATUS:
            return STATUS[kind], error.wire if isinstance(error, FactorKindDisabled) else error.code
        if kind in CODES:
            return CODES[kind]
    status = status_of(error)
    return status, "unexpected_failure" if status >= 500 else error.code


def _message(error: MbaasError, status: int) -> str:
    if isinstance(error, TokenRevoked):
        return _REVOKED[error.reason].text
    if isinstance(error, DatabaseError):
        return next((state[2] for start, state in _STATES.items() if error.sqlstate.startswith(start)), _FAILED)
    return _FAILED if status == 500 else error.message


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name), None)
