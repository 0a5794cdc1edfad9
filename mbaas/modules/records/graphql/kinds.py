"""Scalars: what a field's values are in GraphQL, how they come in, and by what one may filter.

A value stays the text its caller wrote and PostgreSQL reads it, as everywhere; here only its form is looked at. What
JSON numbers cannot carry (bigint, numeric) and JSON itself go out as strings, as pg_graphql has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from graphql import (
    FloatValueNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLFloat,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    IntValueNode,
    StringValueNode,
    ValueNode,
)

from mbaas.core.schema.catalog import Field

Operators: TypeAlias = tuple[str, ...]
EQUAL: Operators = ("eq", "neq", "in", "is")
ORDERED: Operators = ("eq", "neq", "gt", "gte", "lt", "lte", "in", "is")
TEXTUAL: Operators = (*ORDERED, "startsWith", "like", "ilike", "regex", "iregex")
NULLS: Operators = ("is",)
LISTS: Operators = ("eq", "neq", "contains", "containedBy", "overlaps", "is")


class Kind(msgspec.Struct, frozen=True):
    """type: the scalar. operators: what a filter may ask. ordered: whether rows can be put in order by it.

    as_text: its values go out as PostgreSQL's text.
    """

    type: GraphQLScalarType
    operators: Operators
    ordered: bool = True
    as_text: bool = False


def _scalar(name: str, description: str, read: Callable[[Any], Any], *, digits: bool = False) -> GraphQLScalarType:
    """digits: a number may be written without quotes and keeps every digit."""

    def literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
        if isinstance(node, StringValueNode) or (digits and isinstance(node, IntValueNode | FloatValueNode)):
            return read(node.value)
        raise GraphQLError(f"{name} is written as a string", node)

    return GraphQLScalarType(name, description=description, parse_value=read, parse_literal=literal)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError("a string is expected")
    return value


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GraphQLError("a number, or a string that holds one, is expected")
    return str(value)


def _json(value: Any) -> msgspec.Raw:
    """A string is JSON text; anything else is the value itself."""
    if not isinstance(value, str):
        return msgspec.Raw(msgspec.json.encode(value))
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise GraphQLError('a JSON scalar is JSON text in a string: "{\\"a\\": 1}", "\\"text\\""') from None
    return msgspec.Raw(value)


UUID = _scalar("UUID", "A universally unique identifier (RFC 9562).", _text)
DATETIME = _scalar("Datetime", "A date and time, ISO 8601 with an offset.", _text)
DATE = _scalar("Date", "A date, ISO 8601.", _text)
TIME = _scalar("Time", "A time of day.", _text)
BIG_INT = _scalar("BigInt", "A whole number of 64 bits, as a string.", _number, digits=True)
BIG_FLOAT = _scalar("BigFloat", "A decimal number of any precision, as a string.", _number, digits=True)
OPAQUE = _scalar("Opaque", "A value in PostgreSQL's own text form.", _text)
CURSOR = _scalar("Cursor", "A place in a list. It means something to the server only.", _text)
JSON = GraphQLScalarType("JSON", description="JSON text, in a string.", parse_value=_json)

_TEXT = Kind(GraphQLString, TEXTUAL)
_BIG_INT = Kind(BIG_INT, ORDERED, as_text=True)
_BIG_FLOAT = Kind(BIG_FLOAT, ORDERED, as_text=True)
_DATETIME = Kind(DATETIME, ORDERED)
_TIME = Kind(TIME, ORDERED)
_JSON = Kind(JSON, ("contains", "containedBy", "is"), ordered=False, as_text=True)
_PLAIN_JSON = Kind(JSON, NULLS, ordered=False, as_text=True)
_OPAQUE = Kind(OPAQUE, ("eq", "is"), ordered=False, as_text=True)
_KINDS = {
    "text": _TEXT,
    "email": _TEXT,
    "url": _TEXT,
    "enum": _TEXT,
    "int": Kind(GraphQLInt, ORDERED),
    "bigint": _BIG_INT,
    "float": Kind(GraphQLFloat, ORDERED),
    "numeric": _BIG_FLOAT,
    "bool": Kind(GraphQLBoolean, ("eq", "neq", "is")),
    "uuid": Kind(UUID, EQUAL),
    "timestamptz": _DATETIME,
    "date": Kind(DATE, ORDERED),
    "time": _TIME,
    "json": _JSON,
}
# Of adopted tables, by PostgreSQL's spelling without a modifier.
_NATIVE = {
    "smallint": Kind(GraphQLInt, ORDERED),
    "real": Kind(GraphQLFloat, ORDERED),
    "character varying": _TEXT,
    "character": _TEXT,
    "citext": _TEXT,
    "name": _TEXT,
    "timestamp without time zone": _DATETIME,
    "time with time zone": _TIME,
    "json": _PLAIN_JSON,
}


def kind_of(field: Field, type_name: str) -> Kind:
    """type_name: PostgreSQL's spelling of the field's type, or of its elements, without a modifier."""
    return _KINDS.get(field.type.name) or _NATIVE.get(type_name) or _OPAQUE


def enum_of(collection: str, field: Field, spellable: Callable[[str], bool]) -> GraphQLEnumType | None:
    """The enum type of a field of given values, ``None`` when GraphQL cannot spell one of them."""
    if not field.values or not all(spellable(value) for value in field.values):
        return None
    if {"true", "false", "null"} & set(field.values):
        return None
    return GraphQLEnumType(f"{collection}_{field.name}", {value: value for value in field.values})


def names_of(enum: GraphQLEnumType) -> tuple[str, ...]:
    """Its own, and those of its filters."""
    return (enum.name, f"{enum.name}Filter", f"{enum.name}ListFilter")
