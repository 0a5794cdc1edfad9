"""The casts a rule may use. ``CASTS`` is the whole list; ``core.rules`` refuses any other when it reads a rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from mbaas.core.errors import InvalidValue
from mbaas.core.expr.values import DAY_US, Day, Document, Instant, exact, inexact, json_text, typed, whole

_NUMBERS = frozenset({"integer", "bigint", "numeric", "double precision"})
_INSTANT, _TIME = "timestamp with time zone", "time without time zone"
# What it may become -> out of what; every type may be cast to itself.
CASTS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"integer", "bigint", "numeric", "boolean", "uuid", "date", "jsonb"}),
    "integer": _NUMBERS | {"text", "jsonb", "boolean"},
    "bigint": _NUMBERS | {"text", "jsonb"},
    "numeric": _NUMBERS | {"text", "jsonb"},
    "double precision": _NUMBERS | {"text", "jsonb"},
    "boolean": frozenset({"text", "integer", "jsonb"}),
    "uuid": frozenset({"text"}),
    "date": frozenset({"text", _INSTANT}),
    _INSTANT: frozenset({"text", "date"}),
    _TIME: frozenset({"text"}),
    "interval": frozenset({"text"}),
    "jsonb": frozenset({"text"}),
}


def cast(value: Any, kind: str) -> Any:
    """``value::kind``, of a value that ``typed`` made. Raises InvalidValue where PostgreSQL refuses it."""
    if value is None:
        return None
    if kind.endswith("[]"):
        return [cast(item, kind.removesuffix("[]")) for item in value]
    if kind == "text":
        return _text(value)
    if kind == "jsonb":
        return value if isinstance(value, Document) else _document(value)
    if isinstance(value, Document):
        return _scalar(value.value, kind)
    return _CONVERTED[kind](value) if kind in _CONVERTED else typed(value, kind) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, Document):
        return json_text(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Day):
        return _date_text(value)
    if isinstance(value, Decimal):
        return "NaN" if value.is_nan() else format(value, "f") if value.is_finite() else _infinite(value)
    return str(value)


def _infinite(value: Decimal) -> str:
    return "Infinity" if value > 0 else "-Infinity"


def _date_text(value: Day) -> str:
    if isinstance(value.number, float):
        return "infinity" if value.number > 0 else "-infinity"
    try:
        return date.fromordinal(value.number + date(1970, 1, 1).toordinal()).isoformat()
    except (OverflowError, ValueError):
        raise InvalidValue("date out of range") from None


def _document(text: str) -> Document:
    try:
        return Document(json.loads(text, parse_float=Decimal, parse_constant=_no_json))
    except (ValueError, RecursionError):
        raise InvalidValue("invalid input syntax for type json") from None


def _no_json(word: str) -> Any:
    raise ValueError(word)


def _scalar(value: Any, kind: str) -> Any:
    """Of jsonb: numbers to numbers, booleans to boolean, JSON's null to null."""
    if value is None:
        return None
    if isinstance(value, bool) is not (kind == "boolean") or not isinstance(value, bool | int | float | Decimal):
        raise InvalidValue(f"cannot cast this jsonb value to type {kind}")
    return value if kind == "boolean" else cast(exact(value), kind)


def _boolean(value: Any) -> Any:
    return typed(value, "boolean") if isinstance(value, str) else bool(value)


def _integer(value: Any) -> int:
    return whole(value, "integer")


def _date(value: Any) -> Any:
    if not isinstance(value, Instant):
        return typed(value, "date") if isinstance(value, str) else value
    return Day(value.us if isinstance(value.us, float) else value.us // DAY_US)


def _instant(value: Any) -> Any:
    if not isinstance(value, Day):
        return typed(value, _INSTANT) if isinstance(value, str) else value
    return Instant(value.number if isinstance(value.number, float) else value.number * DAY_US)


_CONVERTED: Mapping[str, Any] = {
    "boolean": _boolean,
    "integer": _integer,
    "bigint": whole,
    "numeric": exact,
    "double precision": inexact,
    "date": _date,
    _INSTANT: _instant,
}
