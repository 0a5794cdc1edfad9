"""Views as supabase-js and supabase-py meet them: read under their own rule, related by the columns they show.

``popular`` shows the published posts; First has a score of 10, Second of 20.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from supabase import Client

from tests.contract.conftest import Js, Server, World
from tests.contract.test_rest_complete import AS, me  # noqa: F401 - a fixture

# Deprecations inside the client's own packages, which it pins itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SELECTS: dict[str, tuple[str, Any]] = {
    "its own columns": ("title,score", [{"title": "First", "score": 10}, {"title": "Second", "score": 20}]),
    "a reference of its table": ("title,profiles(phone)", [
        {"title": "First", "profiles": {"phone": None}}, {"title": "Second", "profiles": {"phone": None}},
    ]),
    "by the column": ("title,writer(phone)", [
        {"title": "First", "writer": {"phone": None}}, {"title": "Second", "writer": {"phone": None}},
    ]),
    "by the foreign key": ("title,who:profiles!posts_author_fkey(phone)", [
        {"title": "First", "who": {"phone": None}}, {"title": "Second", "who": {"phone": None}},
    ]),
    "what references its table": ("title,comments(count)", [
        {"title": "First", "comments": [{"count": 3}]}, {"title": "Second", "comments": [{"count": 0}]},
    ]),
    "one at most": ("title,post_stats(likes)", [
        {"title": "First", "post_stats": {"likes": 3}}, {"title": "Second", "post_stats": None},
    ]),
    "through a junction": ("title,n:labels(count)", [
        {"title": "First", "n": [{"count": 2}]}, {"title": "Second", "n": [{"count": 0}]},
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", SELECTS)
async def test_js(js: Js, still: World, case: str) -> None:
    select, rows = SELECTS[case]
    code = AS + "return await me.from('popular').select(args.select).like('slug', args.mark + '%').order('title')"
    answer = await js(code, select=select, mark=still.mark, token=still.owner.token)
    assert (answer["error"], answer["data"]) == (None, rows)


@pytest.mark.parametrize("case", SELECTS)
def test_py(me: Client, still: World, case: str) -> None:  # noqa: F811
    select, rows = SELECTS[case]
    answer = me.table("popular").select(select).like("slug", f"{still.mark}%").order("title").execute()
    assert answer.data == rows


async def test_a_table_leads_to_a_view(js: Js, still: World, me: Client) -> None:  # noqa: F811
    query = me.table("comments").select("body,popular(title)").eq("post", still.first).eq("body", "one")
    assert query.execute().data == [{"body": "one", "popular": {"title": "First"}}]
    code = AS + (
        "return await me.from('profiles').select('popular(title)').eq('id', args.id)"
        ".order('title', {referencedTable: 'popular'}).single()"
    )
    answer = await js(code, id=still.owner.id, token=still.owner.token)
    assert answer["data"] == {"popular": [{"title": "First"}, {"title": "Second"}]}


async def test_its_own_rule_holds_on_every_path(js: Js, still: World) -> None:
    """First's score is too low for others than its writer."""
    code = "return await client.from('popular').select('title', {count: args.count}).like('slug', args.mark + '%')"
    for count in ("exact", "planned", "estimated"):
        answer = await js(code, mark=still.mark, count=count)
        assert (answer["data"], answer["count"]) == ([{"title": "Second"}], 1)
    answer = await js(
        "return await client.from('comments').select('popular(title)').eq('post', args.id)", id=still.first
    )
    assert answer["data"] == [{"popular": None}] * 3
    answer = await js(
        "return await client.from('profiles').select('popular(title)').eq('id', args.id)", id=still.owner.id
    )
    assert answer["data"] == [{"popular": [{"title": "Second"}]}]


async def test_a_view_is_only_read(server: Server, http: httpx.AsyncClient, still: World) -> None:
    for key in (None, server.service_key):
        headers = server.headers(key=key)
        for method, query in (("POST", ""), ("PATCH", "?title=eq.x"), ("DELETE", "?title=eq.x")):
            answer = await http.request(method, f"/rest/v1/popular{query}", json={"title": "x"}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (405, "PGRST117"), (key, method)
            assert answer.json()["message"] == "popular is a view, which can only be read"
        assert (await http.options("/rest/v1/popular", headers=headers)).headers["allow"] == "OPTIONS,GET,HEAD"
        described = (await http.get("/rest/v1/", headers=headers)).json()
        assert set(described["paths"]["/popular"]) == {"get"}
