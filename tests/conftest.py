"""One real PostgreSQL a run, one database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import pytest

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.system_schema import apply_system_schema
from tests.distribution import ByFile, place
from tests.throwaway import throw_away_directory

SOAK = bool(os.environ.get("MBAAS_SOAK"))
# Nobody here meets an authority of the world's: to read a machine's some hundred took 60 ms of each new HTTP client.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)
# Servers and commands are started by the dozen: they compile what they import once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# The same examples in every run of the command, so that a change is judged by what it changes; others in the soak.
hypothesis.settings.register_profile("command", derandomize=True)
if not SOAK:
    hypothesis.settings.load_profile("command")
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write tests/golden anew from what the code gives")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with ``tests/golden/<name>``."""

    def compare(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--rewrite-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; run with --rewrite-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedPostgres]:
    """A throw-away cluster, without fsync: tests of durability start their own."""
    with throw_away_directory("mbaas-test-") as name:
        loop = asyncio.new_event_loop()
        # autovacuum: a worker in a database is one that its owner may not end, when the database is dropped.
        settings = {"fsync": "off", "max_connections": "200", "autovacuum": "off"}
        server = EmbeddedPostgres(Path(name) / "pg", settings=settings, unsafe_dev=True)
        loop.run_until_complete(server.start())
        loop.run_until_complete(_make_roles(server))
        yield server
        loop.run_until_complete(server.stop())
        loop.close()


async def _make_roles(server: EmbeddedPostgres) -> None:
    """By the owner, whatever test comes first: those that a superuser makes are not the owner's to act as."""
    admin = await asyncpg.connect(server.admin_url("postgres"))
    await admin.execute(f"create database roles owner {OWNER}")
    await admin.close()
    database = Database(server.url("roles"), connections=1, unsafe_dev=True)
    await database.open()
    await apply_system_schema(database)
    await database.close()


@pytest.fixture
async def database_url(cluster: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of an empty database of this test's own."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(cluster.admin_url("postgres"))
    # Copied as files: what the first connection of a database prepares comes along.
    await admin.execute(f"create database {name} owner {OWNER} strategy file_copy")
    yield cluster.url(name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A connection to this test's own database."""
    opened = Database(database_url, connections=2)
    await opened.open()
    yield opened
    await opened.close()
