"""GET and HEAD of collections, through the app, on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.records.conftest import Api
from tests.sample import ANA, BEN, CAT, P1, P2, P3, P4

ALL = {"Alpha", "Beta", "Gamma", "Delta"}


def titles(rows: list[dict[str, Any]]) -> list[str]:
    return [row["title"] for row in rows]


async def test_a_list_is_a_json_array_of_what_the_caller_may_see(reading: Api) -> None:
    response = await reading("GET", "/posts?select=title&order=title")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["content-range"] == "0-1/*"
    assert response.json() == [{"title": "Alpha"}, {"title": "Gamma"}]
    assert titles(await reading.get("/posts?select=title&order=title", "ana")) == ["Alpha", "Beta", "Gamma"]
    assert titles(await reading.get("/posts?select=title&order=title", "service")) == [
        "Alpha",
        "Beta",
        "Delta",
        "Gamma",
    ]


async def test_a_star_gives_every_field_with_its_own_json_type(reading: Api) -> None:
    (row,) = await reading.get(f"/posts?id=eq.{P1}")
    assert row["rating"] == 4.5
    assert row["tags"] == ["red", "big"]
    assert row["meta"] == {"k": 1, "a": {"b": ["x", "y"]}}
    assert row["period"] == "[2024-01-01,2024-02-01)"
    assert row["loud"] == "ALPHA"
    assert list(row)[:4] == ["id", "author", "editor", "title"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("views=eq.10", {"Alpha"}),
        ("views=neq.10", {"Beta", "Gamma", "Delta"}),
        ("views=gt.20", {"Gamma", "Delta"}),
        ("views=gte.20&views=lte.30", {"Beta", "Gamma"}),
        ("views=lt.20", {"Alpha"}),
        ("title=like.*l*", {"Alpha", "Delta"}),
        ("title=like.A%25", {"Alpha"}),
        ("title=ilike.a*", {"Alpha"}),
        ("title=like(any).{A*,B*}", {"Alpha", "Beta"}),
        ("title=ilike(all).{*A,*l*}", {"Alpha", "Delta"}),
        ("title=match.^[AB]", {"Alpha", "Beta"}),
        ("title=imatch.^[ab]", {"Alpha", "Beta"}),
        ("title=not.imatch.^[ab]", {"Gamma", "Delta"}),
        ("views=eq(any).{10,20}", {"Alpha", "Beta"}),
        ("views=gt(all).{10,20}", {"Gamma", "Delta"}),
        ("editor=is.null", {"Beta", "Delta"}),
        ("editor=is.not_null", {"Alpha", "Gamma"}),
        ("editor=not.is.null", {"Alpha", "Gamma"}),
        ("published=is.true", {"Alpha", "Gamma"}),
        ("published=is.FALSE", {"Beta", "Delta"}),
        ("rating=isdistinct.4.5", {"Beta", "Gamma", "Delta"}),
        ("title=in.(Alpha,Beta)", {"Alpha", "Beta"}),
        ('title=in.("Alpha","x,y")', {"Alpha"}),
        ("title=not.in.(Alpha,Beta)", {"Gamma", "Delta"}),
        ("title=in.()", set()),
        (f"id=in.({P1},{P3})", {"Alpha", "Gamma"}),
        ("title=eq.null", set()),
        ("tags=cs.{red}", {"Alpha", "Gamma"}),
        ("tags=cs.{red,big}", {"Alpha"}),
        ("tags=cd.{red,blue}", {"Beta", "Gamma"}),
        ("tags=ov.{big,blue}", {"Alpha"}),
        ("tags=eq.{red}", {"Gamma"}),
        ("tags=in.({red},{})", {"Beta", "Gamma"}),
        ('meta=cs.{"k":1}', {"Alpha"}),
        ('meta=cd.{"k":2,"l":3}', {"Beta"}),
        ("meta->k=gt.1", {"Beta", "Gamma"}),
        ("meta->>k=eq.3", {"Gamma"}),
        ("meta->a->b->>0=eq.x", {"Alpha"}),
        ("meta->a->b->>-1=eq.y", {"Alpha"}),
        ("tags->>0=eq.red", {"Alpha", "Gamma"}),
        ("period=cs.[2024-01-05,2024-01-07)", {"Alpha"}),
        ("period=ov.[2024-01-15,2024-03-15)", {"Alpha", "Gamma"}),
        ("period=sl.[2024-02-15,2024-02-20)", {"Alpha"}),
        ("period=sr.[2024-02-15,2024-02-20)", {"Gamma"}),
        ("period=nxr.[2024-01-15,2024-02-20)", {"Alpha"}),
        ("period=nxl.[2024-02-15,2024-02-20)", {"Gamma"}),
        ("period=adj.[2024-02-01,2024-02-20)", {"Alpha"}),
        ("body=fts(english).cats", {"Alpha"}),
        ("body=plfts.a dog", {"Beta"}),
        ("body=phfts(english).fat cat", {"Alpha"}),
        ("body=wfts(english).cat or dog", {"Alpha", "Beta"}),
        ("body=not.fts(english).cat", {"Beta", "Delta"}),
        ("or=(views.lt.15,title.eq.Delta)", {"Alpha", "Delta"}),
        ("or=(views.gt.35,and(title.ilike.*a*,editor.is.null))", {"Beta", "Delta"}),
        ("not.or=(views.lt.15,title.eq.Delta)", {"Beta", "Gamma"}),
        ("and=(views.gt.10,not.and(views.gt.20,views.lt.40))", {"Beta", "Delta"}),
        ('or=(title.eq."Alpha",title.in.("Beta","Gamma"))', {"Alpha", "Beta", "Gamma"}),
        ("created_at=gte.2020-01-01T00:00:00Z&views=eq.10", {"Alpha"}),
    ],
)
async def test_each_operator_means_what_it_means_in_sql(reading: Api, filters: str, expected: set[str]) -> None:
    assert set(titles(await reading.get(f"/posts?select=title&{filters}", "service"))) == expected


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("title", {"title": "Alpha"}),
        ("n:title", {"n": "Alpha"}),
        ("views::text", {"views": "10"}),
        ("v:views::float8", {"v": 10.0}),
        ("meta->k", {"k": 1}),
        ("meta->a->b->>0", {"b": "x"}),
        ("x:meta->a->b", {"x": ["x", "y"]}),
        ("tags->0", {"tags": "red"}),
        ("k:meta->>k::int", {"k": 1}),
    ],
)
async def test_select_picks_renames_and_casts(reading: Api, select: str, expected: dict[str, Any]) -> None:
    assert await reading.get(f"/posts?select={select}&id=eq.{P1}") == [expected]


async def test_a_to_one_embed_is_an_object_or_null(reading: Api) -> None:
    rows = await reading.get("/posts?select=title,author(username),by:profiles!editor(username)&order=title", "ana")
    assert rows == [
        {"title": "Alpha", "author": {"username": "ana"}, "by": {"username": "ben"}},
        {"title": "Beta", "author": {"username": "ana"}, "by": None},
        {"title": "Gamma", "author": {"username": "ben"}, "by": {"username": "ana"}},
    ]


async def test_a_to_many_embed_is_an_array_and_empty_when_there_is_none(reading: Api) -> None:
    rows = await reading.get("/posts?select=title,comments(body)&order=title&comments.order=id", "service")
    assert [(row["title"], [c["body"] for c in row["comments"]]) for row in rows] == [
        ("Alpha", ["nice", "whisper"]),
        ("Beta", ["note to self"]),
        ("Delta", []),
        ("Gamma", ["hm", "mine"]),
    ]


async def test_a_junction_leads_to_the_other_side(reading: Api) -> None:
    rows = await reading.get("/posts?select=title,tags(name)&order=title&tags.order=name", "service")
    assert [(row["title"], row["tags"]) for row in rows] == [
        ("Alpha", [{"name": "blue"}, {"name": "red"}]),
        ("Beta", []),
        ("Delta", []),
        ("Gamma", [{"name": "red"}]),
    ]


async def test_a_unique_foreign_key_on_the_other_side_is_to_one(reading: Api) -> None:
    rows = await reading.get("/posts?select=title,post_stats(likes)&order=title", "ana")
    assert [row["post_stats"] for row in rows] == [{"likes": 5}, {"likes": 7}, None]


async def test_embeds_go_deep_and_each_level_has_its_own_order_and_window(reading: Api) -> None:
    path = (
        "/profiles?select=username,posts!posts_author_fkey(title,comments(body))&order=username&username=neq.cat"
        "&posts.order=title.desc&posts.limit=1&posts.comments.order=body.desc&posts.comments.limit=1"
    )
    assert await reading.get(path, "service") == [
        {"username": "ana", "posts": [{"title": "Beta", "comments": [{"body": "note to self"}]}]},
        {"username": "ben", "posts": [{"title": "Gamma", "comments": [{"body": "mine"}]}]},
    ]


async def test_a_collection_embeds_itself_in_both_directions(reading: Api) -> None:
    rows = await reading.get("/profiles?select=username,boss(username)&order=username")
    assert [row["boss"] for row in rows] == [None, {"username": "ana"}, {"username": "ana"}]
    path = "/profiles?select=username,staff:profiles!profiles_boss_fkey(username)&username=eq.ana&staff.order=username"
    (row,) = await reading.get(path)
    assert row["staff"] in ([{"username": "ben"}, {"username": "cat"}], None)


async def test_an_embedded_filter_thins_the_embed_only(reading: Api) -> None:
    rows = await reading.get("/posts?select=title,comments(body)&comments.body=eq.nice&order=title", "service")
    assert [(row["title"], len(row["comments"])) for row in rows] == [
        ("Alpha", 1),
        ("Beta", 0),
        ("Delta", 0),
        ("Gamma", 0),
    ]


async def test_an_inner_embed_drops_rows_without_a_match(reading: Api) -> None:
    response = await reading(
        "GET", "/posts?select=title,comments!inner(body)&comments.body=eq.nice", "service", prefer="count=exact"
    )
    assert response.json() == [{"title": "Alpha", "comments": [{"body": "nice"}]}]
    assert response.headers["content-range"] == "0-0/1"


async def test_inner_inside_a_plain_embed_thins_that_level_only(reading: Api) -> None:
    path = (
        "/profiles?select=username,posts!posts_author_fkey(title,comments!inner(body))&posts.comments.body=eq.hm"
        "&order=username"
    )
    rows = await reading.get(path, "service")
    assert [(row["username"], titles(row["posts"])) for row in rows] == [("ana", []), ("ben", ["Gamma"]), ("cat", [])]
    path = path.replace("posts_author_fkey(", "posts_author_fkey!inner(")
    assert [row["username"] for row in await reading.get(path, "service")] == ["ben"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("comments=is.null", ["Delta"]),
        ("comments=not.is.null", ["Alpha", "Beta", "Gamma"]),
        ("comments=is.not_null", ["Alpha", "Beta", "Gamma"]),
        ("or=(comments.is.null,views.eq.10)", ["Alpha", "Delta"]),
        ("or=(comments.is.null,post_stats.not.is.null)", ["Alpha", "Beta", "Delta"]),
    ],
)
async def test_parents_are_filtered_by_whether_an_embed_exists(reading: Api, test: str, expected: list[str]) -> None:
    rows = await reading.get(f"/posts?select=title,comments(),post_stats()&{test}&order=title", "service")
    assert rows == [{"title": title} for title in expected]


async def test_spread_lifts_columns(reading: Api) -> None:
    rows = await reading.get("/posts?select=title,...post_stats(likes),...author(who:username)&order=title", "ana")
    assert rows == [
        {"title": "Alpha", "likes": 5, "who": "ana"},
        {"title": "Beta", "likes": 7, "who": "ana"},
        {"title": "Gamma", "likes": None, "who": "ben"},
    ]


async def test_spread_of_many_gives_arrays_in_one_order(reading: Api) -> None:
    path = f"/posts?select=title,...comments(ids:id,body)&comments.order=body&id=eq.{P1}"
    assert await reading.get(path, "service") == [{"title": "Alpha", "ids": [1, 2], "body": ["nice", "whisper"]}]


async def test_order_goes_by_several_terms_and_by_related_records(reading: Api) -> None:
    assert titles(await reading.get("/posts?select=title&order=published.desc,views.desc", "service")) == [
        "Gamma",
        "Alpha",
        "Delta",
        "Beta",
    ]
    assert titles(await reading.get("/posts?select=title&order=rating.desc.nullslast", "service"))[-1] == "Beta"
    assert titles(await reading.get("/posts?select=title&order=rating.asc.nullsfirst", "service"))[0] == "Beta"
    assert titles(await reading.get("/posts?select=title&order=meta->k.desc.nullslast", "service"))[0] == "Gamma"
    path = "/posts?select=title,author(username)&order=author(username).desc,title"
    assert titles(await reading.get(path, "service")) == ["Delta", "Gamma", "Alpha", "Beta"]
    path = "/posts?select=title,...post_stats(likes)&order=post_stats(likes).desc.nullslast,title.desc"
    assert titles(await reading.get(path, "service")) == ["Beta", "Alpha", "Gamma", "Delta"]


async def test_a_window_by_parameters_or_by_header(reading: Api) -> None:
    rows = await reading("GET", "/posts?select=title&order=title&offset=1&limit=2", "service")
    assert titles(rows.json()) == ["Beta", "Delta"]
    assert rows.headers["content-range"] == "1-2/*"
    rows = await reading("GET", "/posts?select=title&order=title", "service", range="1-2", range_unit="items")
    assert titles(rows.json()) == ["Beta", "Delta"]
    rows = await reading("GET", "/posts?select=title&limit=0", "service")
    assert (rows.status_code, rows.json(), rows.headers["content-range"]) == (200, [], "*/*")


async def test_a_count_tells_the_total_and_206_that_there_is_more(reading: Api) -> None:
    for kind in ("exact", "planned", "estimated"):
        response = await reading("GET", "/posts?select=title&order=title&limit=1", "ana", prefer=f"count={kind}")
        assert (response.status_code, response.headers["content-range"]) == (206, "0-0/3")
        assert response.headers["preference-applied"] == f"count={kind}"
    response = await reading("GET", "/posts?title=eq.nope", "ana", prefer="count=exact")
    assert (response.status_code, response.headers["content-range"]) == (200, "*/0")


async def test_an_offset_past_the_end_is_an_error_when_counted(reading: Api) -> None:
    response = await reading("GET", "/posts?offset=9", "ana", prefer="count=exact")
    assert response.status_code == 416
    assert response.json()["code"] == "PGRST103"
    assert response.json()["details"] == "An offset of 9 was requested, but there are only 3 rows."
    assert (await reading.get("/posts?offset=9", "ana")) == []


async def test_head_has_the_same_status_and_headers_and_no_body(reading: Api) -> None:
    path = "/posts?select=title&order=title&limit=1"
    got = await reading("GET", path, "ana", prefer="count=exact")
    head = await reading("HEAD", path, "ana", prefer="count=exact")
    assert head.status_code == got.status_code == 206
    assert head.content == b""
    assert head.headers["content-range"] == got.headers["content-range"]
    assert head.headers["content-type"] == got.headers["content-type"]


async def test_head_fails_where_get_does(reading: Api) -> None:
    for path in ("/posts?select=title::int", "/posts?nope=eq.1", "/nope", "/posts?select=title::int&limit=0"):
        got, head = await reading("GET", path), await reading("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers.get("proxy-status") == got.headers.get("proxy-status")


async def test_one_object_is_given_when_there_is_exactly_one(reading: Api) -> None:
    accept = "application/vnd.pgrst.object+json"
    response = await reading("GET", f"/posts?select=title&id=eq.{P1}", accept=accept)
    assert response.json() == {"title": "Alpha"}
    assert response.headers["content-type"] == "application/vnd.pgrst.object+json; charset=utf-8"
    for path, rows in ((f"/posts?id=eq.{CAT}", 0), ("/posts", 2)):
        response = await reading("GET", path, accept=accept)
        assert (response.status_code, response.json()["code"]) == (406, "PGRST116")
        assert response.json()["details"] == f"The result contains {rows} rows"


async def test_nulls_are_stripped_on_request(reading: Api) -> None:
    accept = "application/vnd.pgrst.array+json;nulls=stripped"
    response = await reading("GET", f"/posts?select=title,body&id=eq.{P3}", accept=accept)
    assert response.json() == [{"title": "Gamma"}]
    accept = "application/vnd.pgrst.object+json;nulls=stripped"
    response = await reading("GET", f"/posts?select=title,body&id=eq.{P3}", accept=accept)
    assert response.json() == {"title": "Gamma"}


async def test_csv_has_a_header_line_even_without_rows(reading: Api) -> None:
    response = await reading("GET", "/posts?select=title,tags,body,rating&order=title", accept="text/csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text.splitlines() == [
        "title,tags,body,rating",
        'Alpha,"[""red"",""big""]",the fat cat sat,4.50',
        'Gamma,"[""red""]",,3.25',
    ]
    response = await reading("GET", "/posts?select=title,n:views&views=eq.0", accept="text/csv")
    assert response.text == "title,n"


async def test_aggregates_group_by_the_other_columns(reading: Api) -> None:
    path = "/posts?select=published,n:count(),views.sum(),most:views.max(),r:rating.avg()::int&order=published"
    response = await reading("GET", path, "ana", prefer="count=exact")
    assert response.json() == [
        {"published": False, "n": 1, "sum": 20, "most": 20, "r": None},
        {"published": True, "n": 2, "sum": 40, "most": 30, "r": 4},
    ]
    assert response.headers["content-range"] == "0-1/2"
    assert await reading.get("/posts?select=count()", "ana") == [{"count": 3}]
    assert await reading.get("/posts?select=meta->>k,count()&order=meta->>k&limit=1", "ana") == [{"k": "1", "count": 1}]
    rows = await reading.get("/posts?select=author(username),views.sum()", "ana")
    assert {row["author"]["username"]: row["sum"] for row in rows} == {"ana": 30, "ben": 30}


async def test_an_embed_counts_its_rows(reading: Api) -> None:
    rows = await reading.get("/posts?select=title,comments(count)&order=title", "anon")
    assert rows == [{"title": "Alpha", "comments": [{"count": 1}]}, {"title": "Gamma", "comments": [{"count": 1}]}]


async def test_a_list_is_never_longer_than_the_cap(api: Api) -> None:
    api.cap(2)
    response = await api("GET", "/posts?select=title,comments(body)&limit=100", "service", prefer="count=exact")
    assert (len(response.json()), response.headers["content-range"]) == (2, "0-1/4")
    await api.database.execute(f"insert into comments (post, body) select '{P3}', i::text from generate_series(1, 9) i")
    (row,) = await api.get(f"/posts?select=comments(body)&id=eq.{P3}", "service")
    assert len(row["comments"]) == 2


@pytest.mark.parametrize("many", ["1000000000", "9223372036854775807", "99999999999999999999"])
async def test_a_window_beyond_all_bounds_is_cut_or_empty(api: Api, many: str) -> None:
    api.cap(2)
    assert len(await api.get(f"/posts?limit={many}", "service")) == 2
    assert await api.get(f"/posts?offset={many}", "service") == []
    assert await api.get(f"/posts?limit={many}&offset={many}", "service") == []
    refused = await api("GET", f"/posts?offset={many}", "service", prefer="count=exact")
    assert (refused.status_code, refused.json()["code"]) == (416, "PGRST103")


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/nope", 404, "PGRST205", "Could not find the table 'public.nope' in the schema cache"),
        ("/posts/1", 404, "PGRST125", "Invalid path specified in request URL"),
        ("/posts?nope=eq.1", 400, "42703", "column posts.nope does not exist"),
        ("/posts?select=nope", 400, "42703", "column posts.nope does not exist"),
        ("/posts?order=nope", 400, "42703", "column posts.nope does not exist"),
        ("/posts?views=eq.x", 400, "22P02", 'invalid input syntax for type integer: "x"'),
        ("/posts?tags=cs.x", 400, "22P02", 'malformed array literal: "x"'),
        ("/posts?select=title::regclass", 400, "42704", 'type "regclass" does not exist'),
        ("/posts?comments.body=eq.x", 400, "PGRST108", "'comments' is not an embedded resource in this request"),
        ("/posts?select=comments()&comments=eq.1", 400, "PGRST120", "Bad operator on the 'comments' embedded resource"),
        (
            "/posts?select=comments(id)&order=comments(id)",
            400,
            "PGRST118",
            "A related order on 'comments' is not possible",
        ),
        ("/posts?select=count()", 400, "PGRST123", "Use of aggregate functions is not allowed"),
        ("/posts?limit=-1", 416, "PGRST103", "Requested range not satisfiable"),
        ("/posts?views=foo.1", 400, "PGRST100", None),
        ("/posts?title=fts.a b", 400, "42601", None),
    ],
)
async def test_what_cannot_be_asked_is_told_in_the_words_clients_know(
    reading: Api, path: str, status: int, code: str, message: str | None
) -> None:
    response = await reading("GET", path)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert set(body) == {"code", "message", "details", "hint"}
    assert message is None or body["message"] == message


async def test_the_schema_is_named_and_answered(reading: Api) -> None:
    response = await reading("GET", "/posts", accept_profile="public")
    assert response.headers["content-profile"] == "public"
    response = await reading("GET", "/posts", accept_profile="auth")
    assert (response.status_code, response.json()["code"]) == (406, "PGRST106")


async def test_options_lists_what_the_rules_leave_open(reading: Api) -> None:
    assert (await reading("OPTIONS", "/posts")).headers["allow"] == "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"
    assert (await reading("OPTIONS", "/tags")).headers["allow"] == "OPTIONS,GET,HEAD"
    assert (await reading("OPTIONS", "/tags", "service")).headers["allow"] == "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"
    assert (await reading("OPTIONS", "/nope")).status_code == 404


async def test_other_methods_are_refused(reading: Api) -> None:
    response = await reading("PURGE", "/posts")
    assert (response.status_code, response.json()["code"]) == (405, "PGRST117")


async def test_a_name_in_the_path_is_decoded_once(reading: Api) -> None:
    assert (await reading("GET", "/%70osts")).status_code == 200
    assert (await reading("GET", "/%2570osts")).status_code == 404
    assert (await reading("GET", "/posts%2Fx")).json()["code"] == "PGRST205"


async def test_the_ids_of_the_sample_are_what_they_are(reading: Api) -> None:
    rows = await reading.get("/posts?select=id,author&order=title", "service")
    assert [(row["id"], row["author"]) for row in rows] == [(P1, ANA), (P2, ANA), (P4, BEN), (P3, BEN)]
