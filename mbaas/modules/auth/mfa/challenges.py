"""Challenges: what has to be answered once, within five minutes, with five tries, where it was asked for."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Literal, TypeAlias

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import (
    ChallengeElsewhere,
    ChallengeExpired,
    ChallengeNotFound,
    PasskeyChallengeExpired,
    PasskeyChallengeNotFound,
)
from mbaas.modules.auth.mfa.rows import is_uuid

LIFETIME_S = 300
TRIES = 5

Purpose: TypeAlias = Literal["factor", "passkey_registration", "passkey_authentication"]

_ISSUE = """
with challenged as (
    update auth.mfa_factors set last_challenged_at = $7::timestamptz where id = $3::uuid
), forgotten as (
    -- Until an hour later one learns that it ran out.
    delete from auth.mfa_challenges where id in (
        select id from auth.mfa_challenges where expires_at < $7::timestamptz - interval '1 hour'
        limit 100 for update skip locked
    )
)
insert into auth.mfa_challenges (id, purpose, factor_id, session_id, ip, secret, created_at, expires_at)
values (
    $1::uuid, $2::text, $3::uuid, $4::uuid, $5::inet, decode($6::text, 'base64'), $7::timestamptz, $8::timestamptz
)
"""
# A try is counted before the answer is looked at, and in a transaction of its own.
_TRY = """
with tried as (
    update auth.mfa_challenges set attempts = attempts + 1
    where id = $1::uuid and purpose = 'factor' and factor_id = $2::uuid and session_id = $3::uuid
        and ip is not distinct from $4::inet and used_at is null and expires_at > $5::timestamptz
        and attempts < $6::smallint
    returning encode(secret, 'base64') as secret
)
select
    exists (select from tried),
    (select secret from tried),
    c.used_at is not null or c.ip is distinct from $4::inet,
    c.expires_at <= $5::timestamptz or c.attempts >= $6::smallint
from auth.mfa_challenges as c
where c.id = $1::uuid and c.purpose = 'factor' and c.factor_id = $2::uuid and c.session_id = $3::uuid
"""
_USE = """
update auth.mfa_challenges set used_at = $2::timestamptz where id = $1::uuid and used_at is null returning id
"""
_USE_PASSKEY = """
delete from auth.mfa_challenges
where id = $1::uuid and purpose = $2::text and session_id is not distinct from $3::uuid
returning encode(secret, 'base64'), expires_at <= $4::timestamptz
"""


class Challenge(msgspec.Struct, frozen=True):
    id: str
    expires_at: int  # unix seconds


class Challenges:
    def __init__(self, *, database: Database, clock: Clock, chance: Chance) -> None:
        self._database = database
        self._clock = clock
        self._chance = chance

    async def issue(
        self,
        transaction: Transaction,
        purpose: Purpose,
        *,
        factor_id: str | None = None,
        session_id: str | None = None,
        ip: str | None = None,
        challenge_id: str | None = None,
        secret: bytes = b"",
    ) -> Challenge:
        """secret: what the answer is checked against: random bytes of WebAuthn, the hash of a code that was sent."""
        now = self._clock.now()
        until = now + timedelta(seconds=LIFETIME_S)
        made = Challenge(challenge_id or self._chance.new_id(), int(until.timestamp()))
        text = base64.b64encode(secret).decode()
        args = (made.id, purpose, factor_id, session_id, ip, text, now.isoformat(), until.isoformat())
        await transaction.fetch_row(Statement(_ISSUE, args))
        return made

    async def try_answer(self, challenge_id: str, *, factor_id: str, session_id: str, ip: str | None) -> bytes:
        """Count a try of a factor's challenge and give its secret.

        Raises ChallengeNotFound also for another's, ChallengeElsewhere, ChallengeExpired also after five tries.
        """
        if not is_uuid(challenge_id):
            raise ChallengeNotFound
        args = (challenge_id, factor_id, session_id, ip, self._clock.now().isoformat(), str(TRIES))
        row = await self._database.fetch_row(Statement(_TRY, args))
        if row is None:
            raise ChallengeNotFound
        tried, secret, elsewhere, over = row
        if tried == "t":
            return base64.b64decode(secret or "")
        if over == "t" and elsewhere != "t":
            raise ChallengeExpired
        raise ChallengeElsewhere  # also when another request used it meanwhile

    async def use(self, transaction: Transaction, challenge_id: str) -> None:
        """It was answered. Raises ChallengeElsewhere when another request was first."""
        args = (challenge_id, self._clock.now().isoformat())
        if await transaction.fetch_row(Statement(_USE, args)) is None:
            raise ChallengeElsewhere

    async def use_passkey(self, challenge_id: str, purpose: Purpose, *, session_id: str | None = None) -> bytes:
        """The secret of a passkey's challenge, which is gone whatever comes of it.

        Raises PasskeyChallengeNotFound, PasskeyChallengeExpired.
        """
        if not is_uuid(challenge_id):
            raise PasskeyChallengeNotFound
        args = (challenge_id, purpose, session_id, self._clock.now().isoformat())
        row = await self._database.fetch_row(Statement(_USE_PASSKEY, args))
        if row is None:
            raise PasskeyChallengeNotFound
        if row[1] == "t":
            raise PasskeyChallengeExpired
        return base64.b64decode(str(row[0]))
