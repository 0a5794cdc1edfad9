"""Every form of a write, through supabase-js and supabase-py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from postgrest.exceptions import APIError

from tests.contract.conftest import Js
from tests.contract.rest import Case, Python, Scene, by_js, js_cases, py_cases, titles

VIOLATES = 'new row violates row-level security policy for table "{}"'
MINIMAL: Any = "minimal"


def refusal(table: str) -> dict[str, Any]:
    return {"code": "42501", "message": VIOLATES.format(table), "details": None, "hint": None}


def with_prefer(query: Any, value: str) -> Any:
    query.request.headers["Prefer"] = value
    return query


def single(query: Any) -> Any:
    """supabase-py has no call for it behind an update."""
    query.request.headers["Accept"] = "application/vnd.pgrst.object+json"
    return query


def failing(query: Any) -> None:
    with pytest.raises(APIError):
        query.execute()


# What JSON goes in, and what comes out where it is spelled otherwise.
SAMPLE: dict[str, Any] = {
    "whole": 1,
    "large": 9007199254740991,
    "real": 1.5,
    "exact": "12.30",
    "truth": True,
    "other": "7f1b2c5e-0000-4000-8000-000000000001",
    "moment": "2026-01-02T03:04:05.678901+02:00",
    "day": "2026-01-02",
    "json": {"a": [1, None, "x"]},
    "raw": "\\x6869",
    "words": ["a", 'b"c', "d,e", ""],
    "numbers": [1, 2, 3],
    "booked": "[2026-01-01 00:00:00+00,2026-01-02 00:00:00+00)",
}
READ = SAMPLE | {
    "exact": 12.30,
    "moment": "2026-01-02T01:04:05.678901+00:00",
    "booked": '["2026-01-01 00:00:00+00","2026-01-02 00:00:00+00")',
}
COLUMNS = ",".join(SAMPLE)

INSERTS = [
    Case("insert", "from('posts').insert({title: 'New'})", lambda c, s: c.table("posts").insert({"title": "New"}, returning=MINIMAL), None, status=201, headers={"content-range": "*/*", "location": None}),
    Case("insert with select", "from('posts').insert({title: 'New'}).select('title,views,author,tags,meta')", lambda c, s: c.table("posts").insert({"title": "New"}).select("title,views,author,tags,meta"),
         lambda s: [{"title": "New", "views": 0, "author": s.owner.id, "tags": [], "meta": {}}], status=201, headers={"preference-applied": "return=representation"}),
    Case("insert with an embed", "from('posts').insert({title: 'New'}).select('title,profiles(id)').single()", lambda c, s: c.table("posts").insert({"title": "New"}).select("title,profiles(id)").single(),
         lambda s: {"title": "New", "profiles": {"id": s.owner.id}}, status=201, headers={"content-type": "application/vnd.pgrst.object+json; charset=utf-8"}),
    Case("insert of {}", "from('drops').insert({})", lambda c, s: c.table("drops").insert({}, returning=MINIMAL), None, status=201),
    Case("insert of {} gives the defaults", "from('drops').insert({}).select('text').single()", lambda c, s: c.table("drops").insert({}).select("text").single(), {"text": "nothing"}, who="service", status=201),
    Case("insert of many", "from('posts').insert([{title: 'A', views: 3}, {title: 'B', views: 4}]).select('title,views').order('title')", lambda c, s: c.table("posts").insert([{"title": "A", "views": 3}, {"title": "B", "views": 4}]).select("title,views").order("title"),
         [{"title": "A", "views": 3}, {"title": "B", "views": 4}], status=201),
    Case("insert of many, some keys missing", "from('posts').insert([{title: 'A', body: 'x'}, {title: 'B'}]).select('title,body').order('title')", lambda c, s: c.table("posts").insert([{"title": "A", "body": "x"}, {"title": "B"}]).select("title,body").order("title"),
         [{"title": "A", "body": "x"}, {"title": "B", "body": None}], status=201),
    Case("missing=default", "from('posts').insert([{title: 'A', tags: ['t']}, {title: 'B'}], {defaultToNull: false}).select('title,tags').order('title')", lambda c, s: c.table("posts").insert([{"title": "A", "tags": ["t"]}, {"title": "B"}], default_to_null=False).select("title,tags").order("title"),
         [{"title": "A", "tags": ["t"]}, {"title": "B", "tags": []}], status=201, headers={"preference-applied": "missing=default, return=representation"}),
    Case("insert of none", "from('posts').insert([]).select()", lambda c, s: c.table("posts").insert([]), [], status=201),
    Case("insert with count", "from('posts').insert([{title: 'A'}, {title: 'B'}], {count: 'exact'})", lambda c, s: c.table("posts").insert([{"title": "A"}, {"title": "B"}], count="exact", returning=MINIMAL), None, status=201, count=2,
         headers={"content-range": "*/2"}),
    Case("insert of every type", f"from('samples').insert({json.dumps(SAMPLE)}).select('{COLUMNS}').single()", lambda c, s: c.table("samples").insert(SAMPLE).select(COLUMNS).single(), READ, status=201),
    Case("an unknown column", "from('posts').insert([{title: 'A', nope: 1}])", lambda c, s: c.table("posts").insert([{"title": "A", "nope": 1}]), status=400,
         error={"code": "PGRST204", "message": "Could not find the 'nope' column of 'posts' in the schema cache"}),
    Case("an unknown column of one", "from('posts').insert({title: 'A', nope: 1})", lambda c, s: c.table("posts").insert({"title": "A", "nope": 1}), status=400, error={"code": "PGRST204"}),
    Case("a wrong literal", "from('posts').insert({title: 'A', views: 'many'})", lambda c, s: c.table("posts").insert({"title": "A", "views": "many"}), status=400, error={"code": "22P02"}),
    Case("a rule refuses the insert", "from('posts').insert({title: 'X', author: args.other.id})", lambda c, s: c.table("posts").insert({"title": "X", "author": s.other.id}), status=403, error=refusal("posts")),
    Case("a rule refuses an anonymous insert", "from('posts').insert({title: 'X', author: args.other.id})", lambda c, s: c.table("posts").insert({"title": "X", "author": s.other.id}), who="anon", status=401, error=refusal("posts")),
    Case("a new row that its writer may not read", "from('drops').insert({text: 'x'}).select()", lambda c, s: c.table("drops").insert({"text": "x"}), status=403, error=refusal("drops")),
    Case("no rule, no insert", "from('drafts').insert({text: 'x'})", lambda c, s: c.table("drafts").insert({"text": "x"}), status=403, error=refusal("drafts")),
    Case("the service key is above rules", "from('drafts').insert({text: 'x'}).select('text').single()", lambda c, s: c.table("drafts").insert({"text": "x"}).select("text").single(), {"text": "x"}, who="service", status=201),
    Case("headers-only", "from('labels').insert({name: args.new}).setHeader('prefer', 'return=headers-only')", lambda c, s: with_prefer(c.table("labels").insert({"name": s.new}), "return=headers-only"), None, who="service", status=201,
         headers=lambda s: {"location": f"/labels?name=eq.{s.new}", "preference-applied": "return=headers-only"}),
    Case("single of many rolls back", "return await c.from('posts').insert([{slug: args.new + '1', title: 'A'}, {slug: args.new + '2', title: 'B'}]).select().single()", lambda c, s: c.table("posts").insert([{"title": "A"}, {"title": "B"}]).select("*").single(), status=406,
         error={"code": "PGRST116", "details": "The result contains 2 rows"}),
]  # fmt: skip

UPSERTS = [
    Case("upsert merges", "from('posts').upsert({id: args.row, title: 'Merged'}).select('title,views').single()", lambda c, s: c.table("posts").upsert({"id": s.row, "title": "Merged"}).select("title,views").single(), {"title": "Merged", "views": 1},
         headers={"preference-applied": "resolution=merge-duplicates, return=representation"}),
    Case("upsert that merges, without a select", "from('posts').upsert({id: args.row, title: 'Merged'})", lambda c, s: c.table("posts").upsert({"id": s.row, "title": "Merged"}, returning=MINIMAL), None),
    Case("upsert inserts", "from('posts').upsert({id: args.new, title: 'Fresh'}).select('title').single()", lambda c, s: c.table("posts").upsert({"id": s.new, "title": "Fresh"}).select("title").single(), {"title": "Fresh"}, status=201),
    Case("upsert without a key inserts", "from('posts').upsert({title: 'Fresh'}).select('title')", lambda c, s: c.table("posts").upsert({"title": "Fresh"}).select("title"), titles("Fresh"), status=201),
    Case("upsert of many", "from('posts').upsert([{id: args.row, title: 'B'}, {id: args.new, title: 'A'}], {count: 'exact'}).select('title').order('title')", lambda c, s: c.table("posts").upsert([{"id": s.row, "title": "B"}, {"id": s.new, "title": "A"}], count="exact").select("title").order("title"), titles("A", "B"), status=201, count=2),
    Case("on_conflict", "from('posts').upsert({slug: args.row, title: 'Merged'}, {onConflict: 'slug'}).select('id,title').single()", lambda c, s: c.table("posts").upsert({"slug": s.row, "title": "Merged"}, on_conflict="slug").select("id,title").single(), lambda s: {"id": s.row, "title": "Merged"}),
    Case("ignore-duplicates", "from('posts').upsert([{slug: args.row, title: 'X'}, {slug: args.new, title: 'Y'}], {onConflict: 'slug', ignoreDuplicates: true}).select('title')", lambda c, s: c.table("posts").upsert([{"slug": s.row, "title": "X"}, {"slug": s.new, "title": "Y"}], on_conflict="slug", ignore_duplicates=True).select("title"), titles("Y"), status=201,
         headers={"preference-applied": "resolution=ignore-duplicates, return=representation"}),
    Case("ignore-duplicates by the key", "from('posts').upsert({id: args.row, title: 'X'}, {ignoreDuplicates: true}).select('title')", lambda c, s: c.table("posts").upsert({"id": s.row, "title": "X"}, ignore_duplicates=True).select("title"), [], status=201),
    Case("on_conflict without a constraint", "from('posts').upsert({title: 'X'}, {onConflict: 'title'})", lambda c, s: c.table("posts").upsert({"title": "X"}, on_conflict="title"), status=400, error={"code": "42P10"}),
    Case("upsert onto another's row", "from('posts').upsert({id: args.row, title: 'Stolen'})", lambda c, s: c.table("posts").upsert({"id": s.row, "title": "Stolen", "author": s.other.id}), who="other", status=403, error={"code": "42501"}),
]  # fmt: skip

UPDATES = [
    Case("update", "from('posts').update({views: 6}).eq('id', args.row)", lambda c, s: c.table("posts").update({"views": 6}, returning=MINIMAL).eq("id", s.row), None, status=204, headers={"content-range": "0-0/*"}),
    Case("update with select", "from('posts').update({views: 8}).eq('id', args.row).select('title,views')", lambda c, s: c.table("posts").update({"views": 8}).eq("id", s.row).select("title,views"), [{"title": "Row", "views": 8}]),
    Case("update with select and embed", "from('posts').update({views: 8}).eq('id', args.row).select('views,profiles(id)').single()", lambda c, s: c.table("posts").update({"views": 8}).eq("id", s.row).select("views,profiles(id)"), status=200),
    Case("update with count", "from('posts').update({views: 6}, {count: 'exact'}).eq('id', args.row)", lambda c, s: c.table("posts").update({"views": 6}, count="exact", returning=MINIMAL).eq("id", s.row), None, status=204, count=1, headers={"content-range": "0-0/1"}),
    Case("update that meets nothing", "from('posts').update({views: 8}).eq('id', args.new)", lambda c, s: c.table("posts").update({"views": 8}, returning=MINIMAL).eq("id", s.new), None, status=204, headers={"content-range": "*/*"}),
    Case("update that meets nothing, with select", "from('posts').update({views: 8}).eq('id', args.new).select()", lambda c, s: c.table("posts").update({"views": 8}).eq("id", s.new), []),
    Case("update of nothing", "from('posts').update({}).eq('id', args.row)", lambda c, s: c.table("posts").update({}, returning=MINIMAL).eq("id", s.row), None, status=204, headers={"content-range": "*/*"}),
    Case("update of nothing, with select", "from('posts').update({}).eq('id', args.row).select()", lambda c, s: c.table("posts").update({}).eq("id", s.row), [], headers={"content-range": "*/*"}),
    Case("a field that the server keeps", "await c.from('posts').update({updated_at: '2001-01-01'}).eq('id', args.row); return await c.from('posts').select('id').eq('id', args.row).gt('updated_at', '2020-01-01')", lambda c, s: (c.table("posts").update({"updated_at": "2001-01-01"}).eq("id", s.row).execute(), c.table("posts").select("id").eq("id", s.row).gt("updated_at", "2020-01-01"))[1], lambda s: [{"id": s.row}]),
    Case("a filter that is not selected", "from('posts').update({views: 9}).eq('slug', args.row).gte('views', 0).select('views')", lambda c, s: c.table("posts").update({"views": 9}).eq("slug", s.row).gte("views", 0).select("views"), [{"views": 9}]),
    Case("an unknown column in an update", "from('posts').update({nope: 1}).eq('id', args.row)", lambda c, s: c.table("posts").update({"nope": 1}).eq("id", s.row), status=400, error={"code": "PGRST204"}),
    Case("update of another's row", "from('posts').update({title: 'Stolen'}).eq('id', args.first).select()", lambda c, s: c.table("posts").update({"title": "Stolen"}).eq("id", s.first), [], who="other"),
    Case("update that breaks the rule", "from('posts').update({author: args.other.id}).eq('id', args.row)", lambda c, s: c.table("posts").update({"author": s.other.id}).eq("id", s.row), status=403, error=refusal("posts")),
    Case("single of none rolls back", "from('posts').update({views: 8}).eq('id', args.new).select().single()", lambda c, s: single(c.table("posts").update({"views": 8}).eq("id", s.new)), status=406, error={"code": "PGRST116", "details": "The result contains 0 rows"}),
    Case("single of many changes nothing", "await c.from('posts').update({views: 99}).in('id', [args.row, args.first]).select().single(); return await c.from('posts').select('views').in('id', [args.row, args.first]).order('views')",
         lambda c, s: (failing(single(c.table("posts").update({"views": 99}).in_("id", [s.row, s.first]))), c.table("posts").select("views").in_("id", [s.row, s.first]).order("views"))[1], [{"views": 1}, {"views": 5}]),
]  # fmt: skip

DELETES = [
    Case("delete", "from('posts').delete().eq('id', args.row)", lambda c, s: c.table("posts").delete(returning=MINIMAL).eq("id", s.row), None, status=204, headers={"content-range": "*/*"}),
    Case("delete with select", "from('posts').delete().eq('id', args.row).select('title')", lambda c, s: c.table("posts").delete().eq("id", s.row).select("title"), titles("Row")),
    Case("delete with count", "from('posts').delete({count: 'exact'}).eq('id', args.row)", lambda c, s: c.table("posts").delete(count="exact", returning=MINIMAL).eq("id", s.row), None, status=204, count=1, headers={"content-range": "*/1"}),
    Case("delete that meets nothing", "from('posts').delete().eq('id', args.new).select()", lambda c, s: c.table("posts").delete().eq("id", s.new), []),
    Case("delete of another's row", "from('posts').delete().eq('id', args.first).select()", lambda c, s: c.table("posts").delete().eq("id", s.first), [], who="other"),
]  # fmt: skip

TOLD = [
    Case("23505", "from('posts').insert({title: 'X', slug: args.row})", lambda c, s: c.table("posts").insert({"title": "X", "slug": s.row}), status=409,
         error=lambda s: {"code": "23505", "message": 'duplicate key value violates unique constraint "posts_slug_key"', "details": f"Key (slug)=({s.row}) already exists.", "hint": None}),
    Case("23503", "from('comments').insert({post: args.new, body: 'x'})", lambda c, s: c.table("comments").insert({"post": s.new, "body": "x"}), status=409,
         error=lambda s: {"code": "23503", "message": 'insert or update on table "comments" violates foreign key constraint "comments_post_fkey"', "details": f'Key (post)=({s.new}) is not present in table "posts".'}),
    Case("23502", "from('posts').insert({body: 'x'})", lambda c, s: c.table("posts").insert({"body": "x"}), status=400,
         error={"code": "23502", "message": 'null value in column "title" of relation "posts" violates not-null constraint'}),
    Case("23514", "from('posts').insert({title: 'x', views: -1})", lambda c, s: c.table("posts").insert({"title": "x", "views": -1}), status=400,
         error={"code": "23514", "message": 'new row for relation "posts" violates check constraint "posts_views_check"'}),
]  # fmt: skip

CASES = [*INSERTS, *UPSERTS, *UPDATES, *DELETES, *TOLD]


@js_cases(CASES)
async def test_js(js: Js, scene: Scene, case: Case) -> None:
    case.check(await by_js(js, case, scene), scene)


@py_cases(CASES)
def test_py(py: Python, scene: Scene, case: Case) -> None:
    case.check(py.ask(case, scene), scene)
