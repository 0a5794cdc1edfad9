"""What a field may not say of itself: limits that do not fit its type, or each other."""

from __future__ import annotations

from collections.abc import Iterator

from mbaas.config.inputs import FieldInput
from mbaas.core.schema.types import FieldType

_ORDERED = {"int", "bigint", "float", "numeric", "timestamptz", "date", "time", "interval"}


def faults(given: FieldInput, kind: FieldType) -> Iterator[tuple[str, str, str]]:
    """Key, message and hint of each fault."""
    spelling = kind.name + "[]" * kind.array
    if kind.name == "enum" and not given.values:
        yield "values", "an enum is one of its values", 'type = "enum", values = ["draft", "ready"]'
    if given.values and kind.name != "enum":
        yield "values", "belong to type enum", 'type = "enum"'
    if len(set(given.values)) < len(given.values):
        yield "values", "a value stands twice", "leave one out"
    defaults = given.default if isinstance(given.default, list) else [given.default]
    if kind.name == "enum" and any(isinstance(one, str) and one not in given.values for one in defaults):
        yield "default", "is none of the values", "one of " + ", ".join(given.values)
    for key, length in (("min_length", given.min_length), ("max_length", given.max_length)):
        if length is not None and not (kind.is_text or kind.array):
            yield key, f"a length does not fit type {spelling}", "min and max are for numbers and times"
        if length is not None and length < 0:
            yield key, "a length is 0 or more", f"{key} = 0"
    if given.min_length is not None and given.max_length is not None and given.min_length > given.max_length:
        yield "min_length", "is more than max_length", "exchange the two"
    if given.pattern is not None and not kind.is_text:
        yield "pattern", f"does not fit type {spelling}", 'type = "text"'
    if given.metric is not None and kind.name != "vector":
        yield "metric", f"does not fit type {spelling}", 'type = "vector(384)"'
    for key, value in (("min", given.min), ("max", given.max)):
        if value is not None and (kind.name not in _ORDERED or kind.array):
            yield key, f"does not fit type {spelling}", "min_length and max_length are for text and arrays"
    if isinstance(given.min, int | float) and isinstance(given.max, int | float) and given.min > given.max:
        yield "min", "is more than max", "exchange the two"
