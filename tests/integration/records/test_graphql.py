"""Queries at ``/graphql/v1``: what they show, to whom, at what price."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query

from mbaas.config.settings import GraphQLSettings, RateSettings
from mbaas.http.ratelimit import RateLimiter
from tests.integration.records.conftest import Api
from tests.sample import ANA, P1, P2

NESTED = """{
  postsCollection(first: 3, orderBy: [{title: AscNullsLast}]) { totalCount edges { cursor node {
    title profilesBy_author { username profiles { username } }
    commentsCollection(first: 5, orderBy: [{id: AscNullsLast}]) { totalCount edges { node { body profiles { username
      postsCollectionBy_author(first: 5) { edges { node { title posts_tagsCollection(first: 5) { edges { node { tags { name } } } } } } }
    } } } } } } }
  tagsCollection { edges { node { name } } }
  profilesCollection { totalCount }
}"""


async def titles(api: Api, arguments: str, by: str = "service") -> list[str]:
    found = await api.data(f"{{ postsCollection{arguments} {{ edges {{ node {{ title }} }} }} }}", by)
    return [edge["node"]["title"] for edge in found["postsCollection"]["edges"]]


class Statements:
    """Every statement that goes to PostgreSQL from now on."""

    def __init__(self, api: Api) -> None:
        self._seen: list[str] = []
        for link in api.links():
            link.connection.add_query_logger(lambda record: self._seen.append(record.query))

    async def count(self) -> int:
        await asyncio.sleep(0)  # the driver tells of them when the loop turns
        return len(self._seen)


async def test_a_query_is_one_statement_however_deep_and_wide_it_is(reading: Api) -> None:
    seen = Statements(reading)
    data = await reading.data(NESTED, "ana")
    assert await seen.count() == 1
    first = data["postsCollection"]["edges"][0]["node"]
    assert (first["title"], first["profilesBy_author"]) == ("Alpha", {"username": "ana", "profiles": None})
    assert [edge["node"]["body"] for edge in first["commentsCollection"]["edges"]] == ["nice"]
    assert data["profilesCollection"] == {"totalCount": 3}


async def test_a_write_is_one_statement_with_what_it_gives_back(api: Api) -> None:
    seen = Statements(api)
    await api.data(
        'mutation { insertIntopostsCollection(objects: [{title: "a"}, {title: "b", views: 3}]) { affectedCount '
        "records { title profilesBy_author { username } commentsCollection { totalCount } } } }",
        "ana",
    )
    assert await seen.count() == 1


async def test_values_go_out_as_pg_graphql_spells_them(reading: Api) -> None:
    data = await reading.data(
        f'{{ postsByPk(id: "{P1}") {{ __typename views rating tags meta period published }} '
        "commentsCollection(first: 1) { __typename edges { __typename node { id } } } }",
        "ana",
    )
    assert data["postsByPk"] == {
        "__typename": "posts", "views": 10, "rating": "4.50", "tags": ["red", "big"],
        "meta": '{"a": {"b": ["x", "y"]}, "k": 1}', "period": "[2024-01-01,2024-02-01)", "published": True,
    }  # fmt: skip
    assert data["commentsCollection"] == {
        "__typename": "commentsConnection",
        "edges": [{"__typename": "commentsEdge", "node": {"id": "1"}}],
    }


async def test_rules_and_masks_hold_at_every_level(reading: Api) -> None:
    query = """{ postsCollection(orderBy: [{title: AscNullsLast}]) { totalCount edges { node {
        title profilesBy_author { username phone } commentsCollection { totalCount edges { node { body } } } } } } }"""
    seen = {}
    for by in ("anon", "ana", "service"):
        found = (await reading.data(query, by))["postsCollection"]
        nodes = [edge["node"] for edge in found["edges"]]
        assert found["totalCount"] == len(nodes)
        assert all(n["commentsCollection"]["totalCount"] == len(n["commentsCollection"]["edges"]) for n in nodes)
        seen[by] = {
            node["title"]: (
                node["profilesBy_author"]["phone"],
                sorted(edge["node"]["body"] for edge in node["commentsCollection"]["edges"]),
            )
            for node in nodes
        }
    assert seen["anon"] == {"Alpha": (None, ["nice"]), "Gamma": (None, ["hm"])}
    assert seen["ana"] == {"Alpha": ("+1", ["nice"]), "Beta": ("+1", ["note to self"]), "Gamma": (None, ["hm"])}
    assert seen["service"] == {
        "Alpha": ("+1", ["nice", "whisper"]), "Beta": ("+1", ["note to self"]), "Delta": ("+2", []),
        "Gamma": ("+2", ["hm", "mine"]),
    }  # fmt: skip


async def test_a_masked_field_neither_filters_nor_orders_by_what_it_hides(reading: Api) -> None:
    found = await reading.data('{ profilesCollection(filter: {phone: {eq: "+2"}}) { totalCount } }', "ana")
    assert found["profilesCollection"]["totalCount"] == 0
    ordered = await reading.data(
        "{ profilesCollection(orderBy: [{phone: AscNullsLast}]) { edges { cursor node { username } } } }", "ben"
    )
    assert ordered["profilesCollection"]["edges"][0]["node"]["username"] == "ben"


@pytest.mark.parametrize("by", ["ana", "service"])
async def test_a_schema_shows_what_its_role_may_reach(reading: Api, by: str) -> None:
    described = await reading.data(get_introspection_query(), by)
    schema = build_client_schema(described)
    everything = str(described)
    assert ("secret" in schema.type_map["profiles"].fields) == (by == "service")  # type: ignore[attr-defined]
    assert ("diary" in everything) == (by == "service")
    mutations = set(schema.mutation_type.fields)  # type: ignore[union-attr]
    assert ("deleteFromtagsCollection" in mutations) == (by == "service")
    assert ("plan" in schema.type_map["profilesInsertInput"].fields) == (by == "service")  # type: ignore[attr-defined]
    assert "loud" not in schema.type_map["postsInsertInput"].fields  # type: ignore[attr-defined]
    assert schema.query_type is not None
    assert "insertIntopostsCollection" in mutations


async def test_a_hidden_name_is_one_that_does_not_exist(reading: Api) -> None:
    for hidden, unknown in (
        (
            "{ profilesCollection { edges { node { secret } } } }",
            "{ profilesCollection { edges { node { sekret } } } }",
        ),
        ("{ diaryCollection { totalCount } }", "{ diariCollection { totalCount } }"),
        (
            '{ profilesCollection(filter: {secret: {eq: "sa"}}) { totalCount } }',
            '{ profilesCollection(filter: {sekret: {eq: "sa"}}) { totalCount } }',
        ),
    ):
        one, other = await reading.refusal(hidden, "anon"), await reading.refusal(unknown, "anon")
        for name, twin in (("secret", "sekret"), ("diary", "diari")):
            one["message"] = one["message"].replace(name, twin)
        assert one == other
    node_id = "WyJwdWJsaWMiLCJkaWFyeSIsIjEwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSJd"  # a diary's
    assert await reading.data(f'{{ node(nodeId: "{node_id}") {{ nodeId }} }}', "ana") == {"node": None}


# --- windows ---------------------------------------------------------------------------------------------------------

ORDERS = [
    *("[{views: AscNullsLast}]", "[{title: DescNullsFirst}]", "[{published: DescNullsLast}, {rating: AscNullsFirst}]"),
    *(
        "[{rating: AscNullsFirst}]",
        "[{rating: AscNullsLast}]",
        "[{rating: DescNullsFirst}]",
        "[{rating: DescNullsLast}]",
    ),
    *("[{editor: AscNullsLast}, {views: DescNullsLast}]", "[{editor: DescNullsFirst}]", "[]"),
]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("order", ORDERS)
async def test_pages_put_together_are_the_whole_list_both_ways(reading: Api, order: str, size: int) -> None:
    whole = await titles(reading, f"(orderBy: {order})")
    assert len(whole) == 4
    query = """query ($n: Int!, $at: Cursor) { postsCollection(%s: $n, %s: $at, orderBy: %s) {
        edges { node { title } } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"""
    for first, after, edge, more, behind in (
        ("first", "after", "endCursor", "hasNextPage", "hasPreviousPage"),
        ("last", "before", "startCursor", "hasPreviousPage", "hasNextPage"),
    ):
        pages: list[list[str]] = []
        at = None
        for _ in itertools.repeat(None, 6):
            found = (await reading.data(query % (first, after, order), "service", n=size, at=at))["postsCollection"]
            page, info = [one["node"]["title"] for one in found["edges"]], found["pageInfo"]
            assert info[behind] == (at is not None)
            pages.append(page)
            at = info[edge]
            if not info[more]:
                break
        if first == "last":
            pages.reverse()
        assert list(itertools.chain(*pages)) == whole


async def test_a_cursor_of_each_edge_leads_behind_it(reading: Api) -> None:
    query = "query ($at: Cursor) { postsCollection(after: $at) { totalCount edges { cursor node { title } } } }"
    edges = (await reading.data(query, "service"))["postsCollection"]["edges"]
    for position, edge in enumerate(edges):
        after = (await reading.data(query, "service", at=edge["cursor"]))["postsCollection"]
        assert after == {"totalCount": 4, "edges": edges[position + 1 :]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("(first: 1, last: 1)", "first and last cannot go together"),
        ('(after: "x", before: "y")', "before and after cannot go together"),
        ('(first: 1, before: "x")', "the cursor points the other way"),
        ("(first: -1)", "first is -1, less than nothing"),
        ("(offset: -1)", "offset is -1, less than nothing"),
        ('(after: "WzFd")', "this is no cursor of ours"),
        ('(after: "%%%")', "this is no cursor of ours"),
        ("(orderBy: [{title: AscNullsLast, views: AscNullsLast}])", "one object of orderBy names several fields"),
    ],
)
async def test_a_window_that_cannot_be_is_refused(reading: Api, arguments: str, message: str) -> None:
    error = await reading.refusal(f"{{ p: postsCollection{arguments} {{ totalCount edges {{ cursor }} }} }}", "ana")
    assert error["message"] == message
    assert (error["path"], error["locations"]) == (["p"], [{"line": 1, "column": 3}])


async def test_a_cursor_is_refused_in_another_order(reading: Api) -> None:
    query = "query ($at: Cursor) { postsCollection(first: 1, after: $at, orderBy: %s) { pageInfo { endCursor } } }"
    at = (await reading.data(query % "[{views: AscNullsLast}]", "ana"))["postsCollection"]["pageInfo"]["endCursor"]
    error = await reading.refusal(query % "[{views: DescNullsLast}]", "ana", at=at)
    assert error["message"] == "the cursor belongs to another order"


async def test_a_list_is_cut_where_rest_cuts_it(reading: Api) -> None:
    reading.cap(2)
    found = await reading.data(
        "{ postsCollection(first: 50) { edges { cursor } pageInfo { hasNextPage } } }", "service"
    )
    assert len(found["postsCollection"]["edges"]) == 2
    assert found["postsCollection"]["pageInfo"] == {"hasNextPage": True}


async def test_a_record_is_found_by_its_key_and_by_its_node_id(reading: Api) -> None:
    found = await reading.data(
        f'{{ posts_tagsByPk(post: "{P1}", tag: 1) {{ nodeId tags {{ name }} }} '
        f'hidden: postsByPk(id: "{P2}") {{ title }} }}',
        "ben",
    )
    assert (found["posts_tagsByPk"]["tags"], found["hidden"]) == ({"name": "red"}, None)
    again = await reading.data(
        "query ($id: ID!) { node(nodeId: $id) { nodeId __typename ... on posts_tags { tag } ... on tags { name } } }",
        "ben",
        id=found["posts_tagsByPk"]["nodeId"],
    )
    assert again["node"] == {"nodeId": found["posts_tagsByPk"]["nodeId"], "__typename": "posts_tags", "tag": 1}


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter", "rest"),
    [
        ("{views: {eq: 20}}", "views=eq.20"),
        ("{views: {neq: 20}}", "views=neq.20"),
        ("{views: {gt: 10, lte: 30}}", "views=gt.10&views=lte.30"),
        ("{views: {gte: 30}}", "views=gte.30"),
        ("{views: {lt: 20}}", "views=lt.20"),
        ("{views: {in: [10, 40, 7]}}", "views=in.(10,40,7)"),
        ("{views: {in: []}}", "views=in.()"),
        ("{rating: {is: NULL}}", "rating=is.null"),
        ("{rating: {is: NOT_NULL}}", "rating=not.is.null"),
        ("{rating: {gt: 3.2}}", "rating=gt.3.2"),
        ('{rating: {eq: "4.5"}}', "rating=eq.4.5"),
        ('{title: {like: "%a"}}', "title=like.*a"),
        ('{title: {ilike: "A%"}}', "title=ilike.A*"),
        ('{title: {startsWith: "Al"}}', "title=like.Al*"),
        ('{title: {startsWith: "%"}}', "title=eq.none"),
        ('{title: {regex: "^.e"}}', "title=match.^.e"),
        ('{title: {iregex: "^D"}}', "title=imatch.^D"),
        ('{tags: {contains: ["red"]}}', "tags=cs.{red}"),
        ('{tags: {containedBy: ["red", "blue"]}}', "tags=cd.{red,blue}"),
        ('{tags: {overlaps: ["big", "x"]}}', "tags=ov.{big,x}"),
        ('{tags: {eq: ["red", "big"]}}', "tags=eq.{red,big}"),
        ('{meta: {contains: "{\\"k\\": 1}"}}', 'meta=cs.{"k":1}'),
        ('{period: {eq: "[2024-01-01,2024-02-01)"}}', "period=eq.[2024-01-01,2024-02-01)"),
        ("{published: {eq: true}}", "published=eq.true"),
        (f'{{author: {{in: ["{ANA}"]}}}}', f"author=in.({ANA})"),
        ("{or: [{views: {eq: 10}}, {views: {eq: 40}}]}", "or=(views.eq.10,views.eq.40)"),
        ("{and: [{views: {gt: 10}}, {not: {rating: {is: NULL}}}]}", "and=(views.gt.10,rating.not.is.null)"),
        ("{not: {or: [{views: {eq: 10}}, {and: [{views: {eq: 40}}]}]}}", "not.or=(views.eq.10,views.eq.40)"),
        ("{and: []}", "views=gte.0"),
        ("{or: []}", "views=lt.0"),
        ("{}", "views=gte.0"),
    ],
)
async def test_a_filter_finds_what_it_finds_in_rest(reading: Api, filter: str, rest: str) -> None:
    expected = [row["title"] for row in await reading.get(f"/posts?{rest}&order=title", "service")]
    assert await titles(reading, f"(filter: {filter}, orderBy: [{{title: AscNullsLast}}])") == expected


async def test_a_filter_by_variable_is_the_same_and_one_left_out_narrows_nothing(reading: Api) -> None:
    query = "query ($f: postsFilter, $t: String) { a: postsCollection(filter: $f) { totalCount } b: postsCollection(filter: {title: {eq: $t}}) { totalCount } }"
    counted = await reading.data(query, "service", f={"rating": {"gt": "3.2"}, "meta": {"contains": {"k": 1}}})
    assert (counted["a"]["totalCount"], counted["b"]["totalCount"]) == (1, 4)


@pytest.mark.parametrize("filter", ["{views: {eq: null}}", "{views: null}", "{views: {in: null}}", "{or: null}"])
async def test_null_in_a_filter_is_refused_rather_than_guessed(reading: Api, filter: str) -> None:
    error = await reading.refusal(f"{{ postsCollection(filter: {filter}) {{ totalCount }} }}", "ana")
    assert error["extensions"] == {"code": "value_invalid", "hint": error["extensions"]["hint"]}
    assert "is: NULL" in error["extensions"]["hint"]


@pytest.mark.parametrize(
    ("arguments", "sqlstate"),
    [
        ('filter: {id: {eq: "nonsense"}}', "22P02"),
        ('filter: {created_at: {gt: "yesterdayish"}}', "22007"),
        ("filter: {rating: {eq: 1e400000}}", "22003"),
        ('filter: {title: {eq: "\\u0000"}}', "22021"),
        ('filter: {title: {regex: "("}}', "2201B"),
    ],
)
async def test_a_value_that_is_none_is_an_error_of_its_field(reading: Api, arguments: str, sqlstate: str) -> None:
    error = await reading.refusal(f"{{ postsCollection({arguments}) {{ totalCount }} }}", "ana")
    assert (error["extensions"]["code"], error["extensions"]["sqlstate"]) == ("value_invalid", sqlstate)
    assert error["path"] == ["postsCollection"]


async def test_a_pattern_of_an_anonymous_caller_is_refused_as_in_rest(reading: Api) -> None:
    error = await reading.refusal('{ postsCollection(filter: {title: {regex: "a"}}) { totalCount } }', "anon")
    assert error["extensions"]["code"] == "query_patterns_off"


@pytest.mark.parametrize("text", ["'; drop table posts; --", '"', "\\", "%", "$1", "*", "(", "é🦊"])
async def test_a_value_stays_a_value(reading: Api, text: str) -> None:
    for operator in ("eq", "startsWith", "like"):
        query = f"query ($t: String) {{ postsCollection(filter: {{title: {{{operator}: $t}}}}) {{ totalCount }} }}"
        answer = await reading.graphql(query, "service", t=text)
        if "errors" in answer:
            assert (operator, text, answer["errors"][0]["extensions"]["sqlstate"]) == ("like", "\\", "22025")
        else:
            assert answer["data"]["postsCollection"]["totalCount"] == (4 if (operator, text) == ("like", "%") else 0)


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_collections_nest_as_deep_as_is_allowed_and_no_deeper(reading: Api) -> None:
    for depth in (7, 8, 9):
        answer = await reading.graphql(chain(depth), "ana")
        if depth <= 8:
            assert "errors" not in answer
        else:
            assert answer["errors"][0]["message"] == "collections are nested more than 8 deep"
            assert answer["errors"][0]["extensions"]["code"] == "query_too_complex"


def chain(depth: int) -> str:
    """posts, their author, the author's posts ... one record long each."""
    inner = "id"
    for level in range(depth, 1, -1):
        if level % 2:
            inner = f"postsCollectionBy_author(first: 1) {{ edges {{ node {{ {inner} }} }} }}"
        else:
            inner = f"profilesBy_author {{ {inner} }}"
    return f"{{ postsCollection(first: 1) {{ edges {{ node {{ {inner} }} }} }} }}"


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("{ postsCollection(first: 99) { edges { node { commentsCollection(first: 99) { edges { cursor } } } } } }", True),
        ("{ postsCollection(first: 99) { edges { node { commentsCollection(first: 101) { edges { cursor } } } } } }", False),
        ("{ postsCollection(first: 100) { edges { node { ...f } } } } fragment f on posts { commentsCollection(first: 100) { totalCount } }", False),
        ("{ a: postsCollection(first: 1000) { totalCount } " + " ".join(f"b{n}: postsCollection(first: 1000) {{ totalCount }}" for n in range(10)) + "}", False),
    ],
    ids=["fits", "one too many", "in a fragment", "by aliases"],
)  # fmt: skip
async def test_what_an_answer_could_hold_is_counted_before_it_is_asked_for(
    reading: Api, query: str, fits: bool
) -> None:
    seen = Statements(reading)
    answer = await reading.graphql(query, "ana")
    assert ("errors" not in answer) == fits
    if not fits:
        assert answer["errors"][0]["message"] == "the answer could hold more than 10000 records"
        assert await seen.count() == 0


