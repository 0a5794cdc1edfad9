"""A rule answered in Python, for one record and one caller, as PostgreSQL answers it.

Three-valued: ``True``, ``False`` or ``None`` for unknown; only ``True`` lets anybody in. What PostgreSQL refuses with
an error (a text that is no number, a number out of range) is null behind a guard, as there, and raises InvalidValue
without one. Where PostgreSQL may or may not come to what fails, this does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias, assert_never

from mbaas.core.errors import InvalidValue
from mbaas.core.expr import types as t
from mbaas.core.expr.casts import cast
from mbaas.core.expr.claims import ABSENT, claim
from mbaas.core.expr.operators import FUNCTIONS, OPERATORS, same
from mbaas.core.expr.values import Document, instant, json_text, typed
from mbaas.core.identity import Identity

Record: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Callable[[str], Iterable[Record]]


def evaluate(
    expr: t.Expr, record: Record, identity: Identity, rows: Rows | None = None, *, now: datetime | None = None
) -> Any:
    """What the expression is for the record.

    record: JSON values by field, as REST gives them; decode with ``float_hook=Decimal`` to keep every digit.
    rows: every record of a collection, for sub-selects. now: the moment (with its zone) that ``now()`` is.
    """
    return _Evaluation(identity, rows, now).go(expr, {"": record})


class _Evaluation:
    def __init__(self, identity: Identity, rows: Rows | None, now: datetime | None) -> None:
        self._identity = identity
        self._rows = rows
        self._now = now

    def go(self, part: t.Expr, scopes: dict[str, Record]) -> Any:
        match part:
            case t.Column():
                return typed(scopes[part.scope].get(part.name), part.type)
            case t.Literal():
                return _literal(part)
            case t.Value():
                return typed(list(part.text) if isinstance(part.text, tuple) else part.text, part.type)
            case t.Claim():
                found = claim(part, self._identity)
                if part.kind in {"jwt", "claim"}:
                    return None if found is ABSENT else Document(found)
                return found
            case t.Json():
                return _step(self.go(part.base, scopes), part)
            case t.And():
                return _not(_any(_not(self.go(item, scopes)) for item in part.items))
            case t.Or():
                return _any(self.go(item, scopes) for item in part.items)
            case t.Not():
                return _not(self.go(part.item, scopes))
            case t.Binary():
                left, right = self._sides(part.left, part.right, scopes)
                return _operate(part.op, left, right)
            case t.Quantified():
                return self._quantified(part, scopes)
            case t.Is():
                return self._is(part, scopes)
            case t.In():
                item, *items = [self.go(one, scopes) for one in (part.item, *part.items)]  # all: one may fail
                return _any(same(item, one) for one in items)
            case t.Cast():
                return cast(self.go(part.item, scopes), part.type)
            case t.Call():
                return self._call(part, scopes)
            case t.Case():
                for when, then in part.branches:
                    if self.go(when, scopes) is True:
                        return self.go(then, scopes)
                return None if part.otherwise is None else self.go(part.otherwise, scopes)
            case t.Array():
                return [self.go(item, scopes) for item in part.items]
            case t.Exists():
                return len(list(self._selected(part.select, scopes))) > 0
            case t.InSelect():
                item = self.go(part.item, scopes)
                return _any(same(item, one) for one in list(self._selected(part.select, scopes)))
            case t.ScalarSelect():
                found = list(self._selected(part.select, scopes))
                if len(found) > 1:
                    raise InvalidValue("more than one row returned by a subquery used as an expression")
                return found[0] if found else None
            case t.Guarded():
                try:
                    return self.go(part.item, scopes)
                except InvalidValue:
                    return None
            case t.TextSearch():
                raise TypeError("text search is PostgreSQL's alone; no rule can hold it")
        assert_never(part)

    def _sides(self, left: t.Expr, right: t.Expr, scopes: dict[str, Record]) -> tuple[Any, Any]:
        """Both sides; a caller's filter says its type at the value alone, so the field beside it is read as that."""
        first, second = self.go(left, scopes), self.go(right, scopes)
        if isinstance(left, t.Column) and left.type is None and isinstance(right, t.Value):
            first = typed(first, right.type)
        return first, second

    def _quantified(self, part: t.Quantified, scopes: dict[str, Record]) -> Any:
        left, right = self.go(part.left, scopes), self.go(part.right, scopes)
        if right is None:
            return None
        answers = (_operate(part.op, left, one) for one in right)
        return _any(answers) if part.quantifier == "any" else _not(_any(_not(answer) for answer in answers))

    def _is(self, part: t.Is, scopes: dict[str, Record]) -> bool:
        item = self.go(part.item, scopes)
        wanted = {"null": None, "unknown": None, "true": True, "false": False}[part.what]
        return (item is wanted) is not part.negated

    def _call(self, part: t.Call, scopes: dict[str, Record]) -> Any:
        if part.name in {"now", "current_date"}:
            if self._now is None:
                raise TypeError("a rule that asks for the time needs now")
            moment = instant(self._now.isoformat())
            return moment if part.name == "now" else cast(moment, "date")
        if part.name == "coalesce":
            for item in part.args:
                value = self.go(item, scopes)
                if value is not None:
                    return value
            return None
        args = [self.go(item, scopes) for item in part.args]
        if part.name == "nullif":
            return None if same(*args) is True else args[0]
        return None if None in args else FUNCTIONS[part.name](*args)

    def _selected(self, select: t.Select, scopes: dict[str, Record]) -> Iterable[Any]:
        if self._rows is None:
            raise TypeError("a rule with a sub-select needs rows")
        for record in self._rows(select.collection):
            inner = {**scopes, select.alias: record}
            if select.where is None or self.go(select.where, inner) is True:
                yield True if select.output is None else self.go(select.output, inner)


def _literal(part: t.Literal) -> Any:
    if part.type is None:
        return Decimal(repr(part.value)) if isinstance(part.value, float) else part.value
    return cast(part.value, part.type)


def _step(base: Any, part: t.Json) -> Any:
    """``->`` and ``->>``: a text is a key, a number an index, from the end when negative."""
    if base is None:
        return None
    value = base.value
    if isinstance(part.step, str):
        found = value.get(part.step, ABSENT) if isinstance(value, dict) else ABSENT
    else:
        if not isinstance(value, list | dict):
            value = [value]  # PostgreSQL keeps a bare value as an array of one
        inside = isinstance(value, list) and -len(value) <= part.step < len(value)
        found = value[part.step] if inside else ABSENT
    if found is ABSENT:
        return None
    if not part.as_text:
        return Document(found)
    return found if found is None or isinstance(found, str) else json_text(found)


def _operate(op: str, left: Any, right: Any) -> Any:
    if op == "is distinct from" or op == "is not distinct from":
        alike = (left is right) if left is None or right is None else same(left, right)
        return alike is (op == "is not distinct from")
    return None if left is None or right is None else OPERATORS[op](left, right)


def _not(answer: Any) -> Any:
    return None if answer is None else not answer


def _any(answers: Iterable[Any]) -> Any:
    unknown = False
    for answer in answers:
        if answer is True:
            return True
        unknown = unknown or answer is None
    return None if unknown else False
