"""One server a data directory.

flock(2) rather than a file's existence: the kernel gives it back when its holder ends, however it ends, so there is
no stale lock and no process id to be mistaken about. The number in the file is only for the error message.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mbaas.core.errors import ConfigError


class DirectoryLock:
    """An exclusive lock on ``directory/lock``, held until released or until the process ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises ConfigError at once when another process holds it. Holding it already is fine."""
        if self._descriptor is not None:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._directory / "lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise ConfigError(
                f"another server uses {self._directory} (process {holder})",
                hint="stop it first, or give this one a data directory of its own",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # the lock goes with it
            self._descriptor = None
