"""Who did what to which user: one row an act, never changed, no secrets in it.

The table itself refuses changes (``0011_sessions.sql``).
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.tables import AuditLogEntries


async def record(
    transaction: Transaction, action: str, asked: Asked, *, user_id: str, now: datetime, **traits: Any
) -> None:
    """Adds an entry, in the transaction of the act itself. user_id: whom it is about; the actor is who asked."""
    entry = AuditLogEntries(
        id=str(uuid.uuid4()),
        created_at=now,
        ip_address=asked.ip or "",
        payload={**payload(action, asked, **traits), "user_id": user_id},
    )
    await transaction.fetch_row(compiled(AuditLogEntries.insert(entry)))


def payload(action: str, asked: Asked, **traits: Any) -> dict[str, Any]:
    """What an entry says, but for whom it is about."""
    actor = asked.identity.user_id or asked.identity.role
    return {"action": action, "actor_id": actor, "request_id": asked.request_id, "traits": traits}


# By the moment, then by id; so a page begins where the one before it ended, whatever was added since.
_PAGE = """
select coalesce(
    jsonb_agg(
        payload || jsonb_build_object('id', id, 'created_at', created_at, 'ip_address', ip_address)
        order by created_at desc, id desc
    ),
    '[]'
)
from (
    select * from auth.audit_log_entries
    where ($1::text is null or payload ->> 'user_id' = $1::text)
        and ($2::text is null or payload ->> 'action' = $2::text)
        and (
            $3::uuid is null
            or (created_at, id) < (select e.created_at, e.id from auth.audit_log_entries as e where e.id = $3::uuid)
        )
    order by created_at desc, id desc
    limit $4::bigint
) as page
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. actor_id: a user, or the role of the key that asked. request_id: of the request, as in the logs."""

    id: str
    created_at: datetime
    ip_address: str
    action: str
    actor_id: str
    user_id: str
    request_id: str | None = None
    traits: dict[str, Any] = {}


async def read_audit(
    database: Database, *, user_id: str | None, action: str | None, before: str | None, limit: int
) -> list[Entry]:
    """Entries, newest first. user_id: about whom. before: the id of the last entry of the page before."""
    row = await database.fetch_row(Statement(_PAGE, (user_id, action, before, str(limit))))
    return msgspec.json.decode(str(row and row[0]), type=list[Entry])
