"""What is put is sent once, by whichever node; what fails waits, dies, is replayed; nobody waits for another's host."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest

from mbaas.adapters.outbox import engine
from mbaas.adapters.outbox.item import Item, Parcel
from mbaas.adapters.outbox.rows import Taken
from mbaas.adapters.secrets import rotate_sealing_key
from mbaas.core.errors import Conflict, NotFound, Unavailable, Undeliverable
from mbaas.core.observe import SendFailed, SendGivenUp
from mbaas.core.sql.fragment import Statement
from tests.integration.outbox.conftest import Office


class Receiver:
    """Counts what arrives, by id. fails: how many of the next sends fail. until: what sends wait for."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.payloads: list[bytes] = []
        self.fails = 0
        self.error: Exception = Unavailable("not now")
        self.until: asyncio.Event | None = None
        self.arrived = asyncio.Event()

    async def __call__(self, item: Item) -> None:
        if self.fails > 0:
            self.fails -= 1
            raise self.error
        self.got[item.id] += 1
        self.payloads.append(item.payload)
        self.arrived.set()
        if self.until is not None:
            await self.until.wait()


async def test_what_a_transaction_puts_is_sent_once_it_commits_and_only_then(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "POLL_S", 600.0)  # so that only who is woken finds it
    receiver = Receiver()
    async with office.node(receiver) as outbox:
        await outbox.settle()
        with pytest.raises(ZeroDivisionError):
            async with office.database.transaction() as transaction:
                await office.rows.put(transaction, _parcel("lost"))
                1 / 0  # noqa: B018
        sent = await office.put(outbox, payload={"n": 1})
        async with asyncio.timeout(5):
            await receiver.arrived.wait()
        await outbox.settle()
    assert (receiver.got, receiver.payloads) == ({sent: 1}, [b'{"n":1}'])
    assert await office.rows.list() == []


async def test_idle_channels_ask_for_nothing_until_one_look_for_all_finds_something(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "POLL_S", 0.01)
    looked, asked = asyncio.Semaphore(0), []
    rows = office.rows
    due, take = rows.due, rows.take

    async def counted_due(channels: Collection[str]) -> list[str]:
        looked.release()
        return await due(channels)

    async def counted_take(channel: str, **wanted: Any) -> list[Taken]:
        asked.append(channel)
        return await take(channel, **wanted)

    monkeypatch.setattr(rows, "due", counted_due)
    monkeypatch.setattr(rows, "take", counted_take)
    receiver = Receiver()
    outbox = office.idle(receiver)
    outbox.handle("sms", receiver)
    outbox.handle("hook", receiver)
    outbox.start()
    try:
        async with asyncio.timeout(5):
            for _ in range(4):
                await looked.acquire()
            assert asked == []
            sent = await office.put(channel="sms")  # by another node: nobody here is woken
            await receiver.arrived.wait()
    finally:
        await outbox.close(timeout_s=0.2)
    assert (receiver.got, set(asked)) == ({sent: 1}, {"sms"})


async def test_several_nodes_send_each_item_once(office: Office) -> None:
    receiver = Receiver()
    ids = [await office.put(to=f"host{number % 7}") for number in range(60)]
    async with office.node(receiver) as one, office.node(receiver) as two, office.node(receiver):
        await asyncio.gather(one.settle(), two.settle())
    assert receiver.got == Counter(ids)


async def test_of_many_who_take_at_once_each_item_has_one(office: Office) -> None:
    ids = [await office.put(to=f"host{number % 3}") for number in range(45)]
    takes = (office.rows.take("mail", limit=45, per_destination=45, lease_s=30.0, in_hand=()) for _ in range(12))
    taken = [one.id for found in await asyncio.gather(*takes) for one in found]
    assert sorted(taken) == sorted(ids)


async def test_a_failure_is_tried_again_under_the_same_id_until_it_passes(office: Office) -> None:
    receiver = Receiver()
    receiver.fails = 3
    async with office.node(receiver) as outbox:
        sent = await office.put(outbox)
        async with asyncio.timeout(5):
            await receiver.arrived.wait()
        await outbox.settle()
    assert receiver.got == {sent: 1}
    failed = [told for told in office.observed if isinstance(told, SendFailed)]
    assert [told.attempt for told in failed] == [1, 2, 3]


