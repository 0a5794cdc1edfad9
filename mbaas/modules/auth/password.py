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
import msgspec
from argon2.exceptions import Argon2Error

from mbaas.core.errors import RateLimited
from mbaas.modules.auth.common_passwords import is_common
from mbaas.modules.auth.errors import ValidationFailed, WeakPassword
from mbaas.modules.auth.foreign_hashes import read_hash

MAX_LENGTH = 1000  # characters
MAX_WAITING = 256  # hashes queued or at work
# Of a random password nobody kept. A sign-in of somebody unknown is checked against it and takes as long as any other.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$4en3P9KRWz3So3FvQ9xL3Q$laZ780nm6exJDudYGkkSZ/0LKCkxLu/Ax883YmiLS2o"
_OURS = "$argon2id$v=19$m=19456,t=2,p=1$"

T = TypeVar("T")


class Verdict(msgspec.Struct, frozen=True):
    """stale: right, but hashed in another way than new passwords are."""

    right: bool
    stale: bool = False


class Passwords:
    """Hashes and checks passwords, a few at a time."""

    def __init__(self, *, min_length: int, block_list: bool = True, workers: int | None = None) -> None:
        self._min_length = min_length
        self._block_list = block_list
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
        password = unicodedata.normalize("NFC", password)
        if len(password) < self._min_length:
            return WeakPassword(f"Password should be at least {self._min_length} characters.", ("length",))
        if self._block_list and is_common(password):
            return WeakPassword(
                "Password is known to be weak and easy to guess, please choose a different one.", ("pwned",)
            )
        return None

    async def hash(self, password: str) -> str:
        """A password that ``check`` let through, as a PHC string. Raises RateLimited when too many wait."""
        return await self._run(self._hasher.hash, password)

    async def rehash(self, password: str) -> str:
        """The same password hashed as new ones are, for a verdict that is stale."""
        return await self.hash(unicodedata.normalize("NFC", password))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether the password is the stored one. ``None`` stored: never, after as long a time."""
        if len(unicodedata.normalize("NFC", password)) > MAX_LENGTH:
            stored, password = None, ""
        return await self._run(self._matches, stored, password)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str | None, password: str) -> Verdict:
        normal = unicodedata.normalize("NFC", password)
        if stored is None or stored.startswith(_OURS):
            try:
                self._hasher.verify(stored or _NOBODY, normal)
            except Argon2Error:
                return Verdict(False)
            return Verdict(stored is not None)
        try:
            matches = read_hash(stored)
        except ValidationFailed:
            return self._matches(None, password)
        # Others may have hashed what was typed, whatever form its letters had.
        return Verdict(any(map(matches, dict.fromkeys((normal, password)))), stale=True)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        if self._waiting >= MAX_WAITING:
            raise RateLimited("Too many sign-ins at once", retry_after_s=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        finally:
            self._waiting -= 1
