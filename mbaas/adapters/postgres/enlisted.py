"""The database as seen from inside one transaction: whatever is asked of it becomes part of that transaction."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import TypeAlias

from mbaas.adapters.postgres.coalesce import Ask, Row
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.errors import DatabaseError, Timeout
from mbaas.core.identity import Identity, Role
from mbaas.core.sql.fragment import Bindable, Statement
from mbaas.core.sql.template import Together

_READ_ONLY = "25006"


class Enlisted:
    """Takes the place of a Database. outer: the transaction that all of it is part of."""

    def __init__(self, database: Database, outer: Transaction) -> None:
        self.outer = outer
        self._database = database
        self._parts = itertools.count(1)

    async def fetch_row(
        self, statement: Statement, *, role: Role = "service_role", patient: bool = False
    ) -> Row | None:
        return await self.outer.fetch_row(statement)

    async def fetch_rows(self, statement: Statement, *, role: Role = "service_role") -> list[Row]:
        return await self.outer.fetch_rows(statement)

    async def fetch_shared(
        self, text: str, args: tuple[Bindable, ...], *, role: Role, together: Together | None = None
    ) -> Row:
        row = await self.outer.fetch_row(Statement(text, args))
        assert row is not None, "such a statement always gives one"  # noqa: S101
        return row

    async def fetch_list(self, text: str, args: tuple[Bindable, ...], *, role: Role) -> Row:
        return await self.fetch_shared(text, args, role=role)

    def asking(self, text: str, *, role: Role, short: bool, together: Together | None = None) -> Ask | None:
        return None

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, caller: Identity | None = None, read_only: bool = False, commit: bool = True
    ) -> AsyncIterator[Transaction]:
        """A part of the transaction, as ``Database.transaction`` is a whole one.

        One that raises spoils the whole. What was deferred to the commit is checked at the end of a part that ran as
        the caller, still as the caller, and from then on at once.
        """
        outer, begun, ended = self.outer, "", ""
        name = f"part_{next(self._parts)}"
        if read_only or not commit:
            # PostgreSQL goes back to read-write by itself when the savepoint is gone.
            begun = f"savepoint {name}; {'set transaction read only' if read_only else ''}"
            ended = f"release savepoint {name}" if commit else f"rollback to savepoint {name}; release savepoint {name}"
        if caller is not None or not commit:
            ended = f"set constraints all immediate; {ended}"
        if caller is not None:
            ended = f"{ended}; reset role; reset all"
        if begun:
            await outer.execute(begun)
        if caller is not None:
            await outer.fetch_row(self._database.become(caller))
        try:
            yield outer.reading() if read_only else outer
        except DatabaseError as error:
            if read_only and error.sqlstate == _READ_ONLY:
                error.__cause__ = None  # the caller's doing: it does not say that the server takes no writes
            raise
        if ended:
            await outer.execute(ended)


Door: TypeAlias = Database | Enlisted
"""Where statements go."""


@contextlib.asynccontextmanager
async def enlisting(database: Database, identity: Identity) -> AsyncIterator[Enlisted]:
    """One transaction for the block, as the owner, whom no policy holds.

    Raises Timeout, and rolls back, when all of it takes longer than one statement of that caller may.
    """
    try:
        async with asyncio.timeout(database.timeout_s(identity.role)) as clock, database.transaction() as transaction:
            yield Enlisted(database, transaction)
    except TimeoutError as error:
        if not clock.expired():
            raise
        raise Timeout("the transaction took too long and was cancelled", hint="ask for less at once") from error
