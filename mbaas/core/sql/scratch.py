"""Asking PostgreSQL what it makes of expressions: a temporary table like the wanted one, never committed.

PostgreSQL stores an expression parsed and shows it rewritten: ``a>0`` comes back as ``(a > 0)``. Two texts mean the
same when it shows both alike, so that is how they are compared. On the way every expression is proven to be valid
before anything real is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from mbaas.core.schema.pairing import Pair
from mbaas.core.schema.table import Object, Table, TableColumn, objects
from mbaas.core.sql.definition import check_definition, column_definition, create_index
from mbaas.core.sql.fragment import quote

Shown: TypeAlias = Mapping[tuple[str, str], str]  # (kind, name) -> the text PostgreSQL shows

_KINDS = {"default", "generated", "check", "index"}


class Trial(msgspec.Struct, frozen=True):
    """One statement and what it is about, for the message when it fails."""

    sql: str
    about: str


def relation(table: str) -> str:
    """The temporary table, under the real one's name: an expression may speak of it."""
    return f"pg_temp.{quote(table)}"


def trials(table: Table) -> tuple[Trial, ...]:
    """Statements that build a table like this one: columns bare first, then each expression by itself."""
    name = relation(table.name)
    bare = [msgspec.structs.replace(column, default=None, not_null=False, identity=False) for column in table.columns]
    columns = ", ".join(column_definition(column) for column in bare if column.generated is None)
    found = [Trial(f"create temporary table {quote(table.name)} ({columns})", table.name)]
    for column in bare:
        if column.generated is not None:
            add = f"alter table {name} add column {column_definition(column)}"
            found.append(Trial(add, f"{table.name}.{column.name}: generated"))
    for column in table.columns:
        if column.default is not None:
            default = f"alter table {name} alter column {quote(column.name)} set default ({column.default})"
            found.append(Trial(default, f"{table.name}.{column.name}: default"))
    found += [
        Trial(f"alter table {name} add {check_definition(check)}", f"{table.name}: check {check.name}")
        for check in table.checks
    ]
    found += [
        Trial(create_index(name, index), f"{table.name}: index {index.name}") for index in table.indexes if index.plain
    ]
    return tuple(found)


def renames(table: str, renamed: Mapping[str, str]) -> str:
    """Statements after which PostgreSQL shows a table's expressions with the new names of its columns."""
    name = relation(table)
    return ";".join(f"alter table {name} rename column {quote(old)} to {quote(new)}" for old, new in renamed.items())


def addition(column: TableColumn) -> tuple[str, str, str]:
    """Create a table, ask for its file, add the column: another file afterwards tells that PostgreSQL wrote it anew."""
    bare = msgspec.structs.replace(column, not_null=False)
    return (
        "create temporary table mbaas_rewritten ()",
        "select pg_relation_filenode('pg_temp.mbaas_rewritten'::regclass)",
        f"alter table pg_temp.mbaas_rewritten add column {column_definition(bare)}",
    )


def under_old_names(pair: Pair) -> Table:
    """What is there, with the columns' present names, as far as expressions go."""
    old = {new: name for name, new in pair.renamed.items()}
    columns = tuple(
        msgspec.structs.replace(column, name=old.get(column.name, column.name)) for column in pair.before.columns
    )
    indexes = tuple(
        msgspec.structs.replace(
            index,
            fields=tuple(
                msgspec.structs.replace(field, name=old.get(field.name, field.name)) for field in index.fields
            ),
        )
        for index in pair.before.indexes
        if index.where is not None
    )
    return msgspec.structs.replace(pair.before, columns=columns, indexes=indexes)


def differs(pair: Pair) -> bool:
    """Whether the two sides' texts leave a doubt that only PostgreSQL can settle."""
    types = {column.name: column.type for column in pair.before.columns}
    if any(types.get(column.name) != column.type for column in pair.after.columns):
        return True
    return bool(pair.renamed) or not _texts(pair.after).items() <= _texts(pair.before).items()


def settled(pair: Pair, before: Shown, after: Shown) -> Pair:
    """The pair with equal texts where PostgreSQL shows the same. before, after: what it shows for each side."""
    wanted = _texts(pair.after)

    def text(kind: str, name: str, own: str | None) -> str | None:
        shown = before.get((kind, name))
        if own is None or shown is None:
            return own
        if after.get((kind, name)) == shown:
            return wanted[kind, name]
        # The same expression under another name; a column's own expressions have only the one name.
        named = [key for key, found in after.items() if key[0] == kind and found == shown]
        return wanted[named[0]] if named and kind in {"check", "index"} else own

    columns = tuple(
        msgspec.structs.replace(
            column,
            default=text("default", column.name, column.default),
            generated=text("generated", column.name, column.generated),
        )
        for column in pair.before.columns
    )
    checks = tuple(
        msgspec.structs.replace(check, expression=text("check", check.name, check.expression))
        for check in pair.before.checks
    )
    indexes = tuple(
        msgspec.structs.replace(index, where=text("index", index.name, index.where)) for index in pair.before.indexes
    )
    table = msgspec.structs.replace(pair.before, columns=columns, checks=checks, indexes=indexes)
    return msgspec.structs.replace(pair, before=table)


def _texts(table: Table) -> dict[tuple[str, str], str | None]:
    return {(item.kind, item.name): text for item, text in objects(table).items() if item.kind in _KINDS}


def shown_under_new_names(pair: Pair, shown: Mapping[Object, str]) -> Shown:
    """What PostgreSQL shows for the side that is there; right as long as no expression speaks of a renamed column."""
    found = {}
    for item, text in shown.items():
        if item.collection == pair.old_name:
            column = item.kind in {"default", "generated"}
            found[item.kind, pair.renamed.get(item.name, item.name) if column else item.name] = text
    return found
