"""Stand-in until the real one is merged."""

from __future__ import annotations

import msgspec

from mbaas.core.errors import QueryError
from mbaas.core.schema.catalog import Catalog


class Junction(msgspec.Struct, frozen=True, kw_only=True):
    collection: str
    source_columns: tuple[tuple[str, str], ...]  # (source, junction)
    target_columns: tuple[tuple[str, str], ...]  # (junction, target)


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    source: str
    target: str
    many: bool
    columns: tuple[tuple[str, str], ...] = ()  # (source, target)
    junction: Junction | None = None


def find_relation(catalog: Catalog, source: str, target: str, hint: str | None = None) -> Relation:
    here = catalog.collections[source]
    for key in here.foreign_keys:
        if key.reference.table == target or target in (key.name, key.columns[0]):
            return Relation(
                name=key.name,
                source=source,
                target=key.reference.table,
                many=False,
                columns=tuple(zip(key.columns, key.reference.columns, strict=True)),
            )
    there = catalog.collections.get(target)
    if there is not None:
        for key in there.foreign_keys:
            if key.reference.table == source:
                return Relation(
                    name=key.name,
                    source=source,
                    target=target,
                    many=key.columns not in there.unique_sets,
                    columns=tuple(zip(key.reference.columns, key.columns, strict=True)),
                )
        for junction in catalog.collections.values():
            a = next((k for k in junction.foreign_keys if k.reference.table == source), None)
            b = next((k for k in junction.foreign_keys if k.reference.table == target and k != a), None)
            if a and b:
                return Relation(
                    name=junction.name,
                    source=source,
                    target=target,
                    many=True,
                    junction=Junction(
                        collection=junction.name,
                        source_columns=tuple(zip(a.reference.columns, a.columns, strict=True)),
                        target_columns=tuple(zip(b.columns, b.reference.columns, strict=True)),
                    ),
                )
    raise QueryError(f"Could not find a relationship between '{source}' and '{target}' in the schema cache")
