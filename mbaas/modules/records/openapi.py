"""What a role can do with the collections and functions of a catalog, as an OpenAPI 3.1 document."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

import msgspec

from mbaas.core.identity import Role
from mbaas.core.plan.visible import visible
from mbaas.core.schema.catalog import Catalog, Collection, Function
from mbaas.modules.records.json_schema import Schema, change_schema, computed_fields, new_schema, row_schema
from mbaas.modules.records.openapi_batch import ANSWERS, BODY
from mbaas.modules.records.openapi_components import (
    ERROR,
    ERRORS,
    PARAMETERS,
    SECURITY,
    filter_parameter,
    forms,
    key,
    key_parameter,
    operation,
    parameters_of,
    schema_of,
)
from mbaas.modules.records.openapi_functions import callable_functions, function_path

_READ = ("300", "400", "403", "404", "406", "416")
_WRITE = ("300", "400", "403", "404", "406", "409", "413", "416", "422")


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What the document says of the app. server: where ``/rest/v1`` is, absolute or a path."""

    title: str
    version: str = "1.0.0"
    description: str = ""
    server: str = "/rest/v1"


def openapi_bytes(catalog: Catalog, *, info: Info, role: Role) -> bytes:
    """``openapi_document`` as JSON."""
    return msgspec.json.encode(openapi_document(catalog, info=info, role=role))


def openapi_document(catalog: Catalog, *, info: Info, role: Role) -> Schema:
    """The whole document, holding nothing that the role may not reach.

    Whether a rule can hold for a caller at all is not asked: an operation is listed when there is one.
    """
    seen = visible(catalog, role)
    collections = sorted(seen.collections.values(), key=lambda collection: collection.name)
    functions: dict[str, list[Function]] = {}
    for function in sorted(callable_functions(seen), key=lambda function: function.name):
        functions.setdefault(function.name, []).append(function)
    paths = {"/" + quote(item.name, safe=""): _collection_path(item, role) for item in collections}
    paths |= {
        "/rpc/" + quote(name, safe=""): function_path(name, overloads, seen) for name, overloads in functions.items()
    }
    paths["/"] = {"post": _batch(info)}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {"title": info.title, "version": info.version}
        | ({"description": info.description} if info.description else {}),
        "servers": [{"url": info.server}],
        "security": [{"apikey": []}, {"apikey": [], "bearer": []}],
        "tags": [{"name": item.name} for item in collections]
        + ([{"name": "functions"}] if functions else [])
        + [{"name": "batch"}],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY,
            "schemas": {"error": ERROR} | dict(_schemas(collections, seen)),
            "parameters": PARAMETERS | dict(_field_parameters(collections)),
            "responses": ERRORS,
        },
    }


# --- collections -----------------------------------------------------------------------------------------------------


def _schemas(collections: Iterable[Collection], catalog: Catalog) -> Iterable[tuple[str, Schema]]:
    for collection in collections:
        yield key(collection.name), row_schema(collection, computed_fields(collection, catalog))
        yield key(collection.name, "insert"), new_schema(collection)
        yield key(collection.name, "update"), change_schema(collection)


def _field_parameters(collections: Iterable[Collection]) -> Iterable[tuple[str, Schema]]:
    for collection in collections:
        for field in collection.fields:
            yield key("filter", collection.name, field.name), filter_parameter(field.name)


