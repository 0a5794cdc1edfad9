"""The inverse of ``parse``: ``ReadParts`` as a query string, so that parsing it gives the same parts again.

Names are written bare where they may be and quoted where they must.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from mbaas.core.query.parse import EMBEDDABLE, WHOLE, WORDS
from mbaas.core.query.types import (
    ColumnItem,
    Condition,
    CountItem,
    EmbedItem,
    EmbedPath,
    Filter,
    OrderTerm,
    Path,
    ReadParts,
    SelectItem,
    Star,
)

_BARE_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BARE_ELEMENT = re.compile(r"[\w.:+*%-]+", re.ASCII)
_BARE_VALUE = re.compile(r"[\w.:+*%-]*", re.ASCII)
_RESERVED = WHOLE | EMBEDDABLE | WORDS | {"not", "count", "inner", "left"}
_SAFE = "*(),.:!\"'{}[]@/"


def format_read_parts(parts: ReadParts) -> str:
    """A query string, percent-encoded.

    >>> format_read_parts(ReadParts(filters=(((), Condition(Path("id"), "eq", "a b")),)))
    'id=eq.a%20b'
    """
    pairs: list[tuple[str, str]] = []
    if parts.select != (Star(),):
        pairs.append(("select", format_select(parts.select)))
    pairs += [_filter_pair(path, item) for path, item in parts.filters]
    pairs += [(_key(path, "order"), format_order(terms)) for path, terms in parts.order.items()]
    for path, window in parts.windows.items():
        if window.limit is not None:
            pairs.append((_key(path, "limit"), str(window.limit)))
        if window.offset or window.limit is None:
            pairs.append((_key(path, "offset"), str(window.offset)))
    pairs += parts.words
    return "&".join(f"{quote(key, safe=_SAFE)}={quote(value, safe=_SAFE)}" for key, value in pairs)


def format_select(items: Iterable[SelectItem]) -> str:
    """A ``select`` parameter, not yet percent-encoded."""
    return ",".join(_item(item) for item in items)


def format_order(terms: Iterable[OrderTerm]) -> str:
    """An ``order`` parameter, not yet percent-encoded."""
    return ",".join(
        (_path(term.path) if term.relation is None else f"{_name(term.relation)}({_path(term.path)})")
        + (".desc" if term.descending else "")
        + (f".nulls{term.nulls}" if term.nulls else "")
        for term in terms
    )


def _item(item: SelectItem) -> str:
    if isinstance(item, Star):
        return "*"
    if isinstance(item, EmbedItem):
        hint = f"!{_name(item.hint)}" if item.hint is not None else ""
        lead = "..." if item.spread else _alias(item.alias)
        return f"{lead}{_name(item.target)}{hint}{'!inner' * item.inner}({format_select(item.items)})"
    if isinstance(item, CountItem):
        return f"{_alias(item.alias)}count(){_cast(item.cast)}"
    return _column(item)


def _column(item: ColumnItem) -> str:
    aggregate = f".{item.aggregate}(){_cast(item.aggregate_cast)}" if item.aggregate is not None else ""
    return f"{_alias(item.alias)}{_path(item.path)}{_cast(item.cast)}{aggregate}"


def _alias(alias: str | None) -> str:
    return "" if alias is None else f"{_name(alias)}:"


def _cast(cast: str | None) -> str:
    return "" if cast is None else f"::{cast}"


def _filter_pair(path: EmbedPath, item: Filter) -> tuple[str, str]:
    if isinstance(item, Condition):
        operator, value = _operation(item)
        return "".join(f"{_name(name)}." for name in path) + _path(item.path), operator + value
    return _key(path, f"not.{item.operator}" if item.negated else item.operator), _group(item.items)


def _in_tree(item: Filter) -> str:
    if not isinstance(item, Condition):
        return f"{'not.' * item.negated}{item.operator}{_group(item.items)}"
    operator, value = _operation(item)
    if item.operator not in ("in", "is") and not _BARE_VALUE.fullmatch(value):
        value = _quoted(value)
    return f"{_path(item.path)}.{operator}{value}"


def _group(items: Iterable[Filter]) -> str:
    return f"({','.join(map(_in_tree, items))})"


def _operation(item: Condition) -> tuple[str, str]:
    """``not.operator(option).`` and the value as it stands outside of a tree."""
    option = item.quantifier or item.config
    operator = f"{'not.' * item.negated}{item.operator}{f'({option})' if option else ''}."
    if isinstance(item.value, str):
        return operator, item.value
    if item.operator == "in":
        return operator, "(" + ",".join(_element(value or "") for value in item.value) + ")"
    return operator, "{" + ",".join("NULL" if value is None else _element(value) for value in item.value) + "}"


def _element(value: str) -> str:
    return value if _BARE_ELEMENT.fullmatch(value) and value.lower() != "null" else _quoted(value)


def _key(path: EmbedPath, word: str) -> str:
    """A reserved key under the path of an embed."""
    return "".join(f"{_name(name)}." for name in path) + word


def _path(path: Path) -> str:
    return _name(path.name) + "".join(f"{'->>' if as_text else '->'}{_step(step)}" for step, as_text in path.steps)


def _step(step: str | int) -> str:
    return str(step) if isinstance(step, int) or _BARE_NAME.fullmatch(step) else _quoted(step)


def _name(name: str) -> str:
    return name if _BARE_NAME.fullmatch(name) and name not in _RESERVED else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
