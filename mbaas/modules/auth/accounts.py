"""Making and changing users: the rows behind every flow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.errors import DatabaseError
from mbaas.core.sql.fragment import Statement
from mbaas.hooks import events
from mbaas.hooks.dispatch import Hooks
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.errors import EmailExists, PhoneExists, UserAlreadyExists, UserGone, ValidationFailed
from mbaas.modules.auth.objects import User, parse_user, told
from mbaas.modules.auth.sessions import load_user
from mbaas.modules.auth.tables import Users

MAX_METADATA = 16_384  # bytes of JSON, both kinds together: they travel in every access token

_INSERT = """
with made as (
    insert into auth.users (
        id, role, email, encrypted_password, email_confirmed_at, invited_at, phone, phone_confirmed_at,
        raw_app_meta_data, raw_user_meta_data, is_anonymous, banned_until, created_at, updated_at
    ) values (
        $1::uuid, $2::text, $3::text, $4::text, $5::timestamptz, $6::timestamptz, $7::text, $8::timestamptz,
        $9::jsonb, $10::jsonb, $11::boolean, $12::timestamptz, $13::timestamptz, $13::timestamptz
    )
    on conflict do nothing
    returning id
), identity as (
    insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
    select $14::uuid, id::text, id, $15::jsonb, 'email', $13::timestamptz, $13::timestamptz
    from made where $3::text is not null and $18::boolean
), phone_identity as (
    insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
    select $16::uuid, id::text, id, $17::jsonb, 'phone', $13::timestamptz, $13::timestamptz
    from made where $7::text is not null and $18::boolean
)
select id from made
"""
_IDENTITY = """
insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
values ($1::uuid, $2::text, $2::uuid, $3::jsonb, $5::text, $4::timestamptz, $4::timestamptz)
on conflict (provider_id, provider) do update set
    identity_data = identities.identity_data || excluded.identity_data, updated_at = excluded.updated_at
"""
_BY_EMAIL = """
select auth.user_object(u), u.encrypted_password from auth.users as u
where u.email = $1::text and not u.is_sso_user and u.deleted_at is null
"""
_BY_PHONE = """
select auth.user_object(u), u.encrypted_password from auth.users as u
where u.phone = $1::text and u.deleted_at is null
"""
_BY_PHONE_CHANGE = """
select auth.user_object(u), u.encrypted_password from auth.users as u
where u.phone_change = $1::text and u.deleted_at is null
order by u.phone_change_sent_at desc limit 1
"""
_STORED = "select encrypted_password from auth.users where id = $1::uuid"
_LOCKED = """
select auth.user_object(u), u.encrypted_password, u.email_change_confirm_status from auth.users as u
where u.id = $1::uuid and u.deleted_at is null
for update of u
"""


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be made. password_hash: PHC; ``None``: no password opens it. id: ``None``: a new one.

    own_ways: the address or number is a way in by itself, not through a provider.
    """

    provider: str
    email: str | None = None
    phone: str | None = None
    password_hash: str | None = None
    app_metadata: dict[str, Any] = {}  # msgspec copies mutable defaults
    user_metadata: dict[str, Any] = {}
    email_confirmed: bool = False
    phone_confirmed: bool = False
    invited: bool = False
    is_anonymous: bool = False
    role: str = "authenticated"
    banned_until: datetime | None = None
    id: str | None = None
    own_ways: bool = True


class Locked(msgspec.Struct, frozen=True):
    """A user nobody else changes until the transaction ends. change_wants: who has still to agree to a new address."""

    user: User
    password_hash: str | None
    change_wants: int  # BOTH, NEW, CURRENT of email_change.py


