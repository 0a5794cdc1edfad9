"""Names of constraints and indexes, as PostgreSQL itself would choose them.

Stable names make a comparison exact and let an error tell which field it is about.
Source: ``makeObjectName`` in PostgreSQL's ``src/backend/commands/indexcmds.c``.
"""

from __future__ import annotations

import hashlib

MAX_BYTES = 63  # NAMEDATALEN - 1


def object_name(table: str, column: str | None, label: str) -> str:
    """``table_column_label``, the longer of the two names shortened until it all fits 63 bytes.

    >>> object_name("posts", "slug", "key"), object_name("posts", None, "pkey")
    ('posts_slug_key', 'posts_pkey')
    """
    room = MAX_BYTES - len(label.encode()) - 1 - (1 if column is not None else 0)
    first, second = len(table.encode()), len((column or "").encode())
    while first + second > room:
        if first > second:
            first -= 1
        else:
            second -= 1
    parts = [_cut(table, first), *([_cut(column, second)] if column is not None else []), label]
    return "_".join(parts)


def fitting(name: str) -> str:
    """A name somebody chose, when it fits; else its beginning and a digest of the whole, so that it stays unique.

    >>> fitting("by_author"), len(fitting("x" * 80))
    ('by_author', 63)
    """
    if len(name.encode()) <= MAX_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{_cut(name, MAX_BYTES - 9)}_{digest}"


def _cut(name: str, size: int) -> str:
    """At most ``size`` bytes, whole characters."""
    return name.encode()[:size].decode(errors="ignore")
