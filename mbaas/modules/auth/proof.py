"""The message that asks somebody to prove that an address or a number is theirs."""

from __future__ import annotations

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Transaction
from mbaas.modules.auth.accounts import update_user
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.one_time import Issued, Kind, OneTime
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.tables import Users


class Proof:
    def __init__(self, *, one_time: OneTime, mails: Mails, clock: Clock) -> None:
        self._one_time = one_time
        self._mails = mails
        self._clock = clock

    async def issue(
        self, transaction: Transaction, user: User, contact: Contact, challenge: Challenge | None, asked: Asked
    ) -> None:
        """A link and a code by mail, or a code to a phone; the former ones are dead."""
        kind: Kind = "confirmation" if contact.via is None else "phone_confirmation"
        issued = await self._one_time.issue(transaction, user.id, kind, contact.address, challenge)
        now = self._clock.now()
        await update_user(transaction, user.id, {Users.confirmation_sent_at: now}, now=now)
        await self.send(transaction, user, contact, issued, asked)

    async def send(
        self,
        transaction: Transaction,
        user: User,
        contact: Contact,
        issued: Issued,
        asked: Asked,
        *,
        void: bool = False,
    ) -> None:
        """The message alone. void: as of ``Mails.send``."""
        if contact.via is None:
            await self._mails.send(transaction, "confirm", user, issued, asked, void=void)
        else:
            await self._mails.text(
                transaction, "sms_otp", user, contact.address, issued.code, asked, via=contact.via, void=void
            )
