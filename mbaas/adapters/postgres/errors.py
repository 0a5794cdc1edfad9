"""SQLSTATE to one of our errors: the one table. What PostgreSQL said is kept, so that a dialect can pass it on.

Source: PostgreSQL documentation, appendix A. States that a statement raises on purpose (``raise … using errcode``, such
as ``PT402`` or ``PGRST``) are no exception: they arrive as a DatabaseError with that state.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import asyncpg

from mbaas.core.errors import (
    ConfigError,
    DatabaseError,
    MbaasError,
    Overloaded,
    SchemaChanged,
    Timeout,
    TransactionConflict,
    Unavailable,
)

# TimeoutError is an OSError too.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

# Cancelled; the session waited too long inside a transaction; the transaction took too long.
_TOO_LONG = frozenset({"57014", "25P03", "25P04"})
_TOO_MANY_CONNECTIONS = "53300"
_CONFIGURATION_LIMIT = "53400"
# Connection exceptions, operator intervention, insufficient resources: the server cannot, whatever the statement was.
_CANNOT_NOW = ("08", "57P", "53")
# Internal errors by which PostgreSQL tells of an object that another session dropped while a statement was planned.
_GONE_MEANWHILE = ("cache lookup failed for", "could not open relation with OID", "could not find tuple for")
_IN_THE_WAY = frozenset({"40001", "40P01", "55P03"})
# The server goes away, has gone, or is no longer the one that takes writes.
_FAILOVER = frozenset({"57P01", "57P02", "57P03", "25006"})
_OF_ANOTHER_SCHEMA = frozenset({"42703", "42P01", "42883", "42704", "42804", "42846", "42P10", "428C9"})
# What the server answers to a connection that it will never take: authentication, no such database, odd parameters.
_NEVER = ("28", "3D", "42", "22", "0A", "08P")


def translate(error: BaseException) -> MbaasError:
    """What a caller of the database adapter gets for an error of the driver, Piccolo's included: it passes them on.

    Raises TypeError for an error that is none of the driver's, and for one of its own that says that it was misused.
    """
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return SchemaChanged()
    if isinstance(error, asyncpg.PostgresError):
        return _translate_state(error, error.sqlstate or "XX000")
    if isinstance(error, TimeoutError):
        return Timeout("the statement took too long and was cancelled", hint="narrow the query or add an index")
    if isinstance(error, DRIVER_ERRORS):
        return _unavailable()
    raise TypeError(f"not an error of the driver: {error!r}") from error


def refused(error: BaseException) -> MbaasError:
    """The same for an error while connecting. A ConfigError when no further try will succeed."""
    if isinstance(error, asyncpg.ClientConfigurationError | ssl.SSLError):
        return ConfigError(f"database.url: {_first_line(error)}", hint="see the guide on databases for its form")
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return ConfigError("database.url asks for TLS, which the server does not offer", hint="switch it on there")
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = error.sqlstate or ""
        if sqlstate == _TOO_MANY_CONNECTIONS:
            hint = "lower database.connections, or raise max_connections of the server"
            return Unavailable("the database server takes no more connections", hint=hint)
        if sqlstate.startswith(_NEVER):
            return ConfigError(f"database.url: the server refuses the connection: {_first_line(error)}")
    return Unavailable("the database does not answer", hint="check database.url, and that the server runs")


def is_of_another_schema(error: MbaasError) -> bool:
    """Whether a statement may have failed because it was made for tables, columns or functions as they were before.

    Undefined column, table, function, object; another type than expected; no such constraint to conflict with.
    """
    if isinstance(error, DatabaseError):
        return error.sqlstate in _OF_ANOTHER_SCHEMA
    return isinstance(error, SchemaChanged)


def is_failover(error: BaseException | None) -> bool:
    """Whether every connection to this server had better be replaced."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _FAILOVER


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """For code that reaches PostgreSQL by another way, such as a Piccolo query: the same errors out."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translate(error) from error


def _translate_state(error: asyncpg.PostgresError, sqlstate: str) -> MbaasError:
    if sqlstate in _TOO_LONG:
        return Timeout("the statement took too long and was cancelled", hint="narrow the query or add an index")
    if sqlstate == _TOO_MANY_CONNECTIONS:
        return Overloaded("the database takes no more connections", hint="try again in a moment")
    if sqlstate.startswith(_CANNOT_NOW) and sqlstate != _CONFIGURATION_LIMIT:
        return _unavailable()
    if sqlstate == "XX000" and _first_line(error).startswith(_GONE_MEANWHILE):
        return SchemaChanged()
    if isinstance(error.__cause__, UnicodeEncodeError):  # the driver's own refusal: no server has seen it
        return DatabaseError("a text is not valid Unicode: it holds half of a surrogate pair", sqlstate="22021")
    kind = TransactionConflict if sqlstate in _IN_THE_WAY else DatabaseError
    return kind(
        getattr(error, "message", None) or _first_line(error),
        sqlstate=sqlstate,
        details=getattr(error, "detail", None),
        hint=getattr(error, "hint", None),
        table=getattr(error, "table_name", None),
        constraint=getattr(error, "constraint_name", None),
    )


def _unavailable() -> Unavailable:
    return Unavailable("the database does not answer", hint="try again in a moment")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