def _collection_path(collection: Collection, role: Role) -> Schema:
    name = collection.name
    filters = ["and", "or", *(key("filter", name, field.name) for field in collection.fields)]
    answers = {"200": _rows(name)}
    operations: Schema = {
        "get": operation(
            f"list_{name}",
            f"Records of {name}",
            name,
            parameters_of(
                *("select", "order", "limit", "offset", *_words(collection), *filters, "range", "prefer_read")
            ),
            {"200": _rows(name, paged=True), "206": _rows(name, paged=True)},
            _READ,
        ),
        "post": operation(
            f"insert_{name}",
            f"Insert into {name}, or upsert",
            name,
            parameters_of("select", "columns", "on_conflict", "prefer_insert", "once"),
            answers | {"201": _rows(name)},
            _WRITE,
            _insert_body(collection),
        ),
        "put": operation(
            f"put_{name}",
            f"Insert or overwrite one record of {name}, whose key stands in both address and body",
            name,
            [*map(key_parameter, collection.key), *parameters_of("select", "columns", "prefer_put", "once")],
            answers | {"201": _rows(name), "204": {"description": "Overwritten"}},
            (*_WRITE, "405"),
            _json({"allOf": [schema_of(name, "insert"), {"required": list(collection.key)}]}),
        ),
        "patch": operation(
            f"update_{name}",
            f"Update records of {name}",
            name,
            parameters_of(*filters, "select", "columns", "prefer_change", "once"),
            answers | {"204": {"description": "Updated"}},
            _WRITE,
            _json(schema_of(name, "update")),
        ),
        "delete": operation(
            f"delete_{name}",
            f"Delete records of {name}",
            name,
            parameters_of(*filters, "select", "prefer_change", "once"),
            answers | {"204": {"description": "Deleted"}},
            tuple(status for status in _WRITE if status != "413"),
        ),
    }
    return {method: found for method, found in operations.items() if _is_open(collection, method, role)}


def _is_open(collection: Collection, method: str, role: Role) -> bool:
    if collection.view and method != "get":
        return False
    if method == "put" and not (
        collection.key and {field.name for field in collection.fields}.issuperset(collection.key)
    ):
        return False  # no key, or none that this caller may know
    rules = _RULES[method]
    return role == "service_role" or all(getattr(collection.rules, rule) is not None for rule in rules)


_RULES = {
    "get": ("select",),
    "post": ("insert",),
    "put": ("insert", "update"),
    "patch": ("update",),
    "delete": ("delete",),
}


def _words(collection: Collection) -> list[str]:
    """What beyond filters can be asked of it: a column of such a name takes the word's place."""
    types = {field.type.name for field in collection.fields if not field.type.array}
    words = {
        "cursor": bool(collection.key),
        "having": True,
        "search": collection.search is not None,
        "near": "vector" in types,
        "within": "point" in types,
        "distance": bool(types & {"vector", "point"}),
    }
    taken = {field.name for field in collection.fields}
    return [word for word, there in words.items() if there and word not in taken]


def _insert_body(collection: Collection) -> Schema:
    one = schema_of(collection.name, "insert")
    body = _json({"oneOf": [one, {"type": "array", "items": one}]})
    return {**body, "content": {**body["content"], "text/csv": {"schema": {"type": "string"}}}}


def _json(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _rows(name: str, *, paged: bool = False) -> Schema:
    """An answer of rows in every form it can take. paged: a list, not the outcome of a write."""
    headers = {"Content-Range": "First and last row, and the total if asked", "Preference-Applied": "What was honoured"}
    headers |= {"Link": "With a cursor: the next page, rel=next"} if paged else {}
    headers |= {} if paged else {"Location": "With return=headers-only: where the first new record is"}
    row = schema_of(name)
    return {
        "description": "Rows" if paged else "Rows with Prefer: return=representation, no body without",
        "headers": {
            header: {"description": text, "schema": {"type": "string"}} for header, text in sorted(headers.items())
        },
        "content": forms({"type": "array", "items": row}, row),
    }


# --- several at once -------------------------------------------------------------------------------------------------


def _batch(info: Info) -> Schema:
    """At an address of its own: below that of ``/rest/v1`` it could be a collection's."""
    found = operation(
        "batch",
        "Several requests in one transaction, all or nothing",
        "batch",
        parameters_of("once"),
        ANSWERS,
        ("300", "400", "403", "404", "405", "406", "409", "413", "416", "422"),
        BODY,
    )
    return {**found, "servers": [{"url": info.server.removesuffix("/rest/v1") + "/batch/v1"}]}
