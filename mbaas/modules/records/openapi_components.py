"""What the operations of the OpenAPI document share: parameters, errors, and how an operation is put together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mbaas.core.query.filters import OPERATORS
from mbaas.core.query.headers import content_type
from mbaas.core.query.parse import EMBEDDABLE, WHOLE
from mbaas.core.query.types import Media
from mbaas.modules.records.json_schema import Schema

_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9._-]")
_BARE = re.compile(r"[A-Za-z0-9_$]+", re.ASCII)
_EVERYWHERE = ("401", "414", "429", "500", "503")


def operation(
    name: str,
    summary: str,
    tag: str,
    parameters: list[Schema],
    answers: Schema,
    refusals: tuple[str, ...],
    body: Schema | None = None,
) -> Schema:
    """An operation with what it answers and the statuses it refuses with, beside those that any may be refused with."""
    found: Schema = {"operationId": key(name), "summary": summary, "tags": [tag], "parameters": parameters}
    if body is not None:
        found["requestBody"] = body
    errors = {status: {"$ref": f"#/components/responses/{status}"} for status in sorted({*refusals, *_EVERYWHERE})}
    return {**found, "responses": answers | errors}


def key(*parts: str) -> str:
    """A component's name: of the characters that OpenAPI allows there."""
    return ".".join(_NOT_IN_A_KEY.sub("_", part) for part in parts)


def schema_of(*parts: str) -> Schema:
    return {"$ref": f"#/components/schemas/{key(*parts)}"}


def parameters_of(*keys: str) -> list[Schema]:
    return [{"$ref": f"#/components/parameters/{one}"} for one in keys]


def filter_parameter(name: str) -> Schema:
    """A condition on a field."""
    text = "An operator and a value: eq.1, gte.1, like.*a*, in.(1,2), is.null, not.eq.1 ..."
    return _query(_bare(name), text, pattern=_CONDITION)


def key_parameter(name: str) -> Schema:
    """The value of a field of the key."""
    return {**_query(_bare(name), "eq. and the value", pattern=r"^eq\."), "required": True}


def _bare(name: str) -> str:
    """A field's name as a parameter. In quotes, a name is never one of the words."""
    if _BARE.fullmatch(name) and name not in WHOLE | EMBEDDABLE:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def forms(rows: Schema, row: Schema | None = None) -> Schema:
    """Content in every form that rows can take. row: what there is when one alone is asked for."""
    return {
        "application/json": {"schema": rows},
        _plain(Media(kind="object")): {"schema": rows if row is None else row},
        "text/csv": {"schema": {"type": "string"}},
    }


def _plain(media: Media) -> str:
    return content_type(media).decode().partition(";")[0]


def _query(name: str, description: str, kind: str = "string", **more: Any) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind, **more}}


def _header(name: str, description: str, **more: Any) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **more}}


def _prefer(*values: str, most: bool = False) -> Schema:
    """``Prefer`` with the values that say something there. most: ``max-affected`` too."""
    known: Schema = {"enum": [*values, "handling=strict", "handling=lenient"]}
    items = {"anyOf": [known, {"type": "string", "pattern": "^max-affected=[0-9]{1,18}$"}]} if most else known
    return {
        "name": "Prefer",
        "in": "header",
        "description": "How it shall be done; with handling=strict what nobody knows is refused",
        "style": "simple",
        "schema": {"type": "array", "items": items, "uniqueItems": True},
    }


_CONDITION = rf"^(not\.)?({'|'.join(sorted(OPERATORS))})(\([A-Za-z0-9_ $]+\))?\."
_TREE = r"^\(.+\)$"
_COUNT = ("count=exact", "count=planned", "count=estimated")
_RETURN = ("return=representation", "return=minimal")
_ENDS = ("tx=commit", "tx=rollback")

SECURITY: Schema = {
    "apikey": {"type": "apiKey", "in": "header", "name": "apikey", "description": "The project's key; every request."},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A signed-in user's token."},
}

