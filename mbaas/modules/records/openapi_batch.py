"""What the description of the API says of ``/batch/v1``."""

from __future__ import annotations

from mbaas.core.batch.operations import HEADERS
from mbaas.modules.records.json_schema import Schema
from mbaas.modules.records.openapi_components import refusal

_ID: Schema = {"type": "string", "description": "How later operations refer to it; its position when left out"}
_OPERATION: Schema = {
    "type": "object",
    "properties": {
        "id": {**_ID, "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,63}$"},
        "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
        "path": {"type": "string", "description": "Below /rest/v1: /posts?id=eq.{post.0.id}", "pattern": "^/"},
        "headers": {
            "type": "object",
            "description": "Of " + ", ".join(sorted(HEADERS)),
            "additionalProperties": {"type": "string"},
        },
        "body": {"description": 'JSON; {"$ref": "post.0.id"} in it stands for a value of an earlier answer'},
    },
    "required": ["method", "path"],
    "additionalProperties": False,
}
_RESULT: Schema = {
    "type": "object",
    "properties": {
        "id": _ID,
        "status": {"type": "integer"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {"description": "JSON, any other form as a text, null for none"},
    },
    "required": ["id", "status", "headers", "body"],
}


def _list_of(name: str, items: Schema) -> Schema:
    schema = {"type": "object", "properties": {name: {"type": "array", "items": items}}, "required": [name]}
    return {"application/json": {"schema": schema}}


BODY: Schema = {"required": True, "content": _list_of("operations", _OPERATION)}
ANSWERS: Schema = {
    "200": {"description": "What each answered, in order", "content": _list_of("results", _RESULT)},
    "default": refusal("What a function raised: the status is its own to choose"),
}
