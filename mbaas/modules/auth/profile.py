"""What users change of themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.modules.auth.accounts import Locked, adopt_email, check_metadata, find_user, lock_user, merged, update_user
from mbaas.modules.auth.addresses import parse_email
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.background import Background
from mbaas.modules.auth.email_change import EmailChange, Letter
from mbaas.modules.auth.errors import (
    CurrentPasswordInvalid,
    EmailExists,
    PasswordWithoutAddress,
    SamePassword,
    UserGone,
)
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.one_time import end_one_time
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.pauses import pause
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.sessions import end_sessions, load_user
from mbaas.modules.auth.tables import Users


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """``None`` leaves as it is. data: merged into user_metadata, a null removes its key."""

    email: str | None = None
    password: str | None = None
    current_password: str | None = None
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
        background: Background,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._policy = policy
        self._database = database
        self._passwords = passwords
        self._email_change = email_change
        self._background = background
        self._clock = clock
        self._chance = chance

    async def change(self, user: User, changes: Changes, *, asked: Asked) -> User:
        """The user as changed. A new address stays pending until it is confirmed; a new password ends other sessions.

        Raises ValidationFailed, WeakPassword, SamePassword, CurrentPasswordInvalid, EmailExists, MailPaused.
        """
        now = self._clock.now()
        address = parse_email(changes.email) if changes.email else None
        if address == user.email:
            address = None
        if changes.password and not (user.email or address):
            raise PasswordWithoutAddress
        password_hash = await self._new_password(user, changes) if changes.password else None
        mails_change = address is not None and not self._takes_at_once(user)
        if mails_change:
            await pause(self._database, "email_change", user.id, now=now, frequency_s=self._policy.frequency_s)
        letters: list[Letter] = []
        async with self._database.transaction() as transaction:
            locked = await lock_user(transaction, user.id)
            if locked is None:
                raise UserGone
            if changes.data is not None:
                await self._merge(transaction, locked, changes.data)
            if password_hash is not None:
                await self._set_password(transaction, user.id, password_hash, asked)
            if address is not None:
                letters = await self._set_email(transaction, user.id, address, changes.challenge)
            await record(transaction, "user_modified", asked, user_id=user.id, now=now, fields=_named(changes))
            changed = await load_user(transaction, user.id)
        if letters:
            self._background.start("email_change", self._email_change.send(letters, asked))
        return changed

    def _takes_at_once(self, user: User) -> bool:
        """Whoever had no account yet needs no more proof than at sign-up; a permanent user's address is theirs."""
        return user.is_anonymous and self._policy.autoconfirm

    async def _new_password(self, user: User, changes: Changes) -> str:
        password = self._passwords.check(str(changes.password))
        found = await find_user(self._database, user.email) if user.email else None
        stored = found[1] if found is not None else None
        current = changes.current_password
        if current is not None and not (await self._passwords.verify(stored, current)).right:
            raise CurrentPasswordInvalid
        if stored is not None and (await self._passwords.verify(stored, password)).right:
            raise SamePassword
        return await self._passwords.hash(password)

    async def _merge(self, transaction: Transaction, locked: Locked, data: dict[str, Any]) -> None:
        metadata = merged(locked.user.user_metadata, data)
        check_metadata(metadata, locked.user.app_metadata)
        values = {Users.raw_user_meta_data: metadata}
        await update_user(transaction, locked.user.id, values, now=self._clock.now())

    async def _set_password(self, transaction: Transaction, user_id: str, password_hash: str, asked: Asked) -> None:
        values = {Users.encrypted_password: password_hash}
        await update_user(transaction, user_id, values, now=self._clock.now())
        await end_sessions(transaction, user_id, asked.identity.session_id, "others")
        await end_one_time(transaction, user_id, ("recovery", "magiclink"))

    async def _set_email(
        self, transaction: Transaction, user_id: str, address: str, challenge: Challenge | None
    ) -> list[Letter]:
        user = await load_user(transaction, user_id)
        if not self._takes_at_once(user):
            return await self._email_change.begin(transaction, user, address, challenge)
        if await find_user(transaction, address) is not None:
            raise EmailExists
        await adopt_email(transaction, user, address, now=self._clock.now(), chance=self._chance)
        return []


def _named(changes: Changes) -> list[str]:
    """Which fields were changed, for the audit; their values stay out of it."""
    return [name for name in ("email", "password", "data") if getattr(changes, name)]
