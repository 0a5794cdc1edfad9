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
from mbaas.core.sql.fragment import Bindable, Bound, Fragment, statement


class Constant(msgspec.Struct, frozen=True):
    """A value that is the same for the whole shape."""

    value: Bindable


Source: TypeAlias = int | Claim | Constant
"""The number of a literal, something of the caller, or a constant."""


class Template(msgspec.Struct, frozen=True):
    """text: with numbered placeholders. sources: one for each of them. types: its cast."""

    text: str
    sources: tuple[Source, ...]
    types: tuple[str, ...]

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


def template(fragment: Fragment) -> Template:
    """The template of a fragment in which marks stand for literals. Raises ValueError when one was looked into."""
    sources: list[Source] = []
    types: list[str] = []
    for part in fragment.parts:
        if isinstance(part, str):
            if marked_number(part) is not None:
                raise ValueError("a mark became code")
            continue
        sources.append(_source(part))
        types.append(part.type)
    return Template(statement(fragment).text, tuple(sources), tuple(types))


def _source(bound: Bound) -> Source:
    if bound.claim is not None:
        return bound.claim
    number = marked_number(bound.value)
    return Constant(bound.value) if number is None else number
