"""Every form of a select list, and of order and window, through supabase-js and supabase-py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.contract.conftest import Js
from tests.contract.rest import Case, Python, Scene, by_js, js_cases, py_cases, titles


def shapes(line: str, select: str, data: Any) -> Case:
    """The first post in a form. data: the row, or a function of the scene."""
    return Case(
        line,
        f"from('posts').select({select!r}).eq('id', args.first).order('id').single()",
        lambda c, s: c.table("posts").select(select).eq("id", s.first).order("id").single(),
        data,
    )


def listed(line: str, select: str, js: str, py: Callable[[Any], Any], data: Any, **more: Any) -> Case:
    """The owner's posts, by a chain behind the select."""
    return Case(
        line,
        f"from('posts').select({select!r}).like('slug', args.mark + '%'){js}",
        lambda c, s: py(c.table("posts").select(select).like("slug", f"{s.mark}%")),
        data,
        **more,
    )


def table(line: str, name: str, select: str, js: str, py: Callable[[Any], Any], data: Any) -> Case:
    return Case(line, f"from('{name}').select({select!r}){js}", lambda c, s: py(c.table(name).select(select)), data)


def refused(line: str, name: str, select: str, status: int = 400, **error: Any) -> Case:
    return Case(
        line, f"from('{name}').select({select!r})", lambda c, s: c.table(name).select(select), status=status, error=error
    )  # fmt: skip


THREE = {"comments": [{"body": "one"}, {"body": "two"}, {"body": "three"}]}


def hi(scene: Scene) -> Any:
    return [{"text": "hi", "from": {"id": scene.owner.id}, "to": {"id": scene.other.id}}]


