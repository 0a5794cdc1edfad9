"""Sign-up with an address or a phone number and a password, or with nothing at all.

With confirmation on, signing up an address that somebody has confirmed answers like any other sign-up and does
nothing. Signing up one that nobody has confirmed yet begins anew: the newest password counts, and only the newest mail
confirms it.
"""

from __future__ import annotations

from typing import Any

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.modules.auth.accounts import (
    Accounts,
    NewUser,
    check_metadata,
    email_data,
    find_contact,
    merged,
    phone_data,
    update_user,
)
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import AnonymousDisabled, SignupDisabled, UserAlreadyExists, ValidationFailed
from mbaas.modules.auth.objects import Session, User
from mbaas.modules.auth.one_time import Issued, end_one_time
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.pauses import pause
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.proof import Proof
from mbaas.modules.auth.sessions import Sessions, load_user
from mbaas.modules.auth.tables import Users

EMAIL_METADATA = {"provider": "email", "providers": ["email"]}
NO_LINK = "0" * 56  # as long as a link


class SignUp:
    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        accounts: Accounts,
        passwords: Passwords,
        sessions: Sessions,
        proof: Proof,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._policy = policy
        self._database = database
        self._accounts = accounts
        self._passwords = passwords
        self._sessions = sessions
        self._proof = proof
        self._clock = clock
        self._chance = chance

    async def with_password(
        self, contact: Contact, password: str, data: dict[str, Any], challenge: Challenge | None, *, asked: Asked
    ) -> Session | User:
        """A session when addresses (or numbers) need no confirmation, else the user, who gets a message.

        Raises SignupDisabled, ValidationFailed, WeakPassword, MailPaused, SmsPaused, and without confirmation
        UserAlreadyExists.
        """
        if self._policy.disable_signup:
            raise SignupDisabled
        if not password:
            raise ValidationFailed("Signup requires a valid password")
        password = self._passwords.check(password)
        check_metadata(data)
        if self._policy.autoconfirm if contact.via is None else self._policy.phone_autoconfirm:
            return await self._at_once(contact, password, data, asked)
        now = self._clock.now()
        await pause(
            self._database,
            "signup",
            contact.address,
            now=now,
            frequency_s=self._policy.frequency_s,
            by_sms=contact.via is not None,
        )
        new = NewUser(
            provider=contact.provider,
            email=contact.email,
            phone=contact.phone,
            password_hash=await self._passwords.hash(password),  # for those who exist as well: it takes as long
            app_metadata=contact.metadata,
            user_metadata=data,
        )
        async with self._database.transaction() as transaction:
            user, is_new = await self._unconfirmed(transaction, new, contact, challenge, asked)
        if is_new:
            await self._accounts.announce(user, contact.provider)
        return user

    async def anonymously(self, data: dict[str, Any], *, asked: Asked) -> Session:
        """A user of whom nothing is known. Raises AnonymousDisabled, SignupDisabled."""
        if not self._policy.anonymous:
            raise AnonymousDisabled
        if self._policy.disable_signup:
            raise SignupDisabled
        new = NewUser(provider="anonymous", user_metadata=data, is_anonymous=True)
        return await self._with_session(new, "anonymous", asked)

    async def _at_once(self, contact: Contact, password: str, data: dict[str, Any], asked: Asked) -> Session:
        if await self._accounts.find(contact) is not None:
            raise UserAlreadyExists
        new = NewUser(
            provider=contact.provider,
            email=contact.email,
            phone=contact.phone,
            password_hash=await self._passwords.hash(password),
            app_metadata=contact.metadata,
            user_metadata=data,
            email_confirmed=contact.via is None,
            phone_confirmed=contact.via is not None,
        )
        return await self._with_session(new, "password", asked)

    async def _with_session(self, new: NewUser, method: str, asked: Asked) -> Session:
        async with self._database.transaction() as transaction:
            user = await self._accounts.create(transaction, new, asked=asked)
            opened = await self._sessions.open(transaction, user.id, method=method, asked=asked)
        await self._accounts.announce(opened.session.user, new.provider)
        await self._sessions.announce(opened)
        return opened.session

    async def _unconfirmed(
        self, transaction: Transaction, new: NewUser, contact: Contact, challenge: Challenge | None, asked: Asked
    ) -> tuple[User, bool]:
        """The user as the caller may see them, and whether they were made now. A message is on its way, or seems so."""
        now = self._clock.now()
        is_new = False
        found = await find_contact(transaction, contact)
        if found is None:
            try:
                user, is_new = await self._accounts.create(transaction, new, asked=asked), True
            except UserAlreadyExists:  # by a request that came at the same time
                found = await find_contact(transaction, contact)
        if found is not None:
            user = found[0]
            if _is_confirmed(user, contact):
                stand_in = self._stand_in(new)
                # The outbox shall make no difference either: a row that nobody is sent.
                await self._proof.send(transaction, stand_in, contact, Issued(NO_LINK, "0" * 6), asked, void=True)
                return stand_in, False
            await end_one_time(transaction, user.id, ("magiclink", "recovery", "sms"))
            values = {
                Users.encrypted_password: new.password_hash,
                Users.raw_user_meta_data: merged(user.user_metadata, new.user_metadata),
            }
            await update_user(transaction, user.id, values, now=now)
        await self._proof.issue(transaction, user, contact, challenge, asked)
        return await load_user(transaction, user.id), is_new

    def _stand_in(self, new: NewUser) -> User:
        """What signing up would have answered, of nobody; the missing identities are what apps may look at."""
        now, user_id = self._clock.now(), self._chance.new_id()
        mine = (
            email_data(user_id, new.email, verified=False)
            if new.email
            else phone_data(user_id, str(new.phone), verified=False)
        )
        return User(
            id=user_id,
            aud="authenticated",
            role="authenticated",
            email=new.email or "",
            phone=new.phone or "",
            confirmation_sent_at=now,
            app_metadata=new.app_metadata,
            user_metadata={**new.user_metadata, **mine},
            identities=[],
            created_at=now,
            updated_at=now,
            is_anonymous=False,
        )


def _is_confirmed(user: User, contact: Contact) -> bool:
    return (user.email_confirmed_at if contact.via is None else user.phone_confirmed_at) is not None
