"""The line of each key, however the file is laid out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from mbaas.config.places import KeyPath, lines_of
from tests.unit.config.project import Project

LAYOUTS = {
    "a text over lines": ('a = """x\n[b]\n"""\nc = 1\n', {("a",): 1, ("c",): 4}),
    "quotes at the end of a text": ("a = '''it''''\nc = \"\"\"\\\"\"\"\"\nd = 1\n", {("a",): 1, ("c",): 2, ("d",): 3}),
    "marks inside of texts": (
        "a = \"]#\\\"{\"\nc = ['[', '}']\n",
        {("a",): 1, ("c",): 2, ("c", "0"): 2, ("c", "1"): 2},
    ),
    "a list over lines": (
        "a = [ # one\n  1,\n\n  [2,\n   3],\n]\nb = 1\n",
        {("a",): 1, ("a", "0"): 2, ("a", "1"): 4, ("a", "1", "0"): 4, ("a", "1", "1"): 5, ("b",): 7},
    ),
    "inline tables in a list": (
        "a = [\n  { b.c = 1 },\n  { 'd e' = 2.5 }]\n",
        {("a",): 1, ("a", "0"): 2, ("a", "0", "b"): 2, ("a", "0", "b", "c"): 2, ("a", "1"): 3, ("a", "1", "d e"): 3},
    ),
    "tables below tables of a list": (
        "[[x]]\n[x.y]\n[[x]]\n[x.y]\n",
        {("x",): 1, ("x", "0"): 1, ("x", "0", "y"): 2, ("x", "1"): 3, ("x", "1", "y"): 4},
    ),
    "spaces and quotes in keys": (
        '[ "a.b" . c ] # x\n d . e = 2026-01-31 07:00:00\n',
        {
            ("a.b",): 1,
            ("a.b", "c"): 1,
            ("a.b", "c", "d"): 2,
            ("a.b", "c", "d", "e"): 2,
        },
    ),
    "no end of line": ("a = 1", {("a",): 1}),
    "lines of another system": ("a = 1\r\nb = 2\r\n", {("a",): 1, ("b",): 2}),
    "nothing": ("# only words", {}),
}


@pytest.mark.parametrize(("text", "lines"), LAYOUTS.values(), ids=LAYOUTS)
def test_each_key_has_its_line(text: str, lines: dict[KeyPath, int]) -> None:
    assert lines_of(text) == lines


VALUES = st.recursive(
    st.integers(-5, 5) | st.booleans() | st.text(max_size=6) | st.floats(allow_nan=False) | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def paths(value: Any, above: KeyPath) -> Iterator[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*above, str(key))
        yield from paths(item, (*above, str(key)))


@settings(max_examples=1000 if os.environ.get("MBAAS_SOAK") else 60, deadline=None)
@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_every_key_of_any_file_is_found(values: dict[str, Any]) -> None:
    text = tomlkit.dumps(values)
    lines = lines_of(text)
    wanted = set(paths(tomlkit.parse(text).unwrap(), ()))
    assert wanted <= lines.keys()
    assert set(lines.values()) <= set(range(1, text.count("\n") + 2))


def test_a_mark_that_some_editors_write_first_does_no_harm(project: Project) -> None:
    assert project.load("\ufeff[server]\nport = 1\n").server.port == 1
