"""Settings of our own PostgreSQL: sized for the machine, and safe unless the opposite is asked for in so many words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil

from mbaas.core.errors import ConfigError

_MIB = 1024 * 1024
_ON = frozenset({"on", "true", "yes", "1"})
# Anything else may lose what was acknowledged, or more, when the machine stops.
_SAFE = {
    "fsync": _ON,
    "full_page_writes": _ON,
    "synchronous_commit": _ON | {"local", "remote_write", "remote_apply"},
}


def sized_settings(memory: int) -> dict[str, str]:
    """memory: bytes that the whole machine, or our share of it, has."""
    return {
        # A page that is not here costs some microseconds, though the operating system has it; a list of a large table
        # reads thirty. Not more: each is 20 MB at rest, and what is dirty here is written at a stop.
        "shared_buffers": _megabytes(memory // 16, least=16, most=1024),
        "wal_buffers": "4MB",  # grows with the former by itself, and is memory at rest
        "effective_cache_size": _megabytes(memory // 2, least=64, most=65_536),
        "maintenance_work_mem": _megabytes(memory // 32, least=16, most=64),
        "max_connections": "100",
        # What is replayed after a crash, and so how long a restart may take.
        "max_wal_size": "512MB",
        "max_slot_wal_keep_size": "2GB",
        # Statements here take milliseconds; compiling them takes tens.
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # Start, stop and faults of the server. Not the errors of callers: their details quote rows.
        "log_min_messages": "log",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] ",
    }


# For PostgreSQL 18 and newer. Requests read a page here and a page there: to hand each to another process and to wait
# for it costs more than to read it, and the processes are memory at rest.
UNAIDED = {"io_method": "sync"}


def checked(settings: Mapping[str, str], *, unsafe_dev: bool) -> dict[str, str]:
    """The settings with the safe ones spelled out, so that no file of the cluster can undo them.

    Raises ConfigError for an unsafe one, unless ``unsafe_dev``; then the server says so of itself
    (``mbaas.unsafe_dev``), and whoever connects knows that it is meant.
    """
    unsafe = {name: settings[name] for name in _SAFE if settings.get(name, "on").lower() not in _SAFE[name]}
    if not unsafe_dev:
        for name, text in unsafe.items():
            raise ConfigError(
                f"{name} = {text} may lose acknowledged writes",
                hint="remove the setting; for throw-away data only, allow it with --unsafe-dev",
            )
        return {**dict.fromkeys(_SAFE, "on"), **settings}
    return {**settings, "mbaas.unsafe_dev": "on"}


def memory_limit() -> int:
    """Bytes this process tree may use: the machine's memory, or the control group's limit when that is less."""
    total = int(psutil.virtual_memory().total)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue  # no such file, or "max"
    return total


def _megabytes(size: int, *, least: int, most: int) -> str:
    return f"{min(max(size // _MIB, least), most)}MB"
