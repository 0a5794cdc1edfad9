"""One connection of its own, for work that needs what a shared one must not have: settings, long statements, a lock
that outlives transactions.

It ends with the block, and everything the session held with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from mbaas.adapters.postgres.errors import translate

_DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
_SETTINGS = {
    "application_name": "mbaas migrate",
    # Expressions are read back as text; these decide how PostgreSQL shows them, and how values become text.
    "search_path": "public",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "client_min_messages": "warning",
    "check_function_bodies": "on",
    "row_security": "on",
}


class Session:
    """Statements one after the other, each committed by itself unless ``begin`` was said."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, script: str) -> None:
        """Code of ours without values. Several statements make one transaction."""
        try:
            await self._connection.execute(script)
        except _DRIVER_ERRORS as error:
            raise translate(error) from error

    async def fetch(self, query: str, *args: str | int | None) -> Any:
        """The first column of the first row, ``None`` when there is none."""
        try:
            return await self._connection.fetchval(query, *args)
        except _DRIVER_ERRORS as error:
            raise translate(error) from error


@contextlib.asynccontextmanager
async def open_session(url: str) -> AsyncIterator[Session]:
    """Connect for one block. Raises Unavailable when the server does not answer."""
    try:
        connection = await asyncpg.connect(url, server_settings=_SETTINGS, statement_cache_size=0)
    except _DRIVER_ERRORS as error:
        raise translate(error) from error
    try:
        yield Session(connection)
    finally:
        with contextlib.suppress(*_DRIVER_ERRORS):
            await connection.close(timeout=5)


@contextlib.asynccontextmanager
async def undone(session: Session) -> AsyncIterator[None]:
    """A transaction that never commits: to ask PostgreSQL what it would say."""
    await session.execute("begin")
    try:
        yield
    finally:
        await session.execute("rollback")
