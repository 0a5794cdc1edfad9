"""A value of an earlier result never becomes syntax, wherever it is put."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.core.batch.references import Results, fill_body, misplaced, parse_template
from mbaas.core.query.parse import parse_parameters
from mbaas.core.query.types import Condition, Logic

# What PostgreSQL's text can hold.
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")) | st.sampled_from(
    ['"', "\\", '"),id.gt.0,(', "a&id=gt.0", "%26", "+", "{a.0.id}", "null", "gt.0", '\\"', ")", ",", ""]
)
VALUES = TEXTS | st.integers() | st.booleans()


def results(value: Any) -> Results:
    known = Results()
    known.add("a", msgspec.json.encode([{"v": value}]))
    return known


def spelled(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def only_filter(query: str) -> Any:
    parts = parse_parameters(query).parts
    assert parts.select is None or len(parts.filters) == 1
    ((path, found),) = parts.filters
    assert path == ()
    return found


@given(VALUES, st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte", "not.eq"]))
def test_a_value_alone(value: Any, operator: str) -> None:
    found = only_filter(parse_template(f"x={operator}.{{a.0.v}}").fill(results(value)))
    assert isinstance(found, Condition)
    assert (found.path.name, found.operator, found.value) == ("x", operator.removeprefix("not."), spelled(value))


@given(VALUES, st.sampled_from(["in.", "not.in."]))
def test_a_value_in_a_list(value: Any, operator: str) -> None:
    found = only_filter(parse_template(f"x={operator}(1,{{a.0.v}},{{a.0.v}})").fill(results(value)))
    assert isinstance(found, Condition)
    assert found.value == ("1", spelled(value), spelled(value))


@given(VALUES)
def test_values_in_a_tree(value: Any) -> None:
    query = "or=(x.eq.{a.0.v},and(y.not.lt.{a.0.v},z.in.({a.0.v},2)))"
    found = only_filter(parse_template(query).fill(results(value)))
    assert isinstance(found, Logic)
    first, second = found.items
    assert isinstance(first, Condition)
    assert isinstance(second, Logic)
    inner = [one.value for one in second.items if isinstance(one, Condition)]
    assert [first.value, *inner] == [spelled(value), spelled(value), (spelled(value), "2")]


@given(st.recursive(VALUES | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=4))
def test_a_value_in_a_body_is_itself(value: Any) -> None:
    body = b'{"x": {"$ref": "a.0.v"}, "y": [1, {"$ref": "a.0"}]}'
    filled = fill_body(body, results(value), max_bytes=10**6, depth=32)
    assert msgspec.json.decode(filled) == {"x": value, "y": [1, {"v": value}]}


@pytest.mark.parametrize(
    "query",
    ["{a.0.v}", "x={a.0.v}", "x=in.{a.0.v}", "x=like.{a.0.v}", "x=eq.1{a.0.v}", "x=eq.{a.0.v}1", "select=eq.{a.0.v}",
     "order=eq.{a.0.v}", "t.limit=eq.{a.0.v}", 'or=(x.eq."{a.0.v}")', "or=({a.0.v}.eq.1)", "or=(x.{a.0.v}.1)", "x=is.{a.0.v}",
     'or=(y.eq."a",x.eq.{a.0.v})', "x=eq(any).{a.0.v}", "x=cs.{a.0.v}", "search=eq.{a.0.v}", "x=in.((1,{a.0.v})"],
)  # fmt: skip
def test_anywhere_else_it_is_none(query: str) -> None:
    template = parse_template(query)
    assert template.references == ()
    assert template.fill(results("v")) == query
    assert list(misplaced(query)) == ([("a", "0", "v")] if "=" in query else [])


@pytest.mark.parametrize("query", ["x=eq.%7Ba.0.v%7D", "x=cs.{a,b}", "x=eq.{}", "x=eq.{a}", "x=eq.a.0.v"])
def test_braces_of_other_kinds_stay(query: str) -> None:
    assert parse_template(query).fill(results("v")) == query
