"""Filters and orders of an operation as expressions over the columns of one collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mbaas.core.errors import InvalidValue, QueryError
from mbaas.core.expr.types import FALSE, Binary, Column, Expr, Not, Or, Value, all_of
from mbaas.core.plan.conditions import Owner, condition_expr, is_expr
from mbaas.core.plan.names import ColumnType
from mbaas.core.query.types import Condition, Path
from mbaas.modules.records.graphql.cursors import Term

LOGIC = ("and", "or", "not")

_COMPARED = {
    "eq": "eq", "neq": "neq", "gt": "gt", "gte": "gte", "lt": "lt", "lte": "lte", "contains": "cs", "containedBy": "cd",
    "overlaps": "ov",
}  # fmt: skip
_PATTERNS = {"like": "like", "ilike": "ilike", "regex": "~", "iregex": "~*"}


class Filters:
    """Reads the filters of one collection.

    count: told of each condition and how deep its groups are. strict: an operator that a variable left out is an error,
    since a write that looks filtered must be.
    """

    def __init__(self, owner: Owner, *, count: Callable[[int], None], strict: bool = False) -> None:
        self._owner = owner
        self._count = count
        self._strict = strict

    def expr(self, given: Mapping[str, Any] | None, depth: int = 1) -> Expr:
        """Everything in it holds. Nothing in it: every row. Raises InvalidValue."""
        return all_of(*(self._part(name, part, depth) for name, part in (given or {}).items()))

    def _part(self, name: str, part: Any, depth: int) -> Expr:
        self._count(depth)
        if part is None:
            raise InvalidValue(f"the filter on {name} is null", hint="leave it out, or ask for {is: NULL}")
        if name == "and":
            return all_of(*(self.expr(one, depth + 1) for one in part))
        if name == "or":
            items = tuple(self.expr(one, depth + 1) for one in part)
            return items[0] if len(items) == 1 else Or(items) if items else FALSE
        if name == "not":
            return Not(self.expr(part, depth + 1))
        if not part and self._strict:
            raise InvalidValue(f"the filter on {name} says nothing", hint="is a variable missing?")
        return all_of(*(self._condition(name, operator, value) for operator, value in part.items()))

    def _condition(self, name: str, operator: str, value: Any) -> Expr:
        self._count(1)
        if value is None:
            raise InvalidValue(f"{operator} of {name} is null", hint="ask for {is: NULL}")
        column = Column(name)
        if operator == "is":
            return is_expr(column, value)
        if operator == "startsWith":
            return Binary("like", column, Value(_escaped(value) + "%", "text"))
        if operator in _PATTERNS:
            return Binary(_PATTERNS[operator], column, Value(value, "text"))
        if operator == "in":
            listed = tuple(spelled(one) for one in value)
            return condition_expr(Condition(Path(name), "in", listed), self._owner)
        _, kind = self._owner.column(name)
        if kind.element is not None:
            texts = tuple(None if one is None else spelled(one) for one in value)
            return Binary(_LISTS[operator], column, Value(texts, kind.name))
        return condition_expr(Condition(Path(name), _COMPARED[operator], spelled(value)), self._owner)


_LISTS = {"eq": "=", "neq": "<>", "contains": "@>", "containedBy": "<@", "overlaps": "&&"}


def spelled(value: Any) -> str:
    """A value in PostgreSQL's input form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return str(value)


def _escaped(text: str) -> str:
    """A text that means itself in a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def terms_of(
    given: list[Mapping[str, tuple[bool, bool]]] | None,
    key: tuple[str, ...],
    types: Mapping[str, ColumnType],
    required: frozenset[str],
) -> tuple[Term, ...]:
    """The whole order: what was asked for, then the key, so that no two rows share a place.

    given: by column, whether it descends and whether nulls come first. required: columns that are never null.
    """
    found: dict[str, Term] = {}
    for one in given or ():
        asked = {name: direction for name, direction in one.items() if direction is not None}
        if len(asked) > 1:
            raise QueryError(
                "one object of orderBy names several fields", hint="write [{a: AscNullsLast}, {b: AscNullsLast}]"
            )
        for name, (descending, nulls_first) in asked.items():
            found.setdefault(name, Term(name, types[name], descending, nulls_first, name in required))
    for name in key:
        found.setdefault(name, Term(name, types[name], required=name in required))
    return tuple(found.values())
