"""How two schemas differ, as values. ``core.sql.ddl`` turns each into SQL."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TypeAlias

import msgspec

from mbaas.core.schema.table import Foreign, Key, Table, TableCheck, TableColumn, TableIndex, TriggerKind


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Values that an earlier plan took away and kept. ``storage``: a table of schema mbaas_dropped.

    kind: "table": the table itself, moved there. "column": one column's values by key. "values": what a column held
    before its type or nature changed. key: the columns that found a row, as they are called now, and their types.
    narrowed: put a value back only where the row still holds what became of it under this type.
    """

    storage: str
    kind: str
    table: str
    column: str = ""
    key: tuple[tuple[str, str], ...] = ()
    narrowed: str | None = None


class CreateTable(msgspec.Struct, frozen=True):
    table: Table


class RestoreTable(msgspec.Struct, frozen=True):
    table: str
    storage: str


class DropTable(msgspec.Struct, frozen=True):
    table: str


class RenameTable(msgspec.Struct, frozen=True):
    before: str
    table: str


class RenameColumn(msgspec.Struct, frozen=True):
    table: str
    before: str
    column: str


class RenameConstraint(msgspec.Struct, frozen=True):
    table: str
    before: str
    name: str


class RenameIndex(msgspec.Struct, frozen=True):
    table: str
    before: str
    name: str


class AddColumn(msgspec.Struct, frozen=True):
    table: str
    column: TableColumn


class DropColumn(msgspec.Struct, frozen=True):
    """key: the primary key at that moment. derived: generated from other columns, so that nothing is lost."""

    table: str
    column: TableColumn
    key: tuple[TableColumn, ...]
    derived: bool = False


class RestoreValues(msgspec.Struct, frozen=True):
    """type: what the column holds now."""

    kept: Kept
    type: str


class ChangeType(msgspec.Struct, frozen=True):
    """before, after: the column. key: the primary key at that moment."""

    table: str
    before: TableColumn
    after: TableColumn
    key: tuple[TableColumn, ...]


class SetDefault(msgspec.Struct, frozen=True):
    table: str
    column: str
    default: str | None


class SetNotNull(msgspec.Struct, frozen=True):
    table: str
    column: str


class DropNotNull(msgspec.Struct, frozen=True):
    table: str
    column: str


class DropExpression(msgspec.Struct, frozen=True):
    """A generated column becomes an ordinary one and keeps its values."""

    table: str
    column: str


class AddIdentity(msgspec.Struct, frozen=True):
    table: str
    column: str


class DropIdentity(msgspec.Struct, frozen=True):
    table: str
    column: str


class AddPrimary(msgspec.Struct, frozen=True):
    """replaces: the name of the primary key that goes."""

    table: str
    key: Key
    replaces: str | None = None


class AddUnique(msgspec.Struct, frozen=True):
    table: str
    key: Key


class AddCheck(msgspec.Struct, frozen=True):
    """replaces: there is a check of that name and another expression."""

    table: str
    check: TableCheck
    replaces: bool = False


class AddForeign(msgspec.Struct, frozen=True):
    """replaces: there is a foreign key of that name that says something else."""

    table: str
    foreign: Foreign
    replaces: bool = False


class Validate(msgspec.Struct, frozen=True):
    table: str
    name: str


class DropConstraint(msgspec.Struct, frozen=True):
    table: str
    name: str


class AddIndex(msgspec.Struct, frozen=True):
    """replaces: there is an index of that name and another definition."""

    table: str
    index: TableIndex
    replaces: bool = False


class DropIndex(msgspec.Struct, frozen=True):
    table: str
    name: str


class AddTrigger(msgspec.Struct, frozen=True):
    table: str
    trigger: TriggerKind


class DropTrigger(msgspec.Struct, frozen=True):
    table: str
    trigger: TriggerKind


class EnableRowSecurity(msgspec.Struct, frozen=True):
    table: str


class ApplyPolicies(msgspec.Struct, frozen=True):
    """statements: grants, policies and their functions; each may run again and again."""

    table: str
    statements: tuple[str, ...]


class InstallFunction(msgspec.Struct, frozen=True):
    """early: a column default or check calls it, so it comes before the tables."""

    name: str
    source: str
    execute: tuple[str, ...]
    early: bool = False


class RemoveFunction(msgspec.Struct, frozen=True):
    name: str


class DiscardKept(msgspec.Struct, frozen=True):
    """A copy that an interrupted plan began and nobody will finish."""

    storage: str


Change: TypeAlias = (
    CreateTable
    | RestoreTable
    | DropTable
    | RenameTable
    | RenameColumn
    | RenameConstraint
    | RenameIndex
    | AddColumn
    | DropColumn
    | RestoreValues
    | ChangeType
    | SetDefault
    | SetNotNull
    | DropNotNull
    | DropExpression
    | AddIdentity
    | DropIdentity
    | AddPrimary
    | AddUnique
    | AddCheck
    | AddForeign
    | Validate
    | DropConstraint
    | AddIndex
    | DropIndex
    | AddTrigger
    | DropTrigger
    | EnableRowSecurity
    | ApplyPolicies
    | InstallFunction
    | RemoveFunction
    | DiscardKept
)


class Phase(IntEnum):
    """When a change's turn comes. Inside a phase the order is that of the tables and fields."""

    CLEAN = auto()
    EARLY_FUNCTIONS = auto()
    RENAME = auto()
    DROP_FOREIGN = auto()
    DROP_OBJECTS = auto()
    RENAME_OBJECTS = auto()
    CREATE = auto()
    ADD_COLUMNS = auto()
    ALTER = auto()
    BRING_BACK = auto()
    ADD_GENERATED = auto()
    POLICIES = auto()
    CONSTRAIN = auto()
    INDEX = auto()
    RELAX = auto()
    RELATE = auto()
    TRIGGERS = auto()
    GIVE_UP = auto()


Phased: TypeAlias = tuple[Phase, Change]
