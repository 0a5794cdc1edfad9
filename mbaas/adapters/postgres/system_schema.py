"""The tables, roles and functions we ship: numbered SQL files, each applied once, in order, in one transaction."""

from __future__ import annotations

import hashlib
from importlib import resources

from mbaas.adapters.postgres.database import Database
from mbaas.core.errors import MigrationError
from mbaas.core.sql.fragment import Statement

_LOCK = 0x6D62_6161_7301  # "mbaas" and a number: one migrator at a time

_LEDGER = """
create schema if not exists mbaas;
create table if not exists mbaas.system_migrations (
    name text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


async def apply_system_schema(database: Database) -> tuple[str, ...]:
    """Bring our own schema up to date. Returns the names of the files applied now, oldest first.

    Raises MigrationError when a file that was applied has changed since.
    """
    files = sorted(
        (entry for entry in resources.files(__package__).joinpath("system").iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    applied_now = []
    async with database.transaction() as transaction:
        await transaction.execute(f"select pg_advisory_xact_lock({_LOCK})")
        await transaction.execute(_LEDGER)
        rows = await transaction.fetch_rows(Statement("select name, sha256 from mbaas.system_migrations"))
        known = {row[0]: row[1] for row in rows}
        for entry in files:
            script = entry.read_text(encoding="utf-8")
            digest = hashlib.sha256(script.encode()).hexdigest()
            if entry.name not in known:
                await transaction.execute(script)
                text = "insert into mbaas.system_migrations (name, sha256) values ($1, $2)"
                await transaction.fetch_row(Statement(text, (entry.name, digest)))
                applied_now.append(entry.name)
            elif known[entry.name] != digest:
                raise MigrationError(
                    f"system migration {entry.name} was applied in another form",
                    hint="install the version that applied it; applied files never change",
                )
    return tuple(applied_now)
