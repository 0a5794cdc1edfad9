"""Sign-in with a password, and with a code that a link left with the app."""

from __future__ import annotations

import msgspec

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database
from mbaas.modules.auth.accounts import Accounts, update_user
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import (
    EmailNotConfirmed,
    InvalidCredentials,
    PhoneNotConfirmed,
    UserBanned,
    ValidationFailed,
)
from mbaas.modules.auth.oauth import OAuth, with_tokens
from mbaas.modules.auth.objects import Session, Weakness
from mbaas.modules.auth.password import Passwords
from mbaas.modules.auth.pkce import redeem_code
from mbaas.modules.auth.sessions import Sessions
from mbaas.modules.auth.tables import Users
from mbaas.modules.auth.throttle import Throttle


class SignIn:
    def __init__(
        self,
        *,
        database: Database,
        accounts: Accounts,
        passwords: Passwords,
        sessions: Sessions,
        oauth: OAuth,
        throttle: Throttle,
        clock: Clock,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._passwords = passwords
        self._sessions = sessions
        self._oauth = oauth
        self._throttle = throttle
        self._clock = clock

    async def with_password(self, contact: Contact | None, password: str, *, asked: Asked) -> Session:
        """A session. Who is unknown, has no password or gives a wrong one learns the same after the same time.

        contact: ``None`` for one that is no address or number, so nobody's. Raises RateLimited, InvalidCredentials, and
        only with the right password EmailNotConfirmed, PhoneNotConfirmed, UserBanned.
        """
        contact = contact or Contact("")
        async with self._throttle.trying("password", contact.address, asked=asked):
            found = await self._accounts.find(contact)
            user, stored = found if found is not None else (None, None)
            verdict = await self._passwords.verify(stored, password)
            if user is None or not verdict.right:
                raise InvalidCredentials
        now = self._clock.now()
        if user.is_banned(now):
            raise UserBanned
        if contact.via is None and user.email_confirmed_at is None:
            raise EmailNotConfirmed
        if contact.via is not None and user.phone_confirmed_at is None:
            raise PhoneNotConfirmed
        renewed = await self._passwords.rehash(password) if verdict.stale else None
        async with self._database.transaction() as transaction:
            if renewed is not None:
                await update_user(transaction, user.id, {Users.encrypted_password: renewed}, now=now)
            opened = await self._sessions.open(transaction, user.id, method="password", asked=asked)
        await self._sessions.announce(opened)
        weakness = self._passwords.weakness(password)
        if weakness is None:
            return opened.session
        told = Weakness(weakness.message, weakness.reasons)
        return msgspec.structs.replace(opened.session, weak_password=told)

    async def with_code(self, code: str, verifier: str, *, asked: Asked) -> Session:
        """The session behind a code, with a provider's tokens when one was signed in with.

        Raises FlowStateNotFound, FlowStateExpired, BadCodeVerifier, ValidationFailed, and as ``Identities.link``.
        """
        if not code or not verifier:
            raise ValidationFailed("invalid request: both auth code and code verifier should be non-empty")
        redeemed = await redeem_code(self._database, code, verifier, now=self._clock.now())
        async with self._database.transaction() as transaction:
            tokens = await self._oauth.redeem(transaction, redeemed, code, asked=asked)
            opened = await self._sessions.open(transaction, redeemed.user_id, method=redeemed.method, asked=asked)
        await self._sessions.announce(opened)
        return opened.session if tokens is None else with_tokens(opened.session, tokens)
