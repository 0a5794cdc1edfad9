"""Where a user is signed in: every session that can still be refreshed, and ending them one by one."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.errors import NoSuchSession, UserNotFound

# Newest use first. An expired one is gone for its user, whatever the table still holds.
_LIST = """
select coalesce(
    jsonb_agg(
        jsonb_build_object(
            'id', id, 'aal', aal, 'amr', amr, 'user_agent', user_agent, 'ip', host(ip), 'created_at', created_at,
            'last_used_at', coalesce(refreshed_at, created_at), 'not_after', not_after
        )
        order by coalesce(refreshed_at, created_at) desc, id
    ),
    '[]'
)
from auth.sessions
where user_id = $1::uuid
    and (not_after is null or not_after > $2::timestamptz)
    and ($3::interval is null or coalesce(refreshed_at, created_at) > $2::timestamptz - $3::interval)
"""
_EXISTS = "select 1 from auth.users where id = $1::uuid"
_END = "delete from auth.sessions where id = $1::uuid and user_id = $2::uuid returning id"
_END_ALL = "delete from auth.sessions where user_id = $1::uuid returning id"
_EXPIRED = """
delete from auth.sessions
where not_after < $1::timestamptz or coalesce(refreshed_at, created_at) < $1::timestamptz - $2::interval
"""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One session. user_agent, ip: of its last use. not_after: when it ends for good; ``None``: never by itself."""

    id: str
    aal: str
    amr: list[dict[str, object]]
    user_agent: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime
    not_after: datetime | None
    current: bool = False


class Devices:
    """idle_s: 0: unused sessions do not end."""

    def __init__(self, *, database: Database, clock: Clock, idle_s: int) -> None:
        self._database = database
        self._clock = clock
        self._idle = f"{idle_s} seconds" if idle_s else None

    async def of(self, user_id: str, *, current: str | None = None) -> list[Device]:
        """The sessions of a user, the last used first. current: which of them asks. Raises UserNotFound."""
        args = (user_id, self._clock.now().isoformat(), self._idle)
        row = await self._database.fetch_row(Statement(_LIST, args))
        found = msgspec.json.decode(str(row and row[0]), type=list[Device])
        if not found and await self._database.fetch_row(Statement(_EXISTS, (user_id,))) is None:
            raise UserNotFound
        return [msgspec.structs.replace(device, current=device.id == current) for device in found]

    async def end(self, user_id: str, session_id: str, *, asked: Asked) -> None:
        """Sign one out. Raises NoSuchSession for one that is not that user's."""
        async with self._database.transaction() as transaction:
            if await transaction.fetch_row(Statement(_END, (session_id, user_id))) is None:
                raise NoSuchSession
            now = self._clock.now()
            await record(transaction, "session_revoked", asked, user_id=user_id, now=now, session_id=session_id)

    async def end_all(self, user_id: str, *, asked: Asked) -> int:
        """Sign a user out everywhere. Returns of how many sessions. Raises UserNotFound."""
        async with self._database.transaction() as transaction:
            if await transaction.fetch_row(Statement(_EXISTS, (user_id,))) is None:
                raise UserNotFound
            ended = await transaction.fetch_rows(Statement(_END_ALL, (user_id,)))
            await record(transaction, "logout", asked, user_id=user_id, now=self._clock.now(), scope="global")
        return len(ended)

    async def forget(self) -> None:
        """Drop sessions that ended a while ago; a refresh until then is told so."""
        before = self._clock.now() - timedelta(days=1)
        await self._database.fetch_row(Statement(_EXPIRED, (before.isoformat(), self._idle)))
