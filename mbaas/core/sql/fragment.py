"""SQL as text and values kept apart, all the way to the driver.

Outside data enters by ``identifier`` or ``value`` only. Values travel as PostgreSQL's own text input, so the server
checks them while binding, before it has looked at any row; an array is a tuple of such texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from mbaas.core.expr.types import Claim

Bindable: TypeAlias = str | tuple[str | None, ...] | None


class Bound(msgspec.Struct, frozen=True):
    """A placeholder to be numbered.

    type: the cast that tells PostgreSQL what it reads. claim: what of the caller the value is, when it is that.
    """

    value: Bindable
    type: str
    claim: Claim | None = None


class Statement(msgspec.Struct, frozen=True):
    """What the driver gets. Equal plans give equal ``text``, so prepared statements serve."""

    text: str
    args: tuple[Bindable, ...] = ()


class Fragment(msgspec.Struct, frozen=True):
    """A piece of SQL: code of ours and bound values, in order."""

    parts: tuple[str | Bound, ...]

    def __add__(self, other: Fragment) -> Fragment:
        return Fragment(self.parts + other.parts)


def sql(text: str) -> Fragment:
    """Code of ours. Never give it outside data: that is what ``identifier`` and ``value`` are for."""
    return Fragment((text,))


def quote(name: str) -> str:
    """A name as a quoted identifier.

    >>> quote('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A string as a literal, for DDL and policies, where nothing can be bound.

    >>> quote_text("it's")
    "'it''s'"
    """
    if "\\" in text:
        return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def identifier(*names: str) -> Fragment:
    """A possibly qualified name: ``identifier("public", "posts")`` is ``"public"."posts"``."""
    return Fragment((".".join(quote(name) for name in names),))


def value(value: Bindable, type: str, claim: Claim | None = None) -> Fragment:
    """A bound value with its PostgreSQL type. ``None`` is NULL. claim: what of the caller it is, when it is that."""
    return Fragment((Bound(value, type, claim),))


def join(separator: str, fragments: Iterable[Fragment]) -> Fragment:
    """Fragments in a row with code of ours between them."""
    parts: list[str | Bound] = []
    for index, fragment in enumerate(fragments):
        if index:
            parts.append(separator)
        parts.extend(fragment.parts)
    return Fragment(tuple(parts))


def concat(*pieces: str | Fragment) -> Fragment:
    """Fragments and code of ours, in order."""
    parts: list[str | Bound] = []
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(piece)
        else:
            parts.extend(piece.parts)
    return Fragment(tuple(parts))


def statement(fragment: Fragment) -> Statement:
    """The finished statement, placeholders numbered in order.

    >>> statement(concat("select ", value("1", "integer"), " + ", value("2", "integer")))
    Statement(text='select $1::integer + $2::integer', args=('1', '2'))
    """
    text: list[str] = []
    args: list[Bindable] = []
    for part in fragment.parts:
        if isinstance(part, str):
            text.append(part)
            continue
        args.append(part.value)
        text.append(f"${len(args)}::{part.type}")
    return Statement("".join(text), tuple(args))
