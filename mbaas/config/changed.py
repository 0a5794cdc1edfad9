"""Whether the files of a configuration have changed since it was read, and what a change asks for."""

from __future__ import annotations

import glob
from typing import TypeAlias

import msgspec

from mbaas.config.settings import Config

Fingerprint: TypeAlias = tuple[tuple[str, int, int], ...]

# In force without a restart, by `mbaas migrate apply`; and what is no setting.
_LIVE = frozenset({"catalog", "functions_sql", "places", "files", "root", "data"})


def fingerprint(config: Config) -> Fingerprint:
    """Another value when one of its files was written, came or went; files that match its patterns count too."""
    found = []
    for pattern in config.files:
        # Not by Path.glob, which takes no absolute pattern.
        for name in sorted(glob.glob(pattern, root_dir=config.root, recursive=True)):  # noqa: PTH207
            try:
                status = (config.root / name).stat()
            except OSError:
                continue  # it went this moment
            found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def needs_restart(running: Config, changed: Config) -> tuple[str, ...]:
    """The settings that differ and are read at a start alone: ``("limits.max_rows",)``."""
    return tuple(
        f"{section}.{key}"
        for section in running.__struct_fields__
        if section not in _LIVE
        for key, value in msgspec.structs.asdict(getattr(changed, section)).items()
        if getattr(getattr(running, section), key) != value
    )
