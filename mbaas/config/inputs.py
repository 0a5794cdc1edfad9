"""The shape of ``[collections.*]`` and ``[functions.*]`` as one writes them, before names are looked up."""

from __future__ import annotations

from typing import Any

import msgspec

from mbaas.core.schema.catalog import OnDelete


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: an unknown key is an error, never ignored."""


class FieldInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    renamed_from: str | None = None
    description: str | None = None


class RulesInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    select: str | None = None
    insert: str | None = None
    update: str | None = None
    delete: str | None = None


class IndexInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """fields: names, ``-name`` for descending."""

    fields: tuple[str, ...]
    unique: bool = False
    method: str = "btree"
    where: str | None = None
    name: str | None = None


class RelationInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many to many. through: a declared collection; ``None`` makes one. rules: of the one that is made."""

    to: str
    through: str | None = None
    rules: RulesInput = RulesInput()


class CollectionInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fields: dict[str, FieldInput] = {}
    rules: RulesInput = RulesInput()
    indexes: tuple[IndexInput, ...] = ()
    checks: dict[str, str] = {}
    relations: dict[str, RelationInput] = {}
    timestamps: bool = True
    realtime: bool = False
    sync: bool = False
    audit: bool = False
    renamed_from: str | None = None
    description: str | None = None


class FunctionInput(Input, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """sql: a file, relative to ``mbaas.toml``. execute: anon, authenticated."""

    sql: str
    execute: tuple[str, ...] = ()
