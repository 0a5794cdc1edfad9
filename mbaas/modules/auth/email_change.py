"""A change of address: the new address has to agree, and the current one, too, when there is one."""

from __future__ import annotations

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Transaction
from mbaas.modules.auth.accounts import Locked, adopt_email, find_user, update_user
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import EmailExists, OtpExpired
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.one_time import OneTime, Redeemed, end_one_time
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.tables import Users

BOTH, NEW, CURRENT = 0, 1, 2
"""Who has still to agree, as ``email_change_confirm_status`` has it."""


class EmailChange:
    def __init__(self, *, one_time: OneTime, mails: Mails, clock: Clock, chance: Chance) -> None:
        self._one_time = one_time
        self._mails = mails
        self._clock = clock
        self._chance = chance

    async def begin(
        self, transaction: Transaction, user: User, new_email: str, challenge: Challenge | None, asked: Asked
    ) -> None:
        """Note the wanted address and mail what has to be confirmed. Raises EmailExists."""
        await self.note(transaction, user, new_email)
        issued = await self._one_time.issue(transaction, user.id, "email_change_new", new_email, challenge)
        await self._mails.send(transaction, "email_change", user, issued, asked, to=new_email, new_email=new_email)
        if user.email:
            issued = await self._one_time.issue(transaction, user.id, "email_change_current", user.email, challenge)
            await self._mails.send(transaction, "email_change_current", user, issued, asked, new_email=new_email)

    async def note(self, transaction: Transaction, user: User, new_email: str) -> None:
        """Make an address the wanted one, nobody having agreed yet. Raises EmailExists."""
        if await find_user(transaction, new_email) is not None:
            raise EmailExists
        now = self._clock.now()
        values = {
            Users.email_change: new_email,
            Users.email_change_sent_at: now,
            Users.email_change_confirm_status: BOTH if user.email else NEW,
        }
        await end_one_time(transaction, user.id, ("email_change_current", "email_change_new"))
        await update_user(transaction, user.id, values, now=now)

    async def confirm(self, transaction: Transaction, locked: Locked, redeemed: Redeemed, asked: Asked) -> bool:
        """Take one agreement. Whether the address has changed with it; else the other is still wanted.

        Raises OtpExpired when the change is not the one the mail was about, EmailExists.
        """
        user, now = locked.user, self._clock.now()
        expected = user.new_email if redeemed.kind == "email_change_new" else user.email
        if not user.new_email or redeemed.address != expected:
            raise OtpExpired
        agreed, other = (NEW, CURRENT) if redeemed.kind == "email_change_new" else (CURRENT, NEW)
        if locked.change_wants != agreed:
            await update_user(transaction, user.id, {Users.email_change_confirm_status: other}, now=now)
            return False
        # To the address it has now: its owner may not be who changed it.
        await self._mails.notice(transaction, "email_changed", user, asked, new_email=user.new_email)
        await adopt_email(transaction, user, user.new_email, now=now, chance=self._chance)
        # Mails to the former address shall open nothing any more.
        await end_one_time(
            transaction,
            user.id,
            ("confirmation", "invite", "magiclink", "recovery", "email_change_current", "email_change_new"),
        )
        return True
