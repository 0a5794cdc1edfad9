"""What a role can do, as the OpenAPI 2.0 document that PostgREST gives at its root and tools for it read.

Names of definitions and parameters, the ``<pk/>`` and ``<fk/>`` marks in descriptions and the formats, which are
PostgreSQL's own names of types, are what those tools go by.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from mbaas.core.identity import Role
from mbaas.core.plan.visible import visible
from mbaas.core.query.headers import content_type
from mbaas.core.query.types import Media
from mbaas.core.schema.catalog import Catalog, Collection, Field, Function, Operation
from mbaas.modules.records.json_schema import Schema, field_schema, type_schema
from mbaas.modules.records.openapi import Info
from mbaas.modules.records.openapi_functions import callable_functions

_FORMS = [
    content_type(media).removesuffix(b"; charset=utf-8").decode()
    for media in (Media(), Media(kind="object", stripped=True), Media(kind="object"), Media(kind="csv"))
]
_SCHEMA_KEYS = ("type", "items", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")


def swagger_bytes(catalog: Catalog, *, info: Info, role: Role) -> bytes:
    """``swagger_document`` as JSON."""
    return msgspec.json.encode(swagger_document(catalog, info=info, role=role))


def swagger_document(catalog: Catalog, *, info: Info, role: Role) -> Schema:
    """The whole document, holding nothing that the role may not reach. info.server: where ``/rest/v1`` is."""
    seen = visible(catalog, role)
    collections = sorted(seen.collections.values(), key=lambda collection: collection.name)
    functions: dict[str, list[Function]] = {}
    for function in sorted(callable_functions(seen), key=lambda function: function.name):
        functions.setdefault(function.name, []).append(function)
    place = urlsplit(info.server)
    paths: Schema = {"/": {"get": _ROOT}}
    paths |= {f"/{collection.name}": _collection_path(collection, role) for collection in collections}
    paths |= {f"/rpc/{name}": _function_path(overloads) for name, overloads in functions.items()}
    return {
        "swagger": "2.0",
        "info": {"title": info.title, "description": info.description, "version": info.version},
        **({"host": place.netloc, "schemes": [place.scheme]} if place.netloc else {}),
        "basePath": place.path or "/",
        "consumes": _FORMS,
        "produces": _FORMS,
        "securityDefinitions": _SECURITY,
        "security": [{"apikey": []}, {"apikey": [], "bearer": []}],
        "paths": paths,
        "definitions": {collection.name: _definition(collection, seen) for collection in collections},
        "parameters": _PARAMETERS | {name: item for one in collections for name, item in _own_parameters(one).items()},
    }


# --- collections -----------------------------------------------------------------------------------------------------


def _definition(collection: Collection, catalog: Catalog) -> Schema:
    required = [field.name for field in collection.fields if field.required or field.name in collection.key]
    return {
        **({"description": collection.description} if collection.description else {}),
        **({"required": required} if required else {}),
        "properties": {field.name: _property(field, collection, catalog) for field in collection.fields},
        "type": "object",
    }


def _property(field: Field, collection: Collection, catalog: Catalog) -> Schema:
    notes = []
    if field.name in collection.key:
        notes.append("This is a Primary Key.<pk/>")
    reference = field.references
    if reference is not None and reference.table in catalog.collections:
        target = catalog.collections[reference.table]
        column = (reference.columns or target.key)[0]
        notes.append(f"This is a Foreign Key to `{target.name}.{column}`.<fk table='{target.name}' column='{column}'/>")
    about = [field.description] if field.description else []
    about += ["Note:\n" + "\n".join(notes)] if notes else []
    full = field_schema(field, collection)
    schema = _v2(full) | {"format": field.type.sql}
    if about:
        schema["description"] = "\n\n".join(about)
    if full.get("readOnly") and field.name not in collection.key and not field.required:
        schema["readOnly"] = True
    return schema


def _v2(schema: Schema) -> Schema:
    """A JSON Schema as far as OpenAPI 2.0 goes: it has neither null nor alternatives."""
    schema = {**schema.get("anyOf", [{}])[0], **schema}
    found = {key: schema[key] for key in _SCHEMA_KEYS if key in schema}
    if isinstance(found.get("type"), list):
        found["type"] = found["type"][0]
    if "items" in found:
        found["items"] = _v2(found["items"])
    if "enum" in found:
        found["enum"] = [value for value in found["enum"] if value is not None]
    return found


def _own_parameters(collection: Collection) -> Schema:
    name = collection.name
    body = {
        "name": name,
        "description": name,
        "required": False,
        "in": "body",
        "schema": {"$ref": f"#/definitions/{_pointer(name)}"},
    }
    return {f"body.{name}": body} | {
        f"rowFilter.{name}.{field.name}": {"name": field.name, "required": False, "in": "query", "type": "string"}
        for field in collection.fields
    }


def _collection_path(collection: Collection, role: Role) -> Schema:
    name = collection.name
    filters = [f"rowFilter.{name}.{field.name}" for field in collection.fields]
    rows = {"type": "array", "items": {"$ref": f"#/definitions/{_pointer(name)}"}}
    window = ["select", "order", "range", "rangeUnit", "offset", "limit", "preferCount"]
    operations: dict[str, tuple[Operation, list[str], Schema]] = {
        "get": (
            "select",
            [*filters, *window],
            {"200": {"description": "OK", "schema": rows}, "206": {"description": "Partial Content"}},
        ),
        "post": ("insert", [f"body.{name}", "select", "on_conflict", "preferPost"], _done("201", "Created")),
        "delete": ("delete", [*filters, "preferReturn"], _done("204", "No Content")),
        "patch": ("update", [*filters, f"body.{name}", "preferReturn"], _done("204", "No Content")),
    }
    return {
        method: {
            "tags": [name],
            **({"summary": collection.description} if collection.description else {}),
            "parameters": [{"$ref": f"#/parameters/{_pointer(parameter)}"} for parameter in parameters],
            "responses": answers,
        }
        for method, (operation, parameters, answers) in operations.items()
        if (role == "service_role" or collection.rules.of(operation) is not None)
        and (method == "get" or not collection.view)
    }


# --- functions -------------------------------------------------------------------------------------------------------


def _function_path(overloads: list[Function]) -> Schema:
    """Of several signatures the one with the most arguments: the document has room for one."""
    function = max(overloads, key=lambda function: len(function.arguments))
    needed = [argument.name for argument in function.arguments if argument.name and not argument.optional]
    types = {
        argument.name: _v2(type_schema(argument.type + "[]" * argument.variadic)) | {"format": argument.type}
        for argument in function.arguments
        if argument.name
    }
    arguments = {"type": "object", "properties": types, **({"required": needed} if needed else {})}
    tags = [f"(rpc) {function.name}"]
    path: Schema = {
        "post": {
            "tags": tags,
            "parameters": [{"required": True, "name": "args", "in": "body", "schema": arguments}],
            "responses": _done("200", "OK"),
        }
    }
    if function.volatility != "volatile":
        path["get"] = {
            "tags": tags,
            "parameters": [
                {"name": name, "required": name in needed, "in": "query", **_in_query(schema)}
                for name, schema in types.items()
            ],
            "responses": _done("200", "OK"),
        }
    return path


def _in_query(schema: Schema) -> Schema:
    """In a query string everything that is no list of scalars is text."""
    return schema if schema.get("type", "object") != "object" else schema | {"type": "string"}


# --- what all share --------------------------------------------------------------------------------------------------


def _done(status: str, description: str) -> Schema:
    return {status: {"description": description}}


def _pointer(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901) in a URI fragment."""
    return quote(name.replace("~", "~0").replace("/", "~1"), safe="~")


