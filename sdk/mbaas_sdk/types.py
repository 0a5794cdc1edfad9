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


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request of a batch. path: below ``/rest/v1``: ``/posts?id=eq.{post.0.id}``. id: how others refer to it."""

    method: str
    path: str
    id: str | None = None
    headers: dict[str, str] = {}
    body: Any = msgspec.UNSET


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation of a batch answered. id: as given, else its position."""

    id: str
    status: int
    headers: dict[str, str] = {}
    body: Any = None


def ref(path: str) -> Record:
    """Stands in a later operation's body for a value of an earlier one's answer.

    >>> ref("post.0.id")
    {'$ref': 'post.0.id'}
    """
    return {"$ref": path}


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
