"""What the service key may do to users."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.accounts import (
    Accounts,
    NewUser,
    check_metadata,
    email_data,
    find_user,
    lock_user,
    merged,
    phone_data,
    update_user,
    write_identity,
)
from mbaas.modules.auth.addresses import parse_email, parse_phone
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.durations import parse_duration
from mbaas.modules.auth.errors import (
    EmailExists,
    PhoneExists,
    UnknownUserId,
    UserAlreadyExists,
    UserNotFound,
    ValidationFailed,
)
from mbaas.modules.auth.foreign_hashes import read_hash
from mbaas.modules.auth.objects import User, parse_user
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.sessions import end_sessions, load_user
from mbaas.modules.auth.signup import EMAIL_METADATA
from mbaas.modules.auth.tables import Identities, MfaFactors, OneTimeTokens, Users, WebauthnCredentials

ROLES = ("anon", "authenticated", "service_role")
DEFAULT_PER_PAGE = 50
MAX_PER_PAGE = 1000

# The count stands beside the rows, so that both are of one moment.
_PAGE = """
select
    (select count(*) from auth.users),
    (
        select coalesce(jsonb_agg(auth.user_object(u) order by (u).created_at desc, (u).id), '[]')
        from (
            select u from auth.users as u order by u.created_at desc, u.id limit $1::bigint offset $2::bigint
        ) as page
    )
"""
_PHONE_TAKEN = Statement("select 1 from auth.users where phone = $1::text")


class UserPage(msgspec.Struct, frozen=True):
    """total: of all users, not of the page."""

    users: list[User]
    total: int


class UserValues(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator sets. ``None`` leaves as it is, or at its default. ban_duration: ``24h``, ``none``."""

    id: str | None = None
    email: str | None = None
    phone: str | None = None
    password: str | None = None
    password_hash: str | None = None
    email_confirm: bool | None = None
    phone_confirm: bool | None = None
    user_metadata: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
    role: str | None = None
    ban_duration: str | None = None


