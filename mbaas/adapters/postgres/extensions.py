"""Extensions that fields need: there before the first statement that names their types."""

from __future__ import annotations

from mbaas.adapters.postgres.session import open_session
from mbaas.core.errors import ConfigError, DatabaseError
from mbaas.core.schema.catalog import Catalog

_THERE = """
select extnamespace::regnamespace::text from pg_extension where extname = 'vector'
"""
_BY_HAND = "as its superuser: create extension vector schema public"


async def ensure_extensions(catalog: Catalog, url: str) -> None:
    """pgvector, when some field is a vector. url: of a user who may create it, where it is not there yet.

    Raises ConfigError with what to do when the server has it not.
    """
    wanting = [
        f"{collection.name}.{field.name}"
        for collection in catalog.collections.values()
        for field in collection.fields
        if field.type.name == "vector" and not collection.view
    ]
    if not wanting:
        return
    async with open_session(url) as session:
        schema = await session.fetch(_THERE)
        if schema is None:
            try:
                await session.execute("create extension if not exists vector schema public")
            except DatabaseError as error:
                raise ConfigError(
                    f"{wanting[0]} is a vector, which needs the extension pgvector: {error.message}",
                    hint=f"install pgvector on the database server, then {_BY_HAND}",
                ) from error
        elif schema != "public":
            raise ConfigError(
                f"{wanting[0]} is a vector, and the extension pgvector is in schema {schema}",
                hint="alter extension vector set schema public",
            )
