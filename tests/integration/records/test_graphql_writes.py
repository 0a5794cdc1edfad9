"""Mutations at ``/graphql/v1``: the same rules, hooks and guards as REST's writes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from mbaas.core.errors import HookRefused
from mbaas.hooks.dispatch import Proceed
from mbaas.hooks.events import Record, RecordCreate, RecordCreated, RecordDelete
from mbaas.plugin import replace
from tests.integration.records.conftest import Api
from tests.integration.records.test_hooked import Seen
from tests.sample import ANA, BEN, P1, P2, P3

__all__ = ["seen"]
INSERT = """mutation ($o: [postsInsertInput!]!) { insertIntopostsCollection(objects: $o) {
    affectedCount records { title views tags meta rating author loud profilesBy_author { username } } } }"""
UPDATE = """mutation ($s: postsUpdateInput!, $f: postsFilter, $n: Int! = 1) { updatepostsCollection(set: $s, filter: $f, atMost: $n) {
    __typename affectedCount records { id title views } } }"""
DELETE = """mutation ($f: postsFilter, $n: Int! = 1) { deleteFrompostsCollection(filter: $f, atMost: $n) {
    affectedCount records { title } } }"""


@pytest.fixture
def seen(api: Api) -> Seen:
    return Seen(api.hooks)


async def stored(api: Api) -> dict[str, Any]:
    return {row["title"]: row for row in await api.get("/posts?order=title", "service")}


async def test_records_are_inserted_with_defaults_for_what_is_absent(api: Api) -> None:
    objects = [
        {"title": "one", "tags": ["a b", 'c"d'], "meta": '{"n": 12345678901234567890}', "rating": "1.25"},
        {"title": "two", "views": 7, "meta": {"k": [1, None]}, "rating": 2},
    ]
    found = (await api.data(INSERT, "ana", o=objects))["insertIntopostsCollection"]
    assert found == {
        "affectedCount": 2,
        "records": [
            {"title": "one", "views": 0, "tags": ["a b", 'c"d'], "meta": '{"n": 12345678901234567890}', "rating": "1.25",
             "author": ANA, "loud": "ONE", "profilesBy_author": {"username": "ana"}},
            {"title": "two", "views": 7, "tags": [], "meta": '{"k": [1, null]}', "rating": "2.00",
             "author": ANA, "loud": "TWO", "profilesBy_author": {"username": "ana"}},
        ],
    }  # fmt: skip
    assert {"one", "two"} <= set(await stored(api))


async def test_records_are_updated_and_deleted_by_filter(api: Api) -> None:
    updated = await api.data(UPDATE, "ana", s={"views": 99}, f={"title": {"eq": "Alpha"}})
    assert updated["updatepostsCollection"] == {
        "__typename": "postsUpdateResponse", "affectedCount": 1, "records": [{"id": P1, "title": "Alpha", "views": 99}],
    }  # fmt: skip
    deleted = await api.data(DELETE, "ana", f={"views": {"eq": 99}})
    assert deleted["deleteFrompostsCollection"] == {"affectedCount": 1, "records": [{"title": "Alpha"}]}
    assert set(await stored(api)) == {"Beta", "Gamma", "Delta"}


@pytest.mark.parametrize(("query", "more"), [(UPDATE, {"s": {"views": 1}}), (DELETE, {})])
async def test_more_than_at_most_and_nothing_happens(api: Api, query: str, more: dict[str, Any]) -> None:
    before = await stored(api)
    error = await api.refusal(query, "ana", **more)
    assert error["extensions"]["code"] == "max_affected_exceeded"
    assert await stored(api) == before
    await api.data(query, "ana", n=2, **more)
    assert await stored(api) != before


@pytest.mark.parametrize("filter", [{}, {"id": {}}])
async def test_a_filter_that_a_lost_variable_emptied_is_refused_on_a_write(api: Api, filter: dict[str, Any]) -> None:
    """An empty filter is every row, which somebody may mean; an empty condition is a slip."""
    answer = await api.graphql(DELETE, "ana", f=filter, n=5)
    if filter:
        assert answer["errors"][0]["extensions"]["code"] == "value_invalid"
        assert len(await stored(api)) == 4
    else:
        assert answer["data"]["deleteFrompostsCollection"]["affectedCount"] == 2


async def test_what_the_rules_refuse_is_refused(api: Api) -> None:
    before = await stored(api)
    for by, query, variables in (
        ("ana", INSERT, {"o": [{"title": "x", "author": BEN}]}),
        ("anon", INSERT, {"o": [{"title": "x"}]}),
        ("ana", UPDATE, {"s": {"author": BEN}, "f": {"id": {"eq": P1}}}),
        ("ana", INSERT, {"o": [{"title": "fine"}, {"title": "forbidden"}]}),
    ):
        error = await api.refusal(query, by, **variables)
        assert (error["extensions"]["code"], error["extensions"]["sqlstate"]) == ("rule_refused", "42501")
        assert error["path"][0].endswith("postsCollection")
    for query, variables in ((UPDATE, {"s": {"views": 1}}), (DELETE, {})):
        found = await api.data(query, "ana", f={"id": {"eq": P3}}, **variables)
        assert next(iter(found.values())) | {"__typename": None} == {
            "__typename": None,
            "affectedCount": 0,
            "records": [],
        }
    assert await stored(api) == before


async def test_several_writes_stand_or_fall_together(api: Api) -> None:
    before = await stored(api)
    query = """mutation ($o: [postsInsertInput!]!) {
        a: insertIntopostsCollection(objects: [{title: "first", slug: "s1"}]) { affectedCount }
        b: insertIntopostsCollection(objects: $o) { affectedCount }
        c: updatepostsCollection(set: {views: 5}, filter: {slug: {eq: "s1"}}) { affectedCount records { title } } }"""
    error = await api.refusal(query, "ana", o=[{"title": "again", "slug": "s1"}])
    assert (error["extensions"]["sqlstate"], "path" in error) == ("23505", False)
    assert await stored(api) == before
    done = await api.data(query, "ana", o=[{"title": "second", "slug": "s2"}])
    assert done == {
        "a": {"affectedCount": 1}, "b": {"affectedCount": 1},
        "c": {"affectedCount": 1, "records": [{"title": "first"}]},
    }  # fmt: skip


async def test_hooks_watch_mutations(api: Api, seen: Seen) -> None:
    @api.hooks.around(RecordCreate, only="posts")
    async def shout(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        return await proceed(replace(event, values={**event.values, "title": event.values["title"].upper()}))

    @api.hooks.around(RecordDelete, only="posts")
    async def keep(event: RecordDelete, proceed: Proceed[RecordDelete, list[Record]]) -> list[Record]:
        raise HookRefused("posts stay", status=409)

    query = """mutation { a: insertIntopostsCollection(objects: [{title: "x"}]) { records { title } }
        b: insertIntopostsCollection(objects: [{title: "y"}]) { records { title } } }"""
    found = await api.data(query, "ana")
    assert [one["records"][0]["title"] for one in found.values()] == ["X", "Y"]
    error = await api.refusal(DELETE, "ana", f={"id": {"eq": P2}})
    assert (error["message"], error["extensions"]["code"]) == ("posts stay", "hook_refused")
    undone = """mutation { a: insertIntopostsCollection(objects: [{title: "gone"}]) { affectedCount }
        b: deleteFrompostsCollection(filter: {title: {eq: "X"}}) { affectedCount } }"""
    assert (await api.refusal(undone, "ana"))["message"] == "posts stay"
    assert {"X", "Y"} <= set(await stored(api))
    assert "GONE" not in await stored(api)
    assert await seen.settled() == [(RecordCreated.__name__, ["X"]), (RecordCreated.__name__, ["Y"])]


async def test_a_key_that_would_not_be_kept_is_refused(api: Api) -> None:
    mutation = "mutation { deleteFrompostsCollection(atMost: 9) { affectedCount } }"
    for query, refused in (("{ __typename }", False), (mutation, True)):
        headers = {"x-as": "ana", "idempotency-key": "k1"}
        answer = (await api._client.post("/graphql/v1", headers=headers, json={"query": query})).json()
        assert ("errors" in answer) == refused
    assert answer["errors"][0]["extensions"]["code"] == "graphql_idempotency_key"
    assert len(await stored(api)) == 4


@pytest.mark.parametrize(
    ("query", "variables", "message"),
    [
        (INSERT, {"o": []}, "objects is empty"),
        (UPDATE, {"s": {}}, "set is empty"),
        (DELETE, {"n": -1}, "atMost is -1, less than nothing"),
        (INSERT, {"o": [{"title": "\0"}]}, "Empty or invalid json"),
    ],
)
async def test_a_write_of_nothing_is_refused(api: Api, query: str, variables: dict[str, Any], message: str) -> None:
    assert (await api.refusal(query, "ana", **variables))["message"] == message


async def test_what_a_caller_may_not_read_shows_in_no_error_of_a_mutation(api: Api) -> None:
    """A phone is its owner's, so a constraint over it tells nothing; a title is everybody's."""
    await api.database.execute("alter table profiles add constraint profiles_secret_check check (secret <> 'x')")
    await api.database.execute("alter table profiles add constraint profiles_phone_key unique (phone)")
    query = """mutation ($id: UUID!) {
        updateprofilesCollection(set: {phone: "+2"}, filter: {id: {eq: $id}}) { affectedCount } }"""
    error = await api.refusal(query, "ana", id=ANA)
    assert error["extensions"] == {"code": "conflict", "sqlstate": "23505"}
    assert error["message"] == "duplicate key value violates unique constraint"
    taken = await api.refusal(INSERT, "ana", o=[{"title": "x", "slug": "alpha"}])
    assert taken["extensions"]["details"] == "Key (slug)=(alpha) already exists."
    long = await api.refusal(INSERT, "ana", o=[{"title": None}])
    assert "Failing row" not in str(long)


async def test_a_key_that_counts_is_written_and_read_as_text(api: Api) -> None:
    query = 'mutation ($p: UUID!) { insertIntocommentsCollection(objects: [{post: $p, body: "b"}]) { records { id } } }'
    made = (await api.data(query, "ana", p=P1))["insertIntocommentsCollection"]["records"][0]["id"]
    assert isinstance(made, str)
    found = await api.data("query ($id: BigInt!) { commentsByPk(id: $id) { body } }", "ana", id=int(made))
    assert found["commentsByPk"] == {"body": "b"}
    missing = await api.refusal(query, "ana", p=str(uuid.uuid4()))
    assert missing["extensions"]["sqlstate"] == "42501"
