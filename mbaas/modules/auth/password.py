"""Passwords: which are taken, and argon2id off the event loop in a pool that refuses work beyond its queue.

Parameters as OWASP advises for argon2id: 19 MiB, two passes, one lane. Unicode is compared in NFC (RFC 8265), and every
character counts: nothing is cut off.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import argon2
import bcrypt
import msgspec
from argon2.exceptions import Argon2Error, InvalidHashError

from mbaas.core.errors import RateLimited
from mbaas.modules.auth.errors import ValidationFailed, WeakPassword

MAX_LENGTH = 1000  # characters
MAX_WAITING = 256  # hashes queued or at work
# Of a random password nobody kept. A sign-in of somebody unknown is checked against it and takes as long as any other.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$4en3P9KRWz3So3FvQ9xL3Q$laZ780nm6exJDudYGkkSZ/0LKCkxLu/Ax883YmiLS2o"
_BCRYPT = ("$2a$", "$2b$", "$2y$")
_MAX_MEMORY_KIB, _MAX_PASSES, _MAX_LANES, _MAX_BCRYPT_COST = 131_072, 10, 8, 14

T = TypeVar("T")


class Verdict(msgspec.Struct, frozen=True):
    """stale: right, but hashed in another way than new passwords are."""

    right: bool
    stale: bool = False


class Passwords:
    """Hashes and checks passwords, a few at a time."""

    def __init__(self, *, min_length: int, workers: int | None = None) -> None:
        self._min_length = min_length
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._pool = ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1), thread_name_prefix="argon2")
        self._waiting = 0

    def check(self, password: str) -> str:
        """A new password as it will be hashed. Raises WeakPassword, ValidationFailed."""
        password = unicodedata.normalize("NFC", password)
        if len(password) > MAX_LENGTH:
            raise ValidationFailed(f"Password cannot be longer than {MAX_LENGTH} characters")
        weakness = self.weakness(password)
        if weakness is not None:
            raise weakness
        return password

    def weakness(self, password: str) -> WeakPassword | None:
        """What a password lacks today; ``None``: nothing. Who signs in with an older, weaker one is told."""
        if len(unicodedata.normalize("NFC", password)) >= self._min_length:
            return None
        return WeakPassword(f"Password should be at least {self._min_length} characters.", ("length",))

    async def hash(self, password: str) -> str:
        """A password that ``check`` let through, as a PHC string. Raises RateLimited when too many wait."""
        return await self._run(self._hasher.hash, password)

    async def rehash(self, password: str) -> str:
        """The same password hashed as new ones are, for a verdict that is stale."""
        return await self.hash(unicodedata.normalize("NFC", password))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether the password is the stored one. ``None`` stored: never, after as long a time."""
        password = unicodedata.normalize("NFC", password)
        if len(password) > MAX_LENGTH:
            stored, password = None, ""
        return await self._run(self._matches, stored, password)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str | None, password: str) -> Verdict:
        if stored is not None and stored.startswith(_BCRYPT):
            # bcrypt itself reads 72 bytes; a hash brought from elsewhere was made that way.
            try:
                return Verdict(bcrypt.checkpw(password.encode()[:72], stored.encode()), stale=True)
            except ValueError:  # a NUL byte, which bcrypt never saw
                return Verdict(False)
        try:
            self._hasher.verify(stored or _NOBODY, password)
        except (Argon2Error, InvalidHashError):
            return Verdict(False)
        if stored is None:
            return Verdict(False)
        return Verdict(True, stale=self._hasher.check_needs_rehash(stored))

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        if self._waiting >= MAX_WAITING:
            raise RateLimited("Too many sign-ins at once", retry_after_s=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        finally:
            self._waiting -= 1


def check_hash(stored: str) -> str:
    """A hash brought from elsewhere, when it is of a kind and cost we would check. Raises ValidationFailed."""
    if stored.startswith(_BCRYPT):
        parts = stored.split("$")
        if len(stored) == 60 and parts[2].isdigit() and int(parts[2]) <= _MAX_BCRYPT_COST:
            return stored
    elif stored.startswith("$argon2"):
        try:
            found = argon2.extract_parameters(stored)
        except InvalidHashError:
            raise ValidationFailed("The password hash cannot be read") from None
        if found.memory_cost <= _MAX_MEMORY_KIB and found.time_cost <= _MAX_PASSES and found.parallelism <= _MAX_LANES:
            return stored
    raise ValidationFailed("The password hash must be argon2 or bcrypt, at a cost that can be checked at sign-in")