class Admin:
    def __init__(
        self, *, database: Database, accounts: Accounts, passwords: Passwords, clock: Clock, chance: Chance
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._passwords = passwords
        self._clock = clock
        self._chance = chance

    async def users(self, page: int, per_page: int) -> UserPage:
        """Users, newest first. page: from 1."""
        args = (str(per_page), str((page - 1) * per_page))
        row = await self._database.fetch_row(Statement(_PAGE, args))
        total, users = row or ("0", "[]")
        return UserPage(msgspec.json.decode(str(users), type=list[User]), int(str(total)))

    async def user(self, user_id: str) -> User:
        """One user. Raises UnknownUserId, UserNotFound."""
        return await self._existing(self._database, user_id)

    async def create(self, values: UserValues, *, asked: Asked) -> User:
        """A new user. Raises ValidationFailed, WeakPassword, EmailExists, PhoneExists."""
        new = await self._new_user(values)
        async with self._database.transaction() as transaction:
            await self._check_free(transaction, new.email, new.phone)
            try:
                user = await self._accounts.create(transaction, new, asked=asked)
            except UserAlreadyExists:
                raise (EmailExists if new.email else PhoneExists) from None
        await self._accounts.announce(user, new.provider)
        return user

    async def check(self, values: UserValues) -> None:
        """Raises what ``create`` would, as far as it does not depend on hooks. Changes nothing."""
        new = await self._new_user(values)
        check_metadata(new.app_metadata, new.user_metadata)
        async with self._database.transaction() as transaction:
            await self._check_free(transaction, new.email, new.phone)

    async def _new_user(self, values: UserValues) -> NewUser:
        address = parse_email(values.email) if values.email else None
        phone = parse_phone(values.phone) if values.phone else None
        if address is None and phone is None:
            raise ValidationFailed("Cannot create a user without either an email or phone")
        banned = values.ban_duration if values.ban_duration not in (None, "", "none") else None
        return NewUser(
            id=_new_id(values.id) if values.id else None,
            provider="email" if address else "phone",
            email=address,
            phone=phone,
            password_hash=await self._password_hash(values),
            app_metadata={
                **(EMAIL_METADATA if address else {"provider": "phone", "providers": ["phone"]}),
                **(values.app_metadata or {}),
            },
            user_metadata=merged({}, values.user_metadata or {}),
            email_confirmed=bool(values.email_confirm),
            phone_confirmed=bool(values.phone_confirm),
            role=_role(values.role) if values.role else "authenticated",
            banned_until=self._clock.now() + parse_duration(banned) if banned else None,
        )

    async def update(self, user_id: str, values: UserValues, *, asked: Asked) -> User:
        """Change a user. A new password ends all their sessions, as a ban keeps them from being refreshed.

        Raises UnknownUserId, UserNotFound, ValidationFailed, WeakPassword, EmailExists, PhoneExists.
        """
        user_id = _user_id(user_id)
        password_hash = await self._password_hash(values)
        async with self._database.transaction() as transaction:
            locked = await lock_user(transaction, user_id)
            if locked is None:
                raise UserNotFound
            user = locked.user
            columns = await self._columns(transaction, user, values)
            if password_hash is not None:
                columns[Users.encrypted_password] = password_hash
                await end_sessions(transaction, user_id, None, "global")
            now = self._clock.now()
            await update_user(transaction, user_id, columns, now=now)
            address = columns.get(Users.email, user.email)
            if address and (Users.email in columns or Users.email_confirmed_at in columns):
                verified = user.email_confirmed_at is not None or Users.email_confirmed_at in columns
                data = email_data(user_id, address, verified=verified)
                await write_identity(transaction, user_id, data, now=now, chance=self._chance)
            phone = columns.get(Users.phone, user.phone)
            if phone and (Users.phone in columns or Users.phone_confirmed_at in columns):
                verified = user.phone_confirmed_at is not None or Users.phone_confirmed_at in columns
                data = phone_data(user_id, phone, verified=verified)
                await write_identity(transaction, user_id, data, now=now, chance=self._chance, provider="phone")
            fields = [name for name in UserValues.__struct_fields__ if getattr(values, name) is not None]
            await record(transaction, "user_modified", asked, user_id=user_id, now=now, fields=fields)
            return await load_user(transaction, user_id)

    async def delete(self, user_id: str, *, soft: bool, asked: Asked) -> None:
        """Remove a user with all that belongs to them; soft: keep the row, emptied, so that references to it hold.

        Raises UnknownUserId, UserNotFound.
        """
        user_id = _user_id(user_id)
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            await self._existing(transaction, user_id)
            if soft:
                await self._empty(transaction, user_id)
            else:
                await transaction.fetch_row(compiled(Users.delete().where(Users.id == user_id)))
            await record(transaction, "user_deleted", asked, user_id=user_id, now=now, soft=soft)

    async def _empty(self, transaction: Transaction, user_id: str) -> None:
        now = self._clock.now()
        values: dict[Any, Any] = {
            Users.email: None,
            Users.phone: None,
            Users.email_change: None,
            Users.phone_change: None,
            Users.encrypted_password: None,
            Users.raw_user_meta_data: {},
            Users.raw_app_meta_data: {},
            Users.deleted_at: now,
        }
        await update_user(transaction, user_id, values, now=now)
        await end_sessions(transaction, user_id, None, "global")
        await transaction.fetch_row(compiled(Identities.delete().where(Identities.user_id == user_id)))
        await transaction.fetch_row(compiled(OneTimeTokens.delete().where(OneTimeTokens.user_id == user_id)))
        await transaction.fetch_row(compiled(MfaFactors.delete().where(MfaFactors.user_id == user_id)))
        passkeys = WebauthnCredentials.delete().where(WebauthnCredentials.user_id == user_id)
        await transaction.fetch_row(compiled(passkeys))

    async def _columns(self, transaction: Transaction, user: User, values: UserValues) -> dict[Any, Any]:
        """The columns that these values change."""
        now = self._clock.now()
        columns: dict[Any, Any] = {}
        address = parse_email(values.email) if values.email else None
        phone = parse_phone(values.phone) if values.phone else None
        if address is not None and address != user.email:
            await self._check_free(transaction, address, None)
            columns |= {Users.email: address, Users.email_change: None, Users.email_change_confirm_status: 0}
        if phone is not None and phone != user.phone:
            await self._check_free(transaction, None, phone)
            columns |= {Users.phone: phone, Users.phone_change: None}
        if values.email_confirm and (address or user.email) and user.email_confirmed_at is None:
            columns[Users.email_confirmed_at] = now
        if values.phone_confirm and (phone or user.phone) and user.phone_confirmed_at is None:
            columns[Users.phone_confirmed_at] = now
        user_metadata = merged(user.user_metadata, values.user_metadata or {})
        app_metadata = merged(user.app_metadata, values.app_metadata or {})
        if values.user_metadata is not None or values.app_metadata is not None:
            check_metadata(user_metadata, app_metadata)
            columns |= {Users.raw_user_meta_data: user_metadata, Users.raw_app_meta_data: app_metadata}
        if values.role:
            columns[Users.role] = _role(values.role)
        if values.ban_duration:
            lifted = values.ban_duration == "none"
            columns[Users.banned_until] = None if lifted else now + parse_duration(values.ban_duration)
        return columns

    async def _check_free(self, transaction: Transaction, address: str | None, phone: str | None) -> None:
        if address is not None and await find_user(transaction, address) is not None:
            raise EmailExists
        if phone is not None and await transaction.fetch_row(Statement(_PHONE_TAKEN.text, (phone,))) is not None:
            raise PhoneExists

    async def _password_hash(self, values: UserValues) -> str | None:
        if values.password and values.password_hash:
            raise ValidationFailed("Only a password or a password hash should be provided")
        if values.password_hash:
            read_hash(values.password_hash)
            return values.password_hash
        return await self._passwords.hash(self._passwords.check(values.password)) if values.password else None

    async def _existing(self, source: Database | Transaction, user_id: str) -> User:
        row = await source.fetch_row(
            Statement("select auth.user_object(u) from auth.users as u where u.id = $1::uuid", (_user_id(user_id),))
        )
        if row is None:
            raise UserNotFound
        return parse_user(str(row[0]))


def _user_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise UnknownUserId from None


def _new_id(text: str) -> str:
    """The id that a body wants for somebody new; unlike one in a path it names nobody who could be missing."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValidationFailed("id must be a UUID") from None


def _role(text: str) -> str:
    if text not in ROLES:
        raise ValidationFailed(f"role must be one of {', '.join(ROLES)}")
    return text