def _parameter(name: str, description: str, place: str = "query", **more: Any) -> Schema:
    return {"name": name, "description": description, "required": False, "in": place, "type": "string", **more}


_ROOT: Schema = {
    "tags": ["Introspection"],
    "summary": "OpenAPI description (this document)",
    "produces": ["application/openapi+json", "application/json"],
    "responses": {"200": {"description": "OK"}},
}

_SECURITY: Schema = {
    "apikey": {"type": "apiKey", "in": "header", "name": "apikey", "description": "The project's key; every request."},
    "bearer": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Bearer` and a signed-in user's token.",
    },
}

_PARAMETERS: Schema = {
    "preferReturn": _parameter(
        "Prefer", "Preference", "header", enum=["return=representation", "return=minimal", "return=none"]
    ),
    "preferCount": _parameter(
        "Prefer", "Preference", "header", enum=["count=exact", "count=planned", "count=estimated"]
    ),
    "preferPost": _parameter(
        "Prefer",
        "Preference",
        "header",
        enum=[
            "return=representation",
            "return=minimal",
            "return=none",
            "resolution=ignore-duplicates",
            "resolution=merge-duplicates",
        ],
    ),
    "select": _parameter("select", "Filtering Columns"),
    "on_conflict": _parameter("on_conflict", "On Conflict"),
    "order": _parameter("order", "Ordering"),
    "range": _parameter("Range", "Limiting and Pagination", "header"),
    "rangeUnit": _parameter("Range-Unit", "Limiting and Pagination", "header", default="items"),
    "offset": _parameter("offset", "Limiting and Pagination"),
    "limit": _parameter("limit", "Limiting and Pagination"),
}
