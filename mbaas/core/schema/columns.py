"""What has to happen to the columns of one table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from mbaas.core.schema import changes as c
from mbaas.core.schema.changes import Kept, Phase, Phased
from mbaas.core.schema.pairing import Pair
from mbaas.core.schema.table import Object, Table, TableColumn


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """altered: their type changes. replaced: dropped and made anew, because what generates them is another."""

    altered: frozenset[str]
    replaced: frozenset[str]

    @property
    def both(self) -> frozenset[str]:
        return self.altered | self.replaced


def mentions(expression: str | None, names: frozenset[str]) -> bool:
    """Whether an expression may speak of one of these columns. Errs on the side of yes.

    >>> mentions('lower("title")', frozenset({"title"})), mentions("subtitle > 1", frozenset({"title"}))
    (True, False)
    """
    if expression is None or not names:
        return False
    spelled = {spelling for name in names for spelling in (name, name.replace('"', '""'))}
    pattern = "|".join(re.escape(name) for name in sorted(spelled))
    return re.search(rf"(?<!\w)(?:{pattern})(?!\w)", expression, re.IGNORECASE) is not None


def touched_columns(pair: Pair) -> Touched:
    """Which columns change so much that what stands on them has to be made anew."""
    both = [(before, after) for after in pair.after.columns if (before := pair.before.column(after.name)) is not None]
    retyped = frozenset(after.name for before, after in both if before.type != after.type)
    replaced = frozenset(
        after.name
        for before, after in both
        if after.generated is not None
        and (before.generated != after.generated or after.name in retyped or mentions(after.generated, retyped))
    )
    return Touched(altered=retyped - replaced, replaced=replaced)


def column_changes(pair: Pair, touched: Touched, *, owned: frozenset[Object], kept: Sequence[Kept]) -> Iterator[Phased]:
    """Changes of one table's columns. kept: values of this table that come back."""
    table, back = pair.after.name, {item.column: item for item in kept}
    for after in pair.after.columns:
        before = pair.before.column(after.name)
        if before is None:
            yield from _added(table, after, back.get(after.name))
        elif after.name in touched.replaced:
            key = key_columns(pair.before)
            yield Phase.DROP_OBJECTS, c.DropColumn(table, before, key, derived=before.generated is not None)
            yield Phase.ADD_GENERATED, c.AddColumn(table, after)
        else:
            yield from _altered(pair, before, after, owned)
            if after.name in back:
                yield Phase.BRING_BACK, c.RestoreValues(back[after.name], after.type)
    for before in pair.before.columns:
        if pair.after.column(before.name) is None and Object(table, "column", before.name) in owned:
            derived = before.generated is not None
            yield Phase.GIVE_UP, c.DropColumn(table, before, key_columns(pair.after), derived=derived)


def key_columns(table: Table) -> tuple[TableColumn, ...]:
    names = () if table.primary is None else table.primary.columns
    return tuple(column for column in table.columns if column.name in names)


def _added(table: str, column: TableColumn, kept: Kept | None) -> Iterator[Phased]:
    if kept is None:
        phase = Phase.ADD_COLUMNS if column.generated is None else Phase.ADD_GENERATED
        yield phase, c.AddColumn(table, column)
        return
    # Values come back into a column that takes any; what it demands follows when they are there.
    yield Phase.ADD_COLUMNS, c.AddColumn(table, msgspec.structs.replace(column, not_null=False, identity=False))
    yield Phase.ADD_COLUMNS, c.RestoreValues(kept, column.type)
    if column.not_null:
        yield Phase.CONSTRAIN, c.SetNotNull(table, column.name)
    if column.identity:
        yield Phase.CONSTRAIN, c.AddIdentity(table, column.name)


def _altered(pair: Pair, before: TableColumn, after: TableColumn, owned: frozenset[Object]) -> Iterator[Phased]:
    table, name = pair.after.name, after.name
    if before.identity and not after.identity:
        yield Phase.ALTER, c.DropIdentity(table, name)
    if before.generated is not None and after.generated is None:
        yield Phase.ALTER, c.DropExpression(table, name)
    # A default that nobody declared stays, like everything that is not owned.
    theirs = before.default is not None and after.default is None and Object(table, "default", name) not in owned
    default = before.default if theirs and not after.identity else after.default
    if before.type != after.type:
        after = msgspec.structs.replace(after, default=default)
        yield Phase.ALTER, c.ChangeType(table, before, after, key_columns(pair.before))
    elif before.default != default:
        yield Phase.ALTER, c.SetDefault(table, name, default)
    if after.not_null and not before.not_null:
        yield Phase.CONSTRAIN, c.SetNotNull(table, name)
    if after.identity and not before.identity:
        yield Phase.CONSTRAIN, c.AddIdentity(table, name)
    if before.not_null and not after.not_null:
        yield Phase.RELAX, c.DropNotNull(table, name)