SELECTS = [
    Case("*", "from('labels').select().eq('name', args.mark + '-red')", lambda c, s: c.table("labels").select().eq("name", f"{s.mark}-red"), lambda s: [{"name": f"{s.mark}-red", "colour": "red"}]),
    Case("* has no hidden fields", "from('profiles').select('*').eq('id', args.owner.id).single()", lambda c, s: c.table("profiles").select("*").eq("id", s.owner.id).single(),
         keys=("created_at", "id", "phone", "updated_at", "username")),
    shapes("columns", "title,views", {"title": "First", "views": 5}),
    shapes("spaces", "title, comments ( body )", {"title": "First", **THREE}),
    shapes("types", "headline,state,tags,rating,span", {"headline": "FIRST", "state": "draft", "tags": ["a", "b c"], "rating": 4.5, "span": "[1,5)"}),
    shapes("alias", "n:title", {"n": "First"}),
    shapes("cast", "views::text", {"views": "5"}),
    shapes("alias and cast", "v:views::text", {"v": "5"}),
    shapes("->", "meta->k", {"k": 1}),
    shapes("->>", "meta->>k", {"k": "1"}),
    shapes("-> deep", "meta->deep->list->0->>name", {"name": "x"}),
    shapes("-> from the end", "meta->deep->list->-1->>name", {"name": "x"}),
    shapes("name before an index", "meta->deep->list->0", {"list": {"name": "x"}}),
    shapes("name of the column", "tags->0", {"tags": "a"}),
    shapes("-> with an alias", "x:meta->deep->list->0", {"x": {"name": "x"}}),
    shapes("->> with a cast", "meta->>k::int", {"k": 1}),
    shapes("a key of digits and letters", "meta->0xy1,meta->23-xy-45", {"0xy1": None, "23-xy-45": None}),
    shapes("a key of signs", "meta->!$%&", {"!$%&": None}),
    shapes("->> from the end", "tags->>-1", {"tags": "b c"}),
    Case("a field for its owner alone", "from('profiles').select('id,phone').eq('id', args.owner.id)", lambda c, s: c.table("profiles").select("id,phone").eq("id", s.owner.id), lambda s: [{"id": s.owner.id, "phone": None}], who="other"),
    Case("a collection without rules", "from('drafts').select()", lambda c, s: c.table("drafts").select("*"), []),
    shapes("a missing key", "meta->nope->0->>deeper", {"deeper": None}),
    shapes("to one", "profiles(id)", lambda s: {"profiles": {"id": s.owner.id}}),
    shapes("to one by the other's key", "post_stats(likes)", {"post_stats": {"likes": 3}}),
    listed("to one without a row", "title,post_stats(likes)", ".eq('title', 'Second')", lambda q: q.eq("title", "Second"), [{"title": "Second", "post_stats": None}]),
    shapes("to many", "comments(body)", THREE),
    listed("to many without rows", "title,comments(body)", ".eq('title', 'Draft')", lambda q: q.eq("title", "Draft"), [{"title": "Draft", "comments": []}]),
    listed("many to many", "labels(colour)", ".eq('title', 'First').order('colour', {referencedTable: 'labels'})", lambda q: q.eq("title", "First").order("colour", foreign_table="labels"), [{"labels": [{"colour": "blue"}, {"colour": "red"}]}]),
    listed("many to many without rows", "title,labels(colour)", ".eq('title', 'Second')", lambda q: q.eq("title", "Second"), [{"title": "Second", "labels": []}]),
    listed("many to many by its junction", "labels!post_labels(colour)", ".eq('title', 'First').order('colour', {referencedTable: 'labels'})", lambda q: q.eq("title", "First").order("colour", foreign_table="labels"), [{"labels": [{"colour": "blue"}, {"colour": "red"}]}]),
    Case("many to many backwards", "from('labels').select('posts(title)').eq('name', args.mark + '-red')",
         lambda c, s: c.table("labels").select("posts(title)").eq("name", f"{s.mark}-red"), [{"posts": titles("First")}]),
    listed("!inner", "title,comments!inner(body)", ".eq('comments.body', 'two')", lambda q: q.eq("comments.body", "two"), [{"title": "First", "comments": [{"body": "two"}]}]),
    listed("!inner without a filter", "title,post_stats!inner()", "", lambda q: q, titles("First")),
    listed("!left", "title,comments!left(body)", ".eq('comments.body', 'x').eq('title', 'First')", lambda q: q.eq("comments.body", "x").eq("title", "First"), [{"title": "First", "comments": []}]),
    listed("!hint and !inner", "title,profiles!author!inner(id)", ".eq('profiles.username', 'nobody')", lambda q: q.eq("profiles.username", "nobody"), []),
    table("!hint constraint", "messages", "text,from:profiles!messages_sender_fkey(id),to:profiles!messages_receiver_fkey(id)", "", lambda q: q, hi),
    table("!hint column", "messages", "text,from:profiles!sender(id),to:profiles!receiver(id)", "", lambda q: q, hi),
    table("named by its column", "messages", "text,from:sender(id),to:receiver(id)", "", lambda q: q, hi),
    table("to itself by column", "folders", "name,parent(name)", ".eq('name', 'a')", lambda q: q.eq("name", "a"), [{"name": "a", "parent": {"name": "top"}}]),
    table("to itself backwards", "folders", "name,children:folders!folders_parent_fkey(name)", ".eq('name', 'top').order('name', {referencedTable: 'children'})", lambda q: q.eq("name", "top").order("name", foreign_table="children"), [{"name": "top", "children": [{"name": "a"}, {"name": "b"}]}]),
    shapes("spread", "title,...post_stats(likes)", {"title": "First", "likes": 3}),
    listed("spread without a row", "title,...post_stats(n:likes)", ".eq('title', 'Second')", lambda q: q.eq("title", "Second"), [{"title": "Second", "n": None}]),
    shapes("embed in an embed", "comments(body,profiles(id))", lambda s: {"comments": [{"body": body, "profiles": {"id": s.owner.id}} for body in ("one", "two", "three")]}),
    shapes("alias of an embed", "who:profiles(id)", lambda s: {"who": {"id": s.owner.id}}),
    shapes("rel(count)", "comments(count)", {"comments": [{"count": 3}]}),
    shapes("rel(count())", "comments(count())", {"comments": [{"count": 3}]}),
    listed("rel(count) of nothing", "title,comments(count)", ".eq('title', 'Draft')", lambda q: q.eq("title", "Draft"), [{"title": "Draft", "comments": [{"count": 0}]}]),
]  # fmt: skip