async def test_what_is_refused_for_good_or_too_often_is_a_dead_letter_until_it_is_replayed(office: Office) -> None:
    receiver = Receiver()
    receiver.fails, receiver.error = 1, Undeliverable("550")
    async with office.node(receiver, max_attempts=3) as outbox:
        refused = await office.put(outbox)
        await outbox.settle()
        receiver.fails, receiver.error = 3, RuntimeError("secret in a text of a library")
        tired = await office.put(outbox)
        async with asyncio.timeout(5):
            while len(dead := await office.rows.list(state="dead")) < 2:
                await outbox.settle()
        assert {(entry.id, entry.last_error, entry.attempts) for entry in dead} == {
            (refused, "550", 1),
            (tired, "RuntimeError", 3),
        }
        assert receiver.got == {}
        assert [told for told in office.observed if isinstance(told, SendGivenUp)] == [
            SendGivenUp("mail", "greeting", "550"),
            SendGivenUp("mail", "greeting", "RuntimeError"),
        ]
        await office.rows.replay(refused)
        await outbox.settle()
        assert receiver.got == {refused: 1}
        await office.rows.drop(tired)
        assert await office.rows.list() == []
        for act in (office.rows.replay, office.rows.drop, office.rows.show):
            with pytest.raises(NotFound):
                await act(tired)


async def test_what_is_stale_is_dropped_and_cannot_be_replayed(office: Office) -> None:
    receiver = Receiver()
    await office.put(expires_s=0.001)
    receiver.fails, receiver.error = 1, Undeliverable("no")
    await office.database.ping()
    async with office.node(receiver) as outbox:
        await outbox.settle()
        assert await office.rows.list() == []
        assert receiver.fails == 1
        assert office.observed == [SendGivenUp("mail", "greeting", "stale")]
        dead = await office.put(outbox)
        await outbox.settle()
    await office.database.execute("update mbaas.outbox set expires_at = now()")
    with pytest.raises(Conflict, match="run out"):
        await office.rows.replay(dead)


async def test_a_row_for_appearances_is_dropped_without_a_word(office: Office) -> None:
    receiver = Receiver()
    async with office.node(receiver) as outbox:
        await office.put(outbox, expires_s=0)
        await outbox.settle()
    assert (await office.rows.list(), office.observed, receiver.got) == ([], [], {})


async def test_a_lease_that_nobody_ended_ends_itself_and_its_holder_can_change_nothing_more(office: Office) -> None:
    item_id = await office.put()
    (dead,) = await office.rows.take("mail", limit=5, per_destination=5, lease_s=0.3, in_hand=())
    assert await office.rows.take("mail", limit=5, per_destination=5, lease_s=0.3, in_hand=()) == []
    assert (await office.rows.show(item_id)).held
    receiver = Receiver()
    receiver.until = asyncio.Event()
    async with office.node(receiver):
        async with asyncio.timeout(5):
            await receiver.arrived.wait()
        # The one that was thought dead comes back while another sends.
        assert not await office.rows.finish(item_id, dead.generation)
        await office.rows.bury(item_id, dead.generation, error="late")
        await office.rows.give_back(item_id, dead.generation)
        found = await office.rows.show(item_id)
        assert (found.state, found.held, found.attempts) == ("waiting", True, 2)
        receiver.until.set()
    assert receiver.got == {item_id: 1}
    assert await office.rows.list() == []


async def test_a_send_that_takes_half_of_its_lease_is_cut_off_before_another_may_begin(office: Office) -> None:
    at_work = [0, 0]

    async def hang(item: Item) -> None:
        at_work[0] += 1
        at_work[1] = max(at_work)
        try:
            await asyncio.Event().wait()
        finally:
            at_work[0] -= 1

    await office.put()
    async with office.node(hang, lease_s=0.4), office.node(hang, lease_s=0.4):
        async with asyncio.timeout(5):
            while len(office.observed) < 3:
                await asyncio.sleep(0.01)
    assert at_work[1] == 1
    assert office.observed[0] == SendFailed("mail", "greeting", "it took too long", 1)


