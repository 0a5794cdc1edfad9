"""A function call meets the catalog: the one function of that name that takes these arguments."""

from __future__ import annotations

import msgspec

from mbaas.core.errors import InvalidValue
from mbaas.core.plan.names import perhaps, result_columns
from mbaas.core.plan.resolve import Resolver, least
from mbaas.core.plan.types import Answer, CallPlan, ReadPlan
from mbaas.core.plan.writes import max_affected
from mbaas.core.query.errors import AmbiguousFunction, MaxAffectedUnsupported, UnknownFunction
from mbaas.core.query.types import CallQuery, Window
from mbaas.core.schema.catalog import Argument, Function

_UNNAMED = {"json": ("json", "jsonb"), "text": ("text",), "bytes": ("bytea",)}
_JSON = ("json", "jsonb")


def resolve_call(query: CallQuery, resolver: Resolver) -> CallPlan:
    """Raises UnknownFunction, AmbiguousFunction, and what reading its rows may."""
    functions = [function for function in resolver.names.catalog.functions if function.name == query.function]
    found, raw = _choose(query, functions, resolver)
    limit = max_affected(query.preferences)
    if limit is not None and not found.returns_set:
        raise MaxAffectedUnsupported()
    named = {argument.name: argument for argument in found.arguments}
    arguments = found.arguments if raw else tuple(named[name] for name in query.arguments)
    window = query.parts.windows.get((), Window())
    return CallPlan(
        function=found,
        arguments=arguments,
        payload=query.payload if query.payload is not None else _as_json(query, arguments),
        raw=raw,
        read_only=query.read_only or found.volatility != "volatile",
        limit=least(window.limit, resolver.max_rows),
        offset=window.offset,
        answer=Answer(
            rows=_rows(query, found, resolver),
            singular=query.media.kind == "object" and (found.returns_set or found.composite),
            stripped=query.media.stripped,
            max_affected=limit,
            total=None if query.preferences.count is None else "exact",  # the rows are at hand
            rollback=query.preferences.transaction == "rollback",
        ),
    )


def _choose(query: CallQuery, functions: list[Function], resolver: Resolver) -> tuple[Function, bool]:
    """The function, and whether it takes the body as it is."""
    fitting = [] if query.unnamed in ("text", "bytes") else [f for f in functions if _takes(f, query.arguments)]
    if len(fitting) > 1:
        raise AmbiguousFunction(tuple((f.name, tuple((a.name, a.type) for a in f.arguments)) for f in fitting))
    if fitting and query.unnamed is None:
        return fitting[0], False
    types = _UNNAMED[query.unnamed or "json"]
    for function in functions:
        takes_raw = len(function.arguments) == 1 and not function.arguments[0].name
        if takes_raw and query.payload is not None and function.arguments[0].type in types:
            return function, True
    known = {function.name for function in resolver.names.catalog.functions}
    raise UnknownFunction(query.function, query.arguments, perhaps=perhaps(query.function, known - {query.function}))


def _takes(function: Function, names: tuple[str, ...]) -> bool:
    taken = {argument.name for argument in function.arguments}
    needed = {argument.name for argument in function.arguments if not argument.optional}
    return "" not in taken and needed <= set(names) <= taken


def _rows(query: CallQuery, function: Function, resolver: Resolver) -> ReadPlan | None:
    if function.collection is not None:
        return resolver.given(resolver.collection(function.collection), query.parts)
    if function.composite:
        return resolver.read_result(function.name, result_columns(function), query.parts)
    return None


def _as_json(query: CallQuery, arguments: tuple[Argument, ...]) -> str:
    """The query string's values as an object: texts, which PostgreSQL reads by the argument's type."""
    values: dict[str, list[str]] = {}
    for name, text in query.parameters:
        values.setdefault(name, []).append(text)
    return msgspec.json.encode({a.name: _value(a, values[a.name]) for a in arguments}).decode()


def _value(argument: Argument, texts: list[str]) -> list[str] | str | msgspec.Raw:
    if argument.variadic and (len(texts) > 1 or not texts[0].startswith("{")):
        return texts
    if argument.type not in _JSON:
        return texts[0]
    try:
        return msgspec.json.decode(texts[0], type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise InvalidValue(f"invalid input syntax for type {argument.type}") from error
