"""The SQL of chosen requests, so that a change of it is seen in review."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sample import ANA, P1
from tests.statements import statement_of

GOLDEN = Path(__file__).parents[3] / "golden" / "sql"
MERGE = "resolution=merge-duplicates,return=representation"

REQUESTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "list": (("GET", "/posts?select=id,title", "anon"), {}),
    "list_with_service_key": (("GET", "/posts?select=id,title", "service"), {}),
    "list_without_a_rule": (("GET", "/diary", "ana"), {}),
    "list_filtered_sorted_counted": (
        ("GET", "/posts?select=id&views=gte.5&order=created_at.desc&limit=30&offset=60", "ana"),
        {"prefer": "count=exact"},
    ),
    "get_by_id": (("GET", f"/posts?select=id,title&id=eq.{P1}", "ana"), {}),
    "filter_that_can_fail": (("GET", "/posts?select=id&title=match.x&views=eq.1", "ana"), {}),
    "masked_field": (("GET", "/profiles?select=username,phone&phone=eq.1", "ana"), {}),
    "logic": (("GET", "/posts?select=id&or=(views.gt.5,not.and(title.like.*z*,slug.is.null))&id=in.(1,2)", "ana"), {}),
    "json_and_casts": (("GET", "/posts?select=k:meta->a->>b,views::text&meta->k=gt.1&tags=cs.{a}", "ana"), {}),
    "embed_to_one": (("GET", "/posts?select=id,author(username)&order=author(username)", "ana"), {}),
    "embed_to_many": (("GET", "/posts?select=id,comments(body)&comments.order=id.desc&comments.limit=2", "ana"), {}),
    "embed_through_junction": (("GET", "/posts?select=id,tags(name)", "ana"), {}),
    "embed_inner": (("GET", "/posts?select=id,comments!inner(body)&comments.body=like.a*", "ana"), {}),
    "embed_tested": (("GET", "/posts?select=id,comments()&comments=is.null", "ana"), {}),
    "embed_count": (("GET", "/posts?select=id,comments(count)", "anon"), {}),
    "spread": (("GET", "/posts?select=id,...post_stats(likes),...comments(body)", "ana"), {}),
    "aggregates": (("GET", "/posts?select=published,count(),views.sum()&order=published", "ana"), {}),
    "aggregates_lifted": (("GET", "/posts?select=published,...post_stats(likes.sum()),count()", "ana"), {}),
    "list_estimated": (("GET", "/tags?limit=10", "anon"), {"prefer": "count=estimated"}),
    "computed_field": (("GET", "/posts?select=byline,shout&byline=eq.x&order=shout", "ana"), {}),
    "computed_masked": (("GET", "/profiles?select=contact", "ana"), {}),
    "computed_relation": (("GET", "/posts?select=replies(body)&replies=not.is.null", "ana"), {}),
    "delete_computed": (("DELETE", "/posts?byline=eq.x"), {}),
    "insert_minimal": (("POST", "/posts"), {"body": '{"title":"x"}'}),
    "insert_representation": (
        ("POST", "/posts?select=id,author(username)"),
        {"body": '[{"title":"x"}]', "prefer": "return=representation"},
    ),
    "insert_missing_default": (
        ("POST", "/posts?columns=title,views"),
        {"body": '[{"title":"x"}]', "prefer": "missing=default"},
    ),
    "insert_with_service_key": (("POST", "/tags", "service"), {"body": '{"id":1,"name":"x"}'}),
    "upsert_merge": (
        ("POST", "/posts?on_conflict=slug&select=id"),
        {"body": '{"slug":"a","title":"x"}', "prefer": MERGE},
    ),
    "upsert_ignore": (
        ("POST", "/tags?on_conflict=name", "service"),
        {"body": '{"id":1,"name":"x"}', "prefer": "resolution=ignore-duplicates"},
    ),
    "update": (("PATCH", f"/profiles?id=eq.{ANA}"), {"body": '{"username":"x"}'}),
    "update_checked": (
        ("PATCH", f"/posts?id=eq.{P1}&select=id"),
        {"body": '{"author":"x","id":"y"}', "prefer": "return=representation"},
    ),
    "update_single": (
        ("PATCH", f"/tags?id=eq.{P1}&select=id", "service"),
        {"body": '{"name":"x"}', "prefer": "handling=strict,max-affected=3", "accept": "application/vnd.pgrst.object"},
    ),
    "delete": (("DELETE", f"/posts?id=eq.{P1}&title=match.x"), {}),
    "call_scalar": (("POST", "/rpc/add"), {"body": '{"a":1}'}),
    "call_set": (("POST", "/rpc/post_titles?title=eq.x&order=views"), {"prefer": "count=exact"}),
    "call_rows_with_embeds": (("POST", "/rpc/visible_posts?select=title,author(username)"), {}),
}


_CLAUSE = re.compile(r" (?=(?:from|where|left join|order by|group by|limit|returning|on conflict|set) )")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_becomes_this_statement(name: str, golden: Callable[[str, str], None]) -> None:
    arguments, more = REQUESTS[name]
    statement = statement_of(*arguments, **more)
    values = "".join(f"-- ${number}: {value}\n" for number, value in enumerate(statement.args, 1))
    laid_out = _CLAUSE.sub("\n", statement.text)  # a line a clause, and else as it goes to the server
    golden(f"sql/{name}.sql", f"-- {' '.join(arguments)} {more or ''}".rstrip() + f"\n{values}{laid_out}\n")


def test_every_golden_file_has_its_request() -> None:
    assert {file.stem for file in GOLDEN.glob("*.sql")} == set(REQUESTS)
