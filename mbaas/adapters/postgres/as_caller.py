"""A transaction for plugins: SQL as the caller, under the policies, between statements of the server's own.

The server's statements run as the owner of the tables. Each statement of a plugin changes to the caller's role and
claims, runs, and changes back. A failure in between leaves the lesser role set; the transaction is then spoilt, and
the settings end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.identity import Identity
from mbaas.core.sql.fragment import Bindable, Statement
from mbaas.hooks.events import Record

_BECOME = "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)"
_RETURN = Statement("select set_config('role', 'none', true)")


class AsCaller:
    """What hooks get as ``event.transaction``. already: the whole transaction is the caller's, and stays it."""

    def __init__(self, transaction: Transaction, identity: Identity, *, already: bool = False) -> None:
        self._transaction = transaction
        self._already = already
        self._become = Statement(_BECOME, (identity.role, msgspec.json.encode(identity.claims).decode()))
        self._one_at_a_time = asyncio.Lock()  # else one statement's way back could lift another into the owner's role
        self._savepoints = itertools.count(1)

    async def fetch(self, sql: str, *values: Any) -> list[Record]:
        """See ``mbaas.hooks.events.Transaction``."""
        wrapped = f"with result as (\n{sql.rstrip().rstrip(';')}\n) select row_to_json(result)::text from result"  # noqa: S608
        async with self._one_at_a_time:
            if not self._already:
                await self._transaction.fetch_row(self._become)
            rows = await self._transaction.fetch_rows(Statement(wrapped, tuple(as_text(value) for value in values)))
            if not self._already:
                await self._transaction.fetch_row(_RETURN)
        return [msgspec.json.decode(row[0] or "null") for row in rows]

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """See ``mbaas.hooks.events.Transaction``."""
        name = f"hook_{next(self._savepoints)}"
        await self._transaction.execute(f"savepoint {name}")
        try:
            yield
        except BaseException:
            await self._transaction.execute(f"rollback to savepoint {name}; release savepoint {name}")
            raise
        await self._transaction.execute(f"release savepoint {name}")


def transactions_as_caller(database: Database) -> Callable[[Identity], AbstractAsyncContextManager[AsCaller]]:
    """Opens transactions for the routes of plugins."""

    @contextlib.asynccontextmanager
    async def begin(identity: Identity) -> AsyncIterator[AsCaller]:
        async with database.transaction() as transaction:
            yield AsCaller(transaction, identity)

    return begin


def as_text(value: Any) -> Bindable:
    """A Python value as PostgreSQL's text input; a list is an array, a dict is JSON.

    >>> as_text([1, None, True])
    ('1', None, 'true')
    """
    if isinstance(value, list | tuple):
        return tuple(_scalar(item) for item in value)
    return _scalar(value)


def _scalar(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, dict | list | tuple):
        return msgspec.json.encode(value).decode()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
