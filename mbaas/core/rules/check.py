"""What type each part of a rule has: refuses what PostgreSQL or ``evaluate`` could not answer, and writes types down.

Constants take the type of what they stand beside, as in PostgreSQL, and must be readable as it. Where there is nothing
but constants they are texts, nulls too. Orderings of texts are marked to go by code point.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from msgspec.structs import replace

from mbaas.core.errors import InvalidValue, RuleError
from mbaas.core.expr import types as t
from mbaas.core.expr.casts import CASTS, cast
from mbaas.core.expr.operators import like
from mbaas.core.schema.catalog import Catalog, Collection
from mbaas.core.schema.types import FieldType

Kind: TypeAlias = str | None  # PostgreSQL's spelling; None: a constant that may still be anything
Typed: TypeAlias = tuple[t.Expr, Kind]

_INSTANT, _TIME = "timestamp with time zone", "time without time zone"
_NUMBERS = ("integer", "bigint", "numeric", "double precision")
_ORDERED = frozenset({*_NUMBERS, "text", "boolean", "uuid", "date", _INSTANT, _TIME, "interval"})
_COMPARED = _ORDERED | {"jsonb"}
_ORDERINGS = frozenset({"<", "<=", ">", ">="})
_EQUALITIES = frozenset({"=", "<>", "is distinct from", "is not distinct from"})
_SPELLED = {
    _INSTANT: "timestamptz",
    _TIME: "time",
    "double precision": "float",
    "jsonb": "json",
    "boolean": "bool",
    "integer": "int",
}
_ARITHMETIC = {
    ("+", _INSTANT, "interval"): _INSTANT, ("+", "interval", _INSTANT): _INSTANT, ("-", _INSTANT, "interval"): _INSTANT,
    ("-", _INSTANT, _INSTANT): "interval", ("+", "interval", "interval"): "interval",
    ("-", "interval", "interval"): "interval", ("+", "date", "integer"): "date", ("+", "integer", "date"): "date",
    ("-", "date", "integer"): "date", ("-", "date", "date"): "integer",
}  # fmt: skip
_TEXTS = {"lower": (1, 1), "upper": (1, 1), "length": (1, 1), "trim": (1, 2), "starts_with": (2, 2)}
_RESULTS = {"length": "integer", "starts_with": "boolean"}


def check(expr: t.Expr, collection: Collection, catalog: Catalog) -> Typed:
    """The expression with its types, and its own. Raises RuleError when it brings together what does not fit."""
    return _Checker(catalog, collection).go(expr)


def require_boolean(expr: t.Expr, kind: Kind) -> None:
    if kind != "boolean" and expr != t.Literal(None):
        raise RuleError(f"a rule is true or false, and this is {_name(kind)}", hint="compare it: title <> ''")


def kind_of(field: FieldType) -> str:
    """The type rules reckon with: without a precision, and text for every kind of text."""
    spelled = field.sql
    base, array = spelled.removesuffix("[]"), spelled.endswith("[]")
    if base.startswith("numeric"):
        base = "numeric"
    elif base.startswith("character varying"):
        base = "text"
    return base + "[]" * array


class _Checker:
    def __init__(self, catalog: Catalog, collection: Collection) -> None:
        self._catalog = catalog
        self._scopes = {"": collection}

    def go(self, part: t.Expr) -> Typed:
        match part:
            case t.Column():
                field = self._scopes[part.scope].field(part.name)
                if field is None:
                    raise RuleError(f"there is no field {part.name!r}")
                return replace(part, type=kind_of(field.type)), kind_of(field.type)
            case t.Literal():
                return (_read(part, part.type), part.type) if part.type else (part, _constant(part))
            case t.Claim():
                return part, {"uid": "uuid", "jwt": "jsonb", "claim": "jsonb"}.get(part.kind, "text")
            case t.Json():
                base = self._as(part.base, "jsonb", "-> and ->>")
                return replace(part, base=base), "text" if part.as_text else "jsonb"
            case t.And() | t.Or():
                word = "and" if isinstance(part, t.And) else "or"
                return replace(part, items=tuple(self._as(item, "boolean", word) for item in part.items)), "boolean"
            case t.Not():
                return t.Not(self._as(part.item, "boolean", "not")), "boolean"
            case t.Binary():
                return self._binary(part)
            case t.Quantified():
                return self._quantified(part)
            case t.Is():
                if part.what in {"null", "unknown"}:
                    return replace(part, item=self.go(part.item)[0]), "boolean"
                return replace(part, item=self._as(part.item, "boolean", f"is {part.what}")), "boolean"
            case t.In():
                (item, *items), kind = self._alike((part.item, *part.items), "in")
                _comparable(kind, "in", _COMPARED)
                return t.In(item, tuple(items)), "boolean"
            case t.Cast():
                return self._cast(part)
            case t.Call():
                return self._call(part)
            case t.Case():
                return self._case(part)
            case t.Array():
                items, kind = self._alike(part.items, "array[...]")
                return t.Array(tuple(items)), f"{kind or 'text'}[]" if items else None
            case t.Exists():
                return t.Exists(self._select(part.select)[0]), "boolean"
            case t.InSelect():
                select, kind = self._select(part.select)
                item, _ = self._beside(self.go(part.item), kind, "in")
                _comparable(kind, "in", _COMPARED)
                return t.InSelect(item, select), "boolean"
            case t.ScalarSelect():
                select, kind = self._select(part.select)
                return t.ScalarSelect(select), kind
        raise RuleError("a rule cannot use this", hint="docs/guides/rules.md lists what it can")

    def _binary(self, part: t.Binary) -> Typed:
        if part.op in {"+", "-", "*"}:
            return self._arithmetic(part)
        if part.op in {"@>", "<@", "&&", "?", "||", "like", "ilike"}:
            return self._special(part)
        (left, right), kind = self._alike((part.left, part.right), part.op)
        base = kind.removesuffix("[]") if kind is not None and part.op in _EQUALITIES else kind
        _comparable(base, part.op, _COMPARED if part.op in _EQUALITIES else _ORDERED)
        collate = part.op in _ORDERINGS and kind in {"text", None}
        return t.Binary(part.op, left, right, collate), "boolean"

    def _special(self, part: t.Binary) -> Typed:
        if part.op in {"||", "like", "ilike"}:
            left, right = self._as(part.left, "text", part.op), self._as(part.right, "text", part.op)
            _whole_pattern(part.op, right)
            return t.Binary(part.op, left, right), "text" if part.op == "||" else "boolean"
        if part.op == "?":
            return t.Binary("?", self._as(part.left, "jsonb", "?"), self._as(part.right, "text", "?")), "boolean"
        (left, right), kind = self._alike((part.left, part.right), part.op)
        array = kind is not None and kind.endswith("[]") and kind.removesuffix("[]") in _COMPARED
        if not array and not (kind == "jsonb" and part.op != "&&"):
            raise RuleError(f"{part.op} is for arrays{'' if part.op == '&&' else ' and json'}, not for {_name(kind)}")
        return t.Binary(part.op, left, right), "boolean"

    def _arithmetic(self, part: t.Binary) -> Typed:
        left, right = self.go(part.left), self.go(part.right)
        made = _ARITHMETIC.get((part.op, left[1] or "", right[1] or ""))
        if made is None and (left[1] in _NUMBERS or right[1] in _NUMBERS):
            first, second = self._beside(left, right[1], part.op), self._beside(right, left[1], part.op)
            if first[1] in _NUMBERS and second[1] in _NUMBERS:
                return t.Binary(part.op, first[0], second[0]), max(first[1], second[1], key=_NUMBERS.index)
        if made is None:
            hint = "write interval '1 day'" if {left[1], right[1]} & {_INSTANT, "interval", "date"} else None
            raise RuleError(f"there is no {_name(left[1])} {part.op} {_name(right[1])}", hint=hint)
        return t.Binary(part.op, left[0], right[0]), made

    def _quantified(self, part: t.Quantified) -> Typed:
        left, right = self.go(part.left), self.go(part.right)
        if right[1] is None or not right[1].endswith("[]"):
            raise RuleError(f"{part.quantifier}(...) takes an array", hint="array['a', 'b'] or a field of type text[]")
        element: Kind = right[1].removesuffix("[]")
        if part.op in {"like", "ilike"}:
            left, element = self._beside(left, "text", part.op), element if element == "text" else _never(part.op)
        left = self._beside(left, element, part.op)
        if part.op not in {"like", "ilike", *_ORDERINGS, "=", "<>"}:
            raise RuleError(f"{part.op} {part.quantifier}(...) is not understood")
        _comparable(left[1], part.op, _ORDERED if part.op in _ORDERINGS else _COMPARED)
        return (
            replace(part, left=left[0], right=right[0], collate=part.op in _ORDERINGS and element == "text"),
            "boolean",
        )

    def _cast(self, part: t.Cast) -> Typed:
        item, kind = self.go(part.item)
        if isinstance(item, t.Literal) and (kind is None or item.type == part.type):
            return _read(item, part.type), part.type
        if kind is None and isinstance(item, t.Array):
            return t.Cast(item, part.type), part.type
        wanted, found = part.type.removesuffix("[]"), (kind or "text").removesuffix("[]")
        arrays = part.type.endswith("[]") is (kind or "text").endswith("[]")
        if not arrays or wanted not in CASTS or (wanted != found and found not in CASTS[wanted]):
            known = ", ".join(sorted(_name(one) for one in CASTS.get(wanted, ())))
            raise RuleError(
                f"a rule cannot cast {_name(kind)} to {_name(part.type)}",
                hint=f"{_name(wanted)} is made from {known}" if known else None,
            )
        return t.Cast(item, part.type), part.type

    def _call(self, part: t.Call) -> Typed:
        if part.name in {"now", "current_date"}:
            return part, _INSTANT if part.name == "now" else "date"
        if part.name in {"coalesce", "nullif"}:
            items, kind = self._alike(part.args, part.name)
            if part.name == "nullif":
                _comparable(kind, "nullif", _COMPARED)
            return t.Call(part.name, tuple(items)), kind or "text"
        if part.name == "abs":
            item, kind = self.go(part.args[0])
            if kind not in _NUMBERS:
                raise RuleError(f"abs() is for numbers, not for {_name(kind)}")
            return t.Call("abs", (item,)), kind
        least, most = _TEXTS[part.name]
        if not least <= len(part.args) <= most:
            raise RuleError(f"{part.name}() takes {least if least == most else f'{least} or {most}'} arguments")
        args = tuple(self._as(item, "text", f"{part.name}()") for item in part.args)
        return t.Call(part.name, args), _RESULTS.get(part.name, "text")

    def _case(self, part: t.Case) -> Typed:
        conditions = [self._as(when, "boolean", "case when") for when, _ in part.branches]
        results = [then for _, then in part.branches] + ([] if part.otherwise is None else [part.otherwise])
        made, kind = self._alike(results, "case")
        otherwise = None if part.otherwise is None else made[-1]
        return t.Case(tuple(zip(conditions, made, strict=False)), otherwise), kind or "text"

    def _select(self, select: t.Select) -> tuple[t.Select, Kind]:
        self._scopes[select.alias] = self._catalog.collections[select.collection]
        where = None if select.where is None else self._as(select.where, "boolean", "where")
        output, kind = (None, None) if select.output is None else self.go(select.output)
        del self._scopes[select.alias]
        return replace(select, where=where, output=output), kind if output is None else kind or "text"

    def _as(self, part: t.Expr, wanted: str, where: str) -> t.Expr:
        made, kind = self.go(part)
        if kind not in {wanted, None}:
            raise RuleError(f"{where} is for {_name(wanted)}, not for {_name(kind)}")
        return self._beside((made, kind), wanted, where)[0]

    def _alike(self, parts: Iterable[t.Expr], where: str) -> tuple[list[t.Expr], Kind]:
        """All of one type, constants made to fit."""
        made = [self.go(part) for part in parts]
        kind: Kind = None
        for _, one in made:
            kind = _common(kind, one, where)
        if kind is None and any(_is_text(item) for item, _ in made):
            kind = "text"
        return [self._beside(one, kind, where)[0] for one in made], kind

    def _beside(self, one: Typed, kind: Kind, where: str) -> Typed:
        """A constant without a type takes ``kind``; anything else must go with it."""
        item, own = one
        if own is not None:
            _common(own, kind, where)
            return one
        if kind in {None, "text"} or not isinstance(item, t.Literal) or item.value is None:
            return item, kind
        return _read(item, kind or ""), kind


def _constant(part: t.Literal) -> Kind:
    value = part.value
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if abs(value) < 1 << 31 else "bigint" if abs(value) < 1 << 63 else "numeric"
    return None


def _is_text(item: t.Expr) -> bool:
    return isinstance(item, t.Literal) and isinstance(item.value, str) and item.type is None


def _common(left: Kind, right: Kind, where: str) -> Kind:
    if left is None or right is None or left == right:
        return left or right
    if left in _NUMBERS and right in _NUMBERS:
        return max(left, right, key=_NUMBERS.index)
    raise RuleError(f"{where} cannot bring {_name(left)} and {_name(right)} together", hint="cast one of them: x::text")


def _read(item: t.Literal, kind: str) -> t.Literal:
    """The constant as one of ``kind``, which it must be."""
    made = t.Literal(str(item.value) if not isinstance(item.value, bool | None) else item.value, kind)
    if item.value is None:
        return made
    if kind.endswith("[]"):
        raise RuleError(f"a constant array is written array[...], not {item.value!r}")
    if kind not in CASTS:
        raise RuleError(f"a rule cannot compare {_name(kind)}", hint="is null and is not null work for every type")
    try:
        cast(made.value, kind)
    except InvalidValue:
        raise RuleError(f"{item.value!r} is no {_name(kind)}") from None
    return made


def _whole_pattern(op: str, pattern: t.Expr) -> None:
    if op in {"like", "ilike"} and isinstance(pattern, t.Literal) and isinstance(pattern.value, str):
        try:
            like("", pattern.value)
        except InvalidValue as error:
            raise RuleError(error.message) from None


def _comparable(kind: Kind, op: str, known: frozenset[str]) -> None:
    if kind is not None and kind not in known:
        raise RuleError(f"{op} is not for {_name(kind)}", hint="is null and is not null work for every type")


def _never(op: str) -> Kind:
    raise RuleError(f"{op} any(...) takes an array of text")


def _name(kind: Kind) -> str:
    if kind is None:
        return "a bare constant"
    return _SPELLED.get(kind.removesuffix("[]"), kind.removesuffix("[]")) + kind[len(kind.removesuffix("[]")) :]
