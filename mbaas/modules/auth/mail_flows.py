"""Flows that begin with a mail or an SMS: sign-in without a password, recovery, sending again.

Whether somebody has an account shows neither in the answer nor in the time it takes: what depends on it happens after
the answer.
"""

from __future__ import annotations

from typing import Any, cast

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database
from mbaas.modules.auth.accounts import (
    Accounts,
    NewUser,
    check_metadata,
    find_by_phone_change,
    find_contact,
    find_user,
    lock_user,
    update_user,
)
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.deferred import (
    ChangeLater,
    ConfirmationLater,
    Deferred,
    Done,
    Later,
    RecoveryLater,
    SignInLater,
)
from mbaas.modules.auth.email_change import EmailChange
from mbaas.modules.auth.errors import OtpDisabled
from mbaas.modules.auth.mails import MailKind, Mails
from mbaas.modules.auth.one_time import Kind, OneTime
from mbaas.modules.auth.pauses import Purpose, forget_pauses, pause
from mbaas.modules.auth.phone_change import PhoneChange
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.proof import Proof
from mbaas.modules.auth.tables import Users


class MailFlows:
    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        accounts: Accounts,
        one_time: OneTime,
        proof: Proof,
        email_change: EmailChange,
        phone_change: PhoneChange,
        mails: Mails,
        deferred: Deferred,
        clock: Clock,
    ) -> None:
        self._policy = policy
        self._database = database
        self._accounts = accounts
        self._one_time = one_time
        self._proof = proof
        self._email_change = email_change
        self._phone_change = phone_change
        self._mails = mails
        self._deferred = deferred
        self._clock = clock
        deferred.run_by(self._run)

    async def sign_in(
        self, contact: Contact, data: dict[str, Any], challenge: Challenge | None, *, create: bool, asked: Asked
    ) -> str:
        """Send a link and a code, to phones a code; who is new becomes a user if ``create`` and the settings allow it.

        Returns the id of what was begun. Raises OtpDisabled for who is new otherwise, ValidationFailed, MailPaused,
        SmsPaused.
        """
        check_metadata(data)
        known = await self._accounts.find(contact)
        if known is None and (not create or self._policy.disable_signup):
            raise OtpDisabled
        await self._pause("signin", contact)
        return await self._deferred.keep(
            SignInLater(address=contact.address, data=data, challenge=challenge, asked=asked, via=contact.via)
        )

    async def recover(self, contact: Contact, challenge: Challenge | None, *, asked: Asked) -> None:
        """Mail a way to set a new password. Raises MailPaused."""
        await self._pause("recovery", contact)
        await self._deferred.keep(RecoveryLater(address=contact.address, challenge=challenge, asked=asked))

    async def resend_signup(self, contact: Contact, challenge: Challenge | None, *, asked: Asked) -> str:
        """The message that confirms an address or a number, anew. Raises MailPaused, SmsPaused."""
        await self._pause("signup", contact)
        work = ConfirmationLater(address=contact.address, challenge=challenge, asked=asked, via=contact.via)
        return await self._deferred.keep(work)

    async def resend_change(self, contact: Contact, challenge: Challenge | None, *, asked: Asked) -> str:
        """The messages of a pending change of address or number, anew. contact: the current address, or the new number.

        Raises MailPaused, SmsPaused.
        """
        await self._pause("email_change" if contact.via is None else "phone_change", contact)
        work = ChangeLater(address=contact.address, challenge=challenge, asked=asked, via=contact.via)
        return await self._deferred.keep(work)

    async def _pause(self, purpose: Purpose, contact: Contact) -> None:
        await pause(
            self._database,
            purpose,
            contact.address,
            now=self._clock.now(),
            frequency_s=self._policy.frequency_s,
            by_sms=contact.via is not None,
        )

    async def _run(self, work: Later, done: Done) -> None:
        """What was kept for after the answer. Where there is nobody to write to, there is nothing to do."""
        if isinstance(work, SignInLater):
            await self._send_sign_in(work, done)
        elif isinstance(work, RecoveryLater):
            await self._send_recovery(work, done)
        elif isinstance(work, ConfirmationLater):
            await self._send_confirmation(work, done)
        else:
            await self._send_change(work, done)

    async def _send_sign_in(self, work: SignInLater, done: Done) -> None:
        now, is_new, contact = self._clock.now(), False, Contact(work.address, work.via)
        async with self._database.transaction() as transaction:
            found = await find_contact(transaction, contact)
            if found is None:
                new = NewUser(
                    provider=contact.provider,
                    email=contact.email,
                    phone=contact.phone,
                    app_metadata=cast(dict[str, Any], contact.metadata),
                    user_metadata=work.data,
                )
                user, is_new = await self._accounts.create(transaction, new, asked=work.asked), True
            else:
                user = found[0]
            if user.is_banned(now):
                return
            kind: Kind = "magiclink" if contact.via is None else "sms"
            issued = await self._one_time.issue(transaction, user.id, kind, contact.address, work.challenge)
            proven = user.email_confirmed_at if contact.via is None else user.phone_confirmed_at
            sent = Users.confirmation_sent_at if proven is None else Users.recovery_sent_at
            await update_user(transaction, user.id, {sent: now}, now=now)
            if contact.via is not None:
                await self._mails.text(
                    transaction, "sms_otp", user, contact.address, issued.code, work.asked, via=contact.via
                )
            else:
                mail: MailKind = "confirm" if proven is None else "magic_link"
                await self._mails.send(transaction, mail, user, issued, work.asked)
            await done(transaction)
        if is_new:
            await self._accounts.announce(user, contact.provider)
        await forget_pauses(self._database, now=now)

    async def _send_recovery(self, work: RecoveryLater, done: Done) -> None:
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            found = await find_user(transaction, work.address)
            if found is None or found[0].is_banned(now):
                return
            user = found[0]
            issued = await self._one_time.issue(transaction, user.id, "recovery", work.address, work.challenge)
            await update_user(transaction, user.id, {Users.recovery_sent_at: now}, now=now)
            await record(transaction, "user_recovery_requested", work.asked, user_id=user.id, now=now)
            await self._mails.send(transaction, "recovery", user, issued, work.asked)
            await done(transaction)

    async def _send_confirmation(self, work: ConfirmationLater, done: Done) -> None:
        now, contact = self._clock.now(), Contact(work.address, work.via)
        async with self._database.transaction() as transaction:
            found = await find_contact(transaction, contact)
            if found is None or found[0].is_banned(now):
                return
            user = found[0]
            if (user.email_confirmed_at if contact.via is None else user.phone_confirmed_at) is not None:
                return
            await self._proof.issue(transaction, user, contact, work.challenge, work.asked)
            await done(transaction)

    async def _send_change(self, work: ChangeLater, done: Done) -> None:
        async with self._database.transaction() as transaction:
            if work.via is not None:
                user = await find_by_phone_change(transaction, work.address)
            else:
                found = await find_user(transaction, work.address)
                user = found[0] if found else None
            locked = await lock_user(transaction, user.id) if user is not None else None
            if locked is None:
                return
            if work.via is not None and locked.user.new_phone == work.address:
                await self._phone_change.begin(transaction, locked.user, work.address, work.via, work.asked)
            elif work.via is None and locked.user.new_email:
                await self._email_change.begin(
                    transaction, locked.user, locked.user.new_email, work.challenge, work.asked
                )
            await done(transaction)
