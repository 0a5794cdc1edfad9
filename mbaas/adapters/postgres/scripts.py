"""Hand-written migrations: ``migrations/*.sql`` beside ``mbaas.toml``, run once each, in the order of their names.

A file whose first line is ``-- before`` runs before the schema is compared with the configuration (it fills what is
about to be required, it converts what has no cast); any other runs after. What follows a line ``-- down`` takes the
file back. A file runs in one transaction, so it says neither ``begin`` nor ``commit``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mbaas.adapters.postgres.session import Session
from mbaas.core.errors import MigrationError

_DOWN = re.compile(r"^--\s*down\s*$", re.IGNORECASE | re.MULTILINE)
_BEFORE = re.compile(r"\A\s*--\s*before\s*$", re.IGNORECASE | re.MULTILINE)


class Script(msgspec.Struct, frozen=True):
    """down: ``None`` when there is no way back. before: it runs before the comparison."""

    name: str
    sql: str
    sha256: str
    down: str | None = None
    before: bool = False


def parse_script(name: str, text: str) -> Script:
    """
    >>> script = parse_script("1.sql", "-- before\\nselect 1;\\n-- down\\nselect 2;")
    >>> script.before, script.sql, script.down
    (True, '-- before\\nselect 1;', 'select 2;')
    """
    parts = _DOWN.split(text, maxsplit=1)
    down = parts[1].strip() if len(parts) > 1 else None
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Script(name, parts[0].strip(), digest, down or None, _BEFORE.match(text) is not None)


def read_scripts(directory: Path) -> tuple[Script, ...]:
    """Every ``.sql`` file of a directory, by name; none when there is no such directory."""
    paths = sorted(directory.glob("*.sql"))
    return tuple(parse_script(path.name, path.read_text(encoding="utf-8")) for path in paths)


async def pending_scripts(session: Session, scripts: Sequence[Script]) -> tuple[Script, ...]:
    """Those not run yet. Raises MigrationError when one that was run has changed since."""
    text = await session.fetch("select coalesce(json_object_agg(name, sha256), '{}')::text from mbaas.scripts")
    known = msgspec.json.decode(text, type=dict[str, str])
    for script in scripts:
        if known.get(script.name, script.sha256) != script.sha256:
            raise MigrationError(
                f"migrations/{script.name} was run in another form",
                hint="a file that was run never changes: put it back, and write another one",
            )
    return tuple(script for script in scripts if script.name not in known)
