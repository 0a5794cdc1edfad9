"""What the server answers with, as values."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

Record: TypeAlias = dict[str, Any]
"""One record by field name, values as JSON has them."""


class Page(msgspec.Struct, frozen=True):
    """Some of the records that match. total: all of them, when it was asked for."""

    records: list[Record]
    total: int | None = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Times are RFC 3339 texts."""

    id: str
    email: str = ""
    phone: str = ""
    role: str = ""
    app_metadata: dict[str, Any] = {}
    user_metadata: dict[str, Any] = {}
    is_anonymous: bool = False
    created_at: str = ""
    last_sign_in_at: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """expires_at: Unix time in seconds."""

    access_token: str
    refresh_token: str
    expires_at: int
    user: User
