"""Views that the configuration names meet those of the database."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mbaas.core.errors import ConfigError
from mbaas.core.schema.catalog import Catalog, Collection, Field


def with_views(catalog: Catalog, found: Mapping[str, tuple[tuple[str, ...], Mapping[str, tuple[str, str]]]]) -> Catalog:
    """The catalog with what each view shows. found: by view, its columns and where they come from.

    Raises ConfigError for a view or a column that is not there, and for one that shows a field with a rule of its own
    without having one itself.
    """
    collections = dict(catalog.collections)
    for name, collection in catalog.collections.items():
        if collection.view:
            collections[name] = _seen(collection, found, catalog)
    return msgspec.structs.replace(catalog, collections=collections)


def _seen(
    view: Collection, found: Mapping[str, tuple[tuple[str, ...], Mapping[str, tuple[str, str]]]], catalog: Catalog
) -> Collection:
    if view.name not in found:
        raise ConfigError(
            f"collections.{view.name}: there is no view of that name",
            hint=f"make it in a script: migrations/0001_{view.name}.sql with `create view {view.name} as ...`",
        )
    columns, origins = found[view.name]
    for field in view.fields:
        if field.name not in columns:
            raise ConfigError(
                f"collections.{view.name}.fields.{field.name}: the view has no such column",
                hint="it has " + ", ".join(columns),
            )
        table, column = origins.get(field.name, ("", ""))
        shown = catalog.collections[table].field(column) if table in catalog.collections else None
        if not view.adopted and shown is not None and _guarded(shown) and not _guarded(field):
            raise ConfigError(
                f"collections.{view.name}.fields.{field.name}: shows {table}.{column}, which has a rule of its own",
                hint='say who may read it here: read = "...", or hidden = true',
            )
    return msgspec.structs.replace(view, origins=dict(origins))


def _guarded(field: Field) -> bool:
    return field.hidden or field.read is not None
