"""SQLSTATE to one of our errors: the one table. Every class keeps the state, so that a dialect can pass it on.

Source: PostgreSQL documentation, appendix A.
"""

from __future__ import annotations

import asyncpg

from mbaas.core.errors import DatabaseError, MbaasError, Timeout, Unavailable

_CONNECTION_LOST = ("08", "57P", "53")


def translate(error: BaseException) -> MbaasError:
    """What a caller of the database adapter gets for an error of the driver."""
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = error.sqlstate or "XX000"
        if sqlstate == "57014":
            return Timeout("the statement took too long and was cancelled", hint="narrow the query or add an index")
        if sqlstate.startswith(_CONNECTION_LOST) and sqlstate != "53400":
            return Unavailable("the database does not answer", hint="try again in a moment")
        return DatabaseError(
            error.message or "",
            sqlstate=sqlstate,
            details=error.detail,
            hint=error.hint,
            table=error.table_name,
            constraint=error.constraint_name,
        )
    if isinstance(error, asyncpg.InterfaceError | OSError | TimeoutError):
        return Unavailable("the database does not answer", hint="try again in a moment")
    raise TypeError(f"not an error of the driver: {error!r}")
