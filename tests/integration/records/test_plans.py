"""PostgreSQL finds keyed rows by their index, with the rule around them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mbaas.core.sql.fragment import Statement
from tests.integration.records.conftest import Api
from tests.sample import ANA, P1
from tests.statements import statement_of

MANY = f"""
insert into public.posts (author, title, slug, views, published)
    select '{ANA}', i::text, 'slug-' || i, i, i % 2 = 0 from generate_series(1, 5000) i;
insert into public.comments (post, author, body) select id, author, 'x' from public.posts;
insert into public.posts_tags (post, tag) select id, 2 from public.posts on conflict do nothing;
create index posts_created on public.posts (created_at desc);
create index comments_post on public.comments (post);
analyze public.posts, public.comments, public.posts_tags, public.profiles, public.tags;
"""


async def explained(api: Api, *request: Any, **more: Any) -> list[dict[str, Any]]:
    """Every node of the plan."""
    statement = statement_of(*request, **more)
    row = await api.database.fetch_row(Statement(f"explain (format json) {statement.text}", statement.args))
    assert row is not None
    text = row[0] or ""
    return list(nodes(json.loads(text)[0]["Plan"]))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


@pytest.fixture
async def many(api: Api) -> Api:
    await api.database.execute(MANY)
    return api


BY_INDEX = [
    (("GET", f"/posts?id=eq.{P1}"), {}, {"posts_pkey"}),
    (("GET", f"/posts?id=eq.{P1}"), {"prefer": "count=exact"}, {"posts_pkey"}),
    (("GET", f"/posts?id=in.({P1},{ANA})"), {}, {"posts_pkey"}),
    (("GET", "/posts?slug=eq.slug-7"), {}, {"posts_slug_key"}),
    (("GET", f"/posts?id=eq.{P1}&title=match.x"), {}, {"posts_pkey"}),
    (("GET", "/posts?order=created_at.desc&limit=30"), {}, {"posts_created"}),
    (("GET", "/posts?select=id,comments(body)&order=created_at.desc&limit=30"), {}, {"posts_created", "comments_post"}),
    (("GET", f"/posts?select=id,tags(name)&id=eq.{P1}"), {}, {"posts_pkey", "posts_tags_pkey"}),
    (("PATCH", f"/posts?id=eq.{P1}"), {"body": '{"title":"x"}'}, {"posts_pkey"}),
    (("PATCH", f"/posts?id=eq.{P1}"), {"body": '{"title":"x"}', "prefer": "return=representation"}, {"posts_pkey"}),
    (("DELETE", f"/posts?id=eq.{P1}"), {}, {"posts_pkey"}),
    (("DELETE", f"/posts?id=eq.{P1}&title=match.x"), {}, {"posts_pkey"}),
]


async def test_keyed_access_reads_no_table_from_end_to_end(many: Api) -> None:
    for request, more, indexes in BY_INDEX:
        plan = await explained(many, *request, **more)
        used = {node["Index Name"] for node in plan if "Index Name" in node}
        assert indexes <= used, (request, used)
        scanned = {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}
        assert scanned <= {"profiles", "tags"}, (request, scanned)  # a handful of rows: not worth an index


async def test_an_embed_is_looked_up_for_the_rows_of_the_page_only(many: Api) -> None:
    plan = await explained(many, "GET", "/posts?select=id,comments(body)&order=views&limit=5")
    lateral = next(node for node in plan if node.get("Index Name") == "comments_post")
    assert lateral["Plan Rows"] < 10
    joins = [node for node in plan if node["Node Type"] == "Nested Loop"]
    assert [node["Plan Rows"] for node in joins] == [5]
