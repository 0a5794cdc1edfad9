"""A rule told in words: the text reads as the rule, and what a role reaches is what the rule lets in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings

from mbaas.core.errors import RuleError
from mbaas.core.expr.evaluate import evaluate
from mbaas.core.identity import Identity
from mbaas.core.rules.guard import guard
from mbaas.core.rules.parse import parse_rule
from mbaas.core.rules.reach import reach
from mbaas.core.rules.text import rule_text
from tests.schemas import catalog, collection, field
from tests.strategies_rules import rules, tables, with_rule


@settings(max_examples=80, deadline=None)
@given(text=rules())
def test_the_text_of_a_rule_is_the_rule_again(text: str) -> None:
    known = with_rule(text)
    things = known.collections["things"]
    parsed = parse_rule(text, collection=things, catalog=known)
    told = rule_text(guard(parsed, known), of="things")
    try:
        again = parse_rule(told, collection=things, catalog=known)
    except RuleError:
        assume(False)  # a constant's cast is not told, and some stand beside constants only
    assert rule_text(again, of="things") == told


POSTS = catalog(
    collection("posts", field("author", "uuid"), field("published", "bool")),
    collection("members", field("person", "uuid")),
)
REACHES = {
    "true": ("all", "all"),
    "false": ("none", "none"),
    "published": ("some", "some"),
    "author = auth.uid()": ("none", "some"),
    "not (author = auth.uid())": ("none", "some"),
    "published or author = auth.uid()": ("some", "some"),
    "published and author = auth.uid()": ("none", "some"),
    "not (published and author = auth.uid())": ("some", "some"),
    "auth.role() = 'authenticated'": ("none", "all"),
    "auth.role() <> 'anon'": ("none", "all"),
    "auth.uid() is not null": ("none", "some"),
    "auth.uid() is null": ("all", "some"),
    "auth.aal() = 'aal1'": ("all", "some"),
    "auth.uid() is distinct from author": ("some", "some"),
    "exists (select 1 from members where members.person = auth.uid())": ("none", "some"),
    "not exists (select 1 from members where members.person = auth.uid())": ("all", "some"),
}


@pytest.mark.parametrize("text", REACHES)
def test_what_a_role_reaches_by_a_rule(text: str) -> None:
    rule = guard(parse_rule(text, collection=POSTS.collections["posts"], catalog=POSTS), POSTS)
    assert (reach(rule, "anon"), reach(rule, "authenticated")) == REACHES[text]
    assert reach(rule, "service_role") == "all"


@settings(max_examples=80, deadline=None)
@given(text=rules(), rows=tables())
def test_what_is_said_to_be_reached_is(text: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    known = with_rule(text)
    rule = guard(parse_rule(text, collection=known.collections["things"], catalog=known), known)
    anon = Identity(role="anon", claims={"role": "anon"})
    found = reach(rule, "anon")
    for record in rows["things"]:
        holds = evaluate(rule, record, anon, rows.__getitem__, now=datetime.now(UTC)) is True
        assert found == "some" or holds is (found == "all")
