"""Links and codes in mails: two ways to say the same thing once.

A link carries 224 random bits and is kept as its hash. A code is short enough to type, so it is kept under a key of the
server (a copy of the database does not give it away), lives shorter and bears five tries. A user has one of each kind:
a newer mail ends the older.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias, cast

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.secrets import Secrets
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import LinkExpired, OtpExpired
from mbaas.modules.auth.pkce import Challenge

Kind: TypeAlias = Literal[
    "confirmation",
    "invite",
    "magiclink",
    "recovery",
    "email_change_current",
    "email_change_new",
    "phone_confirmation",
    "sms",
    "phone_change",
    "reauthentication",
]
PKCE = "pkce_"
TRIES = 5

_ISSUE = """
insert into auth.one_time_tokens (
    id, user_id, kind, relates_to, link_hash, code_hash, code_challenge, code_challenge_method,
    created_at, code_expires_at, expires_at
) values (
    $1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text,
    $9::timestamptz, $10::timestamptz, $11::timestamptz
)
on conflict (user_id, kind) do update set
    id = excluded.id, relates_to = excluded.relates_to, link_hash = excluded.link_hash,
    code_hash = excluded.code_hash, attempts = 0, code_challenge = excluded.code_challenge,
    code_challenge_method = excluded.code_challenge_method, created_at = excluded.created_at,
    code_expires_at = excluded.code_expires_at, expires_at = excluded.expires_at
"""
_BY_LINK = """
delete from auth.one_time_tokens
where link_hash = $1::text and kind = any ($2::text[]) and expires_at > $3::timestamptz
returning user_id, kind, relates_to, code_challenge, code_challenge_method
"""
# A try is counted before the code is looked at, and in a transaction of its own.
_TRY = """
update auth.one_time_tokens set attempts = attempts + 1
where relates_to = $1::text and kind = any ($2::text[]) and code_expires_at > $3::timestamptz
    and attempts < $4::smallint
returning id, user_id, kind, code_hash
"""
_BY_ID = """
delete from auth.one_time_tokens where id = $1::uuid and code_hash = $2::text
returning user_id, kind, relates_to, code_challenge, code_challenge_method
"""
_END = "delete from auth.one_time_tokens where user_id = $1::uuid and kind = any ($2::text[])"


class Issued(msgspec.Struct, frozen=True):
    """What goes into a mail. link: the ``token`` of a link, also usable as ``token_hash``. code: digits."""

    link: str
    code: str


class Redeemed(msgspec.Struct, frozen=True):
    """What a link or code stood for. address: the one it was sent to."""

    user_id: str
    kind: Kind
    address: str
    challenge: Challenge | None


class OneTime:
    """Issues and redeems. code_length: digits."""

    def __init__(
        self,
        *,
        database: Database,
        secrets: Callable[[], Secrets],
        clock: Clock,
        chance: Chance,
        code_length: int,
        code_lifetime_s: int,
        link_lifetime_s: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._chance = chance
        self._code_length = code_length
        self._code_lifetime = timedelta(seconds=min(code_lifetime_s, link_lifetime_s))
        self._link_lifetime = timedelta(seconds=link_lifetime_s)
        self._key = secrets().purpose_key("auth.one_time_code")

    async def issue(
        self, transaction: Transaction, user_id: str, kind: Kind, address: str, challenge: Challenge | None = None
    ) -> Issued:
        """A new link and code of that kind; the user's former ones of it are dead."""
        now = self._clock.now()
        token, code = self._chance.new_token(), self._chance.new_code(self._code_length)
        args = (
            self._chance.new_id(),
            user_id,
            kind,
            address,
            _link_hash(token),
            self._code_hash(user_id, kind, code),
            challenge.text if challenge else None,
            challenge.method if challenge else None,
            now.isoformat(),
            (now + self._code_lifetime).isoformat(),
            (now + self._link_lifetime).isoformat(),
        )
        await transaction.fetch_row(Statement(_ISSUE, args))
        return Issued(PKCE + token if challenge else token, code)

    async def redeem_link(self, transaction: Transaction, token: str, kinds: Sequence[Kind]) -> Redeemed:
        """What a link stands for; it is gone once the transaction commits. Raises LinkExpired."""
        args = (_link_hash(token.removeprefix(PKCE)), tuple(kinds), self._clock.now().isoformat())
        return _redeemed(await transaction.fetch_row(Statement(_BY_LINK, args)), LinkExpired)

    async def try_code(self, address: str, code: str, kinds: Sequence[Kind]) -> tuple[str, str]:
        """Count a try and find the row of a code, for ``redeem_try``. Raises OtpExpired; after five tries, always."""
        args = (address, tuple(kinds), self._clock.now().isoformat(), str(TRIES))
        rows = await self._database.fetch_rows(Statement(_TRY, args))
        for row_id, user_id, kind, stored in rows:
            if hmac.compare_digest(str(stored), self._code_hash(str(user_id), str(kind), code)):
                return str(row_id), str(stored)
        raise OtpExpired

    async def redeem_try(self, transaction: Transaction, found: tuple[str, str]) -> Redeemed:
        """What the code stands for. Raises OtpExpired when another request redeemed it first."""
        return _redeemed(await transaction.fetch_row(Statement(_BY_ID, found)), OtpExpired)

    def _code_hash(self, user_id: str, kind: str, code: str) -> str:
        message = f"{user_id}:{kind}:{code}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


async def end_one_time(transaction: Transaction, user_id: str, kinds: Sequence[Kind]) -> None:
    """Links and codes of these kinds are dead from now on."""
    await transaction.fetch_row(Statement(_END, (user_id, tuple(kinds))))


def _link_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _redeemed(row: tuple[str | None, ...] | None, missing: type[OtpExpired]) -> Redeemed:
    if row is None:
        raise missing
    user_id, kind, address, text, method = row
    challenge = Challenge(text, cast(Literal["s256", "plain"], method)) if text and method else None
    return Redeemed(str(user_id), cast(Kind, kind), str(address), challenge)