async def test_fragments_that_multiply_are_stopped(reading: Api) -> None:
    fragments = " ".join(
        f"fragment f{n} on posts {{ a: profilesBy_author {{ x: postsCollectionBy_author(first: 0) {{ edges {{ node {{ ...f{n + 1} }} }} }} "
        f"y: postsCollectionBy_author(first: 0) {{ edges {{ node {{ ...f{n + 1} }} }} }} }} }}"
        for n in range(20)
    )
    query = (
        f"{{ postsCollection(first: 1) {{ edges {{ node {{ ...f0 }} }} }} }} {fragments} fragment f20 on posts {{ id }}"
    )
    assert (await reading.refusal(query, "ana"))["extensions"]["code"] == "query_too_complex"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ postsCollection { edges { node { " + " ".join(f"a{n}: title" for n in range(600)) + " } } } }", "selects more than 500"),
        ("{ postsCollection { edges { node { " + "title " * 200 + " } } } }", "the same names too often"),
        ("{ " + " ".join(f"a{n}: tagsCollection(first: 0) {{ totalCount }}" for n in range(51)) + " }", "more than 50 collections"),
        ("{ postsCollection(filter: {or: [" + "{views: {eq: 1}}, " * 60 + "]}) { totalCount } }", "more than 100 conditions"),
        ("{ postsCollection(filter: " + "{not: " * 9 + "{views: {eq: 1}}" + "}" * 9 + ") { totalCount } }", "nested more than 8 deep"),
        ("{ " + "a " * 6000 + "}", "Document contains more than 5000 tokens. Parsing aborted."),
        ("{ postsCollection " * 2000, "nested too deep"),
    ],
)  # fmt: skip
async def test_a_document_has_its_limits(reading: Api, query: str, message: str) -> None:
    assert message in (await reading.refusal(query, "ana"))["message"]


