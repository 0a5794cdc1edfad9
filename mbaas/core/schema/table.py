"""What a collection is to PostgreSQL: a table, its columns, constraints and indexes. Two of them can be compared.

A table is either what a collection asks for (``core.sql.tables``) or what a database holds (introspected). Expressions
are SQL text; before two tables are compared, equal expressions are given equal text.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from mbaas.core.schema.catalog import IndexField, OnDelete

TriggerKind: TypeAlias = Literal["touch", "stamp"]  # keeps updated_at; keeps _modified
TRIGGERS: tuple[TriggerKind, ...] = ("touch", "stamp")


class TableColumn(msgspec.Struct, frozen=True, kw_only=True):
    """type: as ``format_type`` spells it. default, generated: expressions."""

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    generated: str | None = None
    identity: bool = False
    renamed_from: str | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A primary key or a unique constraint. plain: it is of the form we write ourselves."""

    name: str
    columns: tuple[str, ...]
    plain: bool = True


class TableCheck(msgspec.Struct, frozen=True, kw_only=True):
    """valid: false until existing rows were checked."""

    name: str
    expression: str
    valid: bool = True


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """``table``: ``posts`` in schema public, else qualified: ``auth.users``."""

    name: str
    columns: tuple[str, ...]
    table: str
    target: tuple[str, ...]
    on_delete: OnDelete = "no action"
    plain: bool = True
    valid: bool = True


class TableIndex(msgspec.Struct, frozen=True, kw_only=True):
    """valid: false for what an interrupted ``CREATE INDEX CONCURRENTLY`` leaves."""

    name: str
    fields: tuple[IndexField, ...]
    unique: bool = False
    method: str = "btree"
    where: str | None = None
    plain: bool = True
    valid: bool = True


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of schema public. row_security: whether policies are enforced."""

    name: str
    columns: tuple[TableColumn, ...]
    primary: Key | None = None
    uniques: tuple[Key, ...] = ()
    checks: tuple[TableCheck, ...] = ()
    foreigns: tuple[Foreign, ...] = ()
    indexes: tuple[TableIndex, ...] = ()
    triggers: tuple[TriggerKind, ...] = ()
    row_security: bool = True
    renamed_from: str | None = None

    def column(self, name: str) -> TableColumn | None:
        return next((column for column in self.columns if column.name == name), None)

    @property
    def relations(self) -> frozenset[str]:
        """Names it takes in its schema: its own and those of all its indexes."""
        keys = [key.name for key in (self.primary, *self.uniques) if key is not None]
        return frozenset([self.name, *keys, *(index.name for index in self.indexes)])


class Object(msgspec.Struct, frozen=True, order=True):
    """Something that a plan may drop because the engine made it, or found it as declared.

    kind: table, column, primary, unique, check, foreign, index, trigger, default, generated, policies, function.
    collection is "" for a function.
    """

    collection: str
    kind: str
    name: str


def objects(table: Table) -> dict[Object, str | None]:
    """Everything a table consists of, with the source text of what is an expression."""
    found: dict[Object, str | None] = {Object(table.name, "table", ""): None}
    for column in table.columns:
        found[Object(table.name, "column", column.name)] = None
        if column.default is not None:
            found[Object(table.name, "default", column.name)] = column.default
        if column.generated is not None:
            found[Object(table.name, "generated", column.name)] = column.generated
    if table.primary is not None:
        found[Object(table.name, "primary", table.primary.name)] = None
    found |= {Object(table.name, "unique", key.name): None for key in table.uniques}
    found |= {Object(table.name, "check", check.name): check.expression for check in table.checks}
    found |= {Object(table.name, "foreign", foreign.name): None for foreign in table.foreigns}
    found |= {Object(table.name, "index", index.name): index.where for index in table.indexes}
    found |= {Object(table.name, "trigger", trigger): None for trigger in table.triggers}
    return found
