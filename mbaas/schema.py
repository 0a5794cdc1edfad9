"""The database as a configuration wants it: opened, with our own schema in it, its tables brought up to date.

Whoever does not serve begins here: the commands that migrate or adopt. A server loads the rest of itself while this
works (``mbaas.serve``), so there is no more here than it takes.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from mbaas.adapters.live import Live
from mbaas.adapters.postgres import migrate as migrations
from mbaas.adapters.postgres.cluster.initialise import SUPERUSER
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres, running_url
from mbaas.adapters.postgres.extensions import ensure_extensions
from mbaas.adapters.postgres.migration_run import Applied
from mbaas.adapters.postgres.scripts import read_scripts
from mbaas.adapters.postgres.supervise import supervised
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.config.kept_rules import compiled_rules
from mbaas.config.settings import Config
from mbaas.core.errors import DestructiveChange
from mbaas.core.observe import Observe, ignore
from mbaas.core.sql.migration import Plan
from mbaas.core.sql.policy import render_policies

if TYPE_CHECKING:
    from mbaas.config.adopted import Found


@contextlib.asynccontextmanager
async def open_database(
    config: Config, *, observe: Observe = ignore, unsafe_dev: bool = False
) -> AsyncIterator[Database]:
    """The database with our own schema in it: the configured one, or our own PostgreSQL, started and kept running."""
    async with (
        _server(config, observe=observe, unsafe_dev=unsafe_dev) as url,
        _opened(Database.from_settings(url, config.database, observe=observe, unsafe_dev=unsafe_dev)) as database,
    ):
        await apply_system_schema(database)
        yield database


@contextlib.asynccontextmanager
async def open_migrated(
    config: Config, *, observe: Observe = ignore, unsafe_dev: bool = False
) -> AsyncIterator[tuple[Database, Live]]:
    """The database with its tables brought to what the configuration says, and what is then in force: to be served.

    Raises DestructiveChange when that would lose data: such steps are for a person to allow.
    """
    async with _server(config, observe=observe, unsafe_dev=unsafe_dev) as url:
        # Each connection that looked through the whole schema remembers it, 4 MB of it: these end here.
        async with _opened(Database(url, connections=1, coalesce=False, unsafe_dev=unsafe_dev)) as preparing:
            await apply_system_schema(preparing)
            await _migrate(preparing, config, observe=observe)
        database = Database.from_settings(url, config.database, observe=observe, unsafe_dev=unsafe_dev)
        async with _opened(database):
            yield database, await _in_force(database, config, observe)


@contextlib.asynccontextmanager
async def _server(config: Config, *, observe: Observe, unsafe_dev: bool) -> AsyncIterator[str]:
    """Where the configured database is, or our own PostgreSQL, started and kept running."""
    if config.database.url is not None:
        yield config.database.url
        return
    cluster = EmbeddedPostgres(config.data / "postgres", unsafe_dev=unsafe_dev)
    async with supervised(cluster, observe=observe) as started:
        yield started.url()


@contextlib.asynccontextmanager
async def _opened(database: Database) -> AsyncIterator[Database]:
    await database.open()
    try:
        yield database
    finally:
        await database.close()


class Migrator:
    """The schema of one database beside what a configuration asks for."""

    def __init__(self, database: Database, config: Config, *, observe: Observe = ignore) -> None:
        """Raises RuleError when a rule cannot be understood."""
        self.rules = compiled_rules(config.catalog, config.data)
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
    from mbaas.adapters.postgres.adoption import read_found  # and what writes TOML: a server needs neither

    url = config.database.url or running_url(config.data / "postgres")
    if url is None:
        async with open_database(config) as database:
            return await read_found(database.url)
    async with _opened(Database.from_settings(url, config.database)) as database:
        await apply_system_schema(database)
        return await read_found(url)


@contextlib.asynccontextmanager
async def open_migrator(config: Config) -> AsyncIterator[Migrator]:
    """For the command line."""
    async with reached_database(config) as database:
        yield Migrator(database, config)


@contextlib.asynccontextmanager
async def reached_database(config: Config) -> AsyncIterator[Database]:
    """The database of a running server, or our own PostgreSQL started for the while."""
    url = config.database.url or running_url(config.data / "postgres")
    if url is None:
        async with open_database(config) as database:
            yield database
        return
    async with _opened(Database.from_settings(url, config.database)) as database:
        await apply_system_schema(database)
        yield database


async def migrated(database: Database, config: Config, *, observe: Observe = ignore) -> Live:
    """Brings the tables of an open database to what the configuration says, and gives what is then in force."""
    await _migrate(database, config, observe=observe)
    return await _in_force(database, config, observe)


async def _in_force(database: Database, config: Config, observe: Observe) -> Live:
    return await Live.start(database, functools.partial(compiled_rules, data=config.data), observe=observe)


async def _migrate(database: Database, config: Config, *, observe: Observe) -> None:
    migrator = Migrator(database, config, observe=observe)
    try:
        await migrator.apply()
    except DestructiveChange as error:
        hint = "look at `mbaas migrate plan`, then run `mbaas migrate apply --allow-destructive`"
        raise DestructiveChange(f"the configuration takes data away: {error.message}", hint=hint) from error
