"""Auth alone behind the edge on a loopback socket, for clients that need one.

``AuthServer`` is all that the tests know of it: any server of which url, keys and folder are known can take its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvicorn

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.auth import Letter, make_config, open_auth, read_mails


@dataclass(frozen=True)
class AuthServer:
    """Where it listens, the project's keys, and the folder of its ``mbaas.toml``."""

    url: str
    anon_key: str
    service_key: str
    root: Path

    def mail_to(self, address: str) -> Letter:
        """The newest mail to an address. Waits for the one being written."""
        with httpx.Client() as client:
            for _ in range(500):
                found = read_mails(self.root / ".mbaas" / "mail", address)
                if found:
                    return found[-1]
                client.get(f"{self.url}/health/live")
        raise AssertionError(f"no mail to {address}")


@contextlib.contextmanager
def serve_auth(cluster: EmbeddedPostgres, **settings: Any) -> Iterator[AuthServer]:
    """A server with a database of its own. settings: of ``[auth]``."""
    ready: dict[str, Any] = {}
    up = threading.Event()

    async def serve(root: Path, port: int) -> None:
        name = f"c{uuid.uuid4().hex}"
        admin = await asyncpg.connect(cluster.url("postgres"))
        await admin.execute(f"create database {name}")
        async with open_auth(cluster.url(name), make_config(root, port=port, **settings)) as auth:
            config = uvicorn.Config(
                auth.edge, host="127.0.0.1", port=port, lifespan="off", log_config=None, ws="none", access_log=False
            )
            server = uvicorn.Server(config)
            keys = auth.secrets.current
            ready.update(server=server, anon_key=keys.anon_key, service_key=keys.service_key)
            serving = asyncio.create_task(server._serve())
            while not server.started and not serving.done():
                await asyncio.sleep(0)
            up.set()
            await serving
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()

    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        thread = threading.Thread(target=lambda: asyncio.run(serve(Path(folder), port)), name="auth-server")
        thread.start()
        try:
            assert up.wait(30)
            yield AuthServer(f"http://127.0.0.1:{port}", ready["anon_key"], ready["service_key"], Path(folder))
        finally:
            if "server" in ready:
                ready["server"].should_exit = True
            thread.join(30)
