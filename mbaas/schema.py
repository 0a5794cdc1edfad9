"""The database as a configuration wants it: opened, with our own schema in it, its tables brought up to date.

Whoever does not serve begins here: the commands that migrate, adopt, or look into the outbox.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mbaas.adapters.live import Live
from mbaas.adapters.outbox.rows import Rows
from mbaas.adapters.postgres import migrate as migrations
from mbaas.adapters.postgres.adoption import read_found
from mbaas.adapters.postgres.cluster.initialise import SUPERUSER
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres, running_url
from mbaas.adapters.postgres.extensions import ensure_extensions
from mbaas.adapters.postgres.migration_run import Applied
from mbaas.adapters.postgres.scripts import read_scripts
from mbaas.adapters.postgres.supervise import supervised
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.adapters.sealing import Sealer
from mbaas.adapters.secrets import SecretsFile
from mbaas.config.adopted import Found
from mbaas.config.settings import Config
from mbaas.core.errors import DestructiveChange
from mbaas.core.observe import Observe, ignore
from mbaas.core.rules.ruleset import compile_rules
from mbaas.core.sql.migration import Plan
from mbaas.core.sql.policy import render_policies


@contextlib.asynccontextmanager
async def open_database(
    config: Config, *, observe: Observe = ignore, unsafe_dev: bool = False
) -> AsyncIterator[Database]:
    """The database with our own schema in it: the configured one, or our own PostgreSQL, started and kept running."""
    async with contextlib.AsyncExitStack() as stack:
        url = config.database.url
        if url is None:
            cluster = EmbeddedPostgres(config.data / "postgres", unsafe_dev=unsafe_dev)
            url = (await stack.enter_async_context(supervised(cluster, observe=observe))).url()
        database = Database.from_settings(url, config.database, observe=observe, unsafe_dev=unsafe_dev)
        await database.open()
        stack.push_async_callback(database.close)
        await apply_system_schema(database)
        yield database


class Migrator:
    """The schema of one database beside what a configuration asks for."""

    def __init__(self, database: Database, config: Config, *, observe: Observe = ignore) -> None:
        """Raises RuleError when a rule cannot be understood."""
        self.rules = compile_rules(config.catalog)
        self._database = database
        self._config = config
        self._observe = observe
        self._scripts = read_scripts(config.root / "migrations")

    async def _prepare(self) -> None:
        """The extensions that the fields need: without their types nothing can even be planned."""
        ours = self._config.database.url is None
        admin = running_url(self._config.data / "postgres", user=SUPERUSER) if ours else None
        await ensure_extensions(self._config.catalog, admin or self._database.url)

    async def plan(self) -> Plan:
        """What would be done now."""
        await self._prepare()
        return await migrations.plan(
            self._database, self._config.catalog, self._policies, self._config.functions_sql, scripts=self._scripts
        )

    async def apply(self, *, allow_destructive: bool = False) -> tuple[Applied, ...]:
        """Do it. Raises DestructiveChange, before the first step, when it would lose data and may not."""
        await self._prepare()
        return await migrations.migrate(
            self._database,
            self._config.catalog,
            self._policies,
            self._config.functions_sql,
            scripts=self._scripts,
            allow_destructive=allow_destructive,
            observe=self._observe,
        )

    async def status(self) -> tuple[migrations.MigrationStatus, ...]:
        return await migrations.status(self._database)

    async def down(self, steps: int) -> tuple[Applied, ...]:
        return await migrations.down(self._database, steps, observe=self._observe)

    def _policies(self, collection: str) -> tuple[str, ...]:
        return render_policies(self.rules, collection)


async def adoptable(config: Config) -> Found:
    """What the database holds that is not ours."""
    url = config.database.url or running_url(config.data / "postgres")
    if url is None:
        async with open_database(config) as database:
            return await read_found(database.url)
    database = Database.from_settings(url, config.database)
    await database.open()
    try:
        await apply_system_schema(database)
        return await read_found(url)
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def open_migrator(config: Config) -> AsyncIterator[Migrator]:
    """For the command line."""
    async with _reached_database(config) as database:
        yield Migrator(database, config)


@contextlib.asynccontextmanager
async def open_outbox_rows(config: Config) -> AsyncIterator[Rows]:
    """For the command line."""
    async with _reached_database(config) as database:
        yield outbox_rows(database, SecretsFile(config.data / "secrets.toml"))


@contextlib.asynccontextmanager
async def _reached_database(config: Config) -> AsyncIterator[Database]:
    """The database of a running server, or our own PostgreSQL started for the while."""
    url = config.database.url or running_url(config.data / "postgres")
    if url is None:
        async with open_database(config) as database:
            yield database
        return
    database = Database.from_settings(url, config.database)
    await database.open()
    try:
        await apply_system_schema(database)
        yield database
    finally:
        await database.close()


async def migrated(database: Database, config: Config, *, observe: Observe = ignore) -> Live:
    """Brings the tables to what the configuration says and gives the snapshot of what is then in force.

    Raises DestructiveChange when that would lose data: such steps are for a person to allow.
    """
    migrator = Migrator(database, config, observe=observe)
    try:
        await migrator.apply()
    except DestructiveChange as error:
        hint = "look at `mbaas migrate plan`, then run `mbaas migrate apply --allow-destructive`"
        raise DestructiveChange(f"the configuration takes data away: {error.message}", hint=hint) from error
    return await Live.start(database, observe=observe)


def outbox_rows(database: Database, secrets: SecretsFile) -> Rows:
    """What waits to leave, its payloads sealed with the project's key."""
    return Rows(database, Sealer(lambda: secrets.current, "outbox"))
