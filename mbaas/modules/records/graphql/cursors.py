"""Places in a list: opaque to clients, and the condition that finds what lies behind one.

A cursor is the values a row was ordered by, its key last, as PostgreSQL's text; it says by what order too, so that it
is refused in another.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from mbaas.core.errors import InvalidValue
from mbaas.core.expr.types import FALSE, And, Binary, Column, Expr, Is, Or, Value, all_of
from mbaas.core.plan.conditions import typed_value
from mbaas.core.plan.names import ColumnType
from mbaas.core.plan.types import Order

_MOST_CHARS = 8192


class Term(msgspec.Struct, frozen=True):
    """One column of an order. required: it is never null, to anyone."""

    name: str
    type: ColumnType
    descending: bool = False
    nulls_first: bool = False
    required: bool = False

    def order(self, *, backward: bool) -> Order:
        nulls_first = self.nulls_first != backward
        return Order(
            Column(self.name),
            descending=self.descending != backward,
            nulls=None if self.required else "first" if nulls_first else "last",
        )

    @property
    def spelled(self) -> str:
        return f"{'-' if self.descending else '+'}{'<' if self.nulls_first else '>'}{self.name}"


_SAVED = msgspec.json.Decoder(tuple[tuple[str, ...], tuple[str | None, ...]])


def write_cursor(terms: tuple[Term, ...], values: tuple[str | None, ...]) -> str:
    """values: of the row, one a term."""
    text = msgspec.json.encode((tuple(term.spelled for term in terms), values))
    return base64.urlsafe_b64encode(text).decode()


def read_cursor(text: str, terms: tuple[Term, ...]) -> tuple[str | None, ...]:
    """The values in it. Raises InvalidValue for what was not written for this order."""
    try:
        if len(text) > _MOST_CHARS:
            raise ValueError
        order, values = _SAVED.decode(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InvalidValue("this is no cursor of ours", hint="take it from edges.cursor or pageInfo") from None
    if order != tuple(term.spelled for term in terms) or len(values) != len(terms):
        raise InvalidValue("the cursor belongs to another order", hint="keep orderBy while you page")
    return values


def beyond(terms: tuple[Term, ...], values: tuple[str | None, ...], *, backward: bool) -> Expr:
    """Whether a row comes after the place, or before it when ``backward``."""
    branches: list[Expr] = []
    ties: list[Expr] = []
    for term, text in zip(terms, values, strict=True):
        further = _further(term, text, backward=backward)
        if further != FALSE:
            branches.append(all_of(*ties, further))
        ties.append(_tied(term, text))
    if not branches:
        return FALSE
    found: Expr = branches[0] if len(branches) == 1 else Or(tuple(branches))
    first, text = terms[0], values[0]
    if len(terms) > 1 and first.required and text is not None:
        # Implied by the rest; an index on the first column can start from it.
        at = Binary(_sign(first, backward) + "=", Column(first.name), typed_value(text, first.type))
        return And((at, found))
    return found


def _tied(term: Term, text: str | None) -> Expr:
    column = Column(term.name)
    return Is(column, "null") if text is None else Binary("=", column, typed_value(text, term.type))


def _further(term: Term, text: str | None, *, backward: bool) -> Expr:
    column = Column(term.name)
    nulls_first = term.nulls_first != backward
    if text is None:
        return Is(column, "null", negated=True) if nulls_first else FALSE
    value: Value = typed_value(text, term.type)
    more = Binary(_sign(term, backward), column, value)
    return more if nulls_first or term.required else Or((more, Is(column, "null")))


def _sign(term: Term, backward: bool) -> str:
    return "<" if term.descending != backward else ">"
