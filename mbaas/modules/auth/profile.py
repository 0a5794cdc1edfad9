"""What users change of themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.modules.auth.accounts import (
    Locked,
    adopt_email,
    check_metadata,
    find_by_phone,
    find_user,
    lock_user,
    merged,
    password_hash_of,
    update_user,
)
from mbaas.modules.auth.addresses import Contact, parse_email
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.email_change import EmailChange
from mbaas.modules.auth.errors import (
    CurrentPasswordInvalid,
    EmailExists,
    EmailNotConfirmed,
    OtpExpired,
    PasswordWithoutAddress,
    PhoneExists,
    ReauthenticationNeeded,
    ReauthenticationNotValid,
    SamePassword,
    UserGone,
)
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.one_time import OneTime, end_one_time
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.pauses import pause
from mbaas.modules.auth.phone_change import PhoneChange
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.sessions import end_sessions, load_user
from mbaas.modules.auth.tables import Users


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """``None`` leaves as it is. data: merged into user_metadata, a null removes its key."""

    email: str | None = None
    phone: Contact | None = None
    password: str | None = None
    current_password: str | None = None
    nonce: str | None = None
    data: dict[str, Any] | None = None
    challenge: Challenge | None = None


class Profile:
    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        passwords: Passwords,
        email_change: EmailChange,
        phone_change: PhoneChange,
        one_time: OneTime,
        mails: Mails,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._policy = policy
        self._database = database
        self._passwords = passwords
        self._email_change = email_change
        self._phone_change = phone_change
        self._one_time = one_time
        self._mails = mails
        self._clock = clock
        self._chance = chance

    async def change(self, user: User, changes: Changes, *, asked: Asked) -> User:
        """The user as changed. A new address or number stays pending until it is confirmed; a new password ends other
        sessions.

        Raises ValidationFailed, WeakPassword, SamePassword, CurrentPasswordInvalid, ReauthenticationNeeded,
        ReauthenticationNotValid, EmailExists, PhoneExists, MailPaused, SmsPaused.
        """
        now = self._clock.now()
        address = parse_email(changes.email) if changes.email else None
        if address == user.email:
            address = None
        phone = changes.phone if changes.phone and changes.phone.address != user.phone else None
        if changes.password and not (user.email or user.phone or address or phone):
            raise PasswordWithoutAddress
        proven = False
        if changes.nonce and (changes.password or address or phone):
            await self._check_nonce(user, changes.nonce)
            proven = True
        if (address or phone) and not user.is_anonymous and not proven and not self._is_recent(asked, now):
            raise ReauthenticationNeeded("A change of address or number requires reauthentication")
        password_hash = await self._new_password(user, changes, proven=proven) if changes.password else None
        mails_change = address is not None and not self._takes_at_once(user)
        if mails_change:
            await pause(self._database, "email_change", user.id, now=now, frequency_s=self._policy.frequency_s)
        if phone is not None and not self._takes_phone_at_once():
            frequency_s = self._policy.frequency_s
            await pause(self._database, "phone_change", user.id, now=now, frequency_s=frequency_s, by_sms=True)
        async with self._database.transaction() as transaction:
            locked = await lock_user(transaction, user.id)
            if locked is None:
                raise UserGone
            if changes.data is not None:
                await self._merge(transaction, locked, changes.data)
            if password_hash is not None:
                await self._set_password(transaction, locked.user, password_hash, asked)
            if address is not None:
                await self._set_email(transaction, user.id, address, changes.challenge, asked)
            if phone is not None:
                await self._set_phone(transaction, user.id, phone, asked)
            await record(transaction, "user_modified", asked, user_id=user.id, now=now, fields=_named(changes))
            return await load_user(transaction, user.id)

    async def reauthenticate(self, user: User, *, asked: Asked) -> None:
        """Send a code that stands for proving anew who one is. Raises EmailNotConfirmed, MailPaused, SmsPaused."""
        by_mail = bool(user.email and user.email_confirmed_at)
        if not by_mail and (not user.phone or user.phone_confirmed_at is None):
            raise EmailNotConfirmed
        now, frequency_s = self._clock.now(), self._policy.frequency_s
        await pause(self._database, "reauthentication", user.id, now=now, frequency_s=frequency_s, by_sms=not by_mail)
        address = user.email if by_mail else user.phone
        async with self._database.transaction() as transaction:
            issued = await self._one_time.issue(transaction, user.id, "reauthentication", address)
            await update_user(transaction, user.id, {Users.reauthentication_sent_at: now}, now=now)
            if by_mail:
                await self._mails.send_code(transaction, user, issued.code, asked)
            else:
                await self._mails.text(transaction, "sms_reauthentication", user, user.phone, issued.code, asked)

    def _takes_phone_at_once(self) -> bool:
        return self._policy.phone_autoconfirm

    def _takes_at_once(self, user: User) -> bool:
        """Whoever had no account yet needs no more proof than at sign-up; a permanent user's address is theirs."""
        return user.is_anonymous and self._policy.autoconfirm

    def _is_recent(self, asked: Asked, now: datetime) -> bool:
        """Whether the caller proved who they are a short while ago."""
        if not self._policy.recent_sign_in_s:
            return True
        proofs = [
            entry.get("timestamp", 0) for entry in asked.identity.claims.get("amr") or () if isinstance(entry, dict)
        ]
        return now.timestamp() - max(proofs, default=0) <= self._policy.recent_sign_in_s

    async def _new_password(self, user: User, changes: Changes, *, proven: bool) -> str:
        password = self._passwords.check(str(changes.password))
        stored = await password_hash_of(self._database, user.id)
        current = changes.current_password
        if self._policy.password_reauthentication and not proven and current is None and stored is not None:
            raise ReauthenticationNeeded
        if current is not None and not (await self._passwords.verify(stored, current)).right:
            raise CurrentPasswordInvalid
        if stored is not None and (await self._passwords.verify(stored, password)).right:
            raise SamePassword
        return await self._passwords.hash(password)

    async def _check_nonce(self, user: User, nonce: str) -> None:
        """Raises ReauthenticationNotValid; after five tries, always."""
        address = user.email if user.email and user.email_confirmed_at else user.phone
        try:
            found = await self._one_time.try_code(address, nonce, ("reauthentication",))
            async with self._database.transaction() as transaction:
                redeemed = await self._one_time.redeem_try(transaction, found)
        except OtpExpired:
            raise ReauthenticationNotValid from None
        if redeemed.user_id != user.id:
            raise ReauthenticationNotValid

    async def _merge(self, transaction: Transaction, locked: Locked, data: dict[str, Any]) -> None:
        metadata = merged(locked.user.user_metadata, data)
        check_metadata(metadata, locked.user.app_metadata)
        values = {Users.raw_user_meta_data: metadata}
        await update_user(transaction, locked.user.id, values, now=self._clock.now())

    async def _set_password(self, transaction: Transaction, user: User, password_hash: str, asked: Asked) -> None:
        values = {Users.encrypted_password: password_hash}
        await update_user(transaction, user.id, values, now=self._clock.now())
        await end_sessions(transaction, user.id, asked.identity.session_id, "others")
        await end_one_time(transaction, user.id, ("recovery", "magiclink", "sms"))
        await self._mails.notice(transaction, "password_changed", user, asked)

    async def _set_email(
        self, transaction: Transaction, user_id: str, address: str, challenge: Challenge | None, asked: Asked
    ) -> None:
        user = await load_user(transaction, user_id)
        if not self._takes_at_once(user):
            await self._email_change.begin(transaction, user, address, challenge, asked)
            return
        if await find_user(transaction, address) is not None:
            raise EmailExists
        await adopt_email(transaction, user, address, now=self._clock.now(), chance=self._chance)

    async def _set_phone(self, transaction: Transaction, user_id: str, phone: Contact, asked: Asked) -> None:
        user = await load_user(transaction, user_id)
        if not self._takes_phone_at_once():
            await self._phone_change.begin(transaction, user, phone.address, phone.via or "sms", asked)
            return
        if await find_by_phone(transaction, phone.address) is not None:
            raise PhoneExists
        await self._phone_change.adopt(transaction, user, phone.address, asked)


def _named(changes: Changes) -> list[str]:
    """Which fields were changed, for the audit; their values stay out of it."""
    return [name for name in ("email", "phone", "password", "data") if getattr(changes, name)]
