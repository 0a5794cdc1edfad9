"""What schemathesis is told about the API beyond its description: how a caller asks who knows what there is.

Texts that only fit the description seldom name a field, and get no further than the parser.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation

from mbaas.core.query.filters import OPERATORS

VALUES = st.one_of(
    st.sampled_from("1 -1 1.5 NaN 9e999 true null 2024-02-29 infinity {} {1,2} [1,5) (1,2) [1,2,3] * a*b".split()),
    st.uuids().map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.text(max_size=8),
)
CONDITIONS = st.tuples(st.sampled_from(("", "not.")), st.sampled_from(sorted(OPERATORS)), VALUES).map(
    lambda part: f"{part[0]}{part[1]}.{part[2]}" if part[1] != "in" else f"{part[0]}in.({part[2]})"
)


def _listed(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(items, min_size=1, max_size=3).map(",".join)


def _knowing(fields: list[str], words: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Queries of a collection with those fields, with some of the words that it knows."""
    field = st.sampled_from(fields)
    column = st.builds("".join, st.tuples(field, st.sampled_from(("", "", "::text", "->a", ".count()", ".max()"))))
    term = st.builds("".join, st.tuples(field, st.sampled_from(("", ".asc", ".desc.nullsfirst"))))
    condition = st.builds(".".join, st.tuples(field, CONDITIONS))
    about = {
        "select": _listed(st.one_of(column, st.sampled_from(("*", "count()", "profiles(*)", "comments(count)")))),
        "order": _listed(term),
        "limit": st.integers(0, 9),
        "offset": st.integers(0, 9),
        "cursor": st.just("*"),
        "having": st.sampled_from(("count.gt.0", "max.gt.1", "sum.not.is.null")),
        "search": st.sampled_from(("cat", '"fat cats" -dogs', "a or b")),
        "near": st.sampled_from(("embedding.[1,2,3]", "embedding.[1]")),
        "within": st.sampled_from(("location.(52.5,13.4,1000m)", "location.(-90,-180,90,180)")),
        "distance": st.sampled_from(("lt.0.5", "gt.1000")),
        "or": _listed(condition).map("({})".format),
        "on_conflict": _listed(field),
        "columns": _listed(field),
    }
    known = {name: strategy for name, strategy in about.items() if name in words}
    return st.one_of(
        st.fixed_dictionaries({}, optional=dict.fromkeys(fields, CONDITIONS)),
        st.fixed_dictionaries({}, optional=known),
        *(st.fixed_dictionaries({name: strategy}) for name, strategy in known.items()),
    )


@schemathesis.hook
def before_generate_query(
    context: HookContext, strategy: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    """Half of the requests that may be filtered know the fields."""
    if context.operation is None:
        return strategy
    names = {parameter.name: parameter.definition for parameter in context.operation.query}
    fields = sorted(name for name, one in names.items() if "not" in one.get("schema", {}).get("pattern", ""))
    return st.one_of(strategy, _knowing(fields, set(names))) if fields else strategy


@schemathesis.check
def nobody_else_keeps_it(ctx: CheckContext, response: Response, case: Case) -> None:
    """What one caller was told is not another's: no cache may keep it, and none may mix callers up."""
    headers = {name.lower(): ", ".join(values) for name, values in response.headers.items()}
    assert headers.get("cache-control") == "no-store"
    assert {"authorization", "apikey", "origin"} <= set(headers.get("vary", "").lower().split(", "))


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """What the description says in words.

    A write gives no body unless asked for one, and ``select`` another one. Preferences that nobody knows are passed
    over, and PostgreSQL reads a field's value out of more than its own type: only what else is asked has one form.
    """
    kind = type(failure).__name__
    if kind == "AcceptedNegativeData":
        strict = [ParameterLocation.QUERY, *([ParameterLocation.BODY] if case.path == "/" else [])]
        wrong = case.meta is not None and any(map(case.meta.is_negative_at, strict))
        return wrong and response.status_code < 300
    if kind not in ("MissingContentType", "MalformedJson", "JsonSchemaError"):
        return True
    if not response.content and case.method != "GET" and response.status_code in (200, 201):
        return any("return=representation" in value for value in response.headers.get("preference-applied", ()))
    return kind != "JsonSchemaError" or "select" not in (case.query or {})
