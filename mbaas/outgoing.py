"""What waits to leave, for the server and for the command line."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mbaas.adapters.outbox.rows import Rows
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.sealing import Sealer
from mbaas.adapters.secrets import SecretsFile
from mbaas.config.settings import Config
from mbaas.schema import reached_database


def outbox_rows(database: Database, secrets: SecretsFile) -> Rows:
    """The rows, their payloads sealed with the project's key."""
    return Rows(database, Sealer(lambda: secrets.current, "outbox"))


@contextlib.asynccontextmanager
async def open_outbox_rows(config: Config) -> AsyncIterator[Rows]:
    """For the command line."""
    async with reached_database(config) as database:
        yield outbox_rows(database, SecretsFile(config.data / "secrets.toml"))
