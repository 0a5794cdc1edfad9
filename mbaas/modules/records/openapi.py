"""What a role can do with the collections and functions of a catalog, as an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from mbaas.core.identity import Role
from mbaas.core.plan.visible import visible
from mbaas.core.query.headers import content_type
from mbaas.core.query.types import Media
from mbaas.core.schema.catalog import Catalog, Collection, Function
from mbaas.modules.records.batch_openapi import ANSWERS, BODY
from mbaas.modules.records.json_schema import (
    Schema,
    change_schema,
    computed_fields,
    new_schema,
    row_schema,
    type_schema,
)

_ANY_REFUSAL = ("400", "401", "403", "404", "406", "409", "413", "422")
_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9._-]")


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
        "/rpc/" + quote(name, safe=""): _function_path(name, overloads, seen) for name, overloads in functions.items()
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
            "securitySchemes": _SECURITY,
            "schemas": {"error": _ERROR} | dict(_schemas(collections, seen)),
            "parameters": _PARAMETERS | dict(_field_parameters(collections)),
            "responses": _ERRORS,
        },
    }


# --- collections -----------------------------------------------------------------------------------------------------


def callable_functions(catalog: Catalog) -> Iterable[Function]:
    """Those behind ``/rpc``: what takes a row is a field or a relation of it."""
    return (function for function in catalog.functions if function.of is None)


def _schemas(collections: Iterable[Collection], catalog: Catalog) -> Iterable[tuple[str, Schema]]:
    for collection in collections:
        yield _key(collection.name), row_schema(collection, computed_fields(collection, catalog))
        yield _key(collection.name, "insert"), new_schema(collection)
        yield _key(collection.name, "update"), change_schema(collection)


def _field_parameters(collections: Iterable[Collection]) -> Iterable[tuple[str, Schema]]:
    for collection in collections:
        for field in collection.fields:
            yield (
                _key("filter", collection.name, field.name),
                {
                    "name": field.name,
                    "in": "query",
                    "description": "An operator and a value: eq.1, gte.1, like.*a*, in.(1,2), is.null, not.eq.1 ...",
                    "schema": {"type": "string"},
                },
            )


def _collection_path(collection: Collection, role: Role) -> Schema:
    filters = [_parameter(_key("filter", collection.name, field.name)) for field in collection.fields]
    logic = [_parameter("and"), _parameter("or")]
    row, rows = _schema(collection.name), {"type": "array", "items": _schema(collection.name)}
    operations: Schema = {
        "get": _operation(
            f"list_{collection.name}",
            f"Records of {collection.name}",
            collection.name,
            [_parameter(name) for name in ("select", "order", "limit", "offset", "range", "count", *_words(collection))]
            + logic
            + filters,
            {"200": _rows(rows, row), "206": _rows(rows, row)},
            ("400", "401", "403", "406", "416"),
        ),
        "post": _operation(
            f"insert_{collection.name}",
            f"Insert into {collection.name}, or upsert",
            collection.name,
            [_parameter(name) for name in ("select", "columns", "on_conflict", "write", "once")],
            {"200": _rows(rows, row), "201": _rows(rows, row)},
            ("400", "401", "403", "406", "409", "413", "422"),
            _insert_body(collection),
        ),
        "patch": _operation(
            f"update_{collection.name}",
            f"Update records of {collection.name}",
            collection.name,
            [_parameter(name) for name in ("select", "columns", "write", "once")] + logic + filters,
            {"200": _rows(rows, row), "204": {"description": "Updated"}},
            ("400", "401", "403", "406", "409", "413", "422"),
            {"required": True, "content": {"application/json": {"schema": _schema(collection.name, "update")}}},
        ),
        "delete": _operation(
            f"delete_{collection.name}",
            f"Delete records of {collection.name}",
            collection.name,
            [_parameter(name) for name in ("select", "write", "once")] + logic + filters,
            {"200": _rows(rows, row), "204": {"description": "Deleted"}},
            ("400", "401", "403", "406", "409", "422"),
        ),
    }
    rules = {"get": "select", "post": "insert", "patch": "update", "delete": "delete"}
    return {
        method: operation
        for method, operation in operations.items()
        if (role == "service_role" or getattr(collection.rules, rules[method]) is not None)
        and (method == "get" or not collection.view)
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
    one = _schema(collection.name, "insert")
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [one, {"type": "array", "items": one}]}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }


def _rows(rows: Schema, row: Schema) -> Schema:
    """An answer of rows in every form it can take."""
    return {
        "description": "Rows; none without ``Prefer: return=representation`` on a write",
        "headers": {
            "Content-Range": {
                "description": "First and last row, and the total if asked",
                "schema": {"type": "string"},
            },
            "Link": {"description": "With a cursor: the next page, rel=next", "schema": {"type": "string"}},
            "Preference-Applied": {"description": "What of Prefer was honoured", "schema": {"type": "string"}},
        },
        "content": {
            "application/json": {"schema": rows},
            _plain(Media(kind="object")): {"schema": row},
            "text/csv": {"schema": {"type": "string"}},
        },
    }


# --- functions -------------------------------------------------------------------------------------------------------


def _function_path(name: str, overloads: list[Function], catalog: Catalog) -> Schema:
    bodies = [_arguments(function) for function in overloads]
    answers: Schema = {}
    for function in overloads:
        answers |= _result(function, catalog)
    path: Schema = {
        "post": _operation(
            f"call_{name}",
            f"Call {name}",
            "functions",
            [_parameter(parameter) for parameter in ("select", "order", "limit", "offset", "count", "once")],
            answers,
            ("400", "401", "403", "404", "406", "409", "413", "422"),
            {"content": {"application/json": {"schema": bodies[0] if len(bodies) == 1 else {"anyOf": bodies}}}},
        )
    }
    if all(function.volatility != "volatile" for function in overloads):
        parameters = {
            argument.name: {
                "name": argument.name,
                "in": "query",
                "required": len(overloads) == 1 and not argument.optional,
                "schema": {"type": "string"},
                "description": f"{argument.type}, in PostgreSQL's text form",
            }
            for function in overloads
            for argument in function.arguments
        }
        path["get"] = _operation(
            f"read_{name}",
            f"Call {name}",
            "functions",
            list(parameters.values()),
            answers,
            ("400", "401", "403", "404", "406"),
        )
    return path


def _arguments(function: Function) -> Schema:
    return {
        "type": "object",
        "properties": {
            argument.name: type_schema(argument.type + "[]" * argument.variadic) for argument in function.arguments
        },
        "required": [argument.name for argument in function.arguments if not argument.optional],
        "additionalProperties": False,
    }


def _result(function: Function, catalog: Catalog) -> Schema:
    if function.returns == "void":
        return {"204": {"description": "Done"}}
    if function.collection is not None and function.collection in catalog.collections:
        one = _schema(function.collection)
    elif function.columns:
        one = {"type": "object", "properties": {name: type_schema(kind) for name, kind in function.columns}}
    elif function.composite:
        one = {"type": "object"}
    else:
        one = type_schema(function.returns)
    schema = {"type": "array", "items": one} if function.returns_set else one
    return {"200": {"description": "The result", "content": {"application/json": {"schema": schema}}}}


# --- several at once -------------------------------------------------------------------------------------------------


def _batch(info: Info) -> Schema:
    """At an address of its own: below that of ``/rest/v1`` it could be a collection's."""
    operation = _operation(
        "batch",
        "Several requests in one transaction, all or nothing",
        "batch",
        [_parameter("once")],
        ANSWERS,
        _ANY_REFUSAL,
        BODY,
    )
    return {**operation, "servers": [{"url": info.server.removesuffix("/rest/v1") + "/batch/v1"}]}


