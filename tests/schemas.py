"""Catalogs in a line or two, for tests of the schema."""

from __future__ import annotations

from typing import Any

from mbaas.core.schema.catalog import Catalog, Collection, Field, Reference
from mbaas.core.schema.types import parse_type


def field(
    name: str, type: str = "text", *, references: str | None = None, on_delete: str = "no action", **said: Any
) -> Field:
    """references: a collection, by its ``id``."""
    target = None if references is None else Reference(table=references, columns=("id",), on_delete=on_delete)  # type: ignore[arg-type]
    return Field(name=name, type=parse_type(type), references=target, **said)


def collection(name: str, *fields: Field, key: tuple[str, ...] = ("id",), **said: Any) -> Collection:
    """With a uuid ``id`` unless the key says otherwise."""
    own = (field("id", "uuid", default="gen_random_uuid()"),) if key == ("id",) and _lacks_id(fields) else ()
    return Collection(name=name, fields=(*own, *fields), key=key, **said)


def catalog(*collections: Collection, **said: Any) -> Catalog:
    return Catalog(collections={item.name: item for item in collections}, **said)


def _lacks_id(fields: tuple[Field, ...]) -> bool:
    return all(item.name != "id" for item in fields)


def no_policies(_: str) -> tuple[str, ...]:
    """For tests that are not about who may do what."""
    return ()
