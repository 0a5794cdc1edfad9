"""A pause between two mails to one address, kept for addresses nobody registered as well."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import MailPaused, SmsPaused
from mbaas.modules.auth.tables import MailPauses

Purpose: TypeAlias = Literal[
    "signup", "signin", "recovery", "email_change", "phone_change", "reauthentication", "factor"
]

# One statement: of many requests at once one passes. A time far ahead was written before the clock was put back.
_TAKE = """
with passed as (
    insert into auth.mail_pauses as p (key, sent_at) values ($1::text, $2::timestamptz)
    on conflict (key) do update set sent_at = excluded.sent_at
    where p.sent_at <= excluded.sent_at - $3::interval or p.sent_at > excluded.sent_at + $3::interval
    returning 1
)
select
    exists (select from passed),
    extract(epoch from (select sent_at from auth.mail_pauses where key = $1::text) + $3::interval - $2::timestamptz)
"""


async def pause(
    database: Database | Transaction,
    purpose: Purpose,
    address: str,
    *,
    now: datetime,
    frequency_s: int,
    by_sms: bool = False,
) -> None:
    """Let one message for that purpose pass.

    Raises MailPaused or SmsPaused while the last one is younger than ``frequency_s``.
    """
    if frequency_s <= 0:
        return
    key = hashlib.sha256(f"{purpose}:{address}".encode()).hexdigest()
    row = await database.fetch_row(Statement(_TAKE, (key, now.isoformat(), f"{frequency_s} seconds")))
    if row is not None and row[0] == "t":
        return
    left = min(max(math.ceil(float((row and row[1]) or frequency_s)), 1), frequency_s)
    message = f"For security purposes, you can only request this after {left} seconds."
    raise (SmsPaused if by_sms else MailPaused)(message, retry_after_s=left)


async def forget_pauses(database: Database, *, now: datetime) -> None:
    """Drop what is older than a day."""
    await database.fetch_row(compiled(MailPauses.delete().where(MailPauses.sent_at < now - timedelta(days=1))))