class Accounts:
    """Makes users, through the hooks that want a say in it."""

    def __init__(self, *, database: Database, hooks: Hooks, clock: Clock, chance: Chance) -> None:
        self._database = database
        self._hooks = hooks
        self._clock = clock
        self._chance = chance

    async def create(self, transaction: Transaction, new: NewUser, *, asked: Asked) -> User:
        """A new user, as hooks let it be. Tell of it with ``announce`` once the transaction is committed.

        Raises UserAlreadyExists when id, address or number is taken (the transaction goes on), what hooks raise.
        """

        async def insert(event: events.UserCreate) -> events.User:
            row = await transaction.fetch_row(Statement(_INSERT, self._values(new, event)))
            if row is None:
                raise UserAlreadyExists
            return told(await load_user(transaction, str(row[0])))

        event = events.UserCreate(
            email=new.email,
            phone=new.phone,
            app_metadata=new.app_metadata,
            user_metadata=new.user_metadata,
            provider=new.provider,
            identity=asked.identity,
        )
        made = await self._hooks.run(event, insert)
        await record(transaction, "user_signedup", asked, user_id=made.id, now=self._clock.now(), provider=new.provider)
        return await load_user(transaction, made.id)

    async def announce(self, user: User, provider: str) -> None:
        """Tell hooks of a user that was made."""
        await self._hooks.emit(events.UserCreated(user=told(user), provider=provider))

    async def find(self, contact: Contact) -> tuple[User, str | None] | None:
        """The user of an address or number and the hash of their password."""
        return await find_contact(self._database, contact)

    def _values(self, new: NewUser, event: events.UserCreate) -> tuple[str | None, ...]:
        now = self._clock.now().isoformat()
        user_id = new.id or self._chance.new_id()
        own = new.own_ways
        mine = email_data(user_id, event.email, verified=new.email_confirmed) if event.email and own else {}
        phones = phone_data(user_id, event.phone, verified=new.phone_confirmed) if event.phone and own else {}
        metadata = {**event.user_metadata, **phones, **mine}
        if mine and phones:
            metadata["phone_verified"] = new.phone_confirmed
        check_metadata(event.app_metadata, metadata)
        return (
            user_id,
            new.role,
            event.email,
            new.password_hash,
            now if new.email_confirmed and event.email else None,
            now if new.invited else None,
            event.phone,
            now if new.phone_confirmed and event.phone else None,
            to_json(event.app_metadata),
            to_json(metadata),
            "true" if new.is_anonymous else "false",
            new.banned_until.isoformat() if new.banned_until else None,
            now,
            self._chance.new_id(),
            to_json(mine),
            self._chance.new_id(),
            to_json(phones),
            "true" if own else "false",
        )


async def find_user(source: Database | Transaction, email: str) -> tuple[User, str | None] | None:
    row = await source.fetch_row(Statement(_BY_EMAIL, (email,)))
    return None if row is None else (parse_user(str(row[0])), row[1])


async def find_by_phone(source: Database | Transaction, phone: str) -> tuple[User, str | None] | None:
    row = await source.fetch_row(Statement(_BY_PHONE, (phone,)))
    return None if row is None else (parse_user(str(row[0])), row[1])


async def find_contact(source: Database | Transaction, contact: Contact) -> tuple[User, str | None] | None:
    """Of a mail address or of a number."""
    return await (find_user if contact.via is None else find_by_phone)(source, contact.address)


async def find_by_phone_change(source: Database | Transaction, phone: str) -> User | None:
    """Who wants that number, the latest of several."""
    row = await source.fetch_row(Statement(_BY_PHONE_CHANGE, (phone,)))
    return None if row is None else parse_user(str(row[0]))


async def password_hash_of(source: Database | Transaction, user_id: str) -> str | None:
    row = await source.fetch_row(Statement(_STORED, (user_id,)))
    return None if row is None else row[0]


async def lock_user(transaction: Transaction, user_id: str) -> Locked | None:
    """A user, held until the transaction ends."""
    row = await transaction.fetch_row(Statement(_LOCKED, (user_id,)))
    return None if row is None else Locked(parse_user(str(row[0])), row[1], int(str(row[2])))


async def hold_user(transaction: Transaction, user_id: str) -> User:
    """The same with what hangs on the user, read once nobody else changes it. Raises UserGone."""
    if await lock_user(transaction, user_id) is None:
        raise UserGone
    return await load_user(transaction, user_id)