async def test_a_destination_that_hangs_holds_up_no_other(office: Office) -> None:
    never = asyncio.Event()
    got: list[str] = []

    async def send(item: Item) -> None:
        if item.destination == "hanging":
            await never.wait()
        got.append(item.destination)

    for _ in range(30):
        await office.put(to="hanging")
    async with office.node(send, workers=8, per_destination=3) as outbox:
        async with asyncio.timeout(5):
            for number in range(20):
                await office.put(outbox, to=f"host{number}")
            while len(got) < 20:
                await asyncio.sleep(0.005)
        held = [entry for entry in await office.rows.list() if entry.held and entry.destination == "hanging"]
    assert len(held) == 3
    assert set(got) == {f"host{number}" for number in range(20)}


async def test_a_stop_finishes_what_it_can_and_gives_back_the_rest_at_once(office: Office) -> None:
    receiver = Receiver()
    receiver.until = asyncio.Event()
    item_id = await office.put()
    async with office.node(receiver):
        async with asyncio.timeout(5):
            await receiver.arrived.wait()
    found = await office.rows.show(item_id)
    assert (found.held, found.attempts, found.state) == (False, 0, "waiting")
    receiver.until = None
    async with office.node(receiver) as outbox:
        await outbox.settle()
    assert await office.rows.list() == []


async def test_an_effect_in_the_database_ends_its_item_with_it(office: Office) -> None:
    async def send(item: Item) -> None:
        async with office.database.transaction() as transaction:
            await transaction.execute("insert into done values (1)")
            await outbox.done(transaction, item)
            if tries.pop():
                raise Unavailable("after the effect, before the commit")

    tries = [False, True, True]
    await office.database.execute("create table done (n integer)")
    async with office.node(send) as outbox:
        await office.put(outbox)
        async with asyncio.timeout(5):
            while await office.rows.list():
                await asyncio.sleep(0.005)
    row = await office.database.fetch_row(Statement("select count(*) from done"))
    assert row == ("1",)


async def test_a_dump_has_nothing_in_clear_and_a_rotated_key_still_opens_it(office: Office) -> None:
    secret = "482913"
    item_id = await office.put(payload={"to": "ada@example.com", "code": secret})
    row = await office.database.fetch_row(Statement("select o::text, encode(payload, 'escape') from mbaas.outbox as o"))
    assert row is not None
    for text in row:
        assert secret not in str(text)
        assert "ada@" not in str(text)  # "ada" may be in what is hexadecimal
    rotate_sealing_key(office.secrets.path)
    office.secrets.reload()
    later = await office.put(payload={"code": secret})
    receiver = Receiver()
    async with office.node(receiver) as outbox:
        await outbox.settle()
    assert receiver.got == {item_id: 1, later: 1}
    # Moved to another row it does not open.
    one, other = await office.put(payload="one"), await office.put(payload="other")
    swap = (
        "update mbaas.outbox set payload = (select payload from mbaas.outbox where id = $1::uuid) where id = $2::uuid"
    )
    await office.database.fetch_row(Statement(swap, (one, other)))
    taken = await office.rows.take("mail", limit=5, per_destination=5, lease_s=9, in_hand=())
    assert {row.id: row.item is not None for row in taken} == {one: True, other: False}


async def test_a_database_that_is_away_when_a_send_ends_costs_no_duplicate(office: Office) -> None:
    receiver = Receiver()
    receiver.until = asyncio.Event()
    async with office.node(receiver, lease_s=30.0) as outbox:
        await office.put(outbox)
        async with asyncio.timeout(5):
            await receiver.arrived.wait()
        finish, failures = office.rows.finish, [2]

        async def flaky(*args: object, **options: object) -> bool:
            if failures[0]:
                failures[0] -= 1
                raise Unavailable("away")
            return await finish(*args, **options)  # type: ignore[arg-type]

        office.rows.finish = flaky  # type: ignore[method-assign]
        receiver.until.set()
        async with asyncio.timeout(5):
            while await office.rows.list():
                await outbox.settle()
    assert list(receiver.got.values()) == [1]


def _parcel(kind: str) -> Parcel:
    return Parcel(channel="mail", kind=kind, destination="x", payload=None, expires_s=60)
