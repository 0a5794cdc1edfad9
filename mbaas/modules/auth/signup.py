"""Sign-up with an address and a password, or with nothing at all.

With confirmation on, signing up an address that somebody has confirmed answers like any other sign-up and does
nothing. Signing up one that nobody has confirmed yet begins anew: the newest password counts, and only the newest mail
confirms it.
"""

from __future__ import annotations

from typing import Any

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.modules.auth.accounts import Accounts, NewUser, check_metadata, find_user, merged, update_user
from mbaas.modules.auth.addresses import parse_email
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.background import Background
from mbaas.modules.auth.errors import AnonymousDisabled, SignupDisabled, UserAlreadyExists, ValidationFailed
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.objects import Session, User
from mbaas.modules.auth.one_time import Issued, OneTime, end_one_time
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.pauses import pause
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.sessions import Sessions, load_user
from mbaas.modules.auth.tables import Users

EMAIL_METADATA = {"provider": "email", "providers": ["email"]}


class SignUp:
    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        accounts: Accounts,
        passwords: Passwords,
        sessions: Sessions,
        one_time: OneTime,
        mails: Mails,
        background: Background,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._policy = policy
        self._database = database
        self._accounts = accounts
        self._passwords = passwords
        self._sessions = sessions
        self._one_time = one_time
        self._mails = mails
        self._background = background
        self._clock = clock
        self._chance = chance

    async def with_password(
        self, email: str, password: str, data: dict[str, Any], challenge: Challenge | None, *, asked: Asked
    ) -> Session | User:
        """A session when addresses need no confirmation, else the user, who gets a mail.

        Raises SignupDisabled, ValidationFailed, WeakPassword, MailPaused, and without confirmation UserAlreadyExists.
        """
        if self._policy.disable_signup:
            raise SignupDisabled
        address = parse_email(email)
        if not password:
            raise ValidationFailed("Signup requires a valid password")
        password = self._passwords.check(password)
        check_metadata(data)
        if self._policy.autoconfirm:
            return await self._at_once(address, password, data, asked)
        now = self._clock.now()
        await pause(self._database, "signup", address, now=now, frequency_s=self._policy.frequency_s)
        new = NewUser(
            provider="email",
            email=address,
            password_hash=await self._passwords.hash(password),  # for those who exist as well: it takes as long
            app_metadata=EMAIL_METADATA,
            user_metadata=data,
        )
        async with self._database.transaction() as transaction:
            user, issued, is_new = await self._unconfirmed(transaction, new, challenge, asked)
        if issued is not None:
            self._background.start("signup", self._mails.send("signup", address, issued, asked.redirect_to))
        if is_new:
            await self._accounts.announce(user, "email")
        return user

    async def anonymously(self, data: dict[str, Any], *, asked: Asked) -> Session:
        """A user of whom nothing is known. Raises AnonymousDisabled, SignupDisabled."""
        if not self._policy.anonymous:
            raise AnonymousDisabled
        if self._policy.disable_signup:
            raise SignupDisabled
        new = NewUser(provider="anonymous", user_metadata=data, is_anonymous=True)
        return await self._with_session(new, "anonymous", asked)

    async def _at_once(self, address: str, password: str, data: dict[str, Any], asked: Asked) -> Session:
        if await self._accounts.find(address) is not None:
            raise UserAlreadyExists
        new = NewUser(
            provider="email",
            email=address,
            password_hash=await self._passwords.hash(password),
            app_metadata=EMAIL_METADATA,
            user_metadata=data,
            email_confirmed=True,
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
        self, transaction: Transaction, new: NewUser, challenge: Challenge | None, asked: Asked
    ) -> tuple[User, Issued | None, bool]:
        """The user as the caller may see them, what to write in the mail, and whether they were made now."""
        now, address = self._clock.now(), str(new.email)
        is_new = False
        found = await find_user(transaction, address)
        if found is None:
            try:
                user, is_new = await self._accounts.create(transaction, new, asked=asked), True
            except UserAlreadyExists:  # by a request that came at the same time
                found = await find_user(transaction, address)
        if found is not None:
            user = found[0]
            if user.email_confirmed_at is not None:
                return self._stand_in(new), None, False
            await end_one_time(transaction, user.id, ("magiclink", "recovery"))
            values = {
                Users.encrypted_password: new.password_hash,
                Users.raw_user_meta_data: merged(user.user_metadata, new.user_metadata),
            }
            await update_user(transaction, user.id, values, now=now)
        issued = await self._one_time.issue(transaction, user.id, "confirmation", address, challenge)
        await update_user(transaction, user.id, {Users.confirmation_sent_at: now}, now=now)
        return await load_user(transaction, user.id), issued, is_new

    def _stand_in(self, new: NewUser) -> User:
        """What signing up would have answered, of nobody; the missing identities are what apps may look at."""
        now, user_id = self._clock.now(), self._chance.new_id()
        return User(
            id=user_id,
            aud="authenticated",
            role="authenticated",
            email=str(new.email),
            phone="",
            confirmation_sent_at=now,
            app_metadata=new.app_metadata,
            user_metadata={
                **new.user_metadata,
                "sub": user_id,
                "email": new.email,
                "email_verified": False,
                "phone_verified": False,
            },
            identities=[],
            created_at=now,
            updated_at=now,
            is_anonymous=False,
        )