REFUSED = [
    refused("no relationship", "posts", "drafts(id)", code="PGRST200",
            message="Could not find a relationship between 'posts' and 'drafts' in the schema cache",
            details="Searched for a foreign key relationship between 'posts' and 'drafts' in the schema 'public', but no matches were found."),
    refused("no relationship by that hint", "posts", "comments!nope(id)", code="PGRST200",
            details="Searched for a foreign key relationship between 'posts' and 'comments' using the hint 'nope' in the schema 'public', but no matches were found."),
    refused("ambiguous", "messages", "profiles(id)", 300, code="PGRST201",
            message="Could not embed because more than one relationship was found for 'messages' and 'profiles'",
            details=[
                {"cardinality": "many-to-one", "embedding": "messages with profiles", "relationship": "messages_sender_fkey using messages(sender) and profiles(id)"},
                {"cardinality": "many-to-one", "embedding": "messages with profiles", "relationship": "messages_receiver_fkey using messages(receiver) and profiles(id)"},
            ],
            hint="Try changing 'profiles' to one of the following: 'profiles!messages_sender_fkey', 'profiles!messages_receiver_fkey'. Find the desired relationship in the 'details' key."),
    refused("a broken select", "posts", "title,,views(", code="PGRST100"),
    refused("an unknown column", "posts", "nope", code="42703", message="column posts.nope does not exist"),
    refused("an unknown column below", "posts", "comments(nope)", code="42703"),
]  # fmt: skip

ORDERS = [
    listed("asc by default", "title", ".order('views')", lambda q: q.order("views"), titles("First", "Draft", "Second")),
    listed("desc", "title", ".order('views', {ascending: false})", lambda q: q.order("views", desc=True), titles("Second", "Draft", "First")),
    listed("nulls last by default", "title", ".order('rating')", lambda q: q.order("rating"), titles("Draft", "First", "Second")),
    listed("nulls first when descending", "title", ".order('rating', {ascending: false})", lambda q: q.order("rating", desc=True), titles("Second", "First", "Draft")),
    listed("nullslast", "title", ".order('rating', {ascending: false, nullsFirst: false})", lambda q: q.order("rating", desc=True, nullsfirst=False), titles("First", "Draft", "Second")),
    listed("nullsfirst", "title", ".order('rating', {nullsFirst: true})", lambda q: q.order("rating", nullsfirst=True), titles("Second", "Draft", "First")),
    listed("several", "title", ".order('published').order('views', {ascending: false})", lambda q: q.order("published").order("views", desc=True), titles("Draft", "Second", "First")),
    listed("by a json key", "title", ".order('meta->>k', {nullsFirst: true})", lambda q: q.order("meta->>k", nullsfirst=True), titles("Draft", "First", "Second")),
    listed("by a to-one embed", "title,post_stats()", ".order('post_stats(likes)').order('views')", lambda q: q.order("post_stats(likes)").order("views"), titles("First", "Draft", "Second")),
    listed("by a spread", "title,...post_stats(likes)", ".order('post_stats(likes)', {nullsFirst: true}).order('views').limit(1)", lambda q: q.order("post_stats(likes)", nullsfirst=True).order("views").limit(1), [{"title": "Draft", "likes": None}]),
    listed("limit", "title", ".order('views').limit(1)", lambda q: q.order("views").limit(1), titles("First"), headers={"content-range": "0-0/*"}),
    listed("range", "title", ".order('views').range(1, 2)", lambda q: q.order("views").range(1, 2), titles("Draft", "Second"), headers={"content-range": "1-2/*"}),
    listed("limit 0", "title", ".limit(0)", lambda q: q.limit(0), [], headers={"content-range": "*/*"}),
    listed("past the end", "title", ".range(9, 12)", lambda q: q.range(9, 12), [], headers={"content-range": "*/*"}),
    listed("order by a to-many embed", "title,comments(body)", ".order('comments(body)')", lambda q: q.order("comments(body)"), status=400, data=None,
           error={"code": "PGRST118", "message": "A related order on 'comments' is not possible"}),
    listed("order by an unknown column", "title", ".order('nope')", lambda q: q.order("nope"), None, status=400, error={"code": "42703"}),
    listed("a broken order", "title", ".order('views.up')", lambda q: q.order("views.up"), None, status=400, error={"code": "PGRST100"}),
    listed("a negative limit", "title", ".limit(-1)", lambda q: q.limit(-1), None, status=416,
           error={"code": "PGRST103", "message": "Requested range not satisfiable"}),
]  # fmt: skip


def counted(
    line: str, options: str, keywords: dict[str, Any], js: str, py: Callable[[Any], Any], data: Any, **more: Any
) -> Case:
    return Case(
        line,
        f"from('posts').select('title', {options}).like('slug', args.mark + '%'){js}",
        lambda c, s: py(c.table("posts").select("title", **keywords).like("slug", f"{s.mark}%")),
        data,
        **more,
    )


EXACT: tuple[str, dict[str, Any]] = ("{count: 'exact'}", {"count": "exact"})
HEAD: tuple[str, dict[str, Any]] = ("{count: 'exact', head: true}", {"count": "exact", "head": True})

