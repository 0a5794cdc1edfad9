"""Wallets of either chain: they write the message an app asks for, and sign it with a key of their own."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey

from mbaas.modules.auth.web3.solana import _DIGITS

URI = "http://localhost:3000/in"
_DEFAULT = {"URI": URI, "Version": "1", "Chain ID": "1", "Nonce": "abcdef123456", "Issued At": ""}


def write(account: str, address: str, *, domain: str, statement: str | None, fields: dict[str, Any]) -> str:
    """A message of EIP-4361. fields: beside or instead of the usual ones, by their names; ``None``: without it."""
    told = {**_DEFAULT, "Issued At": stamp(datetime.now(UTC)), **fields}
    lines = [f"{domain} wants you to sign in with your {account} account:", address, ""]
    lines += [statement, ""] if statement is not None else [""]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in told.items() if value is not None)])


def stamp(moment: datetime) -> str:
    """As JavaScript's ``toISOString``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ethereum:
    chain = "ethereum"

    def __init__(self, seed: int) -> None:
        self.key = PrivateKey(seed.to_bytes(32, "big"))
        self.address: str = self.key.public_key.to_address()

    def message(
        self, *, domain: str = "localhost:3000", statement: str | None = "Come in.", address: str = "", **fields: Any
    ) -> str:
        return write("Ethereum", address or self.address, domain=domain, statement=statement, fields=fields)

    def sign(self, text: str) -> str:
        """As wallets do it: the last byte counts from 27."""
        raw = text.encode()
        signed = self.key.sign_msg_hash(keccak(b"\x19Ethereum Signed Message:\n%d%s" % (len(raw), raw))).to_bytes()
        return "0x" + (signed[:64] + bytes([signed[64] + 27])).hex()


class Solana:
    chain = "solana"

    def __init__(self, seed: int) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
        self.address = base58(self.key.public_key().public_bytes_raw())

    def message(
        self, *, domain: str = "localhost:3000", statement: str | None = "Come in.", address: str = "", **fields: Any
    ) -> str:
        told = {"Chain ID": "mainnet", **fields}
        return write("Solana", address or self.address, domain=domain, statement=statement, fields=told)

    def sign(self, text: str) -> str:
        """As supabase-js sends it: base64url without padding."""
        return base64.urlsafe_b64encode(self.key.sign(text.encode())).rstrip(b"=").decode()


def base58(raw: bytes) -> str:
    number, found = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        found = _DIGITS[digit] + found
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + found
