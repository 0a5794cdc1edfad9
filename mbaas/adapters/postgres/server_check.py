"""What a server must be and allow before we use it."""

from __future__ import annotations

from typing import Any

import msgspec

from mbaas.core.errors import ConfigError, Unavailable

_OLDEST = 15
_ROLES = ("anon", "authenticated", "service_role")

_FACTS = """
select
    current_setting('server_version_num')::integer::text as version_number,
    current_setting('server_version') as version,
    current_setting('server_encoding') as encoding,
    current_setting('fsync') as fsync,
    current_setting('synchronous_commit') as synchronous_commit,
    coalesce(current_setting('mbaas.unsafe_dev', true), '') as unsafe_dev,
    pg_is_in_recovery()::text as standby,
    current_user::text as username,
    current_database()::text as database,
    (rolsuper or pg_has_role(datdba, 'usage'))::text as owns,
    (rolsuper or rolcreaterole)::text as creates_roles,
    rolsuper::text as superuser
from pg_roles, pg_database where rolname = current_user and datname = current_database()
"""

_ROLES_THERE = """
select rolname::text, pg_has_role(oid, 'member')::text from pg_roles where rolname = any($1::text[])
"""


class _Facts(msgspec.Struct, frozen=True):
    version_number: int
    version: str
    encoding: str
    fsync: str
    synchronous_commit: str
    unsafe_dev: str
    standby: bool
    username: str
    database: str
    owns: bool
    creates_roles: bool
    superuser: bool


async def check_server(connection: Any, *, unsafe_dev: bool) -> None:
    """Raises ConfigError with what to do when the server is too old, unsafe, or does not let us work; Unavailable when
    it is a standby, which may become the primary yet.

    full_page_writes is not asked for here: on a file system without torn pages (ZFS) it is rightly off.
    """
    row = dict(await connection.fetchrow(_FACTS))
    facts = msgspec.convert(row, _Facts, strict=False)
    if facts.version_number // 10_000 < _OLDEST:
        raise ConfigError(
            f"the database server is PostgreSQL {facts.version}; {_OLDEST} is the oldest that works",
            hint="upgrade it, or leave database.url out and let us run our own",
        )
    if facts.encoding != "UTF8":
        raise ConfigError(
            f"the database {facts.database} has the encoding {facts.encoding}; it must be UTF8",
            hint="create database … template template0 encoding 'UTF8'",
        )
    if facts.standby:
        raise Unavailable("the database server is a standby and takes no writes", hint="give the primary's address")
    if not unsafe_dev and facts.unsafe_dev != "on":
        for name, text in (("fsync", facts.fsync), ("synchronous_commit", facts.synchronous_commit)):
            if text == "off":
                raise ConfigError(
                    f"the database server runs with {name} = off and may lose acknowledged writes",
                    hint="switch it on; for throw-away data only, allow it with --unsafe-dev",
                )
    if not facts.superuser:
        await _check_rights(connection, facts)


async def _check_rights(connection: Any, facts: _Facts) -> None:
    if not facts.owns:
        raise ConfigError(
            f"the database user {facts.username} does not own the database {facts.database}",
            hint=f'alter database "{facts.database}" owner to "{facts.username}"',
        )
    there = {row[0]: row[1] == "true" for row in await connection.fetch(_ROLES_THERE, list(_ROLES))}
    if len(there) < len(_ROLES) and not facts.creates_roles:
        raise ConfigError(
            f"the database user {facts.username} may not create the roles {', '.join(_ROLES)}",
            hint=f'alter role "{facts.username}" createrole',
        )
    # Before 16 a user who may create roles may also join any.
    joins_freely = facts.creates_roles and facts.version_number < 160_000
    foreign = [name for name in _ROLES if not there.get(name, True)]
    if foreign and not joins_freely:
        raise ConfigError(
            f"the database user {facts.username} may not act as {', '.join(foreign)}",
            hint=f'grant {", ".join(foreign)} to "{facts.username}"',
        )
