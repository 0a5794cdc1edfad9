"""Who did what to which user: one row an act, never changed, no secrets in it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from mbaas.adapters.postgres.database import Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.tables import AuditLogEntries


async def record(
    transaction: Transaction, action: str, asked: Asked, *, user_id: str, now: datetime, **traits: Any
) -> None:
    """Adds an entry, in the transaction of the act itself. user_id: whom it is about; the actor is who asked."""
    actor = asked.identity.user_id or asked.identity.role
    entry = AuditLogEntries(
        id=str(uuid.uuid4()),
        created_at=now,
        ip_address=asked.ip or "",
        payload={"action": action, "actor_id": actor, "user_id": user_id, "traits": traits},
    )
    await transaction.fetch_row(compiled(AuditLogEntries.insert(entry)))