@pytest.mark.parametrize(
    ("setting", "may"),
    [("off", set()), ("service", {"service"}), ("authenticated", {"service", "ana"}), ("everyone", {"service", "ana", "anon"})],
)  # fmt: skip
async def test_the_schema_is_shown_to_whom_the_setting_says(reading: Api, setting: Any, may: set[str]) -> None:
    reading.graphql_settings = GraphQLSettings(introspection=setting)
    reading.cap(1000)
    for by in ("anon", "ana", "service"):
        for query in (
            "{ __schema { queryType { name } } }",
            '{ tagsCollection { totalCount } __type(name: "posts") { name } }',
        ):
            answer = await reading.graphql(query, by)
            if by in may:
                assert "errors" not in answer
            else:
                assert answer["errors"][0]["extensions"]["code"] == "graphql_introspection_off"
        assert (await reading.data("{ __typename }", by)) == {"__typename": "Query"}
        suggested = "Did you mean" in (await reading.refusal("{ postsCollection { totalCounts } }", by))["message"]
        assert suggested == (by in may)


# --- HTTP ------------------------------------------------------------------------------------------------------------

COUNT = "{ tagsCollection { totalCount } }"
COUNTED = {"data": {"tagsCollection": {"totalCount": 2}}}


async def ask(api: Api, method: str = "POST", path: str = "", **more: Any) -> Any:
    headers = {"x-as": "ana"} | more.pop("headers", {})
    return await api._client.request(method, f"/graphql/v1{path}", headers=headers, **more)


