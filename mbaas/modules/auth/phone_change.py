"""A change of phone number: the new number has to prove itself."""

from __future__ import annotations

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.messages.outgoing import masked
from mbaas.adapters.postgres.database import Transaction
from mbaas.adapters.sms.provider import Channel
from mbaas.modules.auth.accounts import Locked, adopt_phone, find_by_phone, update_user
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import OtpExpired, PhoneExists
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.one_time import OneTime, Redeemed, end_one_time
from mbaas.modules.auth.tables import Users


class PhoneChange:
    def __init__(self, *, one_time: OneTime, mails: Mails, clock: Clock, chance: Chance) -> None:
        self._one_time = one_time
        self._mails = mails
        self._clock = clock
        self._chance = chance

    async def begin(self, transaction: Transaction, user: User, phone: str, via: Channel, asked: Asked) -> str:
        """Note the wanted number and send it a code. Returns the message's id. Raises PhoneExists."""
        if await find_by_phone(transaction, phone) is not None:
            raise PhoneExists
        now = self._clock.now()
        values = {Users.phone_change: phone, Users.phone_change_sent_at: now}
        await update_user(transaction, user.id, values, now=now)
        issued = await self._one_time.issue(transaction, user.id, "phone_change", phone)
        return await self._mails.text(transaction, "sms_phone_change", user, phone, issued.code, asked, via=via)

    async def adopt(self, transaction: Transaction, user: User, phone: str, asked: Asked) -> None:
        """Make it the user's, and tell them. Raises PhoneExists."""
        await adopt_phone(transaction, user, phone, now=self._clock.now(), chance=self._chance)
        # Codes to the former number shall open nothing any more.
        await end_one_time(transaction, user.id, ("phone_confirmation", "sms", "phone_change"))
        await self._mails.notice(transaction, "phone_changed", user, asked, new_phone=masked(phone))

    async def confirm(self, transaction: Transaction, locked: Locked, redeemed: Redeemed, asked: Asked) -> None:
        """The number has proven itself. Raises OtpExpired when it is not the one wanted now, PhoneExists."""
        if not locked.user.new_phone or redeemed.address != locked.user.new_phone:
            raise OtpExpired
        await self.adopt(transaction, locked.user, locked.user.new_phone, asked)
