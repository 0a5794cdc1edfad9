"""What the OpenAPI document says of ``/rpc``."""

from __future__ import annotations

from collections.abc import Iterable

from mbaas.core.schema.catalog import Catalog, Function
from mbaas.modules.records.json_schema import Schema, nullable, type_schema
from mbaas.modules.records.openapi_components import forms, operation, parameters_of, refusal, schema_of

_RAW = {"text": ("text/plain", {"type": "string"}), "bytea": ("application/octet-stream", {})}
_REFUSALS = ("400", "403", "404", "406", "416")
_RAISED = refusal("What the function raised: the status is its own to choose")


def callable_functions(catalog: Catalog) -> Iterable[Function]:
    """Those behind ``/rpc``: what takes a row is a field or a relation of it."""
    return (function for function in catalog.functions if function.of is None)


def function_path(name: str, overloads: list[Function], catalog: Catalog) -> Schema:
    """Both ways to call it: a GET only where none of them writes."""
    answers: Schema = {}
    for function in overloads:
        answers |= _result(function, catalog)
    several = ("300",) if len(overloads) > 1 or any(function.composite for function in overloads) else ()
    words = _words(overloads)
    path: Schema = {
        "post": operation(
            f"call_{name}",
            f"Call {name}",
            "functions",
            parameters_of(*words, "prefer_call", "once"),
            {"204": {"description": "Done; always with ``Prefer: return=minimal``"}} | answers | {"default": _RAISED},
            (*_REFUSALS, *several, "409", "413", "422"),
            _body(overloads),
        )
    }
    named = all(argument.name for function in overloads for argument in function.arguments)
    if named and all(function.volatility != "volatile" for function in overloads):
        arguments = {
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
        path["get"] = operation(
            f"read_{name}",
            f"Call {name}",
            "functions",
            [*arguments.values(), *parameters_of(*(word for word in words if word not in arguments), "prefer_read")],
            answers | {"default": _RAISED},
            (*_REFUSALS, *several),
        )
    return path


def _words(overloads: list[Function]) -> list[str]:
    """What can be asked of a result that has rows."""
    return ["select", "order", "limit", "offset"] if any(one.composite or one.returns_set for one in overloads) else []


def _body(overloads: list[Function]) -> Schema:
    raw = [one.arguments[0].type for one in overloads if len(one.arguments) == 1 and not one.arguments[0].name]
    named = [_arguments(one) for one in overloads if all(argument.name for argument in one.arguments)]
    named += [type_schema(kind) for kind in raw if kind not in _RAW]
    content: Schema = {kind: {"schema": schema} for kind, schema in (_RAW[one] for one in raw if one in _RAW)}
    if named:
        content["application/json"] = {"schema": named[0] if len(named) == 1 else {"anyOf": named}}
    return {"content": content}


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
    """Any value may be null: PostgreSQL does not say which cannot."""
    if function.returns == "void":
        return {"204": {"description": "Done"}}
    if function.collection is not None and function.collection in catalog.collections:
        one = schema_of(function.collection)
    elif function.columns:
        columns = {name: nullable(type_schema(kind)) for name, kind in function.columns}
        one = {"type": "object", "properties": columns}
    elif function.composite:
        one = {"type": "object"}
    else:
        one = nullable(type_schema(function.returns))
    none = {"anyOf": [one, {"type": "null"}]} if function.composite else one
    schema = {"type": "array", "items": one} if function.returns_set else none
    rows = function.composite or function.returns_set
    content = forms(schema, none) if rows else {"application/json": {"schema": schema}}
    return {"200": {"description": "The result", "content": content}}
