"""Files of users that come from elsewhere, as bodies of the admin API.

``.json``: an array of users, or an export of Firebase (``{"users": […]}``); ``.jsonl``: a user a line; ``.csv``: a line
of names first. Names are those of the admin API.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from mbaas.core.errors import QueryError

User: TypeAlias = dict[str, Any]

FIELDS = (
    "id", "email", "phone", "password", "password_hash", "email_confirm", "phone_confirm", "user_metadata",
    "app_metadata", "role", "ban_duration",
)  # fmt: skip
_JSON = ("user_metadata", "app_metadata")
_BOOLEAN = ("email_confirm", "phone_confirm")
_WORDS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}


class FirebaseHashes(msgspec.Struct, frozen=True):
    """How Firebase hashed, as its console shows it under "password hash parameters"."""

    signer_key: str
    salt_separator: str
    rounds: int
    mem_cost: int


def read_users(path: Path, firebase: FirebaseHashes | None = None) -> list[User]:
    """All users of a file. Raises QueryError that names the line or the number of the user."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{path} cannot be read: {error}") from None
    if path.suffix == ".csv":
        return [_checked(user, f"line {line}") for line, user in _csv(text)]
    if path.suffix == ".jsonl":
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [_checked(_decode(line, f"line {number}"), f"line {number}") for number, line in lines]
    if path.suffix != ".json":
        raise QueryError(f"{path.name} is of no kind that is known", hint="users.json, users.jsonl or users.csv")
    found = _decode(text, path.name)
    if isinstance(found, dict) and isinstance(found.get("users"), list):
        found = [_from_firebase(user, firebase) if "localId" in user else user for user in found["users"]]
    if not isinstance(found, list):
        raise QueryError(f"{path.name} holds no array of users")
    return [_checked(user, f"user {number}") for number, user in enumerate(found, 1)]


def read_firebase_hashes(path: Path) -> FirebaseHashes:
    """From what the console shows: ``hash_config { base64_signer_key: …, … }``. Raises QueryError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{path} cannot be read: {error}") from None
    found = dict(re.findall(r"\b(base64_signer_key|base64_salt_separator|rounds|mem_cost)\s*:\s*\"?([\w+/=-]+)", text))
    try:
        return FirebaseHashes(
            found["base64_signer_key"],
            found["base64_salt_separator"],
            int(found["rounds"]),
            int(found["mem_cost"]),
        )
    except (KeyError, ValueError):
        hint = "base64_signer_key, base64_salt_separator, rounds, mem_cost: the console shows them beside the users"
        raise QueryError(f"{path} does not hold Firebase's hash parameters", hint=hint) from None


def batches(users: Iterable[User], *, count: int = 500, size: int = 500_000) -> Iterator[list[User]]:
    """In pieces that one request may carry. size: bytes of JSON."""
    batch: list[User] = []
    taken = 0
    for user in users:
        length = len(msgspec.json.encode(user))
        if batch and (len(batch) == count or taken + length > size):
            yield batch
            batch, taken = [], 0
        batch.append(user)
        taken += length
    if batch:
        yield batch


def _from_firebase(user: User, hashes: FirebaseHashes | None) -> User:
    made: User = {
        "email": user.get("email"),
        "phone": user.get("phoneNumber"),
        "email_confirm": bool(user.get("emailVerified")),
        "phone_confirm": bool(user.get("phoneNumber")),
        "app_metadata": {"firebase_id": user["localId"]},
    }
    names = {"displayName": "full_name", "photoUrl": "avatar_url"}
    made["user_metadata"] = {ours: user[theirs] for theirs, ours in names.items() if user.get(theirs)}
    if user.get("passwordHash"):
        if hashes is None:
            raise QueryError(
                "the file has hashes of Firebase's", hint="give their parameters: --firebase-hashes hash_config.txt"
            )
        made["password_hash"] = (
            f"$fbscrypt$v=1,n={hashes.mem_cost},r={hashes.rounds},p=1,ss={hashes.salt_separator},"
            f"sk={hashes.signer_key}${user.get('salt', '')}${user['passwordHash']}"
        )
    return {name: value for name, value in made.items() if value not in (None, {})}


def _csv(text: str) -> Iterator[tuple[int, User]]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        for row in reader:
            where = f"line {reader.line_num}"
            if None in row:
                raise QueryError(f"{where}: more values than names")
            yield reader.line_num, {name: _value(name, cell, where) for name, cell in row.items() if cell}
    except csv.Error as error:
        raise QueryError(f"line {reader.line_num}: {error}") from None


def _value(name: str, cell: str, where: str) -> Any:
    if name in _JSON:
        return _decode(cell, f"{where}, {name}")
    if name in _BOOLEAN:
        if cell.lower() not in _WORDS:
            raise QueryError(f"{where}: {name} is true or false, not {cell!r}")
        return _WORDS[cell.lower()]
    return cell


def _decode(text: str, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise QueryError(f"{where}: no JSON: {error}") from None


def _checked(user: Any, where: str) -> User:
    if not isinstance(user, dict):
        raise QueryError(f"{where} is no user")
    unknown = [str(name) for name in user if name not in FIELDS]
    if unknown:
        raise QueryError(f"{where}: a user has no {unknown[0]!r}", hint=f"known are {', '.join(FIELDS)}")
    return user
