"""What of a query string decides the statement, apart from the literals that are only bound to it.

``?select=title&id=eq.7`` and ``?select=title&id=eq.8`` have one shape. A literal is set apart where the grammar takes
it as it is, to the end of the value, and no later stage looks at it: behind the comparisons, and behind ``in`` as a
whole list. Everything else is part of the shape word for word.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from mbaas.core.query.cursor import FIRST, Cursor, format_cursor, parse_cursor
from mbaas.core.query.errors import CursorInvalid
from mbaas.core.query.filters import parse_condition
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import EMBEDDABLE, WHOLE, WORDS
from mbaas.core.query.types import Path

Literal: TypeAlias = str | tuple[str | None, ...]

COMPARISONS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "isdistinct"})
_LIST = "in"
_FIXED = ("is.", "not.is.")
_ANY = Path("")
_WORDS = WORDS - {"distance"}
_LONG = _WORDS - {"cursor", "search"}  # their values are looked into
_PLAIN = re.compile(rb"(=(?:eq|neq|gte?|lte?|isdistinct)\.)([!\"$'-*,-~]*)")
_MARK = "\0"  # a query string with a NUL is refused, so no literal of a caller holds one


def shape_of(pairs: list[tuple[str, str]], limits: Limits) -> tuple[tuple[str, ...], tuple[Literal, ...]] | None:
    """The shape and the literals that complete it; ``None`` when the text of a value would be part of the shape.

    >>> shape_of([("select", "id"), ("views", "gte.5"), ("id", "in.(1,2)")], Limits())
    (('select', 'id', 'views', 'gte.', 'id', 'in.'), ('5', ('1', '2')))
    """
    if {"cursor", "search"} <= {key for key, _ in pairs}:
        return None  # the cursor may be of an order that depends on what is searched
    shape: list[str] = []
    literals: list[Literal] = []
    for key, value in pairs:
        shape.append(key)
        if key == "search":
            literals.append(value)
            continue
        if key == "cursor":
            cursor = _cursor(value)
            if cursor is not None:
                shape.append(cursor.digest)
                shape.append("".join("-" if one is None else "+" for one in cursor.values))
                literals.extend(one for one in cursor.values if one is not None)
                continue
            if value not in FIRST:
                return None
        elif key in _LONG:
            return None
        elif is_filter(key):
            operator, dot, literal = value.partition(".")
            if dot and operator in COMPARISONS:
                shape.append(operator + dot)
                literals.append(literal)
                continue
            if operator == _LIST and literal.startswith("("):
                shape.append(operator + dot)
                literals.append(parse_condition(_ANY, value, limits).value)
                continue
            if not value.startswith(_FIXED):
                return None
        shape.append(value)
    return tuple(shape), tuple(literals)


def cut(query: bytes) -> tuple[tuple[bytes, ...], list[bytes]]:
    """A query string without its plain literals, and these: those of comparisons, as far as nothing needs decoding.

    What it leaves decides the shape when the literals are those of ``shape_of``: then they are for every query string
    that it leaves the same of.

    >>> cut(b"id=eq.7&select=title")
    ((b'id', b'=eq.', b'&select=title'), [b'7'])
    """
    parts = _PLAIN.split(query)
    literals = parts[2::3]
    del parts[2::3]
    return tuple(parts), literals


def marked(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same pairs with a mark in the place of each literal, in the order of ``shape_of``."""
    found: list[tuple[str, str]] = []
    number = 0
    for key, value in pairs:
        cursor = _cursor(value) if key == "cursor" else None
        if cursor is not None:
            values: list[str | None] = []
            for one in cursor.values:
                values.append(None if one is None else mark(number))
                number += one is not None
            found.append((key, format_cursor(Cursor(cursor.digest, tuple(values)))))
            continue
        if key == "search":
            found.append((key, mark(number)))
            number += 1
            continue
        operator = value.partition(".")[0]
        if is_filter(key) and (operator in COMPARISONS or operator == _LIST):
            found.append((key, f"in.({list_mark(number)})" if operator == _LIST else f"{operator}.{mark(number)}"))
            number += 1
        else:
            found.append((key, value))
    return found


def _cursor(text: str) -> Cursor | None:
    """``None`` for the first page, for what is no cursor, and for one that holds what only a mark may."""
    try:
        cursor = parse_cursor(text)
    except CursorInvalid:
        return None
    if cursor is None or any(one is not None and _MARK in one for one in cursor.values):
        return None
    return cursor


def is_filter(key: str) -> bool:
    """Whether a key of a query string is read as a condition, not as a word of the grammar.

    ``distance`` is one: of the row's way to somewhere, or of a column.
    """
    return key not in WHOLE and key not in _WORDS and key.rpartition(".")[2] not in EMBEDDABLE


def mark(number: int) -> str:
    """What stands in the place of a literal while a statement is made for all of its shape."""
    return f"{_MARK}{number}"


def list_mark(number: int) -> str:
    """What stands in the place of a list of literals, as its only element."""
    return f"{_MARK}list{number}"


def marked_number(text: str | tuple[str | None, ...] | None) -> int | None:
    """The number of a mark that stands where it was put, ``None`` for what holds none.

    Raises ValueError for a mark that was changed, or that stands alone for a list or in a list for one.

    >>> marked_number(mark(3)), marked_number((list_mark(4),)), marked_number("3")
    (3, 4, None)
    """
    if isinstance(text, tuple):
        if not any(item is not None and _MARK in item for item in text):
            return None
        if len(text) != 1 or not text[0] or not text[0].startswith(list_mark(0)[:-1]):
            raise ValueError("a list's mark was changed on its way")
        return int(text[0].removeprefix(list_mark(0)[:-1]))
    if text is None or _MARK not in text:
        return None
    if not text.startswith(_MARK) or not text[1:].isdigit():
        raise ValueError("a mark was changed on its way")
    return int(text[1:])