async def test_a_query_may_come_by_get_and_a_mutation_may_not(reading: Api) -> None:
    by_get = await ask(
        reading,
        "GET",
        params={"query": "query($n: Int) { tagsCollection(first: $n) { totalCount } }", "variables": '{"n": 1}'},
    )
    assert (by_get.status_code, by_get.json()) == (200, COUNTED)
    mutation = "mutation { deleteFrompostsCollection { affectedCount } }"
    refused = await ask(reading, "GET", params={"query": mutation})
    assert refused.status_code == 405
    assert refused.json()["errors"][0]["extensions"]["code"] == "graphql_query_only"
    assert len(await reading.get("/posts?select=id", "service")) == 4


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"json": [{"query": COUNT}]}, 400),
        ({"content": b"{"}, 400),
        ({"content": b'{"query": "{ __typename }", "variables": "x"}', "headers": {"content-type": "application/json"}}, 400),
        ({"content": b'{"query": "\\ud800"}', "headers": {"content-type": "application/json"}}, 400),
        ({"content": COUNT.encode(), "headers": {"content-type": "application/graphql"}}, 400),
        ({"json": {}}, 400),
        ({"json": {"query": COUNT}, "path": "/other"}, 404),
        ({"json": {"query": COUNT}, "method": "PUT"}, 405),
        ({"method": "GET"}, 400),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_refused_in_the_same_form(reading: Api, more: dict[str, Any], status: int) -> None:
    answer = await ask(reading, **more)
    assert answer.status_code == status
    assert set(answer.json()) == {"errors"}
    assert set(answer.json()["errors"][0]) == {"message", "extensions"}


