"""What becomes of the values when a column changes its type.

Source: PostgreSQL documentation, chapter 8 and ``pg_cast``; what rewrites a table was seen on a real server (a new
``relfilenode``), and a test compares this table with one.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

Effect: TypeAlias = Literal["none", "rewrite", "narrowing", "refused"]

_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}  # decimal digits that hold every value
_LADDER = ("smallint", "integer", "bigint")
_NARROWING = {
    ("bigint", "double precision"),  # exact to 2^53 only
    ("numeric", "double precision"),
    ("numeric", "smallint"),
    ("numeric", "integer"),
    ("numeric", "bigint"),
    ("double precision", "numeric"),  # to 15 digits
    ("double precision", "integer"),
    ("double precision", "bigint"),
    ("double precision", "real"),
    ("timestamp with time zone", "date"),
    ("json", "jsonb"),  # one value a key, no order
}
_REWRITE = {
    ("smallint", "double precision"),
    ("integer", "double precision"),
    ("real", "double precision"),
    ("date", "timestamp with time zone"),  # midnight, UTC
}
_SPELLING = re.compile(r"^(?P<base>[^(\[]+?)(?:\((?P<typmod>[\d,-]+)\)(?P<rest> [^(\[]*)?)?(?P<array>\[\])?$")


class _Type(msgspec.Struct, frozen=True):
    base: str
    typmod: tuple[int, ...]
    array: bool


def change_of_type(current: str, desired: str) -> Effect:
    """What ``ALTER COLUMN ... TYPE`` does to values that are there.

    none: the catalogue changes, no row. rewrite: every value is kept, but the table is written anew under an exclusive
    lock. narrowing: some values may be rounded, cut or refused. refused: no cast that means anything by itself.

    >>> change_of_type("integer", "bigint"), change_of_type("numeric(4,2)", "numeric(6,2)")
    ('rewrite', 'none')
    >>> change_of_type("bigint", "integer"), change_of_type("text", "uuid")
    ('narrowing', 'refused')
    """
    if current == desired:
        return "none"
    before, after = _parse(current), _parse(desired)
    if after == _Type("text", (), array=False):
        return "none" if before.base in {"character varying", "text"} and not before.array else "rewrite"
    if before.array != after.array:
        return "refused"
    effect = _scalar(before, after)
    # An array is cast element by element, which is a rewrite even where the elements' own change is none.
    return "rewrite" if before.array and effect == "none" else effect


def _scalar(before: _Type, after: _Type) -> Effect:
    pair = (before.base, after.base)
    if pair == ("numeric", "numeric"):
        return _numeric(before.typmod, after.typmod)
    if before.base == after.base and not after.typmod:
        return "none"
    if before.base in _LADDER and after.base in _LADDER:
        return "rewrite" if _LADDER.index(before.base) < _LADDER.index(after.base) else "narrowing"
    if before.base in _DIGITS and after.base == "numeric":
        fits = not after.typmod or after.typmod[0] - after.typmod[1] >= _DIGITS[before.base]
        return "rewrite" if fits else "narrowing"
    if after.base == "text":
        return "rewrite"
    if pair in _REWRITE:
        return "rewrite"
    return "narrowing" if pair in _NARROWING else "refused"


def _numeric(before: tuple[int, ...], after: tuple[int, ...]) -> Effect:
    if not after:
        return "none"
    if not before:
        return "narrowing"
    (precision, scale), (new_precision, new_scale) = before, after
    if new_scale == scale and new_precision >= precision:
        return "none"
    return "rewrite" if new_scale >= scale and new_precision - new_scale >= precision - scale else "narrowing"


def _parse(spelling: str) -> _Type:
    found = _SPELLING.match(spelling)
    if found is None:
        return _Type(spelling, (), array=False)
    typmod = tuple(int(digit) for digit in (found["typmod"] or "").split(",") if digit)
    return _Type(found["base"] + (found["rest"] or ""), typmod, found["array"] is not None)
