"""Recovery codes: ten words for the day the phone is gone. Each works once; a new set ends the former as a whole.

They stand in for another factor and are never the only one. Eighty bits each, so their hashes need no salt of
their own and no slowness; they are keyed, so that a copy of the database cannot even be compared with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.secrets import Secrets
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.accounts import hold_user
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.errors import (
    AnonymousHasNone,
    FactorExists,
    FactorKindDisabled,
    FactorNameTaken,
    FactorNotFound,
    FactorNotVerified,
    InsufficientAal,
    RecoveryCodesAlone,
    RecoveryCodesLocked,
    SessionNotFound,
)
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.mfa.factors import METHODS, NAMES, Factors, check_name
from mbaas.modules.auth.mfa.rows import insert_factor
from mbaas.modules.auth.mfa.tries import count_try, forget_tries
from mbaas.modules.auth.objects import Factor, Session, User
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.sessions import Holder, Sessions

COUNT = 10
KIND = "recovery_code"
DEFAULT_NAME = "Recovery codes"
_BYTES = 10  # 16 characters of base32
_SPACE = re.compile(r"[\s-]+")

_REPLACE = """
with ended as (
    delete from auth.mfa_recovery_codes where factor_id = $1::uuid
)
insert into auth.mfa_recovery_codes (factor_id, code_hash)
select $1::uuid, decode(code_hash, 'base64') from unnest($2::text[]) as new (code_hash)
"""
_USE = """
update auth.mfa_recovery_codes set used_at = $3::timestamptz
where factor_id = $1::uuid and code_hash = decode($2::text, 'base64') and used_at is null
returning factor_id
"""
_COUNTS = """
select count(*), count(*) filter (where used_at is null) from auth.mfa_recovery_codes where factor_id = $1::uuid
"""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """total: codes of the set. remaining: those not used."""

    id: str
    type: str = KIND
    total: int
    remaining: int


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """codes: shown this once."""

    id: str
    type: str = KIND
    friendly_name: str
    total: int
    codes: tuple[str, ...]


class RecoveryCodes:
    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        secrets: Callable[[], Secrets],
        sessions: Sessions,
        factors: Factors,
        mails: Mails,
        clock: Clock,
        chance: Chance,
        observe: Observe,
    ) -> None:
        self._on = KIND in policy.factors
        self._database = database
        self._sessions = sessions
        self._factors = factors
        self._mails = mails
        self._clock = clock
        self._chance = chance
        self._observe = observe
        self._key = secrets().purpose_key("auth.recovery_code")

    async def status(self, holder: Holder) -> Status:
        """Raises FactorNotFound."""
        factor = _of(holder.user)
        row = await self._database.fetch_row(Statement(_COUNTS, (factor.id,)))
        total, remaining = (int(str(column)) for column in row or ("0", "0"))
        return Status(id=factor.id, total=total, remaining=remaining)

    async def generate(self, holder: Holder, name: str | None, *, asked: Asked) -> Generated:
        """The first set.

        Raises AnonymousHasNone, FactorKindDisabled, RecoveryCodesAlone, InsufficientAal, FactorExists, FactorNameTaken.
        """
        user, now = holder.user, self._clock.now()
        if user.is_anonymous:
            raise AnonymousHasNone
        if not self._on:
            raise FactorKindDisabled(KIND, "enroll")
        check_name(name or "")
        factor = Factor(
            id=self._chance.new_id(),
            friendly_name=name or DEFAULT_NAME,
            factor_type=KIND,
            status="verified",
            created_at=now,
            updated_at=now,
        )
        async with self._database.transaction() as transaction:
            held = await hold_user(transaction, user.id)
            if not any(one.is_verified for one in held.factors):
                raise RecoveryCodesAlone
            if holder.aal != "aal2":
                raise InsufficientAal
            if any(one.factor_type == KIND for one in held.factors):
                raise FactorExists("There are recovery codes already: regenerate them to have new ones")
            if any(one.friendly_name == factor.friendly_name for one in held.factors):
                raise FactorNameTaken(f'A factor with the friendly name "{factor.friendly_name}" already exists')
            await insert_factor(transaction, factor, user.id)
            await self._mails.notice(transaction, "factor_enrolled", held, asked, factor=NAMES[KIND])
            return await self._replace(transaction, factor, user, asked)

    async def regenerate(self, holder: Holder, *, asked: Asked) -> Generated:
        """A new set for the former. Raises FactorKindDisabled, FactorNotFound, InsufficientAal."""
        if not self._on:
            raise FactorKindDisabled(KIND, "enroll")
        async with self._database.transaction() as transaction:
            held = await hold_user(transaction, holder.user.id)
            factor = _of(held)
            if holder.aal != "aal2":
                raise InsufficientAal
            await forget_tries(transaction, held.id)
            return await self._replace(transaction, factor, held, asked)

    async def verify(self, holder: Holder, code: str, *, asked: Asked) -> Session:
        """The session at ``aal2`` for a code, however it is written; the code is used up.

        Raises FactorKindDisabled, FactorNotVerified, RecoveryCodesLocked.
        """
        if not self._on:
            raise FactorKindDisabled(KIND, "verify")
        if holder.session_id is None:
            raise SessionNotFound
        now, user = self._clock.now(), holder.user
        await count_try(self._database, user.id, asked.ip, now=now, refusal=RecoveryCodesLocked)
        async with self._database.transaction() as transaction:
            held = await hold_user(transaction, user.id)
            factor = next((one for one in held.factors if one.factor_type == KIND), None)
            hashed = self._hash(user.id, _SPACE.sub("", code[:200]).lower())
            args = ("" if factor is None else factor.id, hashed, now.isoformat())
            if factor is None or await transaction.fetch_row(Statement(_USE, args)) is None:
                raise FactorNotVerified("Invalid recovery code entered")
            await forget_tries(transaction, user.id)
            await record(transaction, "recovery_code_used", asked, user_id=user.id, now=now, factor_id=factor.id)
            session = await self._sessions.raise_level(
                transaction, user.id, holder.session_id, method=METHODS[KIND], proven_by=factor.id
            )
        self._observe(SecurityEvent("recovery_code_used", user.id))
        return session

    async def unenroll(self, holder: Holder, *, asked: Asked) -> str:
        """Raises FactorNotFound, InsufficientAal."""
        factor = _of(holder.user)
        if holder.aal != "aal2":
            raise InsufficientAal
        return (await self._factors.remove(holder.user.id, factor.id, asked=asked)).id

    async def _replace(self, transaction: Transaction, factor: Factor, user: User, asked: Asked) -> Generated:
        codes = tuple(base64.b32encode(self._chance.new_bytes(_BYTES)).decode().lower() for _ in range(COUNT))
        hashes = tuple(self._hash(user.id, code) for code in codes)
        await transaction.fetch_row(Statement(_REPLACE, (factor.id, hashes)))
        now = self._clock.now()
        await record(transaction, "recovery_codes_generated", asked, user_id=user.id, now=now, factor_id=factor.id)
        return Generated(id=factor.id, friendly_name=factor.friendly_name, total=COUNT, codes=codes)

    def _hash(self, user_id: str, code: str) -> str:
        message = f"{user_id}:{code}".encode("utf-8", "surrogatepass")
        return base64.b64encode(hmac.new(self._key, message, hashlib.sha256).digest()).decode()


def _of(user: User) -> Factor:
    """Raises FactorNotFound."""
    found = next((one for one in user.factors if one.factor_type == KIND), None)
    if found is None:
        raise FactorNotFound("There are no recovery codes")
    return found
