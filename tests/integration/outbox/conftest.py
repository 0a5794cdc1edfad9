"""An outbox on this test's own database, with as many nodes as a test wants."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mbaas.adapters.outbox.engine import Outbox, Send
from mbaas.adapters.outbox.item import Parcel
from mbaas.adapters.outbox.rows import Rows
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.adapters.sealing import Sealer
from mbaas.adapters.secrets import SecretsFile
from mbaas.config.settings import OutboxSettings
from mbaas.core.observe import Observation


class Office:
    """Opens nodes over one database, and puts parcels."""

    def __init__(self, database: Database, secrets: SecretsFile) -> None:
        self.database = database
        self.secrets = secrets
        self.rows = Rows(database, Sealer(lambda: secrets.current, "outbox"))
        self.observed: list[Observation] = []

    @contextlib.asynccontextmanager
    async def node(self, send: Send, *, channel: str = "mail", **settings: float) -> AsyncIterator[Outbox]:
        """One that sends what is due until the block ends."""
        outbox = self.idle(send, channel=channel, **settings)
        outbox.start()
        try:
            yield outbox
        finally:
            await outbox.close(timeout_s=0.2)

    def idle(self, send: Send, *, channel: str = "mail", **settings: float) -> Outbox:
        wanted = OutboxSettings(**{"retry_s": 0.01, "lease_s": 30.0, **settings})  # type: ignore[arg-type]
        outbox = Outbox(self.rows, wanted, observe=self.observed.append)
        outbox.handle(channel, send)
        return outbox

    async def put(
        self,
        outbox: Outbox | None = None,
        *,
        to: str = "example.com",
        payload: object = None,
        expires_s: float = 60.0,
        channel: str = "mail",
    ) -> str:
        parcel = Parcel(channel=channel, kind="greeting", destination=to, payload=payload, expires_s=expires_s)
        async with self.database.transaction() as transaction:
            return await (outbox or self.rows).put(transaction, parcel)


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    database = Database(database_url, connections=6)
    await database.open()
    await apply_system_schema(database)
    yield Office(database, SecretsFile(tmp_path / "secrets.toml"))
    await database.close()
