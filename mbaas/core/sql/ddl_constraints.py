"""Steps that add and drop constraints and indexes: the short way for short tables, beside the writers for others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mbaas.core.schema.catalog import IndexField
from mbaas.core.schema.naming import fitting, object_name
from mbaas.core.schema.table import Foreign, Key, TableCheck, TableIndex
from mbaas.core.sql.definition import (
    check_definition,
    create_index,
    foreign_definition,
    primary_definition,
    table_name,
    unique_definition,
)
from mbaas.core.sql.fragment import quote, quote_text
from mbaas.core.sql.migration import Lock, Step, altering


def add_primary(table: str, key: Key, replaces: str | None, *, short: bool) -> Iterator[Step]:
    drop = "" if replaces is None else f"drop constraint if exists {quote(replaces)}, "
    title, alter = f"{table}: key {', '.join(key.columns)}", f"alter table {table_name(table)} {drop}add "
    if short:
        yield altering(title, table, alter + primary_definition(key))
        return
    name = object_name(table, None, "pkey_new")
    yield from _build(table, _unique_index(name, key.columns))
    yield altering(title, table, f"{alter}constraint {quote(key.name)} primary key using index {quote(name)}")


def add_unique(table: str, key: Key, *, short: bool) -> Iterator[Step]:
    title, alter = f"{table}: {', '.join(key.columns)} unique", f"alter table {table_name(table)} add "
    if short:
        yield altering(title, table, alter + unique_definition(key))
        return
    yield from _build(table, _unique_index(key.name, key.columns))
    yield altering(title, table, f"{alter}constraint {quote(key.name)} unique using index {quote(key.name)}")


def add_check(table: str, check: TableCheck, *, replaces: bool, short: bool) -> Iterator[Step]:
    drop = f"drop constraint if exists {quote(check.name)}, " if replaces else ""
    sql = f"alter table {table_name(table)} {drop}add {check_definition(check)}"
    if short:
        yield altering(f"{table}: check {check.name}", table, sql)
        return
    yield altering(f"{table}: check {check.name} of new rows", table, f"{sql} not valid")
    yield validate(table, check.name)


def add_foreign(table: str, foreign: Foreign, *, replaces: bool, short: bool) -> Iterator[Step]:
    drop = f"drop constraint {quote(foreign.name)}, " if replaces else ""
    title = f"{table}: {', '.join(foreign.columns)} refers to {foreign.table}"
    sql = f"alter table {table_name(table)} {drop}add {foreign_definition(foreign)}"
    lock: Lock = "ACCESS EXCLUSIVE" if replaces else "SHARE ROW EXCLUSIVE"
    if short:
        yield Step(title=title, table=table, sql=(sql,), lock=lock)
        return
    yield Step(title=f"{title}, new rows", table=table, sql=(f"{sql} not valid",), lock=lock)
    yield validate(table, foreign.name)


def validate(table: str, name: str) -> Step:
    sql = f"alter table {table_name(table)} validate constraint {quote(name)}"
    return Step(
        title=f"{table}: check {name} of all rows", table=table, sql=(sql,), lock="SHARE UPDATE EXCLUSIVE", alone=True
    )


def add_index(table: str, index: TableIndex, *, replaces: bool, short: bool) -> Iterator[Step]:
    title = f"{table}: index {index.name}"
    drop = f"drop index public.{quote(index.name)}"
    if short and replaces:
        yield altering(title, table, drop, create_index(table_name(table), index))
    elif short:
        yield Step(title=title, table=table, sql=(create_index(table_name(table), index),), lock="SHARE")
    elif replaces:
        name = fitting(f"{index.name}_new")
        yield from _build(table, index, name)
        rename = f"alter index public.{quote(name)} rename to {quote(index.name)}"
        yield altering(f"{title} takes the place of the old one", table, drop, rename)
    else:
        yield from _build(table, index)


def drop_index(table: str, name: str, *, short: bool) -> Step:
    title, target = f"{table}: drop index {name}", f"if exists public.{quote(name)}"
    if short:
        return altering(title, table, f"drop index {target}")
    sql = (f"drop index concurrently {target}",)
    return Step(title=title, table=table, sql=sql, lock="SHARE UPDATE EXCLUSIVE", alone=True)


def _build(table: str, index: TableIndex, name: str | None = None) -> Iterator[Step]:
    """An index beside the writers. What an interrupted attempt left is invalid and goes first."""
    name = name or index.name
    relation = quote_text(f"public.{quote(name)}")
    yield Step(
        title=f"{table}: build index {name}",
        table=table,
        sql=(
            f"drop index concurrently if exists public.{quote(name)}",
            create_index(table_name(table), index, name=name, concurrently=True),
        ),
        lock="SHARE UPDATE EXCLUSIVE",
        alone=True,
        done_when=f"select exists (select from pg_index where indexrelid = to_regclass({relation}) and indisvalid)",
    )


def _unique_index(name: str, columns: Iterable[str]) -> TableIndex:
    return TableIndex(name=name, fields=tuple(map(IndexField, columns)), unique=True)
