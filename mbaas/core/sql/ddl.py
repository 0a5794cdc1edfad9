"""Changes as SQL: each one or several steps with its lock, whether it runs alone, and what is dangerous about it.

A large table is never locked for longer than a moment where PostgreSQL has another way: indexes ``CONCURRENTLY``,
constraints ``NOT VALID`` and then ``VALIDATE``, ``NOT NULL`` through a validated check, a copy of what goes made beside
the writers. A table that is small, new or empty takes the short way: fewer steps, each whole in one transaction.
Source: PostgreSQL documentation, ALTER TABLE, CREATE INDEX, explicit locking.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import msgspec

from mbaas.core.schema import changes as c
from mbaas.core.schema.changes import Change
from mbaas.core.sql import ddl_columns, ddl_constraints, kept
from mbaas.core.sql.definition import create_table, create_trigger, table_name
from mbaas.core.sql.fragment import quote, quote_text
from mbaas.core.sql.migration import INVOKER_VIEWS, Step, altering


class Terrain(msgspec.Struct, frozen=True, kw_only=True):
    """short: tables that take the short way. rewrites: columns whose addition writes their table anew.

    storage: the first free number for what is put aside.
    """

    short: frozenset[str] = frozenset()
    rewrites: frozenset[tuple[str, str]] = frozenset()
    storage: int = 1


def render_steps(changes: Iterable[Change], terrain: Terrain) -> tuple[Step, ...]:
    """The steps of all changes, in their order. Raises MigrationError when values could not be kept."""
    ordered = tuple(changes)
    short = terrain.short | {change.table.name for change in ordered if isinstance(change, c.CreateTable)}
    numbers = itertools.count(terrain.storage)
    return tuple(
        step for change in ordered for step in _steps(change, short=short, rewrites=terrain.rewrites, numbers=numbers)
    )


def _steps(
    change: Change, *, short: frozenset[str], rewrites: frozenset[tuple[str, str]], numbers: Iterator[int]
) -> Iterator[Step]:
    match change:
        case c.AddColumn(table, column):
            heavy = (table, column.name) in rewrites and table not in short
            yield ddl_columns.add(table, column, heavy=heavy)
        case c.DropColumn() if change.derived:
            yield ddl_columns.drop_derived(change)
        case c.DropColumn(table):
            drop = ddl_columns.drop_at_once if table in short else ddl_columns.drop_beside_writers
            yield from drop(change, next(numbers))
        case c.ChangeType(table):
            yield ddl_columns.change_type(change, numbers, short=table in short)
        case c.RestoreValues(values, type):
            yield from kept.bring_back(values, type)
        case c.SetNotNull(table, column):
            yield from ddl_columns.set_not_null(table, column, short=table in short)
        case c.AddPrimary(table, key, replaces):
            yield from ddl_constraints.add_primary(table, key, replaces, short=table in short)
        case c.AddUnique(table, key):
            yield from ddl_constraints.add_unique(table, key, short=table in short)
        case c.AddCheck(table, check, replaces):
            yield from ddl_constraints.add_check(table, check, replaces=replaces, short=table in short)
        case c.AddForeign(table, foreign, replaces):
            yield from ddl_constraints.add_foreign(table, foreign, replaces=replaces, short=table in short)
        case c.Validate(table, name):
            yield ddl_constraints.validate(table, name)
        case c.AddIndex(table, index, replaces):
            yield from ddl_constraints.add_index(table, index, replaces=replaces, short=table in short)
        case c.DropIndex(table, name):
            yield ddl_constraints.drop_index(table, name, short=table in short)
        case c.CreateTable() | c.RestoreTable() | c.DropTable() | c.RenameTable() | c.EnableRowSecurity():
            yield _table(change, numbers)
        case c.RenameColumn() | c.RenameConstraint() | c.RenameIndex() | c.DropConstraint():
            yield _named(change)
        case c.SetDefault() | c.DropNotNull() | c.DropExpression() | c.AddIdentity() | c.DropIdentity():
            yield ddl_columns.alter(change)
        case _:
            yield _other(change)


def _table(change: Change, numbers: Iterator[int]) -> Step:
    match change:
        case c.CreateTable(table):
            return Step(title=f"create table {table.name}", table=table.name, sql=create_table(table))
        case c.RestoreTable(name, storage):
            return altering(f"bring back table {name}", name, *kept.move_back(name, storage))
        case c.DropTable(name):
            number = next(numbers)
            danger = f"{name} and its rows leave the API; they are put aside in {kept.storage(number)}"
            return altering(f"drop table {name}", name, *kept.move_table(number, name), destructive=danger)
        case c.RenameTable(before, name):
            sql = f"alter table {table_name(before)} rename to {quote(name)}"
            return altering(f"rename table {before} to {name}", before, sql)
        case c.EnableRowSecurity(name):
            sql = f"alter table {table_name(name)} enable row level security"
            return altering(f"{name}: enforce row security", name, sql)
        case _:
            raise TypeError(change)


def _named(change: Change) -> Step:
    match change:
        case c.RenameColumn(table, before, name):
            action = f"rename column {quote(before)} to {quote(name)}"
            return altering(f"{table}: rename {before} to {name}", table, f"alter table {table_name(table)} {action}")
        case c.RenameConstraint(table, before, name):
            action = f"rename constraint {quote(before)} to {quote(name)}"
            title = f"{table}: rename constraint {before} to {name}"
            return altering(title, table, f"alter table {table_name(table)} {action}")
        case c.RenameIndex(table, before, name):
            sql = f"alter index public.{quote(before)} rename to {quote(name)}"
            title = f"{table}: rename index {before} to {name}"
            return Step(title=title, table=table, sql=(sql,), lock="SHARE UPDATE EXCLUSIVE")
        case c.DropConstraint(table, name):
            sql = f"alter table {table_name(table)} drop constraint if exists {quote(name)}"
            return altering(f"{table}: drop constraint {name}", table, sql)
        case _:
            raise TypeError(change)


def _other(change: Change) -> Step:
    match change:
        case c.AddTrigger(table, trigger):
            title = f"{table}: trigger that keeps {'updated_at' if trigger == 'touch' else '_modified'}"
            return Step(title=title, table=table, sql=(create_trigger(table, trigger),), lock="SHARE ROW EXCLUSIVE")
        case c.DropTrigger(table, trigger):
            sql = f"drop trigger if exists mbaas_{trigger} on {table_name(table)}"
            return altering(f"{table}: drop trigger mbaas_{trigger}", table, sql)
        case c.ApplyPolicies(table, statements):
            return altering(f"{table}: rules as policies", table, *statements)
        case c.InstallFunction(name, source, execute, early):
            roles = ", ".join(map(quote_text, execute))
            # Early: its body may speak of tables that the same plan creates afterwards.
            bodies = "false" if early else "true"
            arguments = f"{quote_text(name)}, {quote_text(source)}, array[{roles}]::text[], {bodies}"
            return Step(title=f"function {name}", sql=(f"select mbaas.install_function({arguments})", INVOKER_VIEWS))
        case c.RemoveFunction(name):
            sql = f"select mbaas.remove_function({quote_text(name)})"
            return Step(title=f"drop function {name}", sql=(sql,))
        case c.DiscardKept(storage):
            sql = f"select mbaas.discard({quote_text(storage)})"
            return Step(title=f"discard the unfinished {storage}", sql=(sql,), lock="ACCESS EXCLUSIVE")
        case _:
            raise TypeError(change)
