"""A rule that fails lets nobody in: what PostgreSQL may refuse to compute stands behind a ``Guarded`` (ADR 56).

A guard gives null where its expression fails, and stands only where null is a no: around a whole part of the rule's
conjunction, or, so that an index still serves, around what a column is compared with and depends on the caller alone.
"""

from __future__ import annotations

from msgspec.structs import replace

from mbaas.core.expr import types as t
from mbaas.core.expr.walk import own_columns, walk
from mbaas.core.schema.catalog import Catalog

_STRICT = frozenset({"=", "<>", "<", "<=", ">", ">="})
# What a cast always succeeds from, beside the type itself; everything becomes a text.
_SURE: dict[str, frozenset[str]] = {
    "integer": frozenset({"boolean"}),
    "bigint": frozenset({"integer"}),
    "numeric": frozenset({"integer", "bigint", "double precision"}),
    "double precision": frozenset({"integer", "bigint"}),
    "boolean": frozenset({"integer"}),
    "date": frozenset({"timestamp with time zone"}),
}


def guard(rule: t.Expr, catalog: Catalog) -> t.Expr:
    """The same rule, typed, with guards where it may fail for some row or some caller."""
    if isinstance(rule, t.And):
        return t.And(tuple(guard(item, catalog) for item in rule.items))
    if not _may_fail(rule, catalog):
        return rule
    if isinstance(rule, t.Binary) and rule.op in _STRICT:
        left, right = (_of_the_caller(side, catalog) for side in (rule.left, rule.right))
        if left is not None and right is not None:
            return replace(rule, left=left, right=right)
    return t.Guarded(rule, "boolean")


def _of_the_caller(side: t.Expr, catalog: Catalog) -> t.Expr | None:
    """One side of a comparison that cannot fail any more; ``None`` when it takes a guard around the comparison."""
    if not _may_fail(side, catalog):
        return side
    kind = _kind(side)
    return None if kind is None or own_columns(side) else t.Guarded(side, kind)


def _kind(side: t.Expr) -> str | None:
    """The type, where the expression itself says it."""
    if isinstance(side, t.Cast):
        return side.type
    if isinstance(side, t.ScalarSelect) and isinstance(side.select.output, t.Column):
        return side.select.output.type
    return None


def _may_fail(expr: t.Expr, catalog: Catalog) -> bool:
    return any(_fails(part, catalog) for part in walk(expr))


def _fails(part: t.Expr, catalog: Catalog) -> bool:
    match part:
        case t.Cast():
            return not _is_sure(part)
        case t.ScalarSelect():
            return not _has_one_row(part.select, catalog)
        case t.Binary(op="+" | "-" | "*"):
            return not _is_constant(part)
        case t.Binary(op="like" | "ilike"):
            return not isinstance(part.right, t.Literal)
        case t.Quantified(op="like" | "ilike"):
            return True
        case t.Call(name="abs"):
            return not _is_constant(part)
    return False


def _is_sure(cast: t.Cast) -> bool:
    if cast.type == "text":
        return True
    kind = cast.item.type if isinstance(cast.item, t.Column | t.Literal) else None
    return kind is not None and (kind == cast.type or kind in _SURE.get(cast.type, ()))


def _is_constant(part: t.Expr) -> bool:
    """Neither of a row nor of a caller: were it to fail, it would fail for everybody, and the author would see it."""
    return not any(isinstance(inner, t.Column | t.Claim | t.ScalarSelect) for inner in walk(part))


def _has_one_row(select: t.Select, catalog: Catalog) -> bool:
    """Whether its condition names one row by a key."""
    wanted = select.where.items if isinstance(select.where, t.And) else (select.where,)
    named = set()
    for item in wanted:
        if isinstance(item, t.Binary) and item.op == "=":
            for here, there in ((item.left, item.right), (item.right, item.left)):
                if isinstance(here, t.Column) and here.scope == select.alias and not _reads(there, select.alias):
                    named.add(here.name)
    return any(named >= set(key) for key in catalog.collections[select.collection].unique_sets if key)


def _reads(expr: t.Expr, alias: str) -> bool:
    return any(isinstance(part, t.Column) and part.scope == alias for part in walk(expr))
