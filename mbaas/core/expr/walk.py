"""Looking through an expression without knowing every kind of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mbaas.core.expr.types import Binary, Column, Expr, Quantified

_PATTERNS = frozenset({"~", "~*", "!~", "!~*"})


def walk(expr: Expr) -> Iterator[Any]:
    """The expression and everything in it, sub-selects too, outermost first."""
    yield expr
    for name in expr.__struct_fields__:
        yield from _inside(getattr(expr, name))


def own_columns(expr: Expr) -> set[str]:
    """The names of the record's own fields that it reads, also from within a sub-select."""
    return {part.name for part in walk(expr) if isinstance(part, Column) and part.scope == ""}


def uses_patterns(expr: Expr) -> bool:
    """Whether it matches regular expressions."""
    return any(isinstance(part, Binary | Quantified) and part.op in _PATTERNS for part in walk(expr))


def _inside(item: Any) -> Iterator[Any]:
    if isinstance(item, tuple):
        for part in item:
            yield from _inside(part)
    elif isinstance(item, msgspec.Struct):
        yield from walk(item)  # type: ignore[arg-type]
