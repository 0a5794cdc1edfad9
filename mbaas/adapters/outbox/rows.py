"""The rows of the outbox: one statement an act, each fenced by the generation its caller took."""

from __future__ import annotations

import base64
from collections.abc import Collection
from datetime import datetime
from typing import cast

import msgspec

from mbaas.adapters.clock import Chance
from mbaas.adapters.outbox.item import Entry, Item, Parcel, State
from mbaas.adapters.postgres.coalesce import Row
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.sealing import NotOpened, Sealer
from mbaas.core.errors import Conflict, NotFound
from mbaas.core.sql.fragment import Statement

_PUT = """
insert into mbaas.outbox (id, channel, kind, destination, payload, expires_at)
values ($1::uuid, $2::text, $3::text, $4::text, decode($5::text, 'base64'), now() + $6::interval)
"""
# Destinations are found one by one through the index, so that a long queue of one is not read for the others. What is
# counted against a destination is what any node holds for it now.
_TAKE = """
with recursive destinations as (
    (
        select o.destination from mbaas.outbox as o
        where o.state = 'waiting' and o.channel = $1::text
        order by o.destination limit 1
    )
    union all
    select further.destination
    from destinations as d
    cross join lateral (
        select o.destination from mbaas.outbox as o
        where o.state = 'waiting' and o.channel = $1::text and o.destination > d.destination
        order by o.destination limit 1
    ) as further
), candidates as materialized (
    select due.id
    from destinations as d
    cross join lateral (
        select o.id, o.due_at from mbaas.outbox as o
        where o.state = 'waiting' and o.channel = $1::text and o.destination = d.destination and o.due_at <= now()
            and o.id <> all ($5::uuid[])
        order by o.due_at, o.id
        limit greatest(0, $3::bigint - (
            select count(*) from mbaas.outbox as h
            where h.held and h.channel = $1::text and h.destination = d.destination and h.due_at > now()
        ))
    ) as due
    order by due.due_at, due.id
    limit $2::bigint
), taken as (
    select o.id from mbaas.outbox as o
    where o.id in (select c.id from candidates as c) and o.state = 'waiting' and o.due_at <= now()
    for update skip locked
)
update mbaas.outbox as o
set held = true, due_at = now() + $4::interval, generation = o.generation + 1, attempts = o.attempts + 1
from taken
where o.id = taken.id
returning o.id, o.channel, o.kind, o.destination, encode(o.payload, 'base64'), o.generation, o.attempts,
    o.created_at, o.expires_at <= now(), o.expires_at <= o.created_at
"""
_FINISH = "delete from mbaas.outbox where id = $1::uuid and generation = $2::bigint returning 1"
_RETRY = """
update mbaas.outbox set held = false, due_at = now() + $3::interval, last_error = $4::text
where id = $1::uuid and generation = $2::bigint
"""
_GIVE_BACK = """
update mbaas.outbox set held = false, due_at = now(), attempts = attempts - 1
where id = $1::uuid and generation = $2::bigint
"""
_BURY = """
update mbaas.outbox set state = 'dead', held = false, died_at = now(), last_error = $3::text
where id = $1::uuid and generation = $2::bigint
"""
_SWEEP = "delete from mbaas.outbox where state = 'dead' and died_at < now() - $1::interval"
_LIST = """
select id, channel, kind, destination, state, held and due_at > now(), attempts, due_at, expires_at, created_at,
    died_at, last_error
from mbaas.outbox
where ($1::text is null or state = $1::text) and ($2::text is null or channel = $2::text)
order by created_at, id limit $3::bigint
"""
_SHOW = """
select id, channel, kind, destination, state, held and due_at > now(), attempts, due_at, expires_at, created_at,
    died_at, last_error
from mbaas.outbox where id = $1::uuid
"""
_REPLAY = """
update mbaas.outbox set state = 'waiting', held = false, died_at = null, due_at = now(), attempts = 0
where id = $1::uuid and state = 'dead' and expires_at > now()
returning 1
"""
# Not one that is being sent: nobody could say whether it arrived.
_DROP = "delete from mbaas.outbox where id = $1::uuid and not (held and due_at > now()) returning 1"
_DUE = """
select named.channel from unnest($1::text[]) as named (channel)
where exists (
    select from mbaas.outbox as o where o.state = 'waiting' and o.channel = named.channel and o.due_at <= now()
)
"""


class Taken(msgspec.Struct, frozen=True):
    """A leased row. item: ``None`` when its payload does not open here. stale: nobody wants it any more; void: nor ever
    did (``expires_s`` was 0).
    """

    id: str
    kind: str
    generation: int
    attempts: int
    stale: bool
    void: bool
    item: Item | None


