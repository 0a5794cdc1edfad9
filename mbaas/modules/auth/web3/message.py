"""The text a wallet shows and signs: Sign-In with Ethereum (EIP-4361), and with Solana, which is made after it.

Read strictly: what could be read in two ways, or shown in another than read, is no message.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

MAX_LENGTH = 20 * 1024
_FIELDS = frozenset(("URI", "Version", "Chain ID", "Nonce", "Issued At", "Expiration Time", "Not Before", "Request ID"))
_HEADER = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<domain>\S+) wants you to sign in with your ")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)  # RFC 3339
_NETWORK = re.compile(r"[A-Za-z0-9:._-]{1,64}", re.ASCII)
_HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NONCE = re.compile(r"\S{8,}")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says. scheme: of the domain, seldom told. network: which of the chain's, "1" being Ethereum's
    main one.
    """

    scheme: str | None
    domain: str
    address: str
    statement: str | None
    uri: str
    network: str | None
    issued_at: datetime
    not_before: datetime | None
    expires_at: datetime | None


def parse_message(text: str, account: str) -> Message:
    """Take a message apart. account: whose it has to be of, such as ``Ethereum``. Raises ValueError."""
    if len(text) > MAX_LENGTH:
        raise ValueError("message must not exceed 20KB")
    lines = text.split("\n")
    if _HIDDEN.search(text):
        raise ValueError("message has signs that do not show")
    found = _HEADER.match(lines[0])
    if found is None or lines[0][found.end() :] != f"{account} account:":
        raise ValueError(f"message does not begin with <domain> wants you to sign in with your {account} account:")
    if len(lines) < 4 or lines[2]:
        raise ValueError("message has no address followed by an empty line")
    statement, rest = _statement(lines[3:])
    fields = _fields(rest)
    for name in ("URI", "Version", "Issued At"):
        if name not in fields:
            raise ValueError(f"message has no {name}")
    if fields["Version"] != "1":
        raise ValueError(f"message has version {fields['Version'][:20]}, not 1")
    if "Nonce" in fields and not _NONCE.fullmatch(fields["Nonce"]):
        raise ValueError("message has a Nonce of less than 8 signs")
    if "Chain ID" in fields and not _NETWORK.fullmatch(fields["Chain ID"]):
        raise ValueError("message has a Chain ID that is none")
    return Message(
        scheme=found["scheme"],
        domain=found["domain"],
        address=lines[1],
        statement=statement,
        uri=fields["URI"],
        network=fields.get("Chain ID"),
        issued_at=_time("Issued At", fields["Issued At"]),
        not_before=_time("Not Before", fields["Not Before"]) if "Not Before" in fields else None,
        expires_at=_time("Expiration Time", fields["Expiration Time"]) if "Expiration Time" in fields else None,
    )


def _statement(lines: list[str]) -> tuple[str | None, list[str]]:
    """It stands between empty lines; without one wallets write one empty line or two."""
    if not lines[0]:
        return None, lines[1:]
    if len(lines) > 1 and not lines[1]:
        return lines[0], lines[2:]
    return None, lines


def _fields(lines: list[str]) -> dict[str, str]:
    """In any order, each once; resources are the last and are the app's."""
    found: dict[str, str] = {}
    for place, line in enumerate(lines):
        if line in ("Resources:", "Resources"):  # supabase-js leaves the colon out for Solana
            if not all(each.startswith("- ") for each in lines[place + 1 :]):
                raise ValueError("message has something after Resources that is none")
            return found
        name, colon, value = line.partition(": ")
        if not colon or name not in _FIELDS:
            raise ValueError("message has a line that is no field")
        if name in found:
            raise ValueError(f"message has two lines of {name}")
        found[name] = value
    return found


def _time(name: str, text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise ValueError(f"message has no time of RFC 3339 as {name}")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"message has a day or hour as {name} that there is not") from None
