"""PostgreSQL's operators and functions, those a rule may use, on the values of ``values``. None of them sees a null."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from mbaas.core.errors import InvalidValue
from mbaas.core.expr.values import (
    EXACT,
    Day,
    Document,
    Instant,
    Span,
    between,
    contains,
    exact,
    later,
    order_key,
)


def same(left: Any, right: Any) -> bool | None:
    """``left = right``, unknown when one of them is."""
    if left is None or right is None:
        return None
    return bool(order_key(left, right) == order_key(right, left))


def _less(left: Any, right: Any) -> bool:
    return bool(order_key(left, right) < order_key(right, left))


def _add(left: Any, right: Any) -> Any:
    if isinstance(right, Instant) or (isinstance(right, Day) and isinstance(left, int)):
        left, right = right, left
    if isinstance(left, Instant):
        return later(left, right)
    if isinstance(left, Day):
        return Day(left.number + right)
    if isinstance(left, Span):
        return Span(left.months + right.months, left.days + right.days, left.us + right.us)
    return _number(EXACT.add, float.__add__, left, right)


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(left, Instant):
        return between(left, right) if isinstance(right, Instant) else later(left, _negative(right))
    if isinstance(left, Day):
        if not isinstance(right, Day):
            return Day(left.number - right)
        if isinstance(left.number, float) or isinstance(right.number, float):
            raise InvalidValue("cannot subtract infinite dates")
        return left.number - right.number
    if isinstance(left, Span):
        return _add(left, _negative(right))
    return _number(EXACT.subtract, float.__sub__, left, right)


def _multiply(left: Any, right: Any) -> Any:
    return _number(EXACT.multiply, float.__mul__, left, right)


def _negative(span: Span) -> Span:
    return Span(-span.months, -span.days, -span.us)


def _number(
    exactly: Callable[[Any, Any], Decimal], nearly: Callable[[float, float], float], left: Any, right: Any
) -> int | float | Decimal:
    if isinstance(left, float) or isinstance(right, float):
        return nearly(float(left), float(right))
    made = exactly(exact(left), exact(right))
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return made
    number = int(made)
    if not -(1 << 63) <= number < 1 << 63:
        raise InvalidValue("bigint out of range")
    return number


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, Document):
        return contains(left.value, right.value)
    return all(any(same(one, item) is True for one in left) for item in right)


def _overlaps(left: list[Any], right: list[Any]) -> bool:
    return any(same(one, item) is True for one in left for item in right)


def _has(left: Document, key: str) -> bool:
    """``jsonb ? text``: a key of an object, a text of an array, or the text itself."""
    if isinstance(left.value, dict):
        return key in left.value
    return any(
        isinstance(one, str) and one == key for one in (left.value if isinstance(left.value, list) else [left.value])
    )


def like(text: str, pattern: str) -> bool:
    """``%`` any characters, ``_`` one, ``\\`` takes the next as it is. Time grows with text times pattern at most.

    >>> like("naïve", "na_v%"), like("100%", "100\\\\%"), like("a", "b")
    (True, True, False)
    """
    parts = _pieces(pattern)
    if len(parts) == 1:
        return len(text) == len(parts[0]) and _fits(text, 0, parts[0])
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not _fits(text, 0, first):
        return False
    end = len(text) - len(last)
    if not _fits(text, end, last):
        return False
    position = len(first)
    for piece in middle:
        while position + len(piece) <= end and not _fits(text, position, piece):
            position += 1
        if position + len(piece) > end:
            return False
        position += len(piece)
    return True


def _pieces(pattern: str) -> list[list[str | None]]:
    """What stands between the ``%``, characters and ``None`` for any one."""
    pieces: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            pieces.append([])
        elif character == "_":
            pieces[-1].append(None)
        elif character == "\\":
            escaped = next(characters, None)
            if escaped is None:
                raise InvalidValue("LIKE pattern must not end with escape character")
            pieces[-1].append(escaped)
        else:
            pieces[-1].append(character)
    return pieces


def _fits(text: str, at: int, piece: list[str | None]) -> bool:
    return all(wanted is None or text[at + offset] == wanted for offset, wanted in enumerate(piece))


def lower(text: str) -> str:
    """Character by character, as PostgreSQL does: a length never changes."""
    return "".join("i" if one == "İ" else one.lower() for one in text)


def upper(text: str) -> str:
    """As ``lower``: what has no single capital (``ß``) stays."""
    return "".join(large if len(large := one.upper()) == 1 else one for one in text)


def _trim(text: str, characters: str = " ") -> str:
    return text.strip(characters) if characters else text


def _concatenate(left: Any, right: Any) -> Any:
    return left + right


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": same,
    "<>": lambda left, right: not same(left, right),
    "<": _less,
    ">": lambda left, right: _less(right, left),
    "<=": lambda left, right: not _less(right, left),
    ">=": lambda left, right: not _less(left, right),
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "||": _concatenate,
    "like": like,
    "ilike": lambda left, right: like(lower(left), lower(right)),
    "@>": _contains,
    "<@": lambda left, right: _contains(right, left),
    "&&": _overlaps,
    "?": _has,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "lower": lower,
    "upper": upper,
    "length": len,
    "trim": _trim,
    "abs": lambda number: EXACT.abs(number) if isinstance(number, Decimal) else abs(number),
    "starts_with": str.startswith,
}
