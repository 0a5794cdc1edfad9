"""kill -9 between a mail's arrival and our note of it: sent again, once, under the same Message-ID. And what the
command line says and does about it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from mbaas.adapters.postgres.embedded import running_url
from tests.contract.conftest import Server, free_port, start_server, stop_server
from tests.postbox import Postbox, serving
from tests.throwaway import throw_away_directory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd.*")
PATIENCE_S = 60.0


class Killer(Postbox):
    """Kills somebody once it has a mail, before it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.victim: int | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        if self.victim is not None:
            victim, self.victim = self.victim, None
            os.kill(victim, signal.SIGKILL)
        return answer


def project(port: int) -> str:
    return f"""
[mail]
host = "127.0.0.1"
port = {port}
username = "me"
password = "secret"
tls = "none"
sender = "Notes <no@example.com>"
[outbox]
lease_s = 1.0
retry_s = 0.05
max_attempts = 30
[limits.rate]
enabled = false
[auth]
max_frequency_s = 0
"""


def patiently(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


def cli(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mbaas_cli", *words, "--config", str(root / "mbaas.toml"), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )


def states(root: Path) -> list[str]:
    """Of all rows, asked of the database itself: a command takes seconds to start."""

    async def ask() -> list[str]:
        connection = await asyncpg.connect(running_url(root / ".mbaas" / "postgres"))
        try:
            return [row[0] for row in await connection.fetch("select state from mbaas.outbox")]
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_server_killed_between_send_and_note_sends_once_more_and_loses_nothing() -> None:
    box, port = Killer(), free_port()
    with throw_away_directory("mbaas-outbox-") as name, serving(box, port):
        root = Path(name)
        (root / "mbaas.toml").write_text(project(port))
        server = start_server(root)
        try:
            box.victim = server.process.pid
            sign_up(server, "first@example.com")
            assert server.process.wait(PATIENCE_S) == -signal.SIGKILL
            server = start_server(root)
            patiently(lambda: len(box.received) == 2)
            for number in range(5):
                sign_up(server, f"user{number}@example.com")
            patiently(lambda: len(box.received) == 7)
            patiently(lambda: not states(root))
            ids = Counter(str(message["message-id"]) for message in box.received)
            tos = Counter(str(message["to"]) for message in box.received)
            assert sorted(ids.values()) == [1, 1, 1, 1, 1, 2]
            assert tos["first@example.com"] == 2
            bodies = {message.as_string() for message in box.received if message["to"] == "first@example.com"}
            links = {re.sub(r'boundary="[^"]*"|--=+\d+=+(--)?', "", body) for body in bodies}
            assert len(links) == 1, "the duplicate says what the first one said"

            box.refused = {"refused@example.com": "550 no"}
            sign_up(server, "refused@example.com")
            patiently(lambda: states(root) == ["dead"])
            (dead,) = json.loads(cli(root, "outbox", "list", "--state", "dead").stdout)["items"]
            assert (dead["kind"], dead["last_error"]) == ("confirm", "the mail server refused the mail: 550")
            assert "refused@example.com" not in json.dumps(dead)
            box.refused = {}
            assert cli(root, "outbox", "replay", dead["id"]).returncode == 0
            patiently(lambda: len(box.received) == 8)
            assert dead["id"] in str(box.received[-1]["message-id"])
            patiently(lambda: not states(root))
            missing = cli(root, "outbox", "show", dead["id"])
            assert (missing.returncode, json.loads(missing.stdout)["error"]) == (1, "not_found")
            assert stop_server(server) == 0
        finally:
            server.process.kill()
            server.process.wait()


def sign_up(server: Server, address: str) -> None:
    """Whether the answer comes or the server dies over it."""
    body = {"email": address, "password": "correct horse battery"}
    try:
        httpx.post(f"{server.url}/auth/v1/signup", json=body, headers=server.headers(), timeout=PATIENCE_S)
    except httpx.TransportError:
        assert server.process.wait(PATIENCE_S) == -signal.SIGKILL
