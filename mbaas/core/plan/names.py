"""Which names exist for whom, with what each column needs to know to meet a value. Made once a catalog."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

import msgspec

from mbaas.core.expr.types import Expr
from mbaas.core.plan.relations import Relation, index_relations
from mbaas.core.plan.visible import visible
from mbaas.core.schema.catalog import Catalog, Collection, Field, Function
from mbaas.core.schema.types import SCALARS

_RANGES = frozenset({"int4range", "int8range", "numrange", "daterange", "tstzrange", "tsrange"})
_CAST = re.compile(r"(?P<name>[A-Za-z0-9 ]+?)(?:\(\d{1,4}(?:, ?\d{1,4})?\))?(?:\[\])?", re.ASCII)
_JSON = frozenset({"json", "jsonb"})
_TYPE_NAMES = frozenset(SCALARS.values()) - {"point", "vector"} | {
    # what else a caller may cast to, in PostgreSQL's many spellings
    *("int", "int2", "int4", "int8", "smallint", "float4", "float8", "real", "decimal", "varchar", "bpchar", "char"),
    *("character varying", "character", "timestamptz", "timestamp", "timestamp without time zone", "timetz"),
    *("time with time zone", "json", "inet", "cidr", "macaddr", "tsquery", "tsrange", "citext", "name", "oid", "money"),
}


class ColumnType(msgspec.Struct, frozen=True):
    """name: PostgreSQL's spelling without a modifier, so that no value is rounded. element: of an array."""

    name: str
    element: str | None = None

    @property
    def is_json(self) -> bool:
        return self.name in _JSON

    @property
    def is_measured(self) -> bool:
        """Whether it is asked for by its distance and not by comparison."""
        return self.name.removesuffix("[]") in ("vector", "point")

    @property
    def is_range(self) -> bool:
        return self.name in _RANGES

    @property
    def bind(self) -> str:
        """The type as a value is bound by: what has no codec is read from text."""
        if self.is_range or not known_type(self.element or self.name):
            return f"text{'' if self.element is None else '[]'}::{self.name}"
        return self.name

    @property
    def bind_list(self) -> str:
        """The type as several values are bound by, for one that is no array."""
        return f"{self.name}[]" if known_type(self.name) else f"text[]::{self.name}[]"


def column_type(spelling: str) -> ColumnType:
    """The type PostgreSQL spells so.

    >>> column_type("numeric(10,2)[]")
    ColumnType(name='numeric[]', element='numeric')
    """
    base = spelling.removesuffix("[]")
    if "(" in base:
        head, _, tail = base.partition("(")
        base = head + tail.partition(")")[2]
    return ColumnType(f"{base}[]", base) if spelling.endswith("[]") else ColumnType(base)


def known_type(name: str) -> bool:
    """Whether a caller may cast to it. A modifier (``numeric(10,2)``) or an array is fine.

    >>> known_type("varchar(20)"), known_type("int4[]"), known_type("regclass")
    (True, True, False)
    """
    found = _CAST.fullmatch(name)
    return found is not None and found["name"].lower() in _TYPE_NAMES


class Names:
    """The fields of every collection, as seen with and without the service key."""

    def __init__(self, catalog: Catalog, defaults: Mapping[str, dict[str, Expr]]) -> None:
        """defaults: by collection, those that ask who the caller is (``RuleSet.defaults``)."""
        self.catalog = catalog
        self._all = {name: _typed(collection.named_fields) for name, collection in catalog.collections.items()}
        self._shown = {
            name: _typed(field for field in collection.fields if not field.hidden)
            for name, collection in catalog.collections.items()
        }
        self._computed = {
            name: {
                function.name: function for function in catalog.functions if function.computes and function.of == name
            }
            for name in catalog.collections
        }
        self._relations = index_relations(catalog)
        shown = msgspec.structs.replace(visible(catalog, "authenticated"), functions=catalog.functions)
        self._shown_relations = index_relations(shown, catalog)
        self._defaults = defaults

    def relation(self, source: str, target: str, hint: str | None, *, privileged: bool) -> Relation:
        """Raises NoRelationship, AmbiguousRelationship."""
        return (self._relations if privileged else self._shown_relations).find(source, target, hint)

    def defaults(self, collection: str) -> dict[str, Expr]:
        """The defaults that ask who the caller is."""
        return self._defaults.get(collection, {})

    def collection(self, name: str) -> Collection | None:
        return self.catalog.collections.get(name)

    def computed(self, collection: str) -> dict[str, Function]:
        """The functions of its row that give it further fields, by name."""
        return self._computed[collection]

    def columns(self, collection: str, *, privileged: bool) -> dict[str, ColumnType]:
        """Name to type, in order. privileged: with the service key, which sees hidden fields."""
        return (self._all if privileged else self._shown)[collection]


def result_columns(function: Function) -> dict[str, ColumnType]:
    """The columns of a function's result that is no collection's row."""
    if function.columns:
        return {name: column_type(spelling) for name, spelling in function.columns}
    return {function.name: column_type(function.returns)}


def perhaps(name: str, known: Iterable[str]) -> str | None:
    """A known name that may have been meant."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def _typed(fields: Iterable[Field]) -> dict[str, ColumnType]:
    return {field.name: column_type(field.type.sql) for field in fields}