COUNTS = [
    counted("count", *EXACT, ".order('title')", lambda q: q.order("title"), titles("Draft", "First", "Second"), count=3,
            headers={"content-range": "0-2/3", "preference-applied": "count=exact"}),
    counted("count of a window", *EXACT, ".order('title').range(1, 1)", lambda q: q.order("title").range(1, 1), titles("First"), status=206, count=3,
            headers={"content-range": "1-1/3"}),
    counted("count of visible rows", *EXACT, ".order('title').limit(1)", lambda q: q.order("title").limit(1), titles("First"), status=206, count=2, who="anon"),
    counted("count of nothing", *EXACT, ".eq('title', 'x')", lambda q: q.eq("title", "x"), [], count=0, headers={"content-range": "*/0"}),
    counted("head", *HEAD, "", lambda q: q, None, count=3, headers={"content-range": "0-2/3", "content-type": "application/json; charset=utf-8"}),
    counted("head of a window", *HEAD, ".range(1, 1)", lambda q: q.range(1, 1), None, status=206, count=3, headers={"content-range": "1-1/3"}),
    counted("count past the end", *EXACT, ".range(9, 12)", lambda q: q.range(9, 12), None, status=416,
            error={"code": "PGRST103", "message": "Requested range not satisfiable", "details": "An offset of 9 was requested, but there are only 3 rows."}),
    counted("planned", "{count: 'planned'}", {"count": "planned"}, "", lambda q: q, count=3, data=titles("First", "Second", "Draft"), headers={"preference-applied": "count=planned"}),
    counted("estimated", "{count: 'estimated'}", {"count": "estimated"}, "", lambda q: q, count=3, data=titles("First", "Second", "Draft")),
]  # fmt: skip


def form(line: str, js: str, py: Callable[[Any], Any], **more: Any) -> Case:
    """Another form of the answer than an array."""
    return Case(line, f"from('posts').select('title,views'){js}", lambda c, s: py(c.table("posts").select("title,views").like("slug", f"{s.mark}%")), **more)  # fmt: skip


def with_prefer(query: Any) -> Any:
    query.request.headers["Prefer"] = "return=representation, resolution=merge-duplicates, nonsense"
    return query


OF = ".like('slug', args.mark + '%')"
FORMS = [
    form("json", OF + ".eq('views', 5)", lambda q: q.eq("views", 5), data=[{"title": "First", "views": 5}], headers={"content-type": "application/json; charset=utf-8"}),
    form("single", OF + ".eq('views', 5).single()", lambda q: q.eq("views", 5).single(), data={"title": "First", "views": 5},
         headers={"content-type": "application/vnd.pgrst.object+json; charset=utf-8"}),
    form("single of none", OF + ".eq('views', -5).single()", lambda q: q.eq("views", -5).single(), status=406,
         error={"code": "PGRST116", "message": "Cannot coerce the result to a single JSON object", "details": "The result contains 0 rows", "hint": None}),
    form("single of many", OF + ".single()", lambda q: q.single(), status=406,
         error={"code": "PGRST116", "message": "Cannot coerce the result to a single JSON object", "details": "The result contains 3 rows", "hint": None}),
    form("maybeSingle", OF + ".eq('views', 5).maybeSingle()", lambda q: q.eq("views", 5).maybe_single(), data={"title": "First", "views": 5}),
    form("maybeSingle of none", OF + ".eq('views', -5).maybeSingle()", lambda q: q.eq("views", -5).maybe_single(), data=None),
    form("csv", OF + ".eq('views', 5).csv()", lambda q: q.eq("views", 5).csv(), data="title,views\nFirst,5", headers={"content-type": "text/csv; charset=utf-8"}),
    form("csv of many", OF + ".order('views').csv()", lambda q: q.order("views").csv(), data="title,views\nFirst,5\nDraft,7\nSecond,10"),
    form("prefer on a read", OF + ".eq('views', 5).setHeader('prefer', 'return=representation, resolution=merge-duplicates, nonsense')", lambda q: with_prefer(q.eq("views", 5)), data=[{"title": "First", "views": 5}]),
]  # fmt: skip

CASES = [*SELECTS, *REFUSED, *ORDERS, *COUNTS, *FORMS]


@js_cases(CASES)
async def test_js(js: Js, scene: Scene, case: Case) -> None:
    case.check(await by_js(js, case, scene), scene)


@py_cases(CASES)
def test_py(py: Python, scene: Scene, case: Case) -> None:
    case.check(py.ask(case, scene), scene)
