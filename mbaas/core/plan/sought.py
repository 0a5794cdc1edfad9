"""``search``, ``near`` and ``within``: which rows, in which order, and what may be named of how well each fits."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import msgspec

from mbaas.core.expr.types import (
    And,
    Binary,
    Call,
    Case,
    Column,
    Expr,
    Is,
    Literal,
    Or,
    TextSearch,
    Value,
)
from mbaas.core.plan.conditions import Owner
from mbaas.core.plan.globe import boxes
from mbaas.core.plan.names import ColumnType
from mbaas.core.plan.types import Order
from mbaas.core.query.errors import Misplaced
from mbaas.core.query.places import Circle, parse_near, parse_within
from mbaas.core.schema.catalog import METRICS, Collection, Field, Search

_DOUBLE = ColumnType("double precision")
_REAL = ColumnType("real")


class Sought(msgspec.Struct, kw_only=True):
    """where: conditions. order: when the request has none. uses: hidden fields that these read.

    given: names that the request may use for what was found out of the row.
    """

    where: list[Expr] = []
    order: tuple[Order, ...] = ()
    uses: tuple[str, ...] = ()
    given: dict[str, tuple[Expr, ColumnType]] = {}


def sought(words: dict[str, tuple[str, ...]], collection: Collection, owner: Owner) -> Sought:
    """What the words ask for. Raises Misplaced, QuerySyntax, UnknownField."""
    found = Sought()
    if "search" in words:
        _search(found, words["search"][0], collection)
    if "within" in words:
        _within(found, words["within"][0], collection, owner)
    if "near" in words:
        _near(found, words["near"][0], collection, owner)
    return found


def _search(found: Sought, text: str, collection: Collection) -> None:
    search = collection.search
    if search is None:
        raise Misplaced(
            f"{collection.name} cannot be searched", f"give it [collections.{collection.name}.search] in mbaas.toml"
        )
    rank = _per_language(search, lambda language: _rank(search, language, text))
    found.where.append(_matches(search, text))
    found.uses = (search.field,)
    found.order = (Order(rank, descending=True, type=_REAL.name),)
    found.given["rank"] = (rank, _REAL)


def _matches(search: Search, text: str) -> Expr:
    """One condition a language, each by itself found by the index."""

    def in_language(language: str) -> Expr:
        return TextSearch(Column(search.field), "websearch_to_tsquery", Value(text, "text"), language)

    if search.by is None:
        return in_language(search.language)
    by = Column(search.by)
    others = [And((Binary("=", by, Literal(one)), in_language(one))) for one in search.languages]
    return Or((*others, And((Is(by, "null"), in_language(search.language)))))


def _per_language(search: Search, made: Callable[[str], Expr]) -> Expr:
    if search.by is None:
        return made(search.language)
    by = Column(search.by)
    branches = tuple((Binary("=", by, Literal(one)), made(one)) for one in search.languages)
    return Case(branches, made(search.language))


def _rank(search: Search, language: str, text: str) -> Expr:
    query = Call("websearch_to_tsquery", (Value(language, "text::regconfig"), Value(text, "text")))
    return Call("ts_rank_cd", (Column(search.field), query))


def _near(found: Sought, text: str, collection: Collection, owner: Owner) -> None:
    near = parse_near(text)
    field = _field(collection, owner, near.field, "vector", "near")
    if len(near.vector) != field.type.precision:
        raise Misplaced(
            f"near has {len(near.vector)} numbers, and {collection.name}.{field.name} {field.type.precision}",
            "a vector of the same model has as many",
        )
    numbers = ",".join(map(repr, near.vector))
    distance = Binary(METRICS[field.metric].operator, Column(field.name), Value(f"[{numbers}]", "text::vector"))
    found.where.append(Is(Column(field.name), "null", negated=True))  # which no index has
    found.order = (Order(distance, type=_DOUBLE.name),)
    found.given["distance"] = (distance, _DOUBLE)


def _within(found: Sought, text: str, collection: Collection, owner: Owner) -> None:
    place = parse_within(text)
    column = Column(_field(collection, owner, place.field, "point", "within").name)
    inside = [
        Binary("<@", column, Value(f"({box.south!r},{box.west!r}),({box.north!r},{box.east!r})", "box"))
        for box in boxes(place)
    ]
    found.where.append(inside[0] if len(inside) == 1 else Or(tuple(inside)))
    if isinstance(place, Circle):
        centre = Value(f"({place.latitude!r},{place.longitude!r})", "point")
        distance = Call("mbaas.distance_m", (column, centre))
        found.where.append(Binary("<=", distance, Value(repr(place.radius), _DOUBLE.name)))
        found.order = (Order(distance, type=_DOUBLE.name),)
        found.given["distance"] = (distance, _DOUBLE)


def _field(collection: Collection, owner: Owner, name: str, kind: str, word: str) -> Field:
    owner.column(name)  # it exists for this caller
    field = collection.field(name)
    if field is not None and field.type.name == kind and not field.type.array:
        return field
    others = [one.name for one in collection.fields if one.type.name == kind and one.name in owner.columns]
    best = difflib.get_close_matches(name, others, 1, 0) or others
    hint = f"{word}={best[0]}...." if best else f"{collection.name} has no field of type {kind}"
    raise Misplaced(f"{word} needs a field of type {kind}, and {collection.name}.{name} is none", hint)
