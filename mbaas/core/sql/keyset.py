"""Which rows stand behind one in an order, so that an index finds them without passing over those before."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mbaas.core.sql.fragment import Fragment, concat, join, sql, value


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One term of the order. item: what it reads. after: its value in the row, ``None``: null. filled: never null."""

    item: Fragment
    after: str | None
    type: str
    descending: bool
    nulls_first: bool
    filled: bool

    @property
    def place(self) -> Fragment:
        return value(self.after, self.type)

    @property
    def ends_in_nulls(self) -> bool:
        """Whether nulls may follow the value."""
        return self.after is not None and not (self.filled or self.nulls_first)


def behind(terms: Sequence[Term]) -> list[Fragment]:
    """Conditions of which each row behind meets exactly one; each is a range of an index on the terms.

    Nulls are apart: no comparison finds them, and an OR would make PostgreSQL read the index from its beginning.
    """
    first, rest = terms[0], terms[1:]
    if first.after is None:
        found = [concat("(", first.item, " is null and ", _further(rest), ")")] if rest else []
        return [*found, concat(first.item, " is not null")] if first.nulls_first else found
    nulls = [concat(first.item, " is null")] if first.ends_in_nulls else []
    return [_not_null(terms), *nulls]


def _not_null(terms: Sequence[Term]) -> Fragment:
    """Behind, and not null in the first term, whose value is not null either."""
    first, rest = terms[0], terms[1:]
    operator = "<" if first.descending else ">"
    alike = all(
        term.descending == first.descending and term.after is not None and not term.ends_in_nulls for term in rest
    )
    if alike:
        items, places = (term.item for term in terms), (term.place for term in terms)
        return concat("(", join(", ", items), f") {operator} (", join(", ", places), ")")
    # The first comparison says nothing that the others do not; it is what bounds the index.
    return concat(
        "(", first.item, f" {operator}= ", first.place, " and (", first.item, f" {operator} ", first.place, " or ",
        _further(rest), "))",
    )  # fmt: skip


def _further(terms: Sequence[Term]) -> Fragment:
    """Behind by these terms, equal in those before."""
    found = behind(terms)
    return concat("(", join(" or ", found), ")") if found else sql("false")
