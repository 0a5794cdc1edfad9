"""Writes that hooks watch: the same answers and rules as without, one transaction, events once committed."""

from __future__ import annotations

from typing import Any

import pytest

from mbaas.core.errors import HookRefused
from mbaas.hooks.dispatch import Hooks, Proceed
from mbaas.hooks.events import (
    Record,
    RecordCreate,
    RecordCreated,
    RecordDelete,
    RecordDeleted,
    RecordUpdate,
    RecordUpdated,
)
from mbaas.plugin import replace
from tests.integration.records.conftest import Api
from tests.sample import ANA, BEN, P1, P2, P3

MERGE = "return=representation,resolution=merge-duplicates"


class Seen:
    """What hooks were told, in order."""

    def __init__(self, hooks: Hooks) -> None:
        self.events: list[Any] = []
        for event in (RecordCreated, RecordUpdated, RecordDeleted):
            hooks.after(event, only="posts")(self.tell)
        self.hooks = hooks

    async def tell(self, event: Any) -> None:
        self.events.append(event)

    async def settled(self) -> list[tuple[str, list[str]]]:
        await self.hooks.settle()
        return [(type(event).__name__, [record["title"] for record in event.records]) for event in self.events]


@pytest.fixture
def seen(api: Api) -> Seen:
    return Seen(api.hooks)


