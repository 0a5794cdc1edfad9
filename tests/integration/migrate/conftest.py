"""A database with our schema in it, cloned for each test."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.system_schema import apply_system_schema

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def template(cluster: EmbeddedPostgres) -> Iterator[str]:
    name = f"migrate_template_{os.getpid()}_{next(_numbers)}"

    async def make() -> None:
        admin = await asyncpg.connect(cluster.admin_url("postgres"))
        await admin.execute(f"create database {name} owner {OWNER}")
        await admin.close()
        database = Database(cluster.url(name), connections=1)
        await database.open()
        await apply_system_schema(database)
        await database.close()

    asyncio.run(make())
    yield name  # noqa: PT022 - it goes with the cluster


@pytest.fixture
async def database_url(cluster: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """The URL of this test's own database, our schema in it."""
    name = f"migrate{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(cluster.admin_url("postgres"))
    await admin.execute(f"create database {name} template {template} owner {OWNER} strategy file_copy")
    yield cluster.url(name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()
