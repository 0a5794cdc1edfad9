"""``/graphql/v1`` of a running server, asked by ``gql``, a client that others wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport

from tests.contract.conftest import Server, World

Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def connect(server: Server) -> Connect:
    """A function that makes clients: of a user by token, else of a key."""

    def make(token: str | None = None, *, key: str | None = None, schema: bool = False) -> Client:
        headers = server.headers(token, key=key)
        transport = HTTPXTransport(url=f"{server.url}/graphql/v1", headers=headers, verify=False)
        return Client(transport=transport, fetch_schema_from_transport=schema)

    return make


def test_a_client_reads_what_its_user_may_see(connect: Connect, shared: World) -> None:
    query = gql(
        """query ($mark: String!) { postsCollection(filter: {slug: {startsWith: $mark}}, orderBy: [{slug: AscNullsLast}]) {
        totalCount edges { cursor node { title views commentsCollection { totalCount edges { node { body } } } } } } }"""
    )
    query.variable_values = {"mark": shared.mark}
    for token, titles in ((shared.owner.token, ["First", "Second", "Draft"]), (None, ["First", "Second"])):
        found = connect(token).execute(query)["postsCollection"]
        assert [edge["node"]["title"] for edge in found["edges"]] == titles
        assert found["totalCount"] == len(titles)
        assert found["edges"][0]["node"]["commentsCollection"]["totalCount"] == 3


def test_a_client_fetches_the_schema_and_checks_operations_by_it(
    connect: Connect, shared: World, server: Server
) -> None:
    with connect(shared.owner.token, schema=True) as session:
        assert session.client.schema is not None
        assert "insertIntopostsCollection" in session.client.schema.mutation_type.fields  # type: ignore[union-attr]
        found = session.execute(gql("{ postsCollection(first: 1) { edges { node { __typename } } } }"))
        assert found == {"postsCollection": {"edges": [{"node": {"__typename": "posts"}}]}}
    with pytest.raises(TransportQueryError, match="not shown"):
        connect(schema=True).connect_sync()
    everything = connect(key=server.service_key, schema=True)
    with everything:
        assert everything.schema is not None


def test_a_client_pages_until_there_is_no_more(connect: Connect, shared: World) -> None:
    query = gql(
        """query ($mark: String!, $after: Cursor) { postsCollection(first: 2, after: $after, filter: {slug: {startsWith: $mark}}) {
        edges { node { id } } pageInfo { hasNextPage endCursor } } }"""
    )
    client = connect(shared.owner.token)
    seen: list[str] = []
    after = None
    while True:
        query.variable_values = {"mark": shared.mark, "after": after}
        page = client.execute(query)["postsCollection"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert sorted(seen) == sorted([shared.first, shared.second, shared.draft])


def test_a_client_writes_and_is_told_why_it_may_not(connect: Connect, world: World) -> None:
    insert = gql(
        """mutation ($o: [postsInsertInput!]!) { insertIntopostsCollection(objects: $o) {
        affectedCount records { id title published } } }"""
    )
    insert.variable_values = {"o": [{"title": "By gql", "slug": f"{world.mark}-9"}]}
    client = connect(world.owner.token)
    made = client.execute(insert)["insertIntopostsCollection"]
    assert (made["affectedCount"], made["records"][0]["title"]) == (1, "By gql")
    change = gql(
        """mutation ($id: UUID!) { updatepostsCollection(set: {title: "Changed"}, filter: {id: {eq: $id}}) { affectedCount }
        deleteFrompostsCollection(filter: {id: {eq: $id}}) { affectedCount records { title } } }"""
    )
    change.variable_values = {"id": made["records"][0]["id"]}
    assert connect(world.other.token).execute(change) == {
        "updatepostsCollection": {"affectedCount": 0}, "deleteFrompostsCollection": {"affectedCount": 0, "records": []},
    }  # fmt: skip
    assert client.execute(change) == {
        "updatepostsCollection": {"affectedCount": 1},
        "deleteFrompostsCollection": {"affectedCount": 1, "records": [{"title": "Changed"}]},
    }
    insert.variable_values = {"o": [{"title": "not mine", "slug": f"{world.mark}-8", "author": world.other.id}]}
    with pytest.raises(TransportQueryError) as refused:
        client.execute(insert)
    (error,) = refused.value.errors or []
    assert (error["extensions"]["code"], error["path"]) == ("rule_refused", ["insertIntopostsCollection"])


def test_who_has_no_key_is_told_in_the_form_of_graphql(server: Server) -> None:
    answer = httpx.post(f"{server.url}/graphql/v1", json={"query": "{ __typename }"})
    assert answer.status_code == 401
    error: dict[str, Any] = answer.json()["errors"][0]
    assert error["extensions"]["code"] == "unauthenticated"
