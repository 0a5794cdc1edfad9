"""One connection: how it is opened, what is set on it once and for all."""

from __future__ import annotations

import socket
from typing import Any

import asyncpg

from mbaas.adapters.postgres.errors import DRIVER_ERRORS, refused
from mbaas.core.errors import ConfigError

# Statements kept prepared on each connection; each plan may take some 50 kB of the server's memory.
_PREPARED = 200
_CONNECT_TIMEOUT_S = 3.0
_TEXT_TYPES = (
    "int2 int4 int8 float4 float8 numeric bool uuid timestamptz timestamp date time timetz interval json jsonb bytea "
    "tsvector tsquery inet cidr macaddr xml bit varbit money oid regclass point box"
).split()
# A partner that is gone without a word (its machine died, the network is cut) is noticed within 5 seconds.
_KEEPALIVE = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 5000}


async def connect(
    url: str, *, statement_timeout_s: float, lock_timeout_s: float = 0.0, plan_cache_mode: str = "auto"
) -> Any:
    """An open connection on which every type travels as text.

    statement_timeout_s: after which the server ends any statement by itself; 0: never. lock_timeout_s: the same for
    waiting for one lock. plan_cache_mode: as PostgreSQL has it.
    Raises ConfigError when no further try will succeed, else Unavailable.
    """
    try:
        connection = await asyncpg.connect(
            url,
            timeout=_CONNECT_TIMEOUT_S,
            statement_cache_size=_PREPARED,
            max_cached_statement_lifetime=0,
            server_settings={
                "application_name": "mbaas",
                "timezone": "UTC",
                # Without "$user": a user named as one of our schemas would look there first.
                "search_path": "public",
                "jit": "off",
                "plan_cache_mode": plan_cache_mode,
                # What filters leave of an index's nearest vectors may be too few; then it looks further (pgvector 0.8).
                "hnsw.iterative_scan": "strict_order",
                "statement_timeout": str(round(statement_timeout_s * 1000)),
                "lock_timeout": str(round(lock_timeout_s * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                # A statement whose client is gone is ended; milliseconds.
                "client_connection_check_interval": "2000",
            },
        )
    except DRIVER_ERRORS as error:
        raise refused(error) from error
    except ValueError as error:  # what asyncpg leaves to urllib: a port that is no number
        raise ConfigError(f"database.url: {error}") from error
    try:
        for name in _TEXT_TYPES:
            await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")
        _keep_alive(connection)
    except BaseException as error:
        connection.terminate()
        if isinstance(error, DRIVER_ERRORS):
            raise refused(error) from error
        raise
    return connection


def _keep_alive(connection: Any) -> None:
    sock = connection._transport.get_extra_info("socket")  # no public way in asyncpg
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, number in _KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has each
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), number)
