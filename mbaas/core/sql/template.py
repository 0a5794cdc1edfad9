"""A statement for every request of one shape: its text, and where each of its values comes from.

It is made by rendering once with marks in the place of the literals (``core.query.shape``). A mark that any stage
looked into or changed makes no template, so a value can only ever be bound in its own place.
"""

from __future__ import annotations

from itertools import count
from typing import TypeAlias

import msgspec

from mbaas.core.expr.types import Claim
from mbaas.core.identity import Identity
from mbaas.core.query.shape import Literal, marked_number
from mbaas.core.sql.expressions import claim_text
from mbaas.core.sql.fragment import Bindable, Bound, Fragment, statement


class Constant(msgspec.Struct, frozen=True):
    """A value that is the same for the whole shape."""

    value: Bindable


Source: TypeAlias = int | Claim | Constant
"""The number of a literal, something of the caller, or a constant."""


class Template(msgspec.Struct, frozen=True):
    """text: with numbered placeholders. sources: one for each of them. types: its cast.

    together: answers many of a shape at once, where that is of use: an array of texts for each placeholder, one row for
    each of their elements, in that order.
    """

    text: str
    sources: tuple[Source, ...]
    types: tuple[str, ...]
    together: str | None = None

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


def template(fragment: Fragment, *, together: bool = False) -> Template:
    """The template of a fragment in which marks stand for literals. Raises ValueError when one was looked into.

    together: it reads one row of a known place, so that many of them are better asked for at once.
    """
    sources: list[Source] = []
    types: list[str] = []
    for part in fragment.parts:
        if isinstance(part, str):
            if marked_number(part) is not None:
                raise ValueError("a mark became code")
            continue
        sources.append(_source(part))
        types.append(part.type)
    return Template(
        statement(fragment).text, tuple(sources), tuple(types), _together(fragment, types) if together else None
    )


def _together(fragment: Fragment, types: list[str]) -> str | None:
    """``None`` when a value is an array itself: arrays of those would all have one length."""
    if not types or any(name.endswith("[]") for name in types):
        return None
    numbers = count(1)
    text = "".join(part if isinstance(part, str) else f"args.v{next(numbers)}::{part.type}" for part in fragment.parts)
    arrays = ", ".join(f"${number}::text[]" for number in range(1, len(types) + 1))
    names = ", ".join(f"v{number}" for number in range(1, len(types) + 1))
    return (
        f"select answers.* from unnest({arrays}) with ordinality as args({names}, nth) "
        f"cross join lateral ({text}) answers order by args.nth"
    )


def _source(bound: Bound) -> Source:
    if bound.claim is not None:
        return bound.claim
    number = marked_number(bound.value)
    return Constant(bound.value) if number is None else number
