"""Who signed with a key of Ethereum: EIP-191, and the key recovered from the signature (SEC 1 section 4.1.6)."""

from __future__ import annotations

import re

from eth_hash.auto import keccak
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_SIGNATURE = re.compile(r"(?:0x)?([0-9a-fA-F]{130})", re.ASCII)


def parse_address(text: str) -> str:
    """In lower case: the case of digits is a checksum, not another address (EIP-55). Raises ValueError."""
    if not _ADDRESS.fullmatch(text):
        raise ValueError("address must be 0x and 40 hexadecimal digits")
    return text.lower()


def parse_signature(text: str) -> bytes:
    """The numbers r and s and the bit for recovery. Raises ValueError."""
    found = _SIGNATURE.fullmatch(text)
    if found is None:
        raise ValueError("signature must be 65 bytes in hexadecimal")
    raw = bytes.fromhex(found[1])
    # Wallets count the last byte from 27, as Bitcoin did, or from 0.
    return raw[:64] + bytes([raw[64] - 27 if raw[64] in (27, 28) else raw[64]])


def is_signed(text: bytes, signature: bytes, address: str) -> bool:
    """Whether who has the key of an address signed a text."""
    signed = b"\x19Ethereum Signed Message:\n%d%s" % (len(text), text)
    try:
        key = Signature(signature).recover_public_key_from_msg_hash(keccak(signed))
    except (BadSignature, ValidationError):
        return False
    return key.to_address() == address
