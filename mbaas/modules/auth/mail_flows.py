"""Flows that begin with a mail: sign-in without a password, recovery, sending again.

Whether somebody has an account shows neither in the answer nor in the time it takes: what depends on it happens after
the answer.
"""

from __future__ import annotations

from typing import Any

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database
from mbaas.modules.auth.accounts import Accounts, NewUser, check_metadata, find_user, lock_user, update_user
from mbaas.modules.auth.addresses import parse_email
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.background import Background
from mbaas.modules.auth.email_change import EmailChange
from mbaas.modules.auth.errors import OtpDisabled
from mbaas.modules.auth.mails import Mails, VerifyType
from mbaas.modules.auth.one_time import OneTime
from mbaas.modules.auth.pauses import Purpose, forget_pauses, pause
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.signup import EMAIL_METADATA
from mbaas.modules.auth.tables import Users


class MailFlows:
    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        accounts: Accounts,
        one_time: OneTime,
        email_change: EmailChange,
        mails: Mails,
        background: Background,
        clock: Clock,
    ) -> None:
        self._policy = policy
        self._database = database
        self._accounts = accounts
        self._one_time = one_time
        self._email_change = email_change
        self._mails = mails
        self._background = background
        self._clock = clock

    async def sign_in(
        self, email: str, data: dict[str, Any], challenge: Challenge | None, *, create: bool, asked: Asked
    ) -> None:
        """Mail a link and a code; whoever is new becomes a user when ``create`` and the settings allow it.

        Raises OtpDisabled for who is new otherwise, ValidationFailed, MailPaused.
        """
        address = parse_email(email)
        check_metadata(data)
        known = await self._accounts.find(address)
        if known is None and (not create or self._policy.disable_signup):
            raise OtpDisabled
        await self._pause("signin", address)
        self._background.start("magiclink", self._send_sign_in(address, data, challenge, asked))

    async def recover(self, email: str, challenge: Challenge | None, *, asked: Asked) -> None:
        """Mail a way to set a new password. Raises ValidationFailed, MailPaused."""
        address = parse_email(email)
        await self._pause("recovery", address)
        self._background.start("recovery", self._send_recovery(address, challenge, asked))

    async def resend_signup(self, email: str, challenge: Challenge | None, *, asked: Asked) -> None:
        """The mail that confirms an address, anew. Raises ValidationFailed, MailPaused."""
        address = parse_email(email)
        await self._pause("signup", address)
        self._background.start("signup", self._send_confirmation(address, challenge, asked))

    async def resend_email_change(self, email: str, challenge: Challenge | None, *, asked: Asked) -> None:
        """The mails of a pending change of address, anew. Raises ValidationFailed, MailPaused."""
        address = parse_email(email)
        await self._pause("email_change", address)
        self._background.start("email_change", self._send_change(address, challenge, asked))

    async def _pause(self, purpose: Purpose, address: str) -> None:
        await pause(self._database, purpose, address, now=self._clock.now(), frequency_s=self._policy.frequency_s)

    async def _send_sign_in(
        self, address: str, data: dict[str, Any], challenge: Challenge | None, asked: Asked
    ) -> None:
        now, is_new = self._clock.now(), False
        async with self._database.transaction() as transaction:
            found = await find_user(transaction, address)
            if found is None:
                new = NewUser(provider="email", email=address, app_metadata=EMAIL_METADATA, user_metadata=data)
                user, is_new = await self._accounts.create(transaction, new, asked=asked), True
            else:
                user = found[0]
            if user.is_banned(now):
                return
            issued = await self._one_time.issue(transaction, user.id, "magiclink", address, challenge)
            sent = Users.confirmation_sent_at if user.email_confirmed_at is None else Users.recovery_sent_at
            await update_user(transaction, user.id, {sent: now}, now=now)
        if is_new:
            await self._accounts.announce(user, "email")
        verify_type: VerifyType = "signup" if user.email_confirmed_at is None else "magiclink"
        await self._mails.send(verify_type, address, issued, asked.redirect_to)
        await forget_pauses(self._database, now=now)

    async def _send_recovery(self, address: str, challenge: Challenge | None, asked: Asked) -> None:
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            found = await find_user(transaction, address)
            if found is None or found[0].is_banned(now):
                return
            user = found[0]
            issued = await self._one_time.issue(transaction, user.id, "recovery", address, challenge)
            await update_user(transaction, user.id, {Users.recovery_sent_at: now}, now=now)
            await record(transaction, "user_recovery_requested", asked, user_id=user.id, now=now)
        await self._mails.send("recovery", address, issued, asked.redirect_to)

    async def _send_confirmation(self, address: str, challenge: Challenge | None, asked: Asked) -> None:
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            found = await find_user(transaction, address)
            if found is None or found[0].email_confirmed_at is not None or found[0].is_banned(now):
                return
            user = found[0]
            issued = await self._one_time.issue(transaction, user.id, "confirmation", address, challenge)
            await update_user(transaction, user.id, {Users.confirmation_sent_at: now}, now=now)
        await self._mails.send("signup", address, issued, asked.redirect_to)

    async def _send_change(self, address: str, challenge: Challenge | None, asked: Asked) -> None:
        async with self._database.transaction() as transaction:
            found = await find_user(transaction, address)
            locked = await lock_user(transaction, found[0].id) if found is not None else None
            if locked is None or not locked.user.new_email:
                return
            letters = await self._email_change.reissue(transaction, locked, challenge)
        await self._email_change.send(letters, asked)