# --- what all share --------------------------------------------------------------------------------------------------


def _operation(
    name: str,
    summary: str,
    tag: str,
    parameters: list[Schema],
    answers: Schema,
    refusals: tuple[str, ...],
    body: Schema | None = None,
) -> Schema:
    operation: Schema = {"operationId": _key(name), "summary": summary, "tags": [tag], "parameters": parameters}
    if body is not None:
        operation["requestBody"] = body
    errors = {status: {"$ref": f"#/components/responses/{status}"} for status in (*refusals, "429", "503")}
    return {**operation, "responses": answers | errors}


def _key(*parts: str) -> str:
    """A component's name: of the characters that OpenAPI allows there."""
    return ".".join(_NOT_IN_A_KEY.sub("_", part) for part in parts)


def _schema(*parts: str) -> Schema:
    return {"$ref": f"#/components/schemas/{_key(*parts)}"}


def _parameter(key: str) -> Schema:
    return {"$ref": f"#/components/parameters/{key}"}


def _plain(media: Media) -> str:
    return content_type(media).decode().partition(";")[0]


def _query(name: str, description: str, kind: str = "string", **more: Any) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind, **more}}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


_SECURITY = {
    "apikey": {"type": "apiKey", "in": "header", "name": "apikey", "description": "The project's key; every request."},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A signed-in user's token."},
}

