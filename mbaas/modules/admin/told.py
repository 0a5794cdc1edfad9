"""What is told of rules: bodies of ``/admin/v1/rules``, in and out."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from mbaas.core.identity import Role
from mbaas.core.rules.reach import Reach
from mbaas.core.schema.catalog import Operation


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """May somebody do this?

    user: an id in ``auth.users``, whose claims are those of a session by password. claims: on top of them, or instead.
    role: ``None``: the user's, of the claims, else ``anon``. key: the record's, a value or an object of all its fields.
    row: of an insert the record, of an update the fields that are set. returning: the record is to be given back too.
    """

    collection: str
    operation: Operation = "select"
    user: str | None = None
    role: Role | None = None
    claims: dict[str, Any] = {}
    key: Any = None
    row: dict[str, Any] | None = None
    returning: bool = False


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a sub-select found: up to three rows, and whether any row meets each of its conditions alone."""

    query: str
    rows: list[Any]
    conditions: dict[str, bool] = {}


class PartTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a rule with its value; without one when it depends on a record and none was given.

    fault: why it has no value, where computing it failed.
    """

    text: str
    value: Any | UnsetType = UNSET
    joined: str | None = None
    parts: tuple[PartTold, ...] = ()
    evidence: Evidence | None = None
    fault: str | None = None


class CheckTold(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. of: ``row``, or the field. on: ``stored``, ``changed``, ``new``. holds: ``None``: it depends."""

    rule: Operation | str
    of: str
    on: str
    text: str | None
    holds: bool | None
    part: PartTold | None = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """allowed: ``None``: depends on the record. reasons: the parts that decide, each with its values.

    found: whether the record is there; ``None``: none was asked about. fields: a field's own rule hides it when it
    does not hold on reading, and refuses the write when it does not hold on writing.
    """

    collection: str
    operation: Operation
    role: Role
    user: str | None
    allowed: bool | None
    found: bool | None
    reasons: tuple[str, ...]
    checks: tuple[CheckTold, ...]
    fields: tuple[CheckTold, ...]
    hidden: tuple[str, ...] = ()


class CollectionReach(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one collection. rule: as written; ``None``: nobody but the service key."""

    collection: str
    operation: Operation
    rule: str | None
    reach: dict[str, Reach]


class FieldReach(msgspec.Struct, frozen=True, kw_only=True):
    """A field that not everybody sees or sets."""

    collection: str
    field: str
    hidden: bool
    read: str | None
    write: str | None


class FunctionReach(msgspec.Struct, frozen=True, kw_only=True):
    function: str
    execute: tuple[str, ...]


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """What each role can reach: of each collection every row, those that meet the rule, or none."""

    rows: tuple[CollectionReach, ...]
    fields: tuple[FieldReach, ...]
    functions: tuple[FunctionReach, ...]
