"""One expression type, for rules, for filters and for matching in realtime.

Values only: ``core.rules`` parses rule text into it, ``core.plan`` makes it from a caller's filters, ``core.sql``
renders it, ``evaluate`` answers it in Python. Three-valued logic throughout, as in SQL: ``None`` is unknown.
"""

from __future__ import annotations

from typing import Literal as Choice
from typing import TypeAlias

import msgspec


class Column(msgspec.Struct, frozen=True, tag_field="node", tag="column"):
    """A field of a record. ``scope`` is "" for the record in question, else the alias of an enclosing sub-select.

    type: PostgreSQL's spelling, in rules, where ``evaluate`` has to read what a JSON value stands for.
    """

    name: str
    scope: str = ""
    type: str | None = None


class Literal(msgspec.Struct, frozen=True, tag_field="node", tag="literal"):
    """A constant of a rule's author. ``type``: PostgreSQL's spelling when the author cast it, else ``None``."""

    value: None | bool | int | float | str
    type: str | None = None


class Value(msgspec.Struct, frozen=True, tag_field="node", tag="value"):
    """A caller's value, always bound, never pasted. ``text`` is PostgreSQL's input form; a tuple is an array's."""

    text: str | tuple[str | None, ...] | None
    type: str


class Claim(msgspec.Struct, frozen=True, tag_field="node", tag="claim"):
    """Something of the caller: ``auth.uid()``, ``auth.claim('org')`` ... ``path`` is for ``claim`` alone."""

    kind: Choice["uid", "role", "email", "aal", "claim", "jwt"]
    path: str | None = None


class Json(msgspec.Struct, frozen=True, tag_field="node", tag="json"):
    """One step into JSON: ``->`` (``as_text`` false) or ``->>``. An integer step indexes an array."""

    base: Expr
    step: str | int
    as_text: bool = False


class And(msgspec.Struct, frozen=True, tag_field="node", tag="and"):
    items: tuple[Expr, ...]


class Or(msgspec.Struct, frozen=True, tag_field="node", tag="or"):
    items: tuple[Expr, ...]


class Not(msgspec.Struct, frozen=True, tag_field="node", tag="not"):
    item: Expr


class Binary(msgspec.Struct, frozen=True, tag_field="node", tag="binary"):
    """A binary operator by its SQL spelling; comparisons and arithmetic alike.

    collate: an ordering of texts by code point, whatever the database's own order is.
    """

    op: str
    left: Expr
    right: Expr
    collate: bool = False


class Quantified(msgspec.Struct, frozen=True, tag_field="node", tag="quantified"):
    """``left op any|all (array)``. ``collate`` as of ``Binary``."""

    op: str
    left: Expr
    quantifier: Choice["any", "all"]
    right: Expr
    collate: bool = False


class Is(msgspec.Struct, frozen=True, tag_field="node", tag="is"):
    """``item is [not] null|true|false|unknown``; never unknown itself."""

    item: Expr
    what: Choice["null", "true", "false", "unknown"]
    negated: bool = False


class In(msgspec.Struct, frozen=True, tag_field="node", tag="in"):
    """``item in (items)``; no items match nothing."""

    item: Expr
    items: tuple[Expr, ...]


class Cast(msgspec.Struct, frozen=True, tag_field="node", tag="cast"):
    item: Expr
    type: str  # PostgreSQL's spelling


class Call(msgspec.Struct, frozen=True, tag_field="node", tag="call"):
    """A function of a short list: lower, upper, length, coalesce, now ..."""

    name: str
    args: tuple[Expr, ...]


class Case(msgspec.Struct, frozen=True, tag_field="node", tag="case"):
    branches: tuple[tuple[Expr, Expr], ...]
    otherwise: Expr | None = None


class Array(msgspec.Struct, frozen=True, tag_field="node", tag="array"):
    items: tuple[Expr, ...]


class TextSearch(msgspec.Struct, frozen=True, tag_field="node", tag="text_search"):
    """``item @@ to_tsquery(...)``. ``wrap``: the item is text or JSON and becomes a tsvector first."""

    item: Expr
    parser: Choice["to_tsquery", "plainto_tsquery", "phraseto_tsquery", "websearch_to_tsquery"]
    query: Value
    config: str | None = None
    wrap: bool = False


class Select(msgspec.Struct, frozen=True, tag_field="node", tag="select"):
    """A sub-select of a rule: rows of one collection under an alias. A rule sees all rows; only its verdict leaves."""

    collection: str
    alias: str
    where: Expr | None = None
    output: Expr | None = None  # None inside EXISTS


class Exists(msgspec.Struct, frozen=True, tag_field="node", tag="exists"):
    select: Select


class InSelect(msgspec.Struct, frozen=True, tag_field="node", tag="in_select"):
    item: Expr
    select: Select


class ScalarSelect(msgspec.Struct, frozen=True, tag_field="node", tag="scalar_select"):
    """At most one row of one column; none is null."""

    select: Select


class Guarded(msgspec.Struct, frozen=True, tag_field="node", tag="guarded"):
    """The item, or null where it cannot be computed. ``type``: PostgreSQL's spelling of what it is."""

    item: Expr
    type: str


Expr: TypeAlias = (
    Column
    | Literal
    | Value
    | Claim
    | Json
    | And
    | Or
    | Not
    | Binary
    | Quantified
    | Is
    | In
    | Cast
    | Call
    | Case
    | Array
    | TextSearch
    | Exists
    | InSelect
    | ScalarSelect
    | Guarded
)

TRUE = Literal(True)
FALSE = Literal(False)


def all_of(*items: Expr) -> Expr:
    """The conjunction, flat and without constants that change nothing.

    >>> all_of(TRUE, Column("a")) == Column("a")
    True
    """
    flat: list[Expr] = []
    for item in items:
        if item == FALSE:
            return FALSE
        if isinstance(item, And):
            flat.extend(item.items)
        elif item != TRUE:
            flat.append(item)
    if not flat:
        return TRUE
    return flat[0] if len(flat) == 1 else And(tuple(flat))
