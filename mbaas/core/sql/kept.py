"""Nothing that a plan takes away is gone at once: tables move aside, values of columns are copied aside.

Each goes into a schema of its own, ``mbaas_dropped_<number>``, which nobody was granted, and into the register
``mbaas.dropped``; ``down`` brings it back, a purge forgets it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mbaas.core.errors import MigrationError
from mbaas.core.schema.changes import Kept
from mbaas.core.schema.table import TableColumn
from mbaas.core.sql.definition import table_name
from mbaas.core.sql.fragment import quote, quote_text
from mbaas.core.sql.migration import Step

BATCH = 5000  # rows that come back in one transaction: locks on them are held for milliseconds


def storage(number: int) -> str:
    return f"mbaas_dropped_{number}"


def registered(
    number: int,
    kind: str,
    table: str,
    *,
    column: str = "",
    key: Sequence[TableColumn] = (),
    narrowed: str | None = None,
    complete: bool = True,
) -> str:
    """The entry in the register."""
    columns = msgspec.json.encode([(item.name, item.type) for item in key]).decode()
    kept_as = "null" if narrowed is None else quote_text(narrowed)
    return (
        "insert into mbaas.dropped (number, kind, collection, field, key, narrowed, complete) values "
        f"({number}, {quote_text(kind)}, {quote_text(table)}, {quote_text(column)}, {quote_text(columns)}::jsonb, "
        f"{kept_as}, {'true' if complete else 'false'})"
    )


def move_table(number: int, table: str) -> tuple[str, ...]:
    return (
        f"create schema {storage(number)}",
        f"alter table {table_name(table)} set schema {storage(number)}",
        registered(number, "table", table),
    )


def move_back(table: str, schema: str) -> tuple[str, ...]:
    return (
        f"alter table {schema}.{quote(table)} set schema public",
        *_forget(schema),
    )


def copy_column(
    number: int, table: str, column: str, key: Sequence[TableColumn], *, kind: str, narrowed: str | None = None
) -> tuple[str, ...]:
    """Everything a column holds, by key. narrowed: only values that this type would change."""
    wanted = quote(column)
    where = "" if narrowed is None else f" where {wanted}::{narrowed}::text is distinct from {wanted}::text"
    return (
        f"create schema {storage(number)}",
        f"create table {storage(number)}.kept as select {_key_as(table, column, key)} from {table_name(table)}{where}",
        registered(number, kind, table, column=column, key=key, narrowed=narrowed),
    )


def watch_column(number: int, table: str, column: str, key: Sequence[TableColumn]) -> tuple[str, ...]:
    """An empty copy and a trigger that carries every new value into it: the first of three steps for a large table."""
    kept = f"{storage(number)}.kept"
    keys = ", ".join(f"k{index}" for index in range(1, len(key) + 1))
    arguments = ", ".join(map(quote_text, [storage(number), column, *(item.name for item in key)]))
    return (
        f"create schema {storage(number)}",
        f"create table {kept} as select {_key_as(table, column, key)} from {table_name(table)} with no data",
        f"alter table {kept} add primary key ({keys})",
        f"create trigger mbaas_keep_{number} after insert or update on {table_name(table)} for each row "
        f"execute function mbaas.keep({arguments})",
        registered(number, "column", table, column=column, key=key, complete=False),
    )


def fill_copy(number: int, table: str, column: str, key: Sequence[TableColumn]) -> str:
    """What was there before the trigger. May run again: what the trigger brought is newer and stays."""
    return (
        f"insert into {storage(number)}.kept select {_key_as(table, column, key)} from {table_name(table)} "
        "on conflict do nothing"
    )


def end_watch(number: int, table: str) -> tuple[str, ...]:
    return (
        f"drop trigger mbaas_keep_{number} on {table_name(table)}",
        f"update mbaas.dropped set complete = true where number = {number}",
    )


def bring_back(kept: Kept, type: str) -> tuple[Step, ...]:
    """Values into a column that is there again, batch by batch, then the end of the storage."""
    target, column = table_name(kept.table), quote(kept.column)
    found = [f"t.{quote(name)} = batch.k{index}::{of}" for index, (name, of) in enumerate(kept.key, 1)]
    if kept.narrowed is not None:
        found.append(f"t.{column}::text is not distinct from batch.value::{kept.narrowed}::{type}::text")
    source = f"{kept.storage}.kept"
    batch = f"select ctid from {source} limit {BATCH}"
    return (
        Step(
            title=f"{kept.table}: bring back the values of {kept.column}",
            table=kept.table,
            sql=(
                "select set_config('mbaas.restoring', 'on', true);\n"
                f"with batch as (delete from {source} where ctid = any (array({batch})) returning *)\n"
                f"update {target} as t set {column} = batch.value::{type} from batch where {' and '.join(found)}",
            ),
            alone=True,
            repeat=True,
            done_when=f"select not exists (select from {source})",
        ),
        Step(title=f"forget {kept.storage}: all of it is back", sql=_forget(kept.storage)),
    )


def needs_key(table: str, column: str, key: Sequence[TableColumn]) -> None:
    """Without a key a value could not find back to its row."""
    if not key or any(item.name == column for item in key):
        raise MigrationError(
            f"{table}.{column}: its values cannot be kept, because nothing else tells the rows apart",
            hint="give the collection another key first, in a step of its own",
        )


def _forget(schema: str) -> tuple[str, ...]:
    number = int(schema.rpartition("_")[2])
    return (
        f"drop schema {schema} cascade",
        f"update mbaas.dropped set restored_at = now() where number = {number}",
    )


def _key_as(table: str, column: str, key: Sequence[TableColumn]) -> str:
    needs_key(table, column, key)
    keys = [f"{quote(item.name)} as k{index}" for index, item in enumerate(key, 1)]
    return ", ".join([*keys, f"{quote(column)} as value"])