def around_create(api: Api, **changes: Any) -> list[RecordCreate]:
    """A hook that sets fields."""
    events: list[RecordCreate] = []

    @api.hooks.around(RecordCreate, only="posts")
    async def change(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        events.append(event)
        return await proceed(replace(event, values={**event.values, **changes}))

    return events


async def test_a_hook_sees_what_the_caller_sent_and_changes_it(api: Api) -> None:
    events = around_create(api, body="by hook")
    found = await api.post("/posts?select=title,body,views,author(username)", "ana", {"title": "x"})
    assert found == [{"title": "x", "body": "by hook", "views": 0, "author": {"username": "ana"}}]
    assert [event.values for event in events] == [{"title": "x"}]
    assert events[0].identity.user_id == ANA


async def test_every_row_of_a_bulk_insert_is_an_event_of_its_own(api: Api, seen: Seen) -> None:
    events = around_create(api)
    response = await api("POST", "/posts", "ana", body=[{"title": "a"}, {"title": "b"}], prefer="count=exact")
    assert (response.status_code, response.headers["content-range"]) == (201, "*/2")
    assert [event.values["title"] for event in events] == ["a", "b"]
    assert await seen.settled() == [("RecordCreated", ["a", "b"])]


async def test_a_refusal_undoes_the_rows_before_it(api: Api, seen: Seen) -> None:
    @api.hooks.around(RecordCreate, only="posts")
    async def refuse(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        if event.values["title"] == "bad":
            raise HookRefused("not that one", status=409, hint="another")
        return await proceed(event)

    response = await api("POST", "/posts", "ana", body=[{"title": "good"}, {"title": "bad"}])
    assert response.status_code == 409
    assert response.json() == {"code": "hook_refused", "message": "not that one", "details": None, "hint": "another"}
    assert await api.get("/posts?title=eq.good", "service") == []
    assert await seen.settled() == []


async def test_rules_hold_for_what_a_hook_makes_of_it(api: Api) -> None:
    around_create(api, author=BEN)
    response = await api("POST", "/posts", "ana", body={"title": "x"})
    assert (response.status_code, response.json()["code"]) == (403, "42501")


async def test_a_hook_may_set_what_a_caller_may_not(api: Api) -> None:
    @api.hooks.around(RecordUpdate, only="profiles")
    async def promote(event: RecordUpdate, proceed: Proceed[RecordUpdate, list[Record]]) -> list[Record]:
        return await proceed(replace(event, changes={**event.changes, "plan": "pro"}))

    found = await api.patch(f"/profiles?id=eq.{ANA}&select=username,plan", "ana", {"username": "anna"})
    assert found == [{"username": "anna", "plan": "pro"}]
    response = await api("PATCH", f"/profiles?id=eq.{ANA}", "ana", body={"plan": "gold"})
    assert (response.status_code, response.json()["code"]) == (403, "42501")


async def test_a_hook_gets_the_record_as_stored_and_the_caller_what_it_may_see(api: Api) -> None:
    stored: list[Record] = []

    @api.hooks.around(RecordUpdate, only="profiles")
    async def look(event: RecordUpdate, proceed: Proceed[RecordUpdate, list[Record]]) -> list[Record]:
        stored.extend(await proceed(event))
        return stored

    (found,) = await api.patch(f"/profiles?id=eq.{ANA}", "ana", {"username": "anna"})
    assert stored[0]["secret"] == "sa"
    assert "secret" not in found
    assert found["phone"] == "+1"


async def test_updates_and_deletes_have_their_hooks(api: Api, seen: Seen) -> None:
    asked: list[Any] = []

    @api.hooks.around(RecordUpdate, only="posts")
    async def update(event: RecordUpdate, proceed: Proceed[RecordUpdate, list[Record]]) -> list[Record]:
        asked.append(event.changes)
        return await proceed(replace(event, changes={**event.changes, "views": 99}))

    @api.hooks.around(RecordDelete, only="posts")
    async def delete(event: RecordDelete, proceed: Proceed[RecordDelete, list[Record]]) -> list[Record]:
        asked.append("delete")
        return await proceed(event)

    found = await api.patch("/posts?select=title,views&order=title", "ana", {"body": "x"})
    assert found == [{"title": "Alpha", "views": 99}, {"title": "Beta", "views": 99}]
    assert (await api("DELETE", f"/posts?id=eq.{P2}", "ana")).status_code == 204
    assert (await api("DELETE", f"/posts?id=eq.{P3}", "ana")).status_code == 204
    assert asked == [{"body": "x"}, "delete", "delete"]
    assert await seen.settled() == [("RecordUpdated", ["Alpha", "Beta"]), ("RecordDeleted", ["Beta"])]


async def test_a_merge_cannot_slip_past_the_hooks_of_updates(api: Api, seen: Seen) -> None:
    asked: list[Any] = []

    @api.hooks.around(RecordUpdate, only="posts")
    async def update(event: RecordUpdate, proceed: Proceed[RecordUpdate, list[Record]]) -> list[Record]:
        asked.append(event.changes)
        return await proceed(replace(event, changes={**event.changes, "views": 77}))

    body = [{"slug": "alpha", "title": "A2"}, {"slug": "new", "title": "N"}]
    found = await api.post("/posts?on_conflict=slug&select=slug,title,views&order=slug", "ana", body, prefer=MERGE)
    assert found == [{"slug": "alpha", "title": "A2", "views": 77}, {"slug": "new", "title": "N", "views": 0}]
    assert asked == [{"title": "A2"}]
    assert await seen.settled() == [("RecordCreated", ["N"]), ("RecordUpdated", ["A2"])]
    response = await api(
        "POST", "/posts?on_conflict=slug", "ana", body={"slug": "gamma", "title": "mine"}, prefer=MERGE
    )
    assert (response.status_code, response.json()["code"]) == (403, "42501")


async def test_hooks_that_only_observe_change_nothing_about_the_answer(api: Api, seen: Seen) -> None:
    assert await api.post("/posts?select=title", "ana", [{"title": "a"}, {"title": "b"}]) == [
        {"title": "a"},
        {"title": "b"},
    ]
    response = await api("PATCH", f"/posts?id=eq.{P1}", "ana", body={"views": 1}, prefer="count=exact")
    assert (response.status_code, response.headers["content-range"]) == (204, "0-0/1")
    assert await seen.settled() == [("RecordCreated", ["a", "b"]), ("RecordUpdated", ["Alpha"])]


async def test_guards_hold_with_hooks_too(api: Api, seen: Seen) -> None:
    accept = "application/vnd.pgrst.object+json"
    response = await api("PATCH", "/posts", "ana", body={"body": "x"}, accept=accept)
    assert (response.status_code, response.json()["code"]) == (406, "PGRST116")
    response = await api("DELETE", "/posts", "ana", prefer="handling=strict,max-affected=1")
    assert (response.status_code, response.json()["code"]) == (400, "PGRST124")
    assert await seen.settled() == []
    assert len(await api.get("/posts", "ana")) == 3


async def test_numbers_keep_every_digit_on_their_way_through_hooks(api: Api) -> None:
    around_create(api, body="x")
    text = '{"title": "exact", "meta": {"n": 0.12345678901234567890123}}'
    await api("POST", "/posts", "ana", body=text)
    found = await api("GET", "/posts?select=meta->n&title=eq.exact", "ana")
    assert found.text == '[{"n":0.12345678901234567890123}]'


async def test_a_hook_asks_the_database_as_the_caller(api: Api) -> None:
    found: list[Record] = []

    @api.hooks.around(RecordCreate, only="posts")
    async def look(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        found.extend(await event.transaction.fetch("select title from public.posts order by title"))
        record = await proceed(event)
        found.extend(await event.transaction.fetch("select title from public.posts where id = $1", record["id"]))
        return record

    await api.post("/posts", "ana", {"title": "x"})
    assert [record["title"] for record in found] == ["Alpha", "Beta", "Gamma", "x"]