_PARAMETERS = {
    "select": _query("select", "Fields and embedded records: id,title,author(username),comments(count)"),
    "order": _query("order", "created_at.desc.nullslast,id"),
    "limit": _query("limit", "The most rows", "integer", minimum=0),
    "offset": _query("offset", "Rows to pass over", "integer", minimum=0),
    "cursor": _query("cursor", "Pages by place: * for the first; the Link header leads to the next"),
    "having": _query("having", "Of the keys of aggregates: sum.gt.10,count.lt.5"),
    "search": _query("search", 'Words of the searched fields, best first: fat cats, "fat cats", cats -dogs'),
    "near": _query("near", "The nearest vectors first: embedding.[0.1,0.2]"),
    "within": _query("within", "location.(52.5,13.4,1000m) around a place, or location.(52.3,13.1,52.7,13.8)"),
    "distance": _query("distance", "To what near or within names: lt.0.4"),
    "and": _query("and", "(views.gt.5,title.like.*a*)"),
    "or": _query("or", "(views.gt.5,and(title.like.*a*,slug.is.null))"),
    "columns": _query("columns", "The only fields taken from the body"),
    "on_conflict": _query("on_conflict", "The unique fields an upsert goes by"),
    "range": _header("Range", "A window of rows: 0-9"),
    "count": _header("Prefer", "count=exact puts the total into Content-Range"),
    "write": _header(
        "Prefer", "return=representation or minimal, resolution=merge-duplicates, missing=default, count=exact"
    ),
    "once": _header("Idempotency-Key", "The same request sent again with it is done once, and answered as it was"),
}

_ERROR: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "description": "PostgREST's code, or PostgreSQL's SQLSTATE"},
        "message": {"type": "string"},
        "details": {"description": "More of it: text, or a list of candidates"},
        "hint": {"type": ["string", "null"]},
    },
    "required": ["code", "message", "details", "hint"],
}

_ERRORS: Schema = {
    status: {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}},
    }
    for status, text in {
        "400": "The request makes no sense, or a value breaks a constraint",
        "401": "No key or token that holds, or an anonymous caller without the right",
        "403": "A rule refused it",
        "404": "There is no such thing",
        "406": "Not exactly one row, or a form we do not make",
        "409": "A unique value is taken, or a reference leads nowhere",
        "413": "The body is too long",
        "422": "The Idempotency-Key came before with another request",
        "416": "There is no such window of rows",
        "429": "Too many requests; see Retry-After",
        "503": "The database does not answer; see Retry-After",
    }.items()
}
