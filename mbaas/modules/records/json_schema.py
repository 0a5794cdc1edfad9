"""PostgreSQL types and fields as JSON Schema (2020-12, which OpenAPI 3.1 uses)."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from mbaas.core.schema.catalog import Catalog, Collection, Field

Schema: TypeAlias = dict[str, Any]


def _with_specials(*specials: str, **number: str) -> Schema:
    """A number, or one of those that JSON has no number for."""
    return {"anyOf": [{"type": "number", **number}, {"enum": list(specials)}]}


_SCALARS: dict[str, Schema] = {
    "smallint": {"type": "integer", "minimum": -(2**15), "maximum": 2**15 - 1},
    "integer": {"type": "integer", "format": "int32"},
    "bigint": {"type": "integer", "format": "int64"},
    "real": _with_specials("NaN", "Infinity", "-Infinity", format="float"),
    "double precision": _with_specials("NaN", "Infinity", "-Infinity", format="double"),
    "numeric": _with_specials("NaN", "Infinity", "-Infinity"),
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "uuid": {"type": "string", "format": "uuid"},
    "timestamp with time zone": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "bytea": {"type": "string", "description": "hexadecimal, after \\x"},
    "json": {},
    "jsonb": {},
    "record": {"type": "object"},
    "point": {"type": "string", "description": "(latitude,longitude) in degrees"},
    "vector": {"type": "string", "description": "[0.1,0.2,...]"},
}  # every other one, intervals and ranges among them, travels as its text form

_PRECISION = re.compile(r"\([0-9, ]*+\)")
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_FORMATS = {"email": "email", "url": "uri"}


def type_schema(sql: str) -> Schema:
    """The JSON form of a value of a type in PostgreSQL's spelling. Any item of an array may be null there.

    >>> type_schema("varchar(10)[]")
    {'type': 'array', 'items': {'type': ['string', 'null']}}
    """
    if sql.endswith("[]"):
        return {"type": "array", "items": nullable(type_schema(sql[:-2]))}
    return dict(_SCALARS.get(_PRECISION.sub("", sql), {"type": "string"}))


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    kind = schema.get("type")
    if kind is None:
        return schema
    widened = {**schema, "type": [kind, "null"]}
    if "enum" in schema:
        widened["enum"] = [*schema["enum"], None]
    return widened


def field_schema(field: Field, collection: Collection) -> Schema:
    """A field with its constraints. Null where the field is optional or masked by a rule of its own."""
    schema = type_schema(field.type.sql)
    if field.type.array:
        schema |= _given(minItems=field.min_length, maxItems=field.max_length)
    elif schema.get("type") == "string":
        schema |= _given(
            minLength=field.min_length,
            maxLength=field.max_length,
            pattern=field.pattern if _is_pattern(field.pattern) else None,
            format=_FORMATS.get(field.type.name),
            enum=list(field.values) or None,
        )
    elif schema.get("type") == "integer" or "anyOf" in schema:
        schema |= _given(minimum=_number(field.minimum), maximum=_number(field.maximum))
    if (not field.required and field.name not in collection.key) or field.read is not None:
        schema = nullable(schema)
    notes = [field.description] if field.description else []
    if field.name in collection.key:
        notes.append("Part of the key.")
    if field.references is not None and field.references.table != "auth.users":
        notes.append(f"The key of a record of {field.references.table}.")
    if field.read is not None:
        notes.append("Null for those who may not read it.")
    if notes:
        schema["description"] = " ".join(notes)
    if is_read_only(field):
        schema["readOnly"] = True
    return schema


def is_read_only(field: Field) -> bool:
    """Whether the server alone fills the field."""
    return field.managed or field.generated is not None


def computed_fields(collection: Collection, catalog: Catalog) -> Schema:
    """The fields that functions of the row give it, each with its schema."""
    return {
        function.name: nullable(type_schema(function.returns))
        | {"readOnly": True, "description": "Computed; name it in `select`."}
        for function in sorted(catalog.functions, key=lambda function: function.name)
        if function.computes and function.of == collection.name and function.volatility != "volatile"
    }


def row_schema(collection: Collection, computed: Schema | None = None) -> Schema:
    """A record as it goes out when every field was selected. computed: properties that go out when they are named."""
    return _described(
        {
            "type": "object",
            "properties": (computed or {})
            | {field.name: field_schema(field, collection) for field in collection.fields},
            "required": [field.name for field in collection.fields],
        },
        collection,
    )


def change_schema(collection: Collection) -> Schema:
    """What an update may set."""
    fields = [field for field in collection.fields if not is_read_only(field)]
    return {
        "type": "object",
        "properties": {field.name: field_schema(field, collection) for field in fields},
        "additionalProperties": False,
    }


def new_schema(collection: Collection) -> Schema:
    """What an insert may and must set: what is required and has no value of its own."""
    schema = change_schema(collection)
    required = [
        field.name
        for field in collection.fields
        if (field.required or field.name in collection.key)
        and field.default is None
        and not field.identity
        and not is_read_only(field)
    ]
    return {**schema, "required": required} if required else schema


def _described(schema: Schema, collection: Collection) -> Schema:
    return {"description": collection.description, **schema} if collection.description else schema


def _given(**entries: Any) -> Schema:
    return {name: value for name, value in entries.items() if value is not None}


def _number(text: str | None) -> int | float | None:
    if text is None or not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def _is_pattern(text: str | None) -> bool:
    """Whether PostgreSQL's expression can be one of JSON Schema's too, near enough."""
    if text is None or text.startswith("***") or "[[:" in text:
        return False
    try:
        re.compile(text)
    except re.error:
        return False
    return True
