"""What exists: collections, their fields, the relations between them and the functions that may be called.

Plain values, made from ``mbaas.toml`` or read from a database; two of them can be compared. Rules are kept as the text
their author wrote; ``core.rules`` gives them meaning.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

import msgspec

from mbaas.core.schema.naming import object_name
from mbaas.core.schema.types import FieldType

OnDelete: TypeAlias = Literal["no action", "restrict", "cascade", "set null", "set default"]
Operation: TypeAlias = Literal["select", "insert", "update", "delete"]
Volatility: TypeAlias = Literal["immutable", "stable", "volatile"]
MetricName: TypeAlias = Literal["cosine", "l2", "ip"]


class Metric(msgspec.Struct, frozen=True):
    """Of pgvector: the operator that measures, and the operator class of an index for it."""

    operator: str
    operators: str


METRICS: dict[MetricName, Metric] = {
    "cosine": Metric("<=>", "vector_cosine_ops"),
    "l2": Metric("<->", "vector_l2_ops"),
    "ip": Metric("<#>", "vector_ip_ops"),  # the inner product, negative: the smallest is nearest
}


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign key. ``table`` is a collection's name, or ``auth.users``."""

    table: str
    columns: tuple[str, ...]
    on_delete: OnDelete = "no action"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a collection.

    default, generated: SQL expressions. minimum, maximum: inclusive, as literals. min_length, max_length: characters,
    or elements of an array. read, write: the field's own rules. managed: filled by the server; a caller's value is
    dropped unless it holds the service key. metric: by which vectors are near.
    """

    name: str
    type: FieldType
    required: bool = False
    unique: bool = False
    default: str | None = None
    identity: bool = False
    generated: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()
    references: Reference | None = None
    hidden: bool = False
    read: str | None = None
    write: str | None = None
    managed: bool = False
    metric: MetricName = "cosine"
    renamed_from: str | None = None
    description: str | None = None


class ForeignKey(msgspec.Struct, frozen=True, kw_only=True):
    """A named foreign key of a collection, over one or more columns."""

    name: str
    columns: tuple[str, ...]
    reference: Reference


class IndexField(msgspec.Struct, frozen=True):
    """operators: the operator class, ``None``: the type's own."""

    name: str
    descending: bool = False
    operators: str | None = None


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """``where``: SQL, for a partial index. ``method``: btree, hash, gin, gist, brin, hnsw."""

    name: str
    fields: tuple[IndexField, ...]
    unique: bool = False
    method: str = "btree"
    where: str | None = None


class Check(msgspec.Struct, frozen=True):
    """A table constraint beyond one field's own. ``expression``: boolean SQL over the row."""

    name: str
    expression: str


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do what with which rows, as written. ``None``: nobody but the service key."""

    select: str | None = None
    insert: str | None = None
    update: str | None = None
    delete: str | None = None

    def of(self, operation: Operation) -> str | None:
        return getattr(self, operation)  # type: ignore[no-any-return]


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Full text. field: the server's own, which holds it. language: PostgreSQL's configuration.

    by: the field that names the configuration of its row instead, and languages: its values.
    """

    field: str
    language: str
    by: str | None = None
    languages: tuple[str, ...] = ()


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """A PostgreSQL table of schema ``public`` and how it is served. ``key``: primary key columns, in order.

    view: it is a view, somebody else's to make, which can only be read. origins: by a column of the view, the
    collection and field that it shows as they are. adopted: somebody else's to make and to change; who may do what with
    it is for the grants and policies of the database, so what is asked of it is asked as the caller. foreigns: the
    foreign keys of an adopted one, under the names they have.
    """

    name: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    rules: Rules = Rules()
    indexes: tuple[Index, ...] = ()
    checks: tuple[Check, ...] = ()
    realtime: bool = False
    sync: bool = False
    audit: bool = False
    renamed_from: str | None = None
    description: str | None = None
    view: bool = False
    origins: dict[str, tuple[str, str]] = {}
    search: Search | None = None
    adopted: bool = False
    foreigns: tuple[ForeignKey, ...] = ()

    @property
    def named_fields(self) -> tuple[Field, ...]:
        """Those that a caller may name: without what the server keeps for searching."""
        if self.search is None:
            return self.fields
        return tuple(field for field in self.fields if field.name != self.search.field)

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)

    @property
    def foreign_keys(self) -> tuple[ForeignKey, ...]:
        """Every foreign key, named as PostgreSQL would name it: ``posts_author_fkey``."""
        return self.foreigns or tuple(
            ForeignKey(
                name=object_name(self.name, field.name, "fkey"), columns=(field.name,), reference=field.references
            )
            for field in self.fields
            if field.references is not None
        )

    @property
    def unique_sets(self) -> tuple[tuple[str, ...], ...]:
        """Column sets that hold at most one row per value: the key, unique fields, full unique indexes."""
        single = tuple((field.name,) for field in self.fields if field.unique)
        indexed = tuple(
            tuple(column.name for column in index.fields)
            for index in self.indexes
            if index.unique and index.where is None
        )
        return (self.key, *single, *indexed)


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """One argument of a SQL function. ``type`` as PostgreSQL spells it; ``mode``: in, inout, variadic."""

    name: str
    type: str
    optional: bool = False
    variadic: bool = False


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A SQL function behind ``/rest/v1/rpc``.

    returns: PostgreSQL's spelling; ``void`` for none. returns_set: an array of rows on the wire. collection: set when
    the result is a row of that collection. composite: the result has columns (``columns`` names them for a table type).
    execute: roles that may call it. adopted: somebody else's to make and to grant. one_row: a set that says of itself
    that it has a row at most.

    of: the collection whose row is its only argument, and row: the columns of that, in order. Such a function is a
    field of the collection, computed when it is asked for; one that gives rows of a collection is a relation to it.
    """

    name: str
    arguments: tuple[Argument, ...] = ()
    returns: str = "void"
    returns_set: bool = False
    collection: str | None = None
    composite: bool = False
    columns: tuple[tuple[str, str], ...] = ()
    volatility: Volatility = "volatile"
    execute: tuple[str, ...] = ()
    adopted: bool = False
    one_row: bool = False
    of: str | None = None
    row: tuple[str, ...] = ()

    @property
    def relates(self) -> bool:
        """Whether it leads from a row to rows of a collection."""
        return self.of is not None and self.collection is not None

    @property
    def computes(self) -> bool:
        """Whether it gives a row another field."""
        return self.of is not None and self.collection is None and not self.returns_set and self.returns != "void"


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot of everything that exists. ``version`` differs when anything in it differs."""

    collections: dict[str, Collection] = {}
    functions: tuple[Function, ...] = ()

    def collection(self, name: str) -> Collection | None:
        return self.collections.get(name)

    @property
    def version(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]