PARAMETERS: Schema = {
    "select": _query("select", "Fields and embedded records: id,title,author(username),comments(count)"),
    "order": _query("order", "created_at.desc.nullslast,id"),
    "limit": _query("limit", "The most rows", "integer", minimum=0),
    "offset": _query("offset", "Rows to pass over; below zero is none", "integer"),
    "cursor": _query("cursor", "Pages by place: * for the first; the Link header leads to the next"),
    "having": _query("having", "Of the keys of aggregates: sum.gt.10,count.lt.5"),
    "search": _query("search", 'Words of the searched fields, best first: fat cats, "fat cats", cats -dogs'),
    "near": _query("near", "The nearest vectors first: embedding.[0.1,0.2]"),
    "within": _query("within", "location.(52.5,13.4,1000m) around a place, or location.(52.3,13.1,52.7,13.8)"),
    "distance": _query("distance", "To what near or within names: lt.0.4"),
    "and": _query("and", "(views.gt.5,title.like.*a*)", pattern=_TREE),
    "or": _query("or", "(views.gt.5,and(title.like.*a*,slug.is.null))", pattern=_TREE),
    "columns": _query("columns", "The only fields taken from the body"),
    "on_conflict": _query("on_conflict", "The unique fields an upsert goes by"),
    "range": _header("Range", "A window of rows: 0-9, 10-", pattern="^[0-9]{1,18}-[0-9]{0,18}$"),
    "prefer_read": _prefer(*_COUNT),
    "prefer_insert": _prefer(
        *_RETURN,
        "return=headers-only",
        "resolution=merge-duplicates",
        "resolution=ignore-duplicates",
        "missing=default",
        "missing=null",
        "count=exact",
        *_ENDS,
    ),
    "prefer_put": _prefer(*_RETURN, "count=exact", *_ENDS),
    "prefer_change": _prefer(*_RETURN, "count=exact", *_ENDS, most=True),
    "prefer_call": _prefer("return=minimal", "count=exact", *_ENDS, most=True),
    "once": _header(
        "Idempotency-Key",
        "The same request sent again with it is done once, and answered as it was",
        maxLength=255,
        pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
    ),
}

ERROR: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "description": "PostgREST's code, or PostgreSQL's SQLSTATE"},
        "message": {"type": "string"},
        "details": {"description": "More of it: text, or a list of candidates"},
        "hint": {"type": ["string", "null"]},
        "operation": {
            "type": "object",
            "description": "Of a batch: which one failed",
            "properties": {"index": {"type": "integer"}, "id": {"type": "string"}},
            "required": ["index", "id"],
        },
    },
    "required": ["code", "message", "details", "hint"],
}

_RETRY_AFTER: Schema = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
_HEADERS: dict[str, Schema] = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}}},
    "416": {"Content-Range": {"description": "*/total", "schema": {"type": "string"}}},
    "429": _RETRY_AFTER,
    "503": _RETRY_AFTER,
}


def refusal(description: str, headers: Schema | None = None) -> Schema:
    """An answer that is an error."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}
    return {"description": description, **({"headers": headers} if headers else {}), "content": content}


def refusals(texts: Iterable[tuple[str, str]]) -> Schema:
    return {status: refusal(text, _HEADERS.get(status)) for status, text in texts}


ERRORS: Schema = refusals(
    (
        ("300", "Several relationships, or several functions, fit: details and hint say how to choose"),
        ("400", "The request makes no sense, or a value breaks a constraint"),
        ("401", "No key or token that holds, or an anonymous caller without the right"),
        ("403", "A rule refused it"),
        ("404", "There is no such thing, or no such operator for its type"),
        ("405", "The address does not name one record by its whole key"),
        ("406", "Not exactly one row, or a form we do not make"),
        ("409", "A unique value is taken, or a reference leads nowhere"),
        ("413", "The body is too long"),
        ("414", "The address is too long"),
        ("416", "There is no such window of rows"),
        ("422", "The Idempotency-Key came before with another request"),
        ("429", "Too many requests"),
        ("500", "Something went wrong on the server, or took too long"),
        ("503", "The server is busy, or the database does not answer"),
    )
)
