"""Every filter, as supabase-js and supabase-py send it: which of the owner's three posts are left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.contract.conftest import Js
from tests.contract.rest import Case, Python, Scene, by_js, js_cases, py_cases, titles

OWN = ".from('posts').select('title').like('slug', args.mark + '%')"


def keeps(line: str, js: str | None, py: Callable[[Any], Any] | None, *names: str) -> Case:
    """The posts that a filter leaves, by title."""
    return Case(
        line,
        None if js is None else f"return await c{OWN}{js}.order('title')",
        None
        if py is None
        else lambda c, s: py(c.table("posts").select("title").like("slug", f"{s.mark}%")).order("title"),
        titles(*names),
    )


def refused(line: str, js: str, py: Callable[[Any], Any], select: str = "*", **error: Any) -> Case:
    return Case(
        line, f"from('posts').select('{select}'){js}", lambda c, s: py(c.table("posts").select(select)), status=400, error=error
    )  # fmt: skip


FILTERS = [
    keeps("eq", ".eq('title', 'First')", lambda q: q.eq("title", "First"), "First"),
    keeps("neq", ".neq('title', 'First')", lambda q: q.neq("title", "First"), "Draft", "Second"),
    keeps("gt", ".gt('views', 7)", lambda q: q.gt("views", 7), "Second"),
    keeps("gte", ".gte('views', 7)", lambda q: q.gte("views", 7), "Draft", "Second"),
    keeps("lt", ".lt('views', 7)", lambda q: q.lt("views", 7), "First"),
    keeps("lte", ".lte('views', 7)", lambda q: q.lte("views", 7), "Draft", "First"),
    keeps("match", ".match({title: 'First', views: 5})", lambda q: q.match({"title": "First", "views": 5}), "First"),
    keeps("a key twice", ".gte('views', 5).lte('views', 7)", lambda q: q.gte("views", 5).lte("views", 7), "Draft", "First"),
    keeps("like", ".like('title', '%irs%')", lambda q: q.like("title", "%irs%"), "First"),
    keeps("like *", ".like('title', 'F*')", lambda q: q.like("title", "F*"), "First"),
    keeps("ilike", ".ilike('title', 'f%')", lambda q: q.ilike("title", "f%"), "First"),
    keeps("ilike *", ".ilike('title', 'f*')", lambda q: q.ilike("title", "f*"), "First"),
    keeps("like(all)", ".likeAllOf('title', ['F%', '*t'])", lambda q: q.like_all_of("title", "F%,*t"), "First"),
    keeps("like(any)", ".likeAnyOf('title', ['F%', 'D*'])", lambda q: q.like_any_of("title", "F%,D*"), "Draft", "First"),
    keeps("ilike(all)", ".ilikeAllOf('title', ['f%', '%T'])", lambda q: q.ilike_all_of("title", "f%,%T"), "First"),
    keeps("ilike(any)", ".ilikeAnyOf('title', ['f%', 'd%'])", lambda q: q.ilike_any_of("title", "f%,d%"), "Draft", "First"),
    keeps("match regex", ".regexMatch('title', '^F.*t$')", lambda q: q.filter("title", "match", "^F.*t$"), "First"),
    keeps("imatch regex", ".regexIMatch('title', '^f')", lambda q: q.filter("title", "imatch", "^f"), "First"),
    keeps("is null", ".is('body', null)", lambda q: q.is_("body", None), "Second"),
    keeps("is not_null", ".filter('body', 'is', 'not_null')", lambda q: q.is_("body", "not_null"), "Draft", "First"),
    keeps("is true", ".is('published', true)", lambda q: q.is_("published", True), "First", "Second"),
    keeps("is false", ".is('published', false)", lambda q: q.is_("published", False), "Draft"),
    keeps("is unknown", ".filter('published', 'is', 'unknown')", lambda q: q.is_("published", "unknown")),
    keeps("is in capitals", ".filter('body', 'is', 'NULL')", lambda q: q.is_("body", "NULL"), "Second"),
    keeps("isdistinct", ".isDistinct('rating', 1)", lambda q: q.filter("rating", "isdistinct", 1), "First", "Second"),
    keeps("in", ".in('title', ['First', 'Draft'])", lambda q: q.in_("title", ["First", "Draft"]), "Draft", "First"),
    keeps("in of numbers", ".in('views', [5, 10])", lambda q: q.in_("views", [5, 10]), "First", "Second"),
    keeps("in with quotes", ".in('title', ['First', 'a,b', 'c\"d', '(e)'])", lambda q: q.in_("title", ["First", "a,b", 'c"d', "(e)"]), "First"),
    keeps("in with escapes", ".filter('title', 'in', '(\"a\\\\\"b\",\"Fir\\\\st\")')", lambda q: q.filter("title", "in", '("a\\"b","Fir\\st")'), "First"),
    keeps("in nothing", ".in('views', [])", lambda q: q.in_("views", [])),
    keeps("not.in", ".notIn('title', ['First'])", lambda q: q.not_.in_("title", ["First"]), "Draft", "Second"),
    keeps("cs array", ".contains('tags', ['b c'])", lambda q: q.contains("tags", ["b c"]), "First"),
    keeps("cs json", ".contains('meta', {k: 1})", lambda q: q.contains("meta", {"k": 1}), "First"),
    keeps("cs range", ".contains('span', '[2,3)')", lambda q: q.contains("span", "[2,3)"), "First"),
    keeps("cd array", ".containedBy('tags', ['b', 'x'])", lambda q: q.contained_by("tags", ["b", "x"]), "Draft", "Second"),
    keeps("cd json", ".containedBy('meta', {k: 2, z: 1})", lambda q: q.contained_by("meta", {"k": 2, "z": 1}), "Draft", "Second"),
    keeps("cd range", ".containedBy('span', '[0,9)')", lambda q: q.contained_by("span", "[0,9)"), "First"),
    keeps("ov array", ".overlaps('tags', ['b', 'zz'])", lambda q: q.overlaps("tags", ["b", "zz"]), "Second"),
    keeps("ov range", ".overlaps('span', '[4,11)')", lambda q: q.overlaps("span", "[4,11)"), "First", "Second"),
    keeps("sl", ".rangeLt('span', '[10,20)')", lambda q: q.range_lt("span", (10, 20)), "First"),
    keeps("sr", ".rangeGt('span', '[1,5)')", lambda q: q.range_gt("span", (1, 5)), "Second"),
    keeps("nxl", ".rangeGte('span', '[5,6)')", lambda q: q.range_gte("span", (4, 6)), "Second"),
    keeps("nxr", ".rangeLte('span', '[1,5)')", lambda q: q.range_lte("span", (0, 5)), "First"),
    keeps("adj", ".rangeAdjacent('span', '[5,10)')", lambda q: q.filter("span", "adj", "[5,10)"), "First", "Second"),
    keeps("fts", ".textSearch('body', 'fat & cats')", lambda q: q.text_search("body", "fat & cats"), "First"),
    keeps("plfts", ".textSearch('body', 'sat cats', {type: 'plain'})", lambda q: q.plfts("body", "sat cats"), "First"),
    keeps("phfts", ".textSearch('body', 'cats sat', {type: 'phrase'})", lambda q: q.phfts("body", "cats sat"), "First"),
    keeps("wfts with a config", ".textSearch('body', 'fat cat', {type: 'websearch', config: 'english'})", lambda q: q.text_search("body", "fat cat", {"type": "web_search", "config": "english"}), "First"),
    keeps("->> as text", ".eq('meta->>k', '1')", lambda q: q.eq("meta->>k", "1"), "First"),
    keeps("-> as json", ".eq('meta->k', 2)", lambda q: q.eq("meta->k", 2), "Second"),
    keeps("-> by index", ".eq('meta->deep->list->0->>name', 'x')", lambda q: q.eq("meta->deep->list->0->>name", "x"), "First"),
    keeps("-> from the end", ".eq('meta->deep->list->-1->>name', 'x')", lambda q: q.eq("meta->deep->list->-1->>name", "x"), "First"),
    keeps("-> into an array", ".eq('tags->>0', 'b')", lambda q: q.eq("tags->>0", "b"), "Second"),
    keeps("eq null is a text", ".eq('title', 'null')", lambda q: q.eq("title", None)),
    keeps("not", ".filter('title', 'not.eq', 'First')", lambda q: q.not_.eq("title", "First"), "Draft", "Second"),
    keeps("not.is", ".not('body', 'is', null)", lambda q: q.not_.is_("body", None), "Draft", "First"),
    keeps("not.in as text", ".not('title', 'in', '(First,Draft)')", lambda q: q.filter("title", "not.in", "(First,Draft)"), "Second"),
    keeps("a dotted value", ".gt('created_at', '2001-01-01T00:00:00.123+00:00')", lambda q: q.gt("created_at", "2001-01-01T00:00:00.123+00:00"), "Draft", "First", "Second"),
    keeps("an enum", ".eq('state', 'draft')", lambda q: q.eq("state", "draft"), "Draft", "First", "Second"),
]  # fmt: skip


def tree(line: str, text: str, *names: str) -> Case:
    """A logic tree of ``or``, in both clients the same text."""
    return keeps(line, f".or({text!r})", lambda q: q.or_(text), *names)


def parameter(line: str, key: str, value: str, *names: str) -> Case:
    """A parameter for which neither client has a call: appended to what they build."""
    case = keeps(line, "", lambda q: q, *names)
    js = f"const q = c{OWN}; q.url.searchParams.append({key!r}, {value!r}); return await q.order('title')"

    def py(c: Any, s: Scene) -> Any:
        query = c.table("posts").select("title").like("slug", f"{s.mark}%")
        query.request.params = query.request.params.add(key, value)
        return query.order("title")

    return Case(line, js, py, case.data)


TREES = [
    tree("or", "views.gt.9,title.eq.Draft", "Draft", "Second"),
    tree("and in or", "views.gt.9,and(title.eq.Draft,views.eq.7)", "Draft", "Second"),
    tree("not.and in or", "views.gt.9,not.and(title.neq.Draft,views.gt.0)", "Draft", "Second"),
    tree("not.or in or", "views.gt.9,not.or(title.eq.First,views.gt.9)", "Draft", "Second"),
    tree("not before an operator", "title.not.in.(First,Second),body.not.is.null", "Draft", "First"),
    tree("columns in quotes", '"title"."eq".x,"title".eq."First"'.replace('"title"."eq".x,', ""), "First"),
    tree("quoted values", 'title.eq."(x,y,4)",title.like."*ir,4*",title.eq."First"', "First"),
    tree("in inside", 'title.in.("Draft",Zed),views.in.("5","6")', "Draft", "First"),
    tree("braces inside", "tags.cs.{a,b c},tags.ov.{b,zz}", "First", "Second"),
    tree("dots and colons inside", "created_at.gt.2001-01-01T00:00:00.123+00:00,title.eq.Zed", "Draft", "First", "Second"),
    tree("json paths inside", "meta->>k.eq.1,meta->k.eq.2", "First", "Second"),
    tree("spaces", " and ( title.in.( First, Draft ) , views.eq.5 ) , or ( views.eq.10 , views.eq.99 ) ", "First", "Second"),
    keeps("two ors meet", ".or('views.gt.5,views.lt.1').or('views.lt.10,views.gt.99')", lambda q: q.or_("views.gt.5,views.lt.1").or_("views.lt.10,views.gt.99"), "Draft"),
    parameter("and at the top", "and", "(views.gt.5,views.lt.10)", "Draft"),
    parameter("not.or at the top", "not.or", "(views.eq.5,views.eq.7)", "Second"),
    parameter("not.and at the top", "not.and", "(views.gte.5,views.lte.7)", "Second"),
    parameter("one parenthesis too many", "or", "(views.eq.5,views.eq.7))", "Draft", "First"),
    parameter("a column in quotes", '"title"', "eq.First", "First"),
    parameter("is not distinct", "rating", "not.isdistinct.1", "Draft"),
]  # fmt: skip

COMMENTS = "title,comments(body)"


def nested(line: str, select: str, js: str, py: Callable[[Any], Any], data: Any) -> Case:
    """Posts with what they embed."""
    return Case(
        line,
        f"return await c.from('posts').select('{select}').like('slug', args.mark + '%'){js}.order('title')",
        lambda c, s: py(c.table("posts").select(select).like("slug", f"{s.mark}%")).order("title"),
        data,
    )


def below(line: str, key: str, value: str, data: Any) -> Case:
    """A parameter below an embed for which neither client has a call."""
    js = f"const q = c{OWN.replace('title', COMMENTS, 1)}; q.url.searchParams.append({key!r}, {value!r}); return await q.order('title')"

    def py(c: Any, s: Scene) -> Any:
        query = c.table("posts").select(COMMENTS).like("slug", f"{s.mark}%")
        query.request.params = query.request.params.add(key, value)
        return query.order("title")

    return Case(line, js, py, data)


def bodies(**by_title: list[str]) -> list[dict[str, Any]]:
    return [{"title": title, "comments": [{"body": body} for body in found]} for title, found in by_title.items()]


EMBEDDED = [
    nested("embed.col", COMMENTS, ".eq('comments.body', 'two')", lambda q: q.eq("comments.body", "two"), bodies(Draft=[], First=["two"], Second=[])),
    nested("alias.col", "title,comments:comments(body)", ".eq('comments.body', 'two')", lambda q: q.eq("comments.body", "two"), bodies(Draft=[], First=["two"], Second=[])),
    nested("table.col beside an alias", "title,words:comments(body)", ".eq('comments.body', 'four')", lambda q: q.eq("comments.body", "four"), [{"title": "Draft", "words": []}, {"title": "First", "words": []}, {"title": "Second", "words": [{"body": "four"}]}]),
    nested("embed.not.op", COMMENTS, ".not('comments.body', 'in', '(one,three)')", lambda q: q.not_.in_("comments.body", ["one", "three"]), bodies(Draft=[], First=["two"], Second=["four"])),
    nested("embed.or", COMMENTS, ".or('body.eq.one,body.eq.four', {referencedTable: 'comments'})", lambda q: q.or_("body.eq.one,body.eq.four", reference_table="comments"), bodies(Draft=[], First=["one"], Second=["four"])),
    below("embed.not.or", "comments.not.or", "(body.eq.one,body.eq.four)", bodies(Draft=[], First=["two", "three"], Second=[])),
    below("embed.and", "comments.and", "(body.gte.o,body.lt.tw)", bodies(Draft=[], First=["one", "three"], Second=[])),
    nested("embed.order", COMMENTS, ".order('body', {referencedTable: 'comments', ascending: false})", lambda q: q.order("body", desc=True, foreign_table="comments"), bodies(Draft=[], First=["two", "three", "one"], Second=["four"])),
    nested("embed.limit", COMMENTS, ".order('body', {referencedTable: 'comments'}).limit(1, {referencedTable: 'comments'})", lambda q: q.order("body", foreign_table="comments").limit(1, foreign_table="comments"), bodies(Draft=[], First=["one"], Second=["four"])),
    nested("embed.offset", COMMENTS, ".order('body', {referencedTable: 'comments'}).range(1, 1, {referencedTable: 'comments'})", lambda q: q.order("body", foreign_table="comments").range(1, 1, foreign_table="comments"), bodies(Draft=[], First=["three"], Second=[])),
    nested("deeper", "title,comments(body,profiles(username))", ".eq('title', 'Second').eq('comments.profiles.username', 'nobody')", lambda q: q.eq("title", "Second").eq("comments.profiles.username", "nobody"), [{"title": "Second", "comments": [{"body": "four", "profiles": None}]}]),
    nested("!inner", "title,comments!inner(body)", ".eq('comments.body', 'two')", lambda q: q.eq("comments.body", "two"), bodies(First=["two"])),
    nested("an inner chain", "title,comments!inner(profiles!inner(username))", ".eq('comments.profiles.username', 'nobody')", lambda q: q.eq("comments.profiles.username", "nobody"), []),
    nested("inner below an outer", "title,comments(body,profiles!inner(username))", ".eq('comments.profiles.username', 'nobody')", lambda q: q.eq("comments.profiles.username", "nobody"), bodies(Draft=[], First=[], Second=[])),
    nested("embed is null", "title,comments()", ".is('comments', null)", lambda q: q.is_("comments", None), titles("Draft")),
    nested("embed not.is null", "title,comments()", ".not('comments', 'is', null)", lambda q: q.not_.is_("comments", None), titles("First", "Second")),
    nested("or across embeds", "title,comments(),post_stats()", ".or('comments.is.null,post_stats.not.is.null')", lambda q: q.or_("comments.is.null,post_stats.not.is.null"), titles("Draft", "First")),
    nested("one embed twice", "title,a:comments(body),b:comments(body)", ".eq('title', 'First').eq('a.body', 'one').eq('b.body', 'two')", lambda q: q.eq("title", "First").eq("a.body", "one").eq("b.body", "two"), [{"title": "First", "a": [{"body": "one"}], "b": [{"body": "two"}]}]),
]  # fmt: skip

REFUSED = [
    refused("no such operator", ".filter('views', 'xyz', 1)", lambda q: q.filter("views", "xyz", "1"), code="PGRST100",
            message='"failed to parse filter (xyz.1)" (line 1, column 1)'),
    refused("an empty or", ".or('')", lambda q: q.or_(""), code="PGRST100"),
    refused("a broken tree", ".or('views.gt')", lambda q: q.or_("views.gt"), code="PGRST100"),
    refused("a broken path", ".eq('meta->>--34', 1)", lambda q: q.eq("meta->>--34", 1), code="PGRST100"),
    refused("an unknown column", ".eq('nope', 1)", lambda q: q.eq("nope", 1), code="42703"),
    refused("an unknown column in a tree", ".or('nope.eq.1')", lambda q: q.or_("nope.eq.1"), code="42703"),
    refused("a wrong literal", ".eq('views', 'many')", lambda q: q.eq("views", "many"), code="22P02"),
    refused("not embedded", ".eq('comments.body', 'x')", lambda q: q.eq("comments.body", "x"), code="PGRST108",
            message="'comments' is not an embedded resource in this request",
            hint="Verify that 'comments' is included in the 'select' query parameter."),
    refused("an operator on an embed", ".eq('comments', 'x')", lambda q: q.eq("comments", "x"), "*,comments(body)", code="PGRST120"),
]  # fmt: skip

CASES = [*FILTERS, *TREES, *EMBEDDED, *REFUSED]


@js_cases(CASES)
async def test_js(js: Js, scene: Scene, case: Case) -> None:
    case.check(await by_js(js, case, scene), scene)


@py_cases(CASES)
def test_py(py: Python, scene: Scene, case: Case) -> None:
    case.check(py.ask(case, scene), scene)
