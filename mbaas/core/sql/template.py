"""A statement for every request of one shape: its text, and where each of its values comes from.

It is made by rendering once with marks in the place of the literals (``core.query.shape``). A mark that any stage
looked into or changed makes no template, so a value can only ever be bound in its own place.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from mbaas.core.expr.types import Claim
from mbaas.core.identity import Identity
from mbaas.core.query.shape import Literal, marked_number
from mbaas.core.sql.expressions import claim_text
from mbaas.core.sql.fragment import Bindable, Bound, Fragment, concat, statement


class Constant(msgspec.Struct, frozen=True):
    """A value that is the same for the whole shape."""

    value: Bindable


Source: TypeAlias = int | Claim | Constant
"""The number of a literal, something of the caller, or a constant."""


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """Does the same for many at once: an array of texts for each placeholder, one row for each of their elements.

    writes: it is no read. distinct: the placeholders whose values together no two of the many may share. since: the
    major version of PostgreSQL that knows it.
    """

    text: str
    writes: bool = False
    distinct: tuple[int, ...] = ()
    since: int = 0


class Many(msgspec.Struct, frozen=True, kw_only=True):
    """A statement once for each row of ``args``, whose ``nth`` says which. It has the values of the one statement.

    key: values of which no two rows may have all the same. since: see ``Together``.
    """

    fragment: Fragment
    writes: bool = False
    key: tuple[Fragment, ...] = ()
    since: int = 0


class Template(msgspec.Struct, frozen=True):
    """text: with numbered placeholders. sources: one for each of them. types: its cast."""

    text: str
    sources: tuple[Source, ...]
    types: tuple[str, ...]
    together: Together | None = None

    def bind(self, literals: tuple[Literal, ...], identity: Identity) -> tuple[Bindable, ...]:
        """The arguments of one request."""
        return tuple(
            [
                literals[source]
                if type(source) is int
                else claim_text(source, identity)
                if type(source) is Claim
                else source.value  # type: ignore[union-attr]
                for source in self.sources
            ]
        )


def template(fragment: Fragment, many: Many | None = None) -> Template:
    """The template of a fragment in which marks stand for literals. Raises ValueError when one was looked into.

    many: does the same for many, where they are better asked for at once.
    """
    sources: list[Source] = []
    bounds: list[Bound] = []
    for part in fragment.parts:
        if isinstance(part, str):
            if marked_number(part) is not None:
                raise ValueError("a mark became code")
            continue
        sources.append(_source(part))
        bounds.append(part)
    types = tuple(bound.type for bound in bounds)
    together = None if many is None else _together(bounds, many)
    return Template(statement(fragment).text, tuple(sources), types, together)


def for_each(fragment: Fragment) -> Many:
    """A read, for many."""
    read = concat(" select answers.* from args cross join lateral (", fragment, ") answers order by args.nth")
    return Many(fragment=read)


def _together(bounds: list[Bound], many: Many) -> Together | None:
    """``None`` when a value is an array itself: arrays of those would all have one length."""
    if not bounds or any(bound.type.endswith("[]") for bound in bounds):
        return None

    def place(bound: Bound) -> str:
        return f"args.v{bounds.index(bound) + 1}::{bound.type}"

    key = [part for fragment in many.key for part in fragment.parts if isinstance(part, Bound)]
    try:
        text = "".join(part if isinstance(part, str) else place(part) for part in many.fragment.parts)
        distinct = tuple(bounds.index(part) for part in key)
    except ValueError:  # it is put together of other values
        return None
    numbers = range(1, len(bounds) + 1)
    arrays = ", ".join(f"${number}::text[]" for number in numbers)
    names = ", ".join(f"v{number}" for number in numbers)
    return Together(
        text=f"with args as (select * from unnest({arrays}) with ordinality as args({names}, nth)){text}",
        writes=many.writes,
        distinct=distinct,
        since=many.since,
    )


def _source(bound: Bound) -> Source:
    if bound.claim is not None:
        return bound.claim
    number = marked_number(bound.value)
    return Constant(bound.value) if number is None else number
