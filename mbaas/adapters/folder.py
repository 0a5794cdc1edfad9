"""Messages of a development server, as files in a folder only we can read: they hold live links and codes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mbaas.core.errors import Unavailable

_KEPT = 500  # files


def leave(directory: Path, suffix: str, content: bytes) -> None:
    """One more file, in order of time; the newest few hundred are kept. Raises Unavailable."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / f"{time.time_ns()}-{os.urandom(4).hex()}{suffix}"
        draft = path.with_suffix(".part")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        draft.rename(path)
        for old in sorted(directory.glob(f"*{suffix}"))[:-_KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable("a message could not be written to the data directory") from error
