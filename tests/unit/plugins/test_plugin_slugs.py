"""The pure part of the plugin ``slugs``: titles to addresses."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.slugs import MAX_LENGTH, candidates, slug_of


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello, World!", "hello-world"),
        ("  Crème brûlée, à la maison! ", "creme-brulee-a-la-maison"),
        ("Straße", "strasse"),
        ("a--b__c", "a-b-c"),
        ("日本", ""),
        ("!?", ""),
        ("x" * 200, "x" * MAX_LENGTH),
    ],
)
def test_a_title_becomes_an_address(title: str, slug: str) -> None:
    assert slug_of(title) == slug


@given(st.text())
def test_whatever_the_title_the_slug_is_clean(title: str) -> None:
    assert re.fullmatch("([a-z0-9]+(-[a-z0-9]+)*)?", slug_of(title))
    assert len(slug_of(title)) <= MAX_LENGTH


def test_candidates_start_with_the_slug_itself_and_never_repeat() -> None:
    found = list(candidates("a"))
    assert found[:3] == ["a", "a-2", "a-3"]
    assert len(set(found)) == len(found) == 12
    assert not any(one == other for one, other in itertools.combinations(found, 2))
