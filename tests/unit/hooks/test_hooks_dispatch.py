"""The chain of ``around`` hooks and the ``after`` hooks beside it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from mbaas.core.errors import Conflict, HookBroken
from mbaas.core.identity import ANON
from mbaas.core.observe import HookFailed, HookRested, Observation
from mbaas.hooks import dispatch
from mbaas.hooks.dispatch import Hooks, Proceed
from mbaas.hooks.events import (
    Record,
    RecordCreate,
    RecordCreated,
    RecordDelete,
    RecordDeleted,
    RecordUpdate,
    RecordUpdated,
    SignedIn,
    User,
    UserCreate,
    UserCreated,
)
from mbaas.plugin import Refused, Route, replace


class NoSql:
    """A transaction nobody may use."""

    async def fetch(self, sql: str, *values: Any) -> list[Record]:
        raise AssertionError(sql)

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        raise AssertionError


class Told:
    """An ``Observe`` that keeps what it was told."""

    def __init__(self) -> None:
        self.all: list[Observation] = []

    def __call__(self, observation: Observation) -> None:
        self.all.append(observation)


def create(collection: str = "posts", **values: Any) -> RecordCreate:
    return RecordCreate(collection=collection, values=values, identity=ANON, transaction=NoSql())


def created(collection: str = "posts", *records: Record) -> RecordCreated:
    return RecordCreated(collection=collection, records=list(records), identity=ANON)


async def store(event: RecordCreate) -> Record:
    return {"id": "1", **event.values}


async def test_without_hooks_the_work_is_done_as_it_is() -> None:
    assert await Hooks().run(create(title="a"), store) == {"id": "1", "title": "a"}


async def test_a_hook_changes_what_is_stored_and_acts_after() -> None:
    hooks = Hooks()
    seen: list[Record] = []

    @hooks.around(RecordCreate)
    async def shout(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        record = await proceed(replace(event, values={"title": event.values["title"].upper()}))
        seen.append(record)
        return record

    assert await hooks.run(create(title="a"), store) == {"id": "1", "title": "A"}
    assert seen == [{"id": "1", "title": "A"}]


async def test_the_lowest_order_is_outermost_then_who_came_first() -> None:
    hooks = Hooks()
    order: list[str] = []

    def add(name: str, place: int) -> None:
        @hooks.around(RecordCreate, order=place)
        async def hook(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
            order.append(name)
            return await proceed(event)

    add("late", 10)
    add("first of zero", 0)
    add("early", -1)
    add("second of zero", 0)
    await hooks.run(create(), store)
    assert order == ["early", "first of zero", "second of zero", "late"]


async def test_a_hook_refuses_and_nothing_is_stored() -> None:
    hooks = Hooks()
    stored: list[Record] = []

    @hooks.around(RecordCreate)
    async def no(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        raise Refused("no titles today", status=422)

    async def keep(event: RecordCreate) -> Record:
        stored.append(event.values)
        return event.values

    with pytest.raises(Refused, match="no titles today") as caught:
        await hooks.run(create(), keep)
    assert (caught.value.status, caught.value.code, stored) == (422, "hook_refused", [])


async def test_a_hook_answers_by_itself() -> None:
    hooks = Hooks()

    @hooks.around(RecordCreate)
    async def instead(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        return {"id": "elsewhere"}

    assert await hooks.run(create(), store) == {"id": "elsewhere"}


async def test_only_names_the_collections_and_wants_knows() -> None:
    hooks = Hooks()
    calls: list[str] = []

    @hooks.around(RecordCreate, only=("posts", "notes"))
    async def hook(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        calls.append(event.collection)
        return await proceed(event)

    for collection in ("posts", "tags", "notes"):
        await hooks.run(create(collection), store)
    assert calls == ["posts", "notes"]
    wanted = [hooks.wants(RecordCreate, name) for name in ("posts", "tags", "notes")]
    assert wanted == [True, False, True]
    assert not hooks.wants(RecordUpdate, "posts")
    assert hooks.collections == {"posts", "notes"}


async def test_a_hook_without_only_wants_every_collection() -> None:
    hooks = Hooks()

    @hooks.after(RecordDeleted)
    async def hook(event: RecordDeleted) -> None: ...

    assert hooks.wants(RecordDeleted, "anything")
    assert not hooks.wants(RecordCreated, "anything")


@pytest.mark.parametrize("poison", [ValueError("broken"), SystemExit(3)])
async def test_an_around_hook_that_breaks_stops_the_work_and_is_observed(poison: BaseException) -> None:
    told = Told()
    hooks = Hooks(observe=told)

    @hooks.owned_by("bad").around(RecordCreate)
    async def breaks(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        await proceed(event)
        raise poison

    with pytest.raises(HookBroken, match="a plugin failed") as caught:
        await hooks.run(create(), store)
    assert "broken" not in f"{caught.value.message}{caught.value.hint}"
    assert [type(item) for item in told.all] == [HookFailed]
    assert told.all[0].hook.startswith("bad.")  # type: ignore[union-attr]


async def test_what_the_work_raises_is_not_blamed_on_the_hook() -> None:
    told = Told()
    hooks = Hooks(observe=told)

    @hooks.around(RecordCreate)
    async def hook(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        return await proceed(event)

    async def conflicts(event: RecordCreate) -> Record:
        raise Conflict("taken")

    async def breaks(event: RecordCreate) -> Record:
        raise ZeroDivisionError

    with pytest.raises(Conflict):
        await hooks.run(create(), conflicts)
    with pytest.raises(ZeroDivisionError):
        await hooks.run(create(), breaks)
    assert told.all == []


async def test_a_hanging_hook_is_stopped_and_the_time_of_proceed_is_not_its_own() -> None:
    told = Told()
    hooks = Hooks(observe=told, timeout_s=0.05)

    @hooks.around(RecordCreate, only="slow_table")
    async def patient(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        return await proceed(event)

    @hooks.around(RecordCreate, only="hung")
    async def hangs(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        await asyncio.Event().wait()
        raise AssertionError("never")

    async def slow(event: RecordCreate) -> Record:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.15, done.set)
        await done.wait()
        return event.values

    assert await hooks.run(create("slow_table", a=1), slow) == {"a": 1}
    with pytest.raises(HookBroken):
        await hooks.run(create("hung"), store)
    assert told.all == [HookFailed(told.all[0].hook, "RecordCreate", "took longer than 0.05 s")]  # type: ignore[union-attr]


async def test_an_around_hook_that_keeps_failing_rests_and_still_refuses() -> None:
    told = Told()
    hooks = Hooks(observe=told)
    calls: list[int] = []

    @hooks.around(RecordCreate)
    async def breaks(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        calls.append(1)
        raise ValueError

    async def never(event: RecordCreate) -> Record:
        raise AssertionError("a hook that rests must not be left out")

    for _ in range(8):
        with pytest.raises(HookBroken):
            await hooks.run(create(), never)
    assert len(calls) == 5
    assert [type(item) for item in told.all] == [HookFailed] * 5 + [HookRested]


async def test_a_rested_hook_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = Hooks()
    clock = [0.0]
    monkeypatch.setattr(dispatch, "_now", lambda: clock[0])
    failing = [True]

    @hooks.after(RecordCreated)
    async def hook(event: RecordCreated) -> None:
        seen.append(clock[0])
        if failing[0]:
            raise ValueError

    seen: list[float] = []
    for _ in range(7):
        await hooks.emit(created())
        await hooks.settle()
    assert len(seen) == 5
    clock[0], failing[0] = 61.0, False
    for _ in range(7):
        await hooks.emit(created())
        await hooks.settle()
    assert len(seen) == 12


@pytest.mark.parametrize("poison", [ValueError("broken"), SystemExit(3)])
async def test_an_after_hook_that_breaks_is_observed_and_the_others_run(poison: BaseException) -> None:
    told = Told()
    hooks = Hooks(observe=told)
    seen: list[Record] = []

    @hooks.after(RecordCreated)
    async def breaks(event: RecordCreated) -> None:
        raise poison

    @hooks.after(RecordCreated, only="posts")
    async def works(event: RecordCreated) -> None:
        seen.extend(event.records)

    await hooks.emit(created("posts", {"id": "1"}))
    await hooks.emit(created("tags", {"id": "2"}))
    await hooks.settle()
    assert seen == [{"id": "1"}]
    assert [type(item) for item in told.all] == [HookFailed, HookFailed]


async def test_emit_does_not_wait_for_the_hooks() -> None:
    hooks = Hooks()
    go = asyncio.Event()
    seen: list[str] = []

    @hooks.after(RecordUpdated)
    async def waits(event: RecordUpdated) -> None:
        await go.wait()
        seen.append(event.collection)

    await hooks.emit(RecordUpdated(collection="posts", records=[], identity=ANON))
    assert seen == []
    go.set()
    await hooks.settle()
    assert seen == ["posts"]


async def test_slow_after_hooks_hold_back_who_emits_instead_of_filling_the_memory() -> None:
    hooks = Hooks()
    go = asyncio.Event()

    @hooks.after(RecordCreated)
    async def waits(event: RecordCreated) -> None:
        await go.wait()

    for _ in range(dispatch.MAX_WAITING):
        await hooks.emit(created())
    one_more = asyncio.create_task(hooks.emit(created()))
    await asyncio.sleep(0)
    assert not one_more.done()
    go.set()
    await one_more
    await hooks.settle()


async def test_updates_and_deletes_give_the_records() -> None:
    hooks = Hooks()

    @hooks.around(RecordUpdate)
    async def stamp(event: RecordUpdate, proceed: Proceed[RecordUpdate, list[Record]]) -> list[Record]:
        return await proceed(replace(event, changes={**event.changes, "stamped": True}))

    @hooks.around(RecordDelete)
    async def keep(event: RecordDelete, proceed: Proceed[RecordDelete, list[Record]]) -> list[Record]:
        return []

    async def change(event: RecordUpdate) -> list[Record]:
        return [event.changes]

    async def delete(event: RecordDelete) -> list[Record]:
        raise AssertionError("replaced")

    updated = RecordUpdate(collection="posts", changes={"a": 1}, identity=ANON, transaction=NoSql())
    assert await hooks.run(updated, change) == [{"a": 1, "stamped": True}]
    assert await hooks.run(RecordDelete(collection="posts", identity=ANON, transaction=NoSql()), delete) == []


async def test_users_and_sign_ins_have_hooks() -> None:
    hooks = Hooks()
    seen: list[str] = []

    @hooks.around(UserCreate)
    async def staff_only(event: UserCreate, proceed: Proceed[UserCreate, User]) -> User:
        if not (event.email or "").endswith("@example.org"):
            raise Refused("staff only", status=403)
        return await proceed(replace(event, app_metadata={"team": "staff"}))

    @hooks.after(UserCreated)
    async def made(event: UserCreated) -> None:
        seen.append(f"made {event.user.id} by {event.provider}")

    @hooks.after(SignedIn)
    async def signed_in(event: SignedIn) -> None:
        seen.append(f"in {event.user.id} by {event.method}")

    def asked(email: str) -> UserCreate:
        return UserCreate(email=email, phone=None, app_metadata={}, user_metadata={}, provider="email", identity=ANON)

    async def make(event: UserCreate) -> User:
        return User(id="u1", email=event.email, app_metadata=event.app_metadata)

    user = await hooks.run(asked("a@example.org"), make)
    assert user.app_metadata == {"team": "staff"}
    with pytest.raises(Refused, match="staff only"):
        await hooks.run(asked("a@example.com"), make)
    await hooks.emit(UserCreated(user=user, provider="email"))
    await hooks.emit(SignedIn(user=user, method="password", session_id="s"))
    await hooks.settle()
    assert seen == ["made u1 by email", "in u1 by password"]


def test_what_cannot_be_a_hook_is_refused_at_once() -> None:
    hooks = Hooks().owned_by("odd")

    def not_async(event: Any) -> None: ...

    async def fine(event: Any) -> None: ...

    with pytest.raises(TypeError, match=r"odd\..*async def"):
        hooks.after(RecordCreated)(not_async)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="does not take"):
        hooks.after(RecordCreate)(fine)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="not about a collection"):
        hooks.after(SignedIn, only="posts")(fine)
    with pytest.raises(TypeError, match="takes a Route"):
        hooks.provide("a route")  # type: ignore[arg-type]


def test_what_is_provided_remembers_its_plugin() -> None:
    hooks = Hooks()

    async def handler(request: Any) -> Any: ...

    route = Route(method="GET", path="/hello", access="public", handler=handler)
    hooks.owned_by("greeter").provide(route)
    assert [(item.plugin, item.capability) for item in hooks.provided] == [("greeter", route)]


@pytest.mark.parametrize("status", [200, 399, 500])
def test_a_refusal_is_a_refusal(status: int) -> None:
    with pytest.raises(ValueError, match="400 to 499"):
        Refused("x", status=status)


def test_wants_costs_two_look_ups_however_many_hooks_there_are() -> None:
    hooks = Hooks()

    async def hook(event: Any, proceed: Any) -> Any: ...

    for number in range(200):
        hooks.around(RecordCreate, only=f"c{number}")(hook)
    calls = 0

    def count(frame: Any, kind: str, arg: Any) -> None:
        nonlocal calls
        calls += kind == "call"

    sys.setprofile(count)
    hooks.wants(RecordCreate, "elsewhere")
    sys.setprofile(None)
    assert calls == 1
