"""Links that an administrator asks for: to mail as an invitation, or to hand over in another way."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.modules.auth.accounts import Accounts, NewUser, find_user, update_user
from mbaas.modules.auth.addresses import parse_email
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.email_change import EmailChange
from mbaas.modules.auth.errors import EmailExists, UserNotFound, ValidationFailed
from mbaas.modules.auth.mails import Mails, VerifyType
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.one_time import Issued, Kind, OneTime
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.sessions import load_user
from mbaas.modules.auth.signup import EMAIL_METADATA
from mbaas.modules.auth.tables import Users

LinkType: TypeAlias = Literal["signup", "invite", "magiclink", "recovery", "email_change_current", "email_change_new"]


class LinkWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be made a link for. password: for signup. new_email: for a change of address."""

    type: LinkType
    email: str
    new_email: str | None = None
    password: str | None = None
    data: dict[str, Any] | None = None


class LinkProperties(msgspec.Struct, frozen=True, kw_only=True):
    """On the wire beside the user's own fields, in one flat object."""

    action_link: str
    email_otp: str
    hashed_token: str
    verification_type: str
    redirect_to: str


class Made(msgspec.Struct, frozen=True):
    """A link, of whom, and whether the user was made for it."""

    user: User
    issued: Issued
    type: LinkType
    is_new: bool = False


class Links:
    def __init__(
        self,
        *,
        database: Database,
        accounts: Accounts,
        passwords: Passwords,
        one_time: OneTime,
        email_change: EmailChange,
        mails: Mails,
        clock: Clock,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._passwords = passwords
        self._one_time = one_time
        self._email_change = email_change
        self._mails = mails
        self._clock = clock

    async def invite(self, email: str, data: dict[str, Any], *, asked: Asked) -> User:
        """A user who gets a mail. Raises EmailExists when somebody has confirmed that address, ValidationFailed."""
        address = parse_email(email)
        async with self._database.transaction() as transaction:
            made = await self._invited(transaction, address, data, asked)
            await self._mails.send(transaction, "invite", made.user, made.issued, asked)
        if made.is_new:
            await self._accounts.announce(made.user, "email")
        return made.user

    async def generate(self, wanted: LinkWanted, *, asked: Asked) -> tuple[User, LinkProperties]:
        """A link that nobody is mailed. A magic link for somebody new is a sign-up.

        Raises UserNotFound, EmailExists, ValidationFailed, WeakPassword.
        """
        address = parse_email(wanted.email)
        password_hash = None
        if wanted.type == "signup":
            if not wanted.password:
                raise ValidationFailed("Signup requires a valid password")
            password_hash = await self._passwords.hash(self._passwords.check(wanted.password))
        async with self._database.transaction() as transaction:
            made = await self._made(transaction, wanted, address, password_hash, asked)
        if made.is_new:
            await self._accounts.announce(made.user, "email")
        verify_type: VerifyType = "email_change" if wanted.type.startswith("email_change") else _VERIFY[made.type]
        properties = LinkProperties(
            action_link=self._mails.action_link(made.issued.link, verify_type, asked.redirect_to),
            email_otp=made.issued.code,
            hashed_token=made.issued.link,
            verification_type=made.type,
            redirect_to=asked.redirect_to,
        )
        return made.user, properties

    async def _made(
        self, transaction: Transaction, wanted: LinkWanted, address: str, password_hash: str | None, asked: Asked
    ) -> Made:
        data = wanted.data or {}
        if wanted.type == "invite":
            return await self._invited(transaction, address, data, asked)
        if wanted.type == "signup":
            return await self._signed_up(transaction, address, data, password_hash, asked)
        found = await find_user(transaction, address)
        if found is None:
            if wanted.type == "magiclink":
                return await self._signed_up(transaction, address, data, None, asked)
            raise UserNotFound
        user = found[0]
        if wanted.type == "magiclink" or wanted.type == "recovery":
            return await self._issue(transaction, user, wanted.type, wanted.type, {Users.recovery_sent_at})
        return await self._change_link(transaction, user, wanted)

    async def _signed_up(
        self, transaction: Transaction, address: str, data: dict[str, Any], password_hash: str | None, asked: Asked
    ) -> Made:
        user, is_new = await self._unconfirmed(transaction, address, data, password_hash, asked)
        if not is_new and password_hash is not None:
            values = {Users.encrypted_password: password_hash}
            await update_user(transaction, user.id, values, now=self._clock.now())
        return await self._issue(
            transaction, user, "signup", "confirmation", {Users.confirmation_sent_at}, is_new=is_new
        )

    async def _invited(self, transaction: Transaction, address: str, data: dict[str, Any], asked: Asked) -> Made:
        user, is_new = await self._unconfirmed(transaction, address, data, None, asked)
        await record(transaction, "user_invited", asked, user_id=user.id, now=self._clock.now())
        stamps = {Users.invited_at, Users.confirmation_sent_at}
        return await self._issue(transaction, user, "invite", "invite", stamps, is_new=is_new)

    async def _unconfirmed(
        self, transaction: Transaction, address: str, data: dict[str, Any], password_hash: str | None, asked: Asked
    ) -> tuple[User, bool]:
        """The user of an address nobody has confirmed, made when there is none. Raises EmailExists."""
        found = await find_user(transaction, address)
        if found is not None:
            if found[0].email_confirmed_at is not None:
                raise EmailExists
            return found[0], False
        new = NewUser(
            provider="email",
            email=address,
            password_hash=password_hash,
            app_metadata=EMAIL_METADATA,
            user_metadata=data,
        )
        return await self._accounts.create(transaction, new, asked=asked), True

    async def _change_link(self, transaction: Transaction, user: User, wanted: LinkWanted) -> Made:
        """Either half of a change. The second link of the same change leaves the first one good."""
        if not wanted.new_email:
            raise ValidationFailed("new_email is required for a link of this type")
        new_email = parse_email(wanted.new_email)
        if user.new_email != new_email:
            await self._email_change.note(transaction, user, new_email)
        if wanted.type == "email_change_new":
            issued = await self._one_time.issue(transaction, user.id, "email_change_new", new_email)
        else:
            issued = await self._one_time.issue(transaction, user.id, "email_change_current", user.email)
        return Made(await load_user(transaction, user.id), issued, wanted.type)

    async def _issue(
        self,
        transaction: Transaction,
        user: User,
        type: LinkType,
        kind: Kind,
        stamps: set[Any],
        *,
        is_new: bool = False,
    ) -> Made:
        now = self._clock.now()
        issued = await self._one_time.issue(transaction, user.id, kind, user.email)
        await update_user(transaction, user.id, dict.fromkeys(stamps, now), now=now)
        return Made(await load_user(transaction, user.id), issued, type, is_new)


_VERIFY: dict[LinkType, VerifyType] = {
    "signup": "signup",
    "invite": "invite",
    "magiclink": "magiclink",
    "recovery": "recovery",
}