class Rows:
    def __init__(self, database: Database, sealer: Sealer, *, chance: Chance | None = None) -> None:
        self._database = database
        self._sealer = sealer
        self._chance = chance or Chance()

    async def put(self, transaction: Transaction, parcel: Parcel) -> str:
        """Add a row. Returns its id."""
        item_id = self._chance.new_id()
        sealed = self._sealer.seal(msgspec.json.encode(parcel.payload), bound_to=item_id)
        args = (
            item_id,
            parcel.channel,
            parcel.kind,
            parcel.destination,
            base64.b64encode(sealed).decode(),
            _interval(parcel.expires_s),
        )
        await transaction.fetch_row(Statement(_PUT, args))
        return item_id

    async def take(
        self, channel: str, *, limit: int, per_destination: int, lease_s: float, in_hand: Collection[str]
    ) -> list[Taken]:
        """Lease what is due, the longest waiting first. in_hand: what this node still holds itself."""
        args = (channel, str(limit), str(per_destination), _interval(lease_s), tuple(in_hand))
        return [self._taken(row) for row in await self._database.fetch_rows(Statement(_TAKE, args))]

    async def finish(self, item_id: str, generation: int, *, within: Transaction | None = None) -> bool:
        """It was sent. Whether the row was still ours."""
        return await (within or self._database).fetch_row(Statement(_FINISH, (item_id, str(generation)))) is not None

    async def retry(self, item_id: str, generation: int, *, pause_s: float, error: str) -> None:
        args = (item_id, str(generation), _interval(pause_s), error)
        await self._database.fetch_row(Statement(_RETRY, args))

    async def give_back(self, item_id: str, generation: int) -> None:
        """End a lease as if it had not been taken."""
        await self._database.fetch_row(Statement(_GIVE_BACK, (item_id, str(generation))))

    async def bury(self, item_id: str, generation: int, *, error: str) -> None:
        """Make it a dead letter."""
        await self._database.fetch_row(Statement(_BURY, (item_id, str(generation), error)))

    async def sweep(self, *, keep_dead_s: float) -> None:
        """Forget dead letters older than that."""
        await self._database.fetch_row(Statement(_SWEEP, (_interval(keep_dead_s),)))

    async def due(self, channels: Collection[str]) -> list[str]:
        """Those of them in which something could be taken now."""
        return [str(channel) for (channel,) in await self._database.fetch_rows(Statement(_DUE, (tuple(channels),)))]

    async def list(self, *, state: str | None = None, channel: str | None = None, limit: int = 100) -> list[Entry]:
        """The oldest first."""
        rows = await self._database.fetch_rows(Statement(_LIST, (state, channel, str(limit))))
        return [_entry(row) for row in rows]

    async def show(self, item_id: str) -> Entry:
        """One row. Raises NotFound."""
        row = await self._database.fetch_row(Statement(_SHOW, (item_id,)))
        if row is None:
            raise NotFound(f"the outbox has no {item_id}", hint="what was sent is not kept")
        return _entry(row)

    async def replay(self, item_id: str) -> None:
        """Have a dead letter tried anew, under the same id. Raises NotFound, Conflict when it is not dead, or stale."""
        if await self._database.fetch_row(Statement(_REPLAY, (item_id,))) is None:
            found = await self.show(item_id)
            why = "has run out, nobody could use it" if found.state == "dead" else "is no dead letter: it will be sent"
            raise Conflict(f"{item_id} {why}")

    async def drop(self, item_id: str) -> None:
        """Forget one, dead or waiting. Raises NotFound, Conflict while it is being sent."""
        if await self._database.fetch_row(Statement(_DROP, (item_id,))) is None:
            await self.show(item_id)
            raise Conflict(f"{item_id} is being sent just now")

    def _taken(self, row: Row) -> Taken:
        item_id, channel, kind, destination, payload, generation, attempts, created_at, stale, void = map(str, row)
        try:
            plain = self._sealer.open(base64.b64decode(payload), bound_to=item_id)
        except NotOpened:
            item = None
        else:
            item = Item(
                id=item_id,
                channel=channel,
                kind=kind,
                destination=destination,
                payload=plain,
                generation=int(generation),
                attempts=int(attempts),
                created_at=datetime.fromisoformat(created_at),
            )
        return Taken(item_id, kind, int(generation), int(attempts), stale == "t", void == "t", item)


def _entry(row: Row) -> Entry:
    item_id, channel, kind, destination, state, held, attempts, due_at, expires_at, created_at, died_at, error = row
    return Entry(
        id=str(item_id),
        channel=str(channel),
        kind=str(kind),
        destination=str(destination),
        state=cast(State, state),
        held=held == "t",
        attempts=int(str(attempts)),
        due_at=datetime.fromisoformat(str(due_at)),
        expires_at=datetime.fromisoformat(str(expires_at)),
        created_at=datetime.fromisoformat(str(created_at)),
        died_at=datetime.fromisoformat(died_at) if died_at else None,
        last_error=error,
    )


def _interval(seconds: float) -> str:
    return f"{seconds:.3f} seconds"
