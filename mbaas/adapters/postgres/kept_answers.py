"""Answers kept for an Idempotency-Key, in the transaction of the write that they are the answer to."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.errors import IdempotencyInProgress, MbaasError
from mbaas.core.sql.fragment import Statement

SWEEP_EVERY_S = 60.0
SWEPT_AT_ONCE = 1000

_CLAIM = "select state, fingerprint, status, head, body from mbaas.claim_answer($1::bytea)"
_KEEP = """
insert into mbaas.kept_answers (id, fingerprint, status, head, body, kept_until)
values ($1::bytea, $2::bytea, $3::smallint, $4::text, $5::bytea, clock_timestamp() + $6::interval)
on conflict (id) do update set fingerprint = excluded.fingerprint, status = excluded.status, head = excluded.head,
    body = excluded.body, kept_until = excluded.kept_until
"""
_SWEEP = """
with gone as (
    delete from mbaas.kept_answers where id in (
        select id from mbaas.kept_answers where kept_until < now() limit $1::integer for update skip locked
    )
    returning 1
)
select count(*) from gone
"""


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """fingerprint: of the request. head: whatever else belongs to the answer, as text."""

    fingerprint: bytes
    status: int
    head: str
    body: bytes


async def claim(transaction: Transaction, answer_id: bytes) -> KeptAnswer | None:
    """The answer kept under that id; ``None``: there is none, and nobody else gives one before this transaction ends.

    Raises IdempotencyInProgress when another transaction is at it.
    """
    row = await transaction.fetch_row(Statement(_CLAIM, (_hex(answer_id),)))
    if row is None:
        return None
    state, fingerprint, status, head, body = row
    if state == "busy":
        raise IdempotencyInProgress(
            "a request with this Idempotency-Key is being answered", hint="send it again in a moment"
        )
    return KeptAnswer(fingerprint=_bytes(fingerprint), status=int(status or 0), head=head or "", body=_bytes(body))


async def keep(transaction: Transaction, answer_id: bytes, answer: KeptAnswer, *, keep_s: int) -> None:
    """After ``claim`` gave none."""
    args = (_hex(answer_id), _hex(answer.fingerprint), str(answer.status), answer.head, _hex(answer.body))
    await transaction.fetch_row(Statement(_KEEP, (*args, f"{keep_s} seconds")))


async def sweep(database: Database) -> int:
    """Forgets what is kept no longer. Returns how many answers went, ``SWEPT_AT_ONCE`` at most."""
    row = await database.fetch_row(Statement(_SWEEP, (str(SWEPT_AT_ONCE),)))
    return int((row and row[0]) or 0)


async def sweep_forever(database: Database) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        with contextlib.suppress(MbaasError):  # the database is away, which others tell: next time
            while await sweep(database) == SWEPT_AT_ONCE:
                pass


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()


def _bytes(text: str | None) -> bytes:
    return bytes.fromhex((text or "").removeprefix("\\x"))
