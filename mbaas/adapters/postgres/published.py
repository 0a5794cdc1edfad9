"""The catalog that the last migration left in force, as all nodes of a server find it in the database."""

from __future__ import annotations

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.introspect import FoundView, read_functions, read_views
from mbaas.core.schema.catalog import Catalog, Function
from mbaas.core.sql.fragment import Statement

_MOMENT = Statement("""
select coalesce((select max(revision) from mbaas.catalogs), 0)::text,
    exists (
        select from mbaas.migrations
        where id > coalesce((select migration from mbaas.catalogs order by revision desc limit 1), 0)
            and state in ('running', 'applied') and started_at > now() - interval '10 minutes'
    )::text
""")
_LATEST = Statement("select revision::text, catalog from mbaas.catalogs order by revision desc limit 1")


class Moment(msgspec.Struct, frozen=True):
    """revision: of the catalog in force, 0 when none was published. migrating: one is to follow, as
    a migration has begun that has not led to one yet."""

    revision: int
    migrating: bool


class Published(msgspec.Struct, frozen=True):
    """catalog: as it was published. functions, views: its own, as PostgreSQL has them."""

    revision: int = 0
    catalog: Catalog = Catalog()
    functions: tuple[Function, ...] = ()
    views: dict[str, FoundView] = {}


def encode_catalog(catalog: Catalog) -> str:
    """The text that is published; equal for equal catalogs."""
    return msgspec.json.encode(catalog).decode()


async def read_moment(database: Database) -> Moment:
    """Cheap: asked every second by every node."""
    row = await database.fetch_row(_MOMENT)
    return Moment(int(row[0] or 0), row[1] == "true") if row else Moment(0, migrating=False)


async def read_published(database: Database) -> Published:
    """What is in force.

    Raises msgspec.MsgspecError when another version of this program published what this one does not understand.
    """
    row = await database.fetch_row(_LATEST)
    if row is None:
        return Published()
    catalog = msgspec.json.decode(row[1] or "{}", type=Catalog)
    functions = await read_functions(database, [function.name for function in catalog.functions])
    views = await read_views(database, [name for name, made in catalog.collections.items() if made.view])
    return Published(int(row[0] or 0), catalog, functions, views)
