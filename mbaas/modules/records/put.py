"""PUT: one whole record at the address of its key. An upsert whose filters and body must agree."""

from __future__ import annotations

from typing import Any

import msgspec

from mbaas.core.query.errors import PutInvalid, PutMismatch, PutWindow
from mbaas.core.query.types import Condition, InsertQuery, Payload, ReadParts
from mbaas.core.schema.catalog import Collection


def check_put(collection: Collection, parts: ReadParts, payload: Payload) -> None:
    """The filters name the whole key by ``eq`` and nothing else, and the one record of the body has that key.

    Raises PutInvalid, PutWindow, PutMismatch.
    """
    if () in parts.windows:
        raise PutWindow()
    wanted: dict[str, str] = {}
    for path, one in parts.filters:
        if path:
            continue
        plain = isinstance(one, Condition) and one.operator == "eq" and not (one.negated or one.quantifier)
        if not plain or not isinstance(one, Condition) or one.path.steps or not isinstance(one.value, str):
            raise PutInvalid()
        wanted[one.path.name] = one.value
    if not collection.key or wanted.keys() != set(collection.key):
        raise PutInvalid()
    records = msgspec.json.decode(payload.text)
    if len(records) != 1 or any(_text(records[0].get(name)) != value for name, value in wanted.items()):
        raise PutMismatch()


def put_query(name: str, payload: Payload, **outward: Any) -> InsertQuery:
    """The same as an upsert. ``outward``: parts, preferences and media of the request."""
    preferences = msgspec.structs.replace(outward.pop("preferences"), resolution="merge-duplicates")
    return InsertQuery(
        collection=name, payload=payload.text, columns=payload.columns, preferences=preferences, **outward
    )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
