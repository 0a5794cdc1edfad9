"""Auth on this test's own database: with confirmation of addresses, and without."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.system_schema import apply_system_schema
from tests.auth import Auth, make_config, open_auth

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def auth_template(cluster: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database with our schema, to be cloned."""
    name = f"auth_template_{os.getpid()}"

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
async def database_url(cluster: EmbeddedPostgres, auth_template: str) -> AsyncIterator[str]:
    """The URL of this test's own database, our schema in it."""
    name = f"auth{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(cluster.admin_url("postgres"))
    await admin.execute(f"create database {name} template {auth_template} owner {OWNER} strategy file_copy")
    yield cluster.url(name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
async def auth(database_url: str) -> AsyncIterator[Auth]:
    """An address has to be confirmed."""
    async with open_auth(database_url) as opened:
        yield opened


@pytest.fixture
async def easy(database_url: str) -> AsyncIterator[Auth]:
    """An address needs no confirmation."""
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        async with open_auth(database_url, make_config(Path(name), autoconfirm=True)) as opened:
            yield opened
