"""What of a catalog one role may know: the schema as that caller would describe it."""

from __future__ import annotations

import msgspec

from mbaas.core.identity import Role
from mbaas.core.schema.catalog import Catalog


def visible(catalog: Catalog, role: Role) -> Catalog:
    """The catalog without what does not exist for a role.

    The service key sees all. For others hidden fields are gone, and foreign keys over them with these; so are
    collections of which no operation has a rule, and functions the role may not execute. What is adopted is there for
    everybody: the database says who may do what with it.
    """
    if role == "service_role":
        named = {
            name: msgspec.structs.replace(collection, fields=collection.named_fields)
            for name, collection in catalog.collections.items()
        }
        return Catalog(collections=named, functions=catalog.functions)
    collections = {
        name: msgspec.structs.replace(
            collection, fields=tuple(field for field in collection.named_fields if not field.hidden)
        )
        for name, collection in catalog.collections.items()
        if collection.adopted
        or any(
            rule is not None
            for rule in (
                collection.rules.select,
                collection.rules.insert,
                collection.rules.update,
                collection.rules.delete,
            )
        )
    }
    functions = tuple(function for function in catalog.functions if role in function.execute)
    return Catalog(collections=collections, functions=functions)
