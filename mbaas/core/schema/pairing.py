"""Which table there is answers to which table wanted, renames followed.

After pairing, both sides of a pair speak the wanted names; only the names of constraints and indexes are still as they
are in the database.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mbaas.core.errors import ConfigError
from mbaas.core.schema.table import Key, Object, Table


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """before: what is there, under the wanted names. renamed: columns, from (old) to (new)."""

    before: Table
    after: Table
    old_name: str
    renamed: dict[str, str] = {}

    @property
    def added(self) -> frozenset[str]:
        """Names of columns that are not there yet."""
        return frozenset(column.name for column in self.after.columns if self.before.column(column.name) is None)

    def spoken_of(self, columns: frozenset[str]) -> frozenset[str]:
        """These columns under all their names: expressions that are there may still say the old one."""
        return columns | {old for old, new in self.renamed.items() if new in columns}


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """owned: what may be dropped, under the wanted names. restored: tables that come back from storage, by name."""

    pairs: dict[str, Pair]
    created: tuple[Table, ...] = ()
    dropped: tuple[Table, ...] = ()
    owned: frozenset[Object] = frozenset()
    restored: dict[str, str] = {}


def pair(
    current: Mapping[str, Table],
    desired: Mapping[str, Table],
    *,
    owned: frozenset[Object] = frozenset(),
    restored: Mapping[str, str] | None = None,
) -> Pairing:
    """Pair by name, or by a declared rename when only the old name exists.

    A table that is there, not wanted and not owned is not our business and stays out. restored: tables of ``current``
    that are in storage, with the storage's name.
    """
    sources = _sources(current, desired)
    table_names = {old: new for new, old in sources.items()}
    column_names = {
        new: _renamed_columns(current[old], desired[new]) for new, old in sources.items()
    }  # wanted table name -> old column name -> new column name
    pairs = {
        new: Pair(
            before=_under_new_names(current[old], new, table_names, column_names),
            after=desired[new],
            old_name=old,
            renamed=column_names[new],
        )
        for new, old in sources.items()
    }
    gone = [table for name, table in current.items() if name not in table_names]
    return Pairing(
        pairs=pairs,
        created=tuple(table for name, table in desired.items() if name not in sources),
        dropped=tuple(
            _under_new_names(table, table.name, table_names, column_names)
            for table in gone
            if Object(table.name, "table", "") in owned
        ),
        owned=frozenset(_owned_under_new_names(owned, table_names, column_names)),
        restored=dict(restored or {}),
    )


def _sources(current: Mapping[str, Table], desired: Mapping[str, Table]) -> dict[str, str]:
    """Wanted name -> the name it has now, for every wanted table that exists."""
    found: dict[str, str] = {}
    for name, table in desired.items():
        old = table.renamed_from
        if name in current:
            found[name] = name
        elif old is not None and old in current and old not in desired:  # who keeps the name keeps the rows
            if old in found.values():
                raise ConfigError(
                    f"two collections say they were {old!r} before", hint="keep renamed_from on one of them"
                )
            found[name] = old
    return found


def _renamed_columns(before: Table, after: Table) -> dict[str, str]:
    renamed: dict[str, str] = {}
    wanted = {column.name for column in after.columns}
    for column in after.columns:
        old = column.renamed_from
        if old is None or before.column(column.name) is not None or before.column(old) is None or old in wanted:
            continue
        if old in renamed:
            raise ConfigError(
                f"two fields of {after.name} say they were {old!r} before", hint="keep renamed_from on one of them"
            )
        renamed[old] = column.name
    return renamed


def _under_new_names(
    table: Table, name: str, table_names: Mapping[str, str], column_names: Mapping[str, Mapping[str, str]]
) -> Table:
    own = column_names.get(name, {})

    def renamed(columns: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(names.get(column, column) for column in columns)

    def key(found: Key) -> Key:
        return msgspec.structs.replace(found, columns=renamed(found.columns, own))

    foreigns = []
    for foreign in table.foreigns:
        target = table_names.get(foreign.table, foreign.table)
        foreigns.append(
            msgspec.structs.replace(
                foreign,
                columns=renamed(foreign.columns, own),
                table=target,
                target=renamed(foreign.target, column_names.get(target, {})),
            )
        )
    return msgspec.structs.replace(
        table,
        name=name,
        columns=tuple(
            msgspec.structs.replace(column, name=own.get(column.name, column.name)) for column in table.columns
        ),
        primary=None if table.primary is None else key(table.primary),
        uniques=tuple(map(key, table.uniques)),
        foreigns=tuple(foreigns),
        indexes=tuple(
            msgspec.structs.replace(
                index,
                fields=tuple(
                    msgspec.structs.replace(field, name=own.get(field.name, field.name)) for field in index.fields
                ),
            )
            for index in table.indexes
        ),
    )


def _owned_under_new_names(
    owned: frozenset[Object], table_names: Mapping[str, str], column_names: Mapping[str, Mapping[str, str]]
) -> list[Object]:
    found = []
    for item in owned:
        collection = table_names.get(item.collection, item.collection)
        name = item.name
        if item.kind in {"column", "default", "generated"}:
            name = column_names.get(collection, {}).get(name, name)
        found.append(Object(collection, item.kind, name))
    return found
