"""Places for clusters that a test makes and throws away."""

import os
import shutil
import tempfile
from pathlib import Path


def throw_away_directory(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A directory that everybody may enter: in memory where there is room, since a cluster is a thousand files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 1024**3
    made = tempfile.TemporaryDirectory(prefix=prefix, dir=memory if roomy else None, ignore_cleanup_errors=True)
    Path(made.name).chmod(0o755)
    return made
