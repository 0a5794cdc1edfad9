"""A software authenticator in the words of WebAuthn's JSON, as a browser would send it."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from soft_webauthn import SoftWebauthnDevice

ORIGIN = "http://localhost:3000"


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """One device with one credential. verifies: whether it asks for a PIN or a finger."""

    def __init__(self, *, verifies: bool = True) -> None:
        self.device = SoftWebauthnDevice()
        self.flags = 0x05 if verifies else 0x01

    def create(self, options: dict[str, Any], *, origin: str = ORIGIN) -> dict[str, Any]:
        """RegistrationResponseJSON for PublicKeyCredentialCreationOptionsJSON."""
        user = {**options["user"], "id": decode(options["user"]["id"])}
        native = {**options, "challenge": decode(options["challenge"]), "user": user}
        made = self.device.create({"publicKey": native}, origin)
        attestation = made["response"]["attestationObject"]
        head = hashlib.sha256(self.device.rp_id.encode()).digest()
        attestation = attestation.replace(head + b"\x41", head + bytes([0x40 | self.flags]))
        return self._credential(
            {
                "clientDataJSON": encode(made["response"]["clientDataJSON"]),
                "attestationObject": encode(attestation),
                "transports": ["internal"],
            }
        )

    def get(self, options: dict[str, Any], *, origin: str = ORIGIN, count: int | None = None) -> dict[str, Any]:
        """AuthenticationResponseJSON for PublicKeyCredentialRequestOptionsJSON. count: of signatures, as told."""
        self.device.sign_count = self.device.sign_count + 1 if count is None else count
        data = json.dumps({"type": "webauthn.get", "challenge": options["challenge"], "origin": origin}).encode()
        head = hashlib.sha256(options["rpId"].encode()).digest()
        authenticator = head + bytes([self.flags]) + struct.pack(">I", self.device.sign_count)
        key: ec.EllipticCurvePrivateKey = self.device.private_key
        signature = key.sign(authenticator + hashlib.sha256(data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            {
                "authenticatorData": encode(authenticator),
                "clientDataJSON": encode(data),
                "signature": encode(signature),
                "userHandle": encode(self.device.user_handle),
            }
        )

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        name = encode(self.device.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": response}
