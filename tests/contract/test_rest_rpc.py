"""Every form of a function call, through supabase-js and supabase-py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.contract.conftest import Js
from tests.contract.rest import Case, Python, Scene, by_js, js_cases, py_cases, titles


def called(line: str, js: str, py: Callable[[Any], Any], data: Any = None, who: Any = "anon", **more: Any) -> Case:
    return Case(line, js, lambda c, s: py(c), data, who=who, **more)


SET = "rpc('published_posts', {}, {count: 'exact'})"
SLUGS = ".like('slug', args.mark + '%')"

CASES = [
    called("arguments by name", "rpc('add', {b: 2, a: 1})", lambda c: c.rpc("add", {"b": 2, "a": 1}), 3),
    called("no arguments", "rpc('greet')", lambda c: c.rpc("greet"), "hello world"),
    called("an argument with a default", "rpc('greet', {name: 'you'})", lambda c: c.rpc("greet", {"name": "you"}), "hello you"),
    called("a bare number", "rpc('add', {a: 1, b: 2})", lambda c: c.rpc("add", {"a": 1, "b": 2}), 3, headers={"content-type": "application/json; charset=utf-8"}),
    called("a bare text", "rpc('greet')", lambda c: c.rpc("greet"), "hello world"),
    called("a bare null", "rpc('nobody')", lambda c: c.rpc("nobody"), None),
    called("an array argument", "rpc('sum_list', {nums: [1, 2, 3]})", lambda c: c.rpc("sum_list", {"nums": [1, 2, 3]}), 6),
    called("a set of scalars", "rpc('numbers', {until: 3})", lambda c: c.rpc("numbers", {"until": 3}), [1, 2, 3]),
    Case("a table", "rpc('post_stats_of', {slug: args.mark + '-1'})", lambda c, s: c.rpc("post_stats_of", {"slug": f"{s.mark}-1"}), [{"title": "First", "likes": 3}]),
    Case("one composite", "rpc('post_by_slug', {slug: args.mark + '-1'}).select('title')", lambda c, s: c.rpc("post_by_slug", {"slug": f"{s.mark}-1"}).select("title"), {"title": "First"}),
    called("void", "rpc('nothing')", lambda c: c.rpc("nothing"), None, status=204),
    called("one unnamed argument takes the body", "rpc('echo', {any: ['thing']})", lambda c: c.rpc("echo", {"any": ["thing"]}), {"any": ["thing"]}),
    called("GET", "rpc('add', {a: 1, b: 2}, {get: true})", lambda c: c.rpc("add", {"a": 1, "b": 2}, get=True), 3),
    called("GET with an array", "rpc('sum_list', {nums: [1, 2, 3]}, {get: true})", lambda c: c.rpc("sum_list", {"nums": [1, 2, 3]}, get=True), 6),
    called("GET of a variadic", "rpc('total', {nums: [1, 2]}, {get: true})", lambda c: c.rpc("total", {"nums": [1, 2]}, get=True), 3),
    called("HEAD", "rpc('add', {a: 1, b: 2}, {head: true, get: true})", lambda c: c.rpc("add", {"a": 1, "b": 2}, head=True), None),
    called("HEAD with a count", "rpc('numbers', {until: 3}, {head: true, count: 'exact'})", lambda c: c.rpc("numbers", {"until": 3}, head=True, count="exact"), None, count=3),
    Case("head with an object", "rpc('echo', {any: {deep: 1}}, {head: true})", None, None, who="anon", status=204),
    Case("count", f"{SET}.select('title'){SLUGS}", lambda c, s: c.rpc("published_posts", count="exact").select("title").like("slug", f"{s.mark}%"), count=2),
    Case("filters", "rpc('published_posts').select('title')" + SLUGS + ".gt('views', 5)", lambda c, s: c.rpc("published_posts").select("title").like("slug", f"{s.mark}%").gt("views", 5), titles("Second")),
    Case("GET with filters", "rpc('published_posts', {}, {get: true}).select('title')" + SLUGS + ".gt('views', 5)", lambda c, s: c.rpc("published_posts", get=True).select("title").like("slug", f"{s.mark}%").gt("views", 5), titles("Second")),
    Case("writing to another's row", "rpc('rename_post', {post: args.row, title: 'Stolen'}).select('title')", lambda c, s: c.rpc("rename_post", {"post": s.row, "title": "Stolen"}).select("title"), None, who="other"),
    Case("order and limit", "rpc('published_posts').select('title')" + SLUGS + ".order('title', {ascending: false}).limit(1)", lambda c, s: c.rpc("published_posts").select("title").like("slug", f"{s.mark}%").order("title", desc=True).limit(1), titles("Second")),
    Case("a window with a count", f"{SET}.select('title'){SLUGS}.order('title').range(1, 1)", lambda c, s: c.rpc("published_posts", count="exact").select("title").like("slug", f"{s.mark}%").order("title").range(1, 1), titles("Second"), status=206, count=2,
         headers={"content-range": "1-1/2"}),
    Case("embeds", "rpc('published_posts').select('title,comments(body)')" + SLUGS + ".eq('title', 'Second')", lambda c, s: c.rpc("published_posts").select("title,comments(body)").like("slug", f"{s.mark}%").eq("title", "Second"), [{"title": "Second", "comments": [{"body": "four"}]}]),
    Case("single", "rpc('published_posts').select('title')" + SLUGS + ".eq('title', 'First').single()", lambda c, s: c.rpc("published_posts").select("title").like("slug", f"{s.mark}%").eq("title", "First").single(), {"title": "First"}),
    Case("single of many", "rpc('published_posts').select('title')" + SLUGS + ".single()", lambda c, s: c.rpc("published_posts").select("title").like("slug", f"{s.mark}%").single(), status=406, error={"code": "PGRST116", "details": "The result contains 2 rows"}),
    Case("csv", "rpc('published_posts').select('title')" + SLUGS + ".order('title').csv()", lambda c, s: c.rpc("published_posts").select("title").like("slug", f"{s.mark}%").order("title").csv(), "title\nFirst\nSecond"),
    Case("as the caller", "rpc('my_posts', {at_least: 6}).select('title').in('title', ['First', 'Draft', 'Second']).order('title')", lambda c, s: c.rpc("my_posts", {"at_least": 6}).select("title").in_("title", ["First", "Draft", "Second"]).order("title"), titles("Draft", "Second")),
    called("not for anon", "rpc('my_posts')", lambda c: c.rpc("my_posts"), status=401, error={"code": "42501", "message": "permission denied for function my_posts"}),
    Case("writing", "rpc('rename_post', {post: args.row, title: 'Renamed'}).select('title').maybeSingle()", lambda c, s: c.rpc("rename_post", {"post": s.row, "title": "Renamed"}).select("title"), {"title": "Renamed"}),
    Case("writing by GET", "rpc('rename_post', {post: args.row, title: 'x'}, {get: true})", lambda c, s: c.rpc("rename_post", {"post": s.row, "title": "x"}, get=True), status=405,
         error={"code": "25006", "message": "cannot execute UPDATE in a read-only transaction"}),
    called("unknown", "rpc('nope')", lambda c: c.rpc("nope"), status=404,
           error={"code": "PGRST202", "message": "Could not find the function public.nope without parameters in the schema cache",
                  "details": "Searched for the function public.nope without parameters, but no matches were found in the schema cache."}),
    called("unknown arguments", "rpc('add', {a: 1, c: 2})", lambda c: c.rpc("add", {"a": 1, "c": 2}), status=404,
           error={"code": "PGRST202", "message": "Could not find the function public.add(a, c) in the schema cache",
                  "details": "Searched for the function public.add with parameters a, c, but no matches were found in the schema cache."}),
    called("a wrong literal", "rpc('add', {a: 'x', b: 2})", lambda c: c.rpc("add", {"a": "x", "b": 2}), status=400, error={"code": "22P02"}),
]  # fmt: skip


@js_cases(CASES)
async def test_js(js: Js, scene: Scene, case: Case) -> None:
    case.check(await by_js(js, case, scene), scene)


@py_cases(CASES)
def test_py(py: Python, scene: Scene, case: Case) -> None:
    case.check(py.ask(case, scene), scene)
