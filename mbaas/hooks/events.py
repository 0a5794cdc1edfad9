"""Everything a hook can be about, as frozen values. Each has a heading in ``docs/guides/plugins.md``.

Two kinds. A ``Doing`` is about to happen, inside the transaction: ``around`` hooks change, refuse or replace it, its
type parameter is what doing it gives. A ``Done`` has been committed: ``after`` hooks observe it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from mbaas.core.identity import Identity

Record: TypeAlias = dict[str, Any]
"""One record by field name, values as JSON has them: numbers, strings, booleans, ``None``, lists, dicts."""

R = TypeVar("R")


class Transaction(Protocol):
    """The transaction an event happens in, for SQL as the caller: every statement meets the rules as policies."""

    async def fetch(self, sql: str, *values: Any) -> list[Record]:
        """The rows of one statement; ``$1``, ``$2`` stand for ``values``, which never become SQL.

        A statement that writes needs ``returning``. A list is an array, a dict is JSON. One that fails spoils the whole
        transaction, also when the error is caught, unless it happened inside ``savepoint()``.
        Raises DatabaseError, Timeout, Unavailable.
        """
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A block, ``proceed`` in it included, that is undone when it raises; the transaction can then go on."""
        ...


class Doing(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """Base of what ``around`` hooks wrap. R: what carrying it out gives."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what ``after`` hooks observe."""


class RecordCreate(Doing[Record], frozen=True, kw_only=True):
    """One record is about to be inserted; a bulk insert asks once a record. Gives the stored record.

    values: what the caller sent for fields of the collection. Fields that are absent take their default.
    """

    collection: str
    values: Record
    identity: Identity
    transaction: Transaction


class RecordUpdate(Doing[list[Record]], frozen=True, kw_only=True):
    """Records are about to be changed, all in the same way. Gives the records as they then are; none: ``[]``."""

    collection: str
    changes: Record
    identity: Identity
    transaction: Transaction


class RecordDelete(Doing[list[Record]], frozen=True, kw_only=True):
    """Records are about to be deleted. Gives them as they last were; none: ``[]``."""

    collection: str
    identity: Identity
    transaction: Transaction


class RecordCreated(Done, frozen=True, kw_only=True):
    """Records were inserted. records: as stored, defaults included."""

    collection: str
    records: list[Record]
    identity: Identity


class RecordUpdated(Done, frozen=True, kw_only=True):
    """Records were changed. records: as they are now."""

    collection: str
    records: list[Record]
    identity: Identity


class RecordDeleted(Done, frozen=True, kw_only=True):
    """Records were deleted. records: as they last were."""

    collection: str
    records: list[Record]
    identity: Identity


class User(msgspec.Struct, frozen=True, kw_only=True):
    """What hooks learn of a user. Never a password, hash, code or token."""

    id: str
    email: str | None = None
    phone: str | None = None
    app_metadata: dict[str, Any] = {}  # msgspec copies mutable defaults
    user_metadata: dict[str, Any] = {}
    is_anonymous: bool = False


class UserCreate(Doing[User], frozen=True, kw_only=True):
    """A user is about to be made, by sign-up or by an admin. Gives the user.

    provider: ``email``, ``phone``, ``anonymous`` or a sign-in provider's name. identity: who asks, ``anon`` at sign-up.
    """

    email: str | None
    phone: str | None
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]
    provider: str
    identity: Identity


class UserCreated(Done, frozen=True, kw_only=True):
    """A user was made."""

    user: User
    provider: str


class SignedIn(Done, frozen=True, kw_only=True):
    """A user got a session. method: as in the token's ``amr`` claim (RFC 8176), ``password`` for instance."""

    user: User
    method: str
    session_id: str
