"""Access tokens that end before their time: what this node has to be told of, a second after it happened anywhere.

The database notes by triggers which sessions ended (``0011_sessions.sql``) or fell back to ``aal1``
(``0015_lowered.sql``), and who was banned or removed. Each node asks for what is new once a second, so that no request
has to ask.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.core.errors import MbaasError
from mbaas.core.sql.fragment import Statement
from mbaas.http.identity import Revocation

EVERY_S = 1.0
# A row is of the time it was written and seen when its transaction commits, which takes a request's time at most.
_OVERLAP_S = 60.0
_CLOCKS_S = 60.0  # of nodes and database among themselves

_SINCE = """
select
    extract(epoch from clock_timestamp()),
    coalesce(
        jsonb_agg(jsonb_build_array(subject, reason, until_s, changed_s)) filter (where subject is not null), '[]'
    )
from (
    select
        subject, reason, extract(epoch from until)::text as until_s, extract(epoch from changed_at)::text as changed_s
    from auth.revocations where changed_at > to_timestamp($1::double precision)
) as changed
"""
_FORGET = """
delete from auth.revocations
where changed_at < clock_timestamp() - $1::interval and (until = 'infinity' or until < clock_timestamp())
"""

Tell = Callable[[Mapping[str, Revocation]], None]


class Revocations:
    """tell: hears of each once, and again when it changed. lifetime_s: of access tokens."""

    def __init__(self, database: Database, *, lifetime_s: float, tell: Tell) -> None:
        self._database = database
        self._kept_s = lifetime_s + _CLOCKS_S
        self._tell = tell
        self._asked_at: float | None = None
        self._told: dict[str, float] = {}

    async def look(self) -> None:
        """Ask for what is new since the last look; the first time for all that still matters."""
        since = 0.0 if self._asked_at is None else self._asked_at - _OVERLAP_S
        row = await self._database.fetch_row(Statement(_SINCE, (str(since),)))
        if row is None:  # never: an aggregate has a row
            return
        changed: dict[str, Revocation] = {}
        for subject, reason, until, changed_at in msgspec.json.decode(str(row[1]), type=list[Any]):
            if self._told.get(subject) == float(changed_at):
                continue
            self._told[subject] = float(changed_at)
            ends = float(until)
            lasting = ends if ends not in (float("inf"), float("-inf")) else 0.0
            changed[subject] = Revocation(reason, ends, max(float(changed_at) + self._kept_s, lasting))
        self._asked_at = float(str(row[0]))
        self._told = {subject: at for subject, at in self._told.items() if at > self._asked_at - 2 * _OVERLAP_S}
        if changed:
            self._tell(changed)

    async def follow(self) -> None:
        """Look every second, for good. While the database is away nothing can be read from it either."""
        while True:
            await asyncio.sleep(EVERY_S)
            with contextlib.suppress(MbaasError):
                await self.look()

    async def forget(self) -> None:
        """Drop what is of no token any more."""
        await self._database.fetch_row(Statement(_FORGET, (f"{self._kept_s} seconds",)))