async def test_each_root_field_is_an_operation_to_the_rate_limit(reading: Api) -> None:
    """The edge counts the request itself, so the first is paid for."""
    reading.rates = RateLimiter(RateSettings(per_user=5.0, per_ip=0, per_key=0))  # a full bucket holds ten
    reading.cap(1000)
    many = "{ __typename " + " ".join(f"a{n}: tagsCollection {{ totalCount }}" for n in range(9)) + " }"
    assert (await ask(reading, json={"query": many})).status_code == 200
    refused = await ask(reading, json={"query": many})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert refused.json()["errors"][0]["extensions"]["code"] == "rate_limited"
    assert (await ask(reading, json={"query": COUNT})).status_code == 200


async def test_one_of_several_operations_is_picked_by_its_name(reading: Api) -> None:
    document = f"query a {COUNT} query b {{ __typename }}"
    assert (await ask(reading, json={"query": document, "operationName": "a"})).json() == COUNTED
    for name in (None, "c"):
        answer = (await ask(reading, json={"query": document, "operationName": name})).json()
        assert answer["errors"][0]["extensions"]["code"] == "graphql_invalid"


async def test_the_media_type_of_graphql_has_its_own_statuses(reading: Api) -> None:
    accept = {"accept": "application/graphql-response+json, application/json;q=0.9"}
    good = await ask(reading, json={"query": COUNT}, headers=accept)
    assert (good.status_code, good.headers["content-type"]) == (200, "application/graphql-response+json; charset=utf-8")
    for query in ("{", "{ nothing }", "query($n: Int!) { tagsCollection(first: $n) { totalCount } }"):
        assert (await ask(reading, json={"query": query}, headers=accept)).status_code == 400
        assert (await ask(reading, json={"query": query})).status_code == 200


async def test_fields_that_skip_or_are_named_twice_are_merged_as_the_standard_says(reading: Api) -> None:
    query = """query ($no: Boolean!) { tagsByPk(id: 1) { name id @skip(if: $no) ... on tags @include(if: $no) { x: id } }
        tagsByPk(id: 1) { ...more } __typename } fragment more on Node { __typename }"""
    assert await reading.data(query, "anon", no=True) == {
        "tagsByPk": {"name": "red", "x": 1, "__typename": "tags"}, "__typename": "Query",
    }  # fmt: skip


async def test_a_schema_is_made_anew_when_the_rules_change(reading: Api) -> None:
    assert (await reading.data(COUNT, "anon"))["tagsCollection"]["totalCount"] == 2
    reading.rule("tags", "select", "false")
    reading.cap(1000)
    assert "Cannot query field 'tagsCollection'" in (await reading.refusal(COUNT, "anon"))["message"]
