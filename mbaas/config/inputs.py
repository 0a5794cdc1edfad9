"""The shape of ``[collections.*]`` and ``[functions.*]`` as one writes them, before names are looked up."""

from __future__ import annotations

from typing import Any

import msgspec

from mbaas.core.schema.catalog import MetricName, OnDelete


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: an unknown key is an error, never ignored."""


class FieldInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[collections.<name>.fields]``: one column.

    type: one of the field types; a reference takes it from its target. A ``point`` is a latitude and a longitude in
    degrees, ``vector(384)`` as many numbers. required: never null. unique: no two rows share
    a value; nulls do not count. key: part of the primary key; several make a key of several fields. default: a value,
    a call without arguments such as ``"auth.uid()"`` (for types other than text), or ``{ sql = "..." }``. identity:
    PostgreSQL counts, for int and bigint. generated: a SQL expression over the row's other fields, stored. min, max:
    inclusive, for numbers and times. min_length, max_length: characters of a text, elements of an array. pattern: a
    regular expression of PostgreSQL that a text must match; anchor it with ``^`` and ``$``. values: of an enum.
    references: ``collection``, ``collection.field`` or ``auth.users``. on_delete: what happens to this row when the
    row it references goes. hidden: does not exist for any caller but the service key. read: a rule; where it does not
    hold the caller sees null. write: a rule that must hold when a caller sets the field. renamed_from: the former
    name, so that the migration renames instead of dropping. description: for the API's documentation. metric: of a
    vector, by which ``near`` and its index measure: ``cosine``, ``l2`` or ``ip``.
    """

    type: str | None = None
    required: bool = False
    unique: bool = False
    key: bool = False
    default: Any = None
    identity: bool = False
    generated: str | None = None
    min: Any = None
    max: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()
    references: str | None = None
    on_delete: OnDelete = "no action"
    hidden: bool = False
    read: str | None = None
    write: str | None = None
    metric: MetricName | None = None
    renamed_from: str | None = None
    description: str | None = None


class RulesInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[collections.<name>.rules]``: who may do what with which rows. Without a rule: nobody but the service key.

    select: rows that are seen. insert: what a new row must meet. update: what a row must meet before and after. delete:
    rows that may go, of those that are seen.
    """

    select: str | None = None
    insert: str | None = None
    update: str | None = None
    delete: str | None = None


class IndexInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[[collections.<name>.indexes]]``. Keys, unique fields and references have theirs without being asked.

    fields: names, ``-name`` for descending. unique: no two rows share these values. method: one of ``btree``, ``hash``,
    ``gin``, ``gist``, ``spgist``, ``brin``, ``hnsw``. where: a SQL condition, for an index of some rows. name:
    ``None``: made of collection and fields.
    """

    fields: tuple[str, ...]
    unique: bool = False
    method: str = "btree"
    where: str | None = None
    name: str | None = None


class RelationInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[collections.<name>.relations.<relation>]``: many to many.

    to: the other collection. through: a declared collection that references both; ``None``: one is made,
    ``<name>_<relation>``. rules: of the one that is made.
    """

    to: str
    through: str | None = None
    rules: RulesInput = RulesInput()


class SearchInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[collections.<name>.search]``: full text, asked for by ``search=``.

    fields: names of text fields, each with its weight from ``^A`` (most) to ``^D``, which it has without one; fields
    that everybody may read who sees the row. language: one of PostgreSQL's text search configurations, ``simple`` for
    words as they are. language_field: an enum of such configurations; each row is read in its own, one without by
    ``language``.
    """

    fields: tuple[str, ...]
    language: str = "simple"
    language_field: str | None = None


class ForeignKeyInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[collections.<name>.foreign_keys.<constraint>]``: of an adopted table, as it is.

    fields: the columns, in order. references: the table, of another schema with its name before it. target: the columns
    there.
    """

    fields: tuple[str, ...]
    references: str
    target: tuple[str, ...]


class CollectionInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[collections.<name>]``: a table with an API.

    fields, rules, indexes, relations, search: see below. checks: SQL conditions by name that every row meets.
    timestamps: the fields ``created_at`` and ``updated_at``, kept by the server. realtime: meant for subscriptions;
    this version tells nobody yet. sync: the fields ``_modified`` and ``_deleted``, for clients that replicate.
    audit: meant for a log of who changed what; this version keeps none yet. view: it is a view that a script in
    ``migrations/`` makes; only read, under its own select rule alone. adopted: it is somebody else's, described
    here by ``mbaas adopt``: never made nor changed, and served as the caller under the grants and policies of the
    database instead of rules. foreign_keys: of an adopted one. renamed_from: the former name, so that the migration
    renames instead of dropping. description: for the API's documentation.
    """

    fields: dict[str, FieldInput] = {}
    rules: RulesInput = RulesInput()
    indexes: tuple[IndexInput, ...] = ()
    checks: dict[str, str] = {}
    relations: dict[str, RelationInput] = {}
    search: SearchInput | None = None
    timestamps: bool = True
    realtime: bool = False
    sync: bool = False
    audit: bool = False
    view: bool = False
    adopted: bool = False
    foreign_keys: dict[str, ForeignKeyInput] = {}
    renamed_from: str | None = None
    description: str | None = None


class FunctionInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[functions.<name>]``: a SQL function behind ``/rest/v1/rpc/<name>``.

    sql: a file with its ``create function``, relative to ``mbaas.toml``. execute: who may call it, of ``anon`` and
    ``authenticated``; the service key always may. adopted: it is somebody else's: neither made nor granted by us.
    """

    sql: str | None = None
    execute: tuple[str, ...] = ()
    adopted: bool = False
