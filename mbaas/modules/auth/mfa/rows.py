"""The rows of factors and of WebAuthn credentials."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime
from typing import Any

import msgspec

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.mfa.relying_party import Known, Registered
from mbaas.modules.auth.objects import Factor
from mbaas.modules.auth.tables import MfaFactors, WebauthnCredentials

_FACTOR = """
select auth.factor_object(f), encode(f.secret, 'base64'), f.last_step
from auth.mfa_factors as f
where f.id = $1::uuid and f.user_id = $2::uuid
"""
_INSERT = """
insert into auth.mfa_factors (
    id, user_id, friendly_name, factor_type, status, secret, phone, created_at, updated_at
) values (
    $1::uuid, $2::uuid, $3::text, $4::text, $5::text, decode($6::text, 'base64'), $7::text,
    $8::timestamptz, $8::timestamptz
)
"""
_SECOND = """
select
    exists (select from auth.mfa_factors where user_id = $1::uuid and status = 'verified'),
    exists (select from auth.webauthn_credentials where user_id = $1::uuid and factor_id is null)
"""
# Whoever comes second with a step finds it taken, and every earlier one with it.
_TAKE_STEP = """
update auth.mfa_factors set last_step = $2::bigint
where id = $1::uuid and (last_step is null or last_step < $2::bigint)
returning id
"""
_CREDENTIAL = """
insert into auth.webauthn_credentials (
    id, user_id, factor_id, credential_id, public_key, sign_count, transports, created_at
) values (
    $1::uuid, $2::uuid, $3::uuid, decode($4::text, 'base64'), decode($5::text, 'base64'), $6::bigint, $7::text[],
    $8::timestamptz
)
on conflict (credential_id) do nothing
returning id
"""
_KNOWN = """
select c.id, c.user_id, encode(c.credential_id, 'base64'), encode(c.public_key, 'base64'),
    array_to_string(c.transports, ' ')
from auth.webauthn_credentials as c
where {}
order by c.created_at, c.id
"""
_OF_USER = Statement(_KNOWN.replace("{}", "c.user_id = $1::uuid"))
_OF_FACTOR = Statement(_KNOWN.replace("{}", "c.user_id = $1::uuid and c.factor_id = $2::uuid"))
_OF_CREDENTIAL = Statement(_KNOWN.replace("{}", "c.credential_id = decode($1::text, 'base64') and c.factor_id is null"))
# Authenticators that count only ever count up; those that do not always say 0.
_COUNT = """
update auth.webauthn_credentials set sign_count = $2::bigint, last_used_at = $3::timestamptz
where id = $1::uuid and (sign_count < $2::bigint or (sign_count = 0 and $2::bigint = 0))
returning id
"""


class StoredFactor(msgspec.Struct, frozen=True):
    """secret: sealed."""

    factor: Factor
    secret: bytes
    last_step: int | None


class Second(msgspec.Struct, frozen=True):
    """What a user has beside a password: verified factors, passkeys."""

    factor: bool
    passkey: bool

    @property
    def any(self) -> bool:
        return self.factor or self.passkey


async def find_factor(source: Database | Transaction, factor_id: str, user_id: str) -> StoredFactor | None:
    """A factor of that user. factor_id: any text."""
    if not is_uuid(factor_id):
        return None
    row = await source.fetch_row(Statement(_FACTOR, (factor_id, user_id)))
    if row is None:
        return None
    factor = msgspec.json.decode(str(row[0]), type=Factor)
    return StoredFactor(factor, base64.b64decode(row[1] or ""), None if row[2] is None else int(row[2]))


async def insert_factor(transaction: Transaction, factor: Factor, user_id: str, *, secret: bytes | None = None) -> None:
    """secret: sealed already."""
    args = (
        factor.id,
        user_id,
        factor.friendly_name,
        factor.factor_type,
        factor.status,
        None if secret is None else base64.b64encode(secret).decode(),
        factor.phone,
        factor.created_at.isoformat(),
    )
    await transaction.fetch_row(Statement(_INSERT, args))


async def set_verified(transaction: Transaction, factor_id: str, *, now: datetime) -> None:
    values: dict[Any, Any] = {MfaFactors.status: "verified", MfaFactors.updated_at: now}
    await transaction.fetch_row(compiled(MfaFactors.update(values).where(MfaFactors.id == factor_id)))


async def delete_factors(transaction: Transaction, *factor_ids: str) -> None:
    await transaction.fetch_row(compiled(MfaFactors.delete().where(MfaFactors.id.is_in(list(factor_ids)))))


async def take_step(transaction: Transaction, factor_id: str, step: int) -> bool:
    """Whether a TOTP step was still to be taken; it is now."""
    return await transaction.fetch_row(Statement(_TAKE_STEP, (factor_id, str(step)))) is not None


async def second_of(source: Database | Transaction, user_id: str) -> Second:
    row = await source.fetch_row(Statement(_SECOND, (user_id,)))
    return Second(row is not None and row[0] == "t", row is not None and row[1] == "t")


async def insert_credential(
    transaction: Transaction, made: Registered, user_id: str, factor_id: str | None, *, new_id: str, now: datetime
) -> bool:
    """Whether that credential is new. factor_id: ``None`` for a passkey."""
    args = (
        new_id,
        user_id,
        factor_id,
        base64.b64encode(made.credential_id).decode(),
        base64.b64encode(made.public_key).decode(),
        str(made.sign_count),
        made.transports,
        now.isoformat(),
    )
    return await transaction.fetch_row(Statement(_CREDENTIAL, args)) is not None


async def credentials_of(source: Database | Transaction, user_id: str, factor_id: str | None = None) -> list[Known]:
    """A user's, or those of one factor."""
    if factor_id is None:
        rows = await source.fetch_rows(Statement(_OF_USER.text, (user_id,)))
    else:
        rows = await source.fetch_rows(Statement(_OF_FACTOR.text, (user_id, factor_id)))
    return [_known(row) for row in rows]


async def find_passkey(source: Database | Transaction, credential_id: bytes) -> Known | None:
    row = await source.fetch_row(Statement(_OF_CREDENTIAL.text, (base64.b64encode(credential_id).decode(),)))
    return None if row is None else _known(row)


async def count_use(transaction: Transaction, credential: Known, sign_count: int, *, now: datetime) -> bool:
    """Whether the signature counter moved as that of the one authenticator would."""
    args = (credential.id, str(sign_count), now.isoformat())
    return await transaction.fetch_row(Statement(_COUNT, args)) is not None


async def delete_passkey(transaction: Transaction, passkey_id: str, user_id: str) -> bool:
    """Whether there was one."""
    query = WebauthnCredentials.delete().where(
        (WebauthnCredentials.id == passkey_id)
        & (WebauthnCredentials.user_id == user_id)
        & WebauthnCredentials.factor_id.is_null()
    )
    return await transaction.fetch_row(compiled(query.returning(WebauthnCredentials.id))) is not None


def is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _known(row: tuple[str | None, ...]) -> Known:
    ident, user_id, credential_id, public_key, transports = (str(column) for column in row)
    return Known(
        id=ident,
        user_id=user_id,
        credential_id=base64.b64decode(credential_id),
        public_key=base64.b64decode(public_key),
        transports=tuple(transports.split()),
    )
