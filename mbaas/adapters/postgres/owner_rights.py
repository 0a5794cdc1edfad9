"""What of a database runs with its owner's rights, past the rules."""

from __future__ import annotations

import msgspec

from mbaas.adapters.postgres.session import open_session

_THERE = "select to_regprocedure('mbaas.owner_rights()') is not null"
_ALL = "select coalesce(json_agg(r), '[]')::text from mbaas.owner_rights() as r"


class OwnerRight(msgspec.Struct, frozen=True):
    """kind: view, materialized view, table without row security, definer function, trigger, rewrite rule.

    callers: who of ``anon`` and ``authenticated`` reaches it.
    """

    kind: str
    name: str
    callers: tuple[str, ...]


async def read_owner_rights(url: str) -> tuple[OwnerRight, ...]:
    """All of them; none where our schema is not. Raises Unavailable when the server does not answer."""
    async with open_session(url) as session:
        if not await session.fetch(_THERE):
            return ()
        return msgspec.json.decode(await session.fetch(_ALL), type=tuple[OwnerRight, ...])
