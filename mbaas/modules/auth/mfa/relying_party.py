"""Our side of WebAuthn (Web Authentication Level 3): what authenticators are asked, and whether their answers hold.

A credential belongs to one domain and is used by the origins the settings name, compared exactly. Signature counters
are compared where they are kept, in one statement, so that a copy of an authenticator is noticed once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from mbaas.config.settings import AppSettings, AuthSettings
from mbaas.core.later import later
from mbaas.modules.auth.errors import ValidationFailed, WebauthnFailed
from mbaas.modules.auth.objects import User

if TYPE_CHECKING:
    import webauthn
    from webauthn import helpers
    from webauthn.helpers import cose, exceptions, structs
else:
    webauthn = later("webauthn")
    helpers = later("webauthn.helpers")
    cose = later("webauthn.helpers.cose")
    exceptions = later("webauthn.helpers.exceptions")
    structs = later("webauthn.helpers.structs")

CHALLENGE_BYTES = 32
TIMEOUT_MS = 300_000
MAX_CREDENTIAL = 16_384  # bytes of an answer; the largest of real authenticators have some 5,000


class Registered(msgspec.Struct, frozen=True):
    """A new credential. sign_count: 0 of authenticators that do not count."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


class Known(msgspec.Struct, frozen=True):
    """A credential as it is kept."""

    id: str
    user_id: str
    credential_id: bytes
    public_key: bytes
    transports: tuple[str, ...]


class RelyingParty:
    def __init__(self, app: AppSettings, settings: AuthSettings) -> None:
        self._name = app.name
        self.id = settings.webauthn_rp_id or urlsplit(app.site_url).hostname or "localhost"
        self.origins = _origins((app.site_url, *app.redirect_urls), settings.webauthn_origins)

    def check_wanted(self, rp_id: str | None, origins: Iterable[str]) -> None:
        """Whether a client may have what it asks for. Raises ValidationFailed, saying what there is."""
        if rp_id is not None and rp_id != self.id:
            raise ValidationFailed(f"rpId is {self.id} here: see the settings site_url and webauthn_rp_id")
        for origin in origins:
            if origin not in self.origins:
                raise ValidationFailed(f"origin {origin[:100]} is not among those of site_url and webauthn_origins")

    def creation_options(
        self, user: User, challenge: bytes, *, known: Sequence[Known], passkey: bool
    ) -> dict[str, Any]:
        """PublicKeyCredentialCreationOptionsJSON. passkey: it signs in by itself, so it knows its user and verifies."""
        selection = structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED
            if passkey
            else structs.ResidentKeyRequirement.DISCOURAGED,
            require_resident_key=passkey,
            user_verification=_verification(passkey),
        )
        name = user.email or user.phone or user.id
        options = webauthn.generate_registration_options(
            rp_id=self.id,
            rp_name=self._name,
            user_id=uuid.UUID(user.id).bytes,
            user_name=name,
            user_display_name=name,
            challenge=challenge,
            timeout=TIMEOUT_MS,
            authenticator_selection=selection,
            exclude_credentials=_descriptors(known),
            supported_pub_key_algs=_algorithms(),
        )
        return helpers.options_to_json_dict(options)

    def request_options(self, challenge: bytes, *, known: Sequence[Known], passkey: bool) -> dict[str, Any]:
        """PublicKeyCredentialRequestOptionsJSON. known: whose answer counts; empty: of any passkey."""
        options = webauthn.generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            timeout=TIMEOUT_MS,
            allow_credentials=_descriptors(known),
            user_verification=_verification(passkey),
        )
        return helpers.options_to_json_dict(options)

    def register(self, credential: dict[str, Any], challenge: bytes, *, passkey: bool) -> Registered:
        """The credential an authenticator made. Raises WebauthnFailed."""
        _check_size(credential)
        try:
            made = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=list(self.origins),
                require_user_verification=passkey,
                supported_pub_key_algs=_algorithms(),
            )
        except Exception as error:  # what a library stumbles over in an answer of anybody's does not hold
            raise WebauthnFailed(_reason(error)) from error
        return Registered(made.credential_id, made.credential_public_key, made.sign_count, _transports(credential))

    def authenticate(self, credential: dict[str, Any], challenge: bytes, known: Known, *, passkey: bool) -> int:
        """The authenticator's signature counter, still to be compared. Raises WebauthnFailed."""
        _check_size(credential)
        try:
            done = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=list(self.origins),
                credential_public_key=known.public_key,
                credential_current_sign_count=0,  # compared where it is kept
                require_user_verification=passkey,
            )
        except Exception as error:  # what a library stumbles over in an answer of anybody's does not hold
            raise WebauthnFailed(_reason(error)) from error
        if done.credential_id != known.credential_id:
            raise WebauthnFailed("The answer is of another credential")
        return done.new_sign_count


def _reason(error: Exception) -> str:
    known = isinstance(error, exceptions.WebAuthnException)
    return f"Credential verification failed: {error if known else 'the answer is malformed'}"[:300]


def _check_size(credential: dict[str, Any]) -> None:
    if len(msgspec.json.encode(credential)) > MAX_CREDENTIAL:
        raise WebauthnFailed("Credential verification failed: the answer is too large")


def _algorithms() -> list[cose.COSEAlgorithmIdentifier]:
    known = cose.COSEAlgorithmIdentifier
    return [known.ECDSA_SHA_256, known.EDDSA, known.RSASSA_PKCS1_v1_5_SHA_256]


def _verification(passkey: bool) -> structs.UserVerificationRequirement:
    """A second factor proves possession beside a password; a passkey proves both by itself."""
    return structs.UserVerificationRequirement.REQUIRED if passkey else structs.UserVerificationRequirement.PREFERRED


def _descriptors(known: Sequence[Known]) -> list[structs.PublicKeyCredentialDescriptor]:
    names = {transport.value: transport for transport in structs.AuthenticatorTransport}
    return [
        structs.PublicKeyCredentialDescriptor(
            id=one.credential_id, transports=[names[name] for name in one.transports if name in names] or None
        )
        for one in known
    ]


def _transports(credential: dict[str, Any]) -> tuple[str, ...]:
    """Those an authenticator says it has, of the ones there are."""
    response = credential.get("response")
    told = response.get("transports") if isinstance(response, dict) else None
    names = {transport.value for transport in structs.AuthenticatorTransport}
    return tuple(sorted({name for name in told if isinstance(name, str)} & names)) if isinstance(told, list) else ()


def _origins(urls: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Of the web addresses among the URLs that say their host in full, and those named.

    >>> _origins(("https://App.example.com/x", "https://*.example.com/**", "app://back"), ("android:apk-key-hash:k",))
    ('https://app.example.com', 'android:apk-key-hash:k')
    """
    found = []
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and not set(parts.netloc) & set("*?[]{}@"):
            found.append(f"{parts.scheme}://{parts.netloc.lower()}")
    return tuple(dict.fromkeys((*found, *more)))


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """Which credential an answer claims to be of; empty for none."""
    raw = credential.get("id")
    try:
        return webauthn.base64url_to_bytes(raw) if isinstance(raw, str) and len(raw) <= 2048 else b""
    except ValueError:
        return b""


def user_of(credential: dict[str, Any]) -> str | None:
    """Whom a passkey says it is of; ``None`` when it does not say."""
    response = credential.get("response")
    handle = response.get("userHandle") if isinstance(response, dict) else None
    try:
        return str(uuid.UUID(bytes=webauthn.base64url_to_bytes(handle))) if isinstance(handle, str) else None
    except ValueError:
        return None