async def update_user(transaction: Transaction, user_id: str, values: Mapping[Any, Any], *, now: datetime) -> None:
    """Set columns of a user. values: by Piccolo's column. Raises EmailExists, PhoneExists, losing the transaction."""
    query = Users.update({**values, Users.updated_at: now}).where(Users.id == user_id)
    try:
        await transaction.fetch_row(compiled(query))
    except DatabaseError as error:
        if error.sqlstate == "23505":
            raise (PhoneExists if error.constraint == "users_phone_key" else EmailExists) from error
        raise


async def adopt_email(transaction: Transaction, user: User, email: str, *, now: datetime, chance: Chance) -> None:
    """Make a proven address the user's. An anonymous user has become a permanent one. Raises EmailExists."""
    mine = email_data(user.id, email, verified=True)
    app_metadata = {**user.app_metadata, "provider": "email", "providers": ["email"]}
    values = {
        Users.email: email,
        Users.email_confirmed_at: now,
        Users.email_change: None,
        Users.email_change_confirm_status: 0,
        Users.is_anonymous: False,
        Users.raw_user_meta_data: {**user.user_metadata, **mine},
        Users.raw_app_meta_data: app_metadata if user.is_anonymous else user.app_metadata,
    }
    await update_user(transaction, user.id, values, now=now)
    await write_identity(transaction, user.id, mine, now=now, chance=chance)


async def adopt_phone(transaction: Transaction, user: User, phone: str, *, now: datetime, chance: Chance) -> None:
    """Make a proven number the user's. An anonymous user has become a permanent one. Raises PhoneExists."""
    mine = phone_data(user.id, phone, verified=True)
    providers = [*user.app_metadata.get("providers", []), *(["phone"] if user.is_anonymous else [])]
    app_metadata = {**user.app_metadata, "provider": "phone", "providers": providers}
    values = {
        Users.phone: phone,
        Users.phone_confirmed_at: now,
        Users.phone_change: None,
        Users.is_anonymous: False,
        Users.raw_user_meta_data: {**user.user_metadata, **shared(mine, user)},
        Users.raw_app_meta_data: app_metadata if user.is_anonymous else user.app_metadata,
    }
    await update_user(transaction, user.id, values, now=now)
    await write_identity(transaction, user.id, mine, now=now, chance=chance, provider="phone")


async def write_identity(
    transaction: Transaction,
    user_id: str,
    data: Mapping[str, Any],
    *,
    now: datetime,
    chance: Chance,
    provider: str = "email",
) -> None:
    """Add to what we know of a user's address or number as a way in, or make it one."""
    args = (chance.new_id(), user_id, to_json(data), now.isoformat(), provider)
    await transaction.fetch_row(Statement(_IDENTITY, args))


def email_data(user_id: str, email: str, *, verified: bool) -> dict[str, Any]:
    """What an address as a way in says of its user; part of user_metadata as well."""
    return {"sub": user_id, "email": email, "email_verified": verified, "phone_verified": False}


def phone_data(user_id: str, phone: str, *, verified: bool) -> dict[str, Any]:
    """The same of a number."""
    return {"sub": user_id, "phone": phone, "email_verified": False, "phone_verified": verified}


def shared(data: Mapping[str, Any], user: User) -> dict[str, Any]:
    """What one way in adds to user_metadata, which speaks of both."""
    return {**data, "email_verified": user.email_confirmed_at is not None}


def merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with changes; a null removes its key.

    >>> merged({"a": 1, "b": 2}, {"a": None, "c": 3})
    {'b': 2, 'c': 3}
    """
    return {key: value for key, value in {**old, **changes}.items() if value is not None}


def check_metadata(*parts: Mapping[str, Any]) -> None:
    """Raises ValidationFailed when metadata would not fit into a token."""
    if sum(len(to_json(part)) for part in parts) > MAX_METADATA:
        raise ValidationFailed(f"The metadata of a user takes at most {MAX_METADATA} bytes")


def to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
