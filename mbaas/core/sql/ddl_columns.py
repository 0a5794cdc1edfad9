"""Steps that add, change and drop columns."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mbaas.core.schema import changes as c
from mbaas.core.schema.casts import change_of_type
from mbaas.core.schema.changes import Change
from mbaas.core.schema.naming import object_name
from mbaas.core.schema.table import TableCheck, TableColumn
from mbaas.core.sql import ddl_constraints, kept
from mbaas.core.sql.definition import column_definition, table_name
from mbaas.core.sql.fragment import quote, quote_text
from mbaas.core.sql.migration import Step, altering

_REWRITES = "writes the whole table anew; until then nobody can read or write it"


def add(table: str, column: TableColumn, *, heavy: bool) -> Step:
    sql = f"alter table {table_name(table)} add column {column_definition(column)}"
    step = altering(f"{table}: add {column.name}", table, sql)
    return msgspec.structs.replace(step, heavy=_REWRITES) if heavy else step


def drop_derived(change: c.DropColumn) -> Step:
    """A generated column: nothing that its sources do not hold."""
    return altering(f"{change.table}: drop {change.column.name}", change.table, *_drop(change))


def drop_at_once(change: c.DropColumn, number: int) -> Iterator[Step]:
    """Copied and dropped under one lock: for tables that are copied in a moment."""
    table, column = change.table, change.column.name
    # Dropped because it becomes generated: its values come back when it is an ordinary column again.
    yield altering(
        f"{table}: drop {column}",
        table,
        f"lock table {table_name(table)} in access exclusive mode",
        *kept.copy_column(number, table, column, change.key, kind="column"),
        *_drop(change),
        destructive=_aside(table, column, number),
    )


def drop_beside_writers(change: c.DropColumn, number: int) -> Iterator[Step]:
    """A trigger carries new values into the copy while old ones are copied, so that the lock at the end is short."""
    table, column = change.table, change.column.name
    yield Step(
        title=f"{table}: begin to keep {column}",
        table=table,
        sql=kept.watch_column(number, table, column, change.key),
        lock="SHARE ROW EXCLUSIVE",
    )
    yield Step(
        title=f"{table}: keep {column}",
        table=table,
        sql=(kept.fill_copy(number, table, column, change.key),),
        alone=True,
    )
    yield altering(
        f"{table}: drop {column}",
        table,
        *kept.end_watch(number, table),
        *_drop(change),
        destructive=_aside(table, column, number),
    )


def _drop(change: c.DropColumn) -> tuple[str, str]:
    table, column = change.table, change.column.name
    return (
        f"select mbaas.release_policies({quote_text(table)}, {quote_text(column)})",
        f"alter table {table_name(table)} drop column {quote(column)}",
    )


def _aside(table: str, column: str, number: int) -> str:
    return f"{table}.{column} and its values leave the API; they are put aside in {kept.storage(number)}"


def change_type(change: c.ChangeType, numbers: Iterator[int], *, short: bool) -> Step:
    table, column, before, after = change.table, quote(change.after.name), change.before, change.after
    effect = change_of_type(before.type, after.type)
    sql = [f"select mbaas.release_policies({quote_text(table)}, {quote_text(after.name)})"]
    destructive = None
    keyed = any(item.name == after.name for item in change.key)
    # Refused: only a way back asks for it, where every value was of that type before.
    if effect in {"narrowing", "refused"} and not keyed:
        number = next(numbers)
        sql.insert(0, f"lock table {table_name(table)} in access exclusive mode")
        sql += kept.copy_column(number, table, after.name, change.key, kind="values", narrowed=after.type)
        destructive = (
            f"values of {table}.{after.name} that {after.type} cannot hold change; "
            f"they are put aside in {kept.storage(number)}"
        )
    actions = [f"alter column {column} type {after.type} using {column}::{after.type}"]
    if before.default is not None:
        actions.insert(0, f"alter column {column} drop default")
    if after.default is not None:
        actions.append(f"alter column {column} set default ({after.default})")
    sql.append(f"alter table {table_name(table)} {', '.join(actions)}")
    step = altering(f"{table}: {after.name} from {before.type} to {after.type}", table, *sql, destructive=destructive)
    return step if short or effect == "none" else msgspec.structs.replace(step, heavy=_REWRITES)


def set_not_null(table: str, column: str, *, short: bool) -> Iterator[Step]:
    title = f"{table}: {column} must have a value"
    if short:
        yield _altered(title, table, column, "set not null")
        return
    helper = object_name(table, column, "required")
    check = TableCheck(name=helper, expression=f"{quote(column)} is not null")
    yield from ddl_constraints.add_check(table, check, replaces=True, short=False)
    # PostgreSQL takes the validated check as proof and does not look at the rows again.
    drop = f"alter table {table_name(table)} drop constraint {quote(helper)}"
    step = _altered(title, table, column, "set not null")
    yield msgspec.structs.replace(step, sql=(*step.sql, drop))


def alter(change: Change) -> Step:
    """What needs no look at the rows."""
    match change:
        case c.SetDefault(table, column, None):
            return _altered(f"{table}: {column} without default", table, column, "drop default")
        case c.SetDefault(table, column, default):
            return _altered(f"{table}: default of {column}", table, column, f"set default ({default})")
        case c.DropNotNull(table, column):
            return _altered(f"{table}: {column} may be null", table, column, "drop not null")
        case c.DropExpression(table, column):
            return _altered(f"{table}: {column} is generated no more", table, column, "drop expression")
        case c.DropIdentity(table, column):
            return _altered(f"{table}: {column} counts no more", table, column, "drop identity")
        case c.AddIdentity(table, column):
            step = _altered(f"{table}: {column} counts", table, column, "add generated by default as identity")
            sequence = f"pg_get_serial_sequence({quote_text(table_name(table))}, {quote_text(column)})"
            greatest = f"select greatest(max({quote(column)}), 0) from {table_name(table)}"
            sql = f"select setval({sequence}, coalesce(({greatest}), 0) + 1, false)"
            return msgspec.structs.replace(step, sql=(*step.sql, sql))
        case _:
            raise TypeError(change)


def _altered(title: str, table: str, column: str, action: str) -> Step:
    return altering(title, table, f"alter table {table_name(table)} alter column {quote(column)} {action}")
