"""TOML values as SQL: what stands behind ``default``, ``min`` and ``max`` in a field."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any

import msgspec

from mbaas.core.schema.types import FieldType
from mbaas.core.sql.fragment import quote_text

_CALL = re.compile(r"^(?:[a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*\(\)$|^current_(?:date|time|timestamp)$")

_TIMES = {"datetime": {"timestamptz"}, "date": {"date", "timestamptz"}, "time": {"time"}}
EXAMPLES = {
    "int": "digits without quotes: 0",
    "bigint": "digits without quotes: 0",
    "float": "a number without quotes: 0.5",
    "numeric": 'a number: 0.5, or "0.50"',
    "bool": "true or false, without quotes",
    "timestamptz": '"now()", or 2026-01-31T12:00:00Z',
    "date": '"current_date", or 2026-01-31',
    "time": '"12:30:00"',
    "text": 'text in quotes, or { sql = "..." } for an expression',
    "email": "text in quotes",
    "url": "text in quotes",
    "enum": "one of the values, in quotes",
    "uuid": '"mbaas.uuidv7()", "auth.uid()" or one in quotes',
    "[]": '["...", "..."]',
}
"""How a value of a type is written, for hints."""


def default_sql(value: Any, type: FieldType) -> str:
    """The SQL expression of a default. Raises ValueError when the value does not fit the type.

    A string is a literal, but for types other than text one without arguments such as ``now()`` or ``auth.uid()`` is a
    call; ``{ sql = "..." }`` is any expression.

    >>> from mbaas.core.schema.types import parse_type
    >>> default_sql("now()", parse_type("timestamptz")), default_sql("now()", parse_type("text"))
    ('now()', "'now()'")
    """
    if isinstance(value, dict) and set(value) == {"sql"} and isinstance(value["sql"], str):
        return value["sql"]
    if type.is_json:
        return f"{quote_text(msgspec.json.encode(value).decode())}::jsonb"
    if isinstance(value, str) and not type.is_text and _CALL.match(value):
        return value
    if type.array:
        if not isinstance(value, list):
            raise ValueError("an array's default is an array")
        return f"{quote_text(_array(value))}::{type.sql}"
    if isinstance(value, list | dict):
        raise ValueError(f"a default of type {type.name} is no {'array' if isinstance(value, list) else 'table'}")
    return literal_sql(value, type)


def literal_sql(value: Any, type: FieldType) -> str:
    """One value as a literal of the type. Raises ValueError when it cannot be one."""
    number = type.name in {"int", "bigint", "float", "numeric"}
    if isinstance(value, bool):
        if type.name != "bool":
            raise ValueError(f"true and false are not of type {type.name}")
        return str(value).lower()
    if isinstance(value, int | float):
        if not number:
            raise ValueError(f"a number is not of type {type.name}")
        if isinstance(value, float) and type.name in {"int", "bigint"}:
            raise ValueError(f"{value} is no whole number")
        return repr(value) if math.isfinite(value) else f"'{value}'::{type.sql}"
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        if type.name not in _TIMES.get(value.__class__.__name__, set()):
            raise ValueError(f"a date or time is not of type {type.name}")
        return f"{quote_text(value.isoformat())}::{type.sql}"
    if type.name == "bool" or (number and not re.fullmatch(r"-?\d+(\.\d+)?", str(value))):
        raise ValueError(f"{value!r} is not of type {type.name}")
    return quote_text(str(value)) if type.is_text else f"{quote_text(str(value))}::{type.sql}"


def bound_text(value: Any, type: FieldType) -> str:
    """The text of a limit, for the check to cast. Raises ValueError when it cannot be one.

    >>> from mbaas.core.schema.types import parse_type
    >>> bound_text(datetime.date(2026, 1, 31), parse_type("date")), bound_text(3, parse_type("int"))
    ('2026-01-31', '3')
    """
    literal_sql(value, type)
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def _array(values: list[Any]) -> str:
    """PostgreSQL's array literal, every element quoted."""

    def element(item: Any) -> str:
        if isinstance(item, list):
            return _array(item)
        text = str(item).lower() if isinstance(item, bool) else str(item)
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "{" + ",".join(element(item) for item in values) + "}"
