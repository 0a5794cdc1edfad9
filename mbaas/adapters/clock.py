"""Time and chance from the operating system, as values handed in, so that a test can set both."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime


class Clock:
    """The wall clock."""

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)


class Chance:
    """What nobody can guess, from the operating system's generator."""

    def new_id(self) -> str:
        """A random UUID (RFC 9562 version 4)."""
        return str(uuid.uuid4())

    def new_token(self) -> str:
        """56 hexadecimal digits: 224 bits."""
        return secrets.token_hex(28)

    def new_code(self, length: int) -> str:
        """``length`` decimal digits, leading zeros included."""
        return "".join(secrets.choice("0123456789") for _ in range(length))

    def new_bytes(self, length: int) -> bytes:
        return secrets.token_bytes(length)
