"""Who signed with a key of Solana: Ed25519 (RFC 8032), whose public key is the address in base58."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ADDRESS = re.compile(f"[{_DIGITS}]{{32,44}}")
_SIGNATURE = re.compile(r"([A-Za-z0-9+/_-]{86})(?:==)?", re.ASCII)


def parse_address(text: str) -> str:
    """Raises ValueError for what is not 32 bytes in base58."""
    if not _ADDRESS.fullmatch(text) or len(_key(text)) != 32:
        raise ValueError("address must be 32 bytes in base58")
    return text


def parse_signature(text: str) -> bytes:
    """From base64 or base64url, padded or not. Raises ValueError."""
    found = _SIGNATURE.fullmatch(text)
    if found is None:
        raise ValueError("signature must be 64 bytes in base64")
    try:
        return base64.b64decode(found[1].replace("-", "+").replace("_", "/") + "==", validate=True)
    except binascii.Error:
        raise ValueError("signature must be 64 bytes in base64") from None


def is_signed(text: bytes, signature: bytes, address: str) -> bool:
    """Whether who has the key of an address signed a text."""
    try:
        Ed25519PublicKey.from_public_bytes(_key(address)).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _key(address: str) -> bytes:
    """Base58: a number, most significant digit first, each leading zero byte a digit of its own."""
    number = 0
    for digit in address:
        number = number * 58 + _DIGITS.index(digit)
    zeros = len(address) - len(address.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
