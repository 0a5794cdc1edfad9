"""Redeeming links and codes: by the app (POST) and by a browser that opens the link (GET)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.errors import MbaasError
from mbaas.modules.auth.accounts import email_data, lock_user, phone_data, shared, update_user, write_identity
from mbaas.modules.auth.addresses import parse_email, parse_phone
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.email_change import EmailChange
from mbaas.modules.auth.errors import AuthError, OtpExpired, UserBannedSince, ValidationFailed, wire_code
from mbaas.modules.auth.objects import Session, User
from mbaas.modules.auth.one_time import PKCE, Kind, OneTime, Redeemed, end_one_time
from mbaas.modules.auth.phone_change import PhoneChange
from mbaas.modules.auth.pkce import issue_code
from mbaas.modules.auth.redirect import with_fragment, with_query
from mbaas.modules.auth.sessions import Opened, Sessions, end_sessions
from mbaas.modules.auth.tables import Users
from mbaas.modules.auth.throttle import Throttle

KINDS: dict[str, tuple[Kind, ...]] = {
    "signup": ("confirmation", "magiclink"),
    "magiclink": ("magiclink", "confirmation"),
    "email": ("confirmation", "magiclink"),
    "invite": ("invite",),
    "recovery": ("recovery",),
    "email_change": ("email_change_current", "email_change_new"),
    "sms": ("phone_confirmation", "sms"),
    "phone_change": ("phone_change",),
}
BY_PHONE = ("sms", "phone_change")
"""What each ``type`` of a request redeems."""

_METHODS: dict[Kind, str] = {
    "confirmation": "email/signup",
    "invite": "invite",
    "magiclink": "magiclink",
    "recovery": "recovery",
    "email_change_current": "email_change",
    "email_change_new": "email_change",
    "phone_confirmation": "otp",
    "sms": "otp",
    "phone_change": "otp",
}
_SIGN_IN: tuple[Kind, ...] = ("confirmation", "invite", "magiclink", "recovery")
_PHONE: tuple[Kind, ...] = ("phone_confirmation", "sms")
ACCEPTED = "Confirmation link accepted. Please proceed to confirm link sent to the other email"


class Half(msgspec.Struct, frozen=True):
    """One of two addresses has agreed to a change."""

    msg: str = ACCEPTED
    code: str = "200"


Verified: TypeAlias = Session | Half


class Verify:
    def __init__(
        self,
        *,
        database: Database,
        sessions: Sessions,
        one_time: OneTime,
        email_change: EmailChange,
        phone_change: PhoneChange,
        throttle: Throttle,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._one_time = one_time
        self._email_change = email_change
        self._phone_change = phone_change
        self._throttle = throttle
        self._clock = clock
        self._chance = chance

    async def by_code(self, verify_type: str, address: str, code: str, *, asked: Asked) -> Verified:
        """What a typed code gives. address: where it was sent, a number for ``sms`` and ``phone_change``.

        Raises ValidationFailed, RateLimited, OtpExpired, UserBannedSince, EmailExists, PhoneExists.
        """
        parsed = (parse_phone if verify_type in BY_PHONE else parse_email)(address)
        kinds = _kinds(verify_type)
        opened: Opened | Half
        async with self._throttle.trying("code", parsed, asked=asked):
            found = await self._one_time.try_code(parsed, code, kinds)
            async with self._database.transaction() as transaction:
                opened = await self._redeem(transaction, await self._one_time.redeem_try(transaction, found), asked)
        return await self._told(opened)

    async def by_link(self, verify_type: str, token: str, *, asked: Asked) -> Verified:
        """What a link's token gives the app itself. Raises as ``by_code``."""
        kinds = _kinds(verify_type)
        opened: Opened | Half
        async with self._database.transaction() as transaction:
            opened = await self._redeem(transaction, await self._one_time.redeem_link(transaction, token, kinds), asked)
        return await self._told(opened)

    async def by_browser(self, verify_type: str, token: str, *, asked: Asked) -> str:
        """Where to send a browser that opened a link: on to the app, with a session, a code or an error."""
        try:
            return await self._opened_link(verify_type, token, asked)
        except AuthError as error:
            return _error_url(asked.redirect_to, error, pkce=token.startswith(PKCE))

    async def _opened_link(self, verify_type: str, token: str, asked: Asked) -> str:
        kinds = _kinds(verify_type)
        opened: Opened | Half
        async with self._database.transaction() as transaction:
            redeemed = await self._one_time.redeem_link(transaction, token, kinds)
            if redeemed.challenge is None:
                opened = await self._redeem(transaction, redeemed, asked)
            else:
                done = await self._confirm(transaction, redeemed, asked)
                if done:
                    method, now = _METHODS[redeemed.kind], self._clock.now()
                    code = await issue_code(
                        transaction,
                        redeemed.user_id,
                        redeemed.challenge,
                        method=method,
                        now=now,
                        chance=self._chance,
                    )
                    return with_query(asked.redirect_to, {"code": code})
                opened = Half()
        outcome = await self._told(opened)
        if isinstance(outcome, Half):
            return with_fragment(asked.redirect_to, {"message": outcome.msg, "sb": ""})
        return _session_url(asked.redirect_to, outcome, verify_type)

    async def _redeem(self, transaction: Transaction, redeemed: Redeemed, asked: Asked) -> Opened | Half:
        if not await self._confirm(transaction, redeemed, asked):
            return Half()
        return await self._sessions.open(transaction, redeemed.user_id, method="otp", asked=asked)

    async def _confirm(self, transaction: Transaction, redeemed: Redeemed, asked: Asked) -> bool:
        """Take note of what the mail's reader has proven. Whether that is all that was wanted."""
        locked = await lock_user(transaction, redeemed.user_id)
        if locked is None:
            raise OtpExpired
        if locked.user.is_banned(self._clock.now()):
            raise UserBannedSince
        if redeemed.kind in ("email_change_current", "email_change_new"):
            return await self._email_change.confirm(transaction, locked, redeemed, asked)
        if redeemed.kind == "phone_change":
            await self._phone_change.confirm(transaction, locked, redeemed, asked)
            return True
        if redeemed.kind in _PHONE:
            await self._confirm_phone(transaction, locked.user, redeemed)
            return True
        if redeemed.address != locked.user.email:
            raise OtpExpired
        if locked.user.email_confirmed_at is None:
            await self._first_proof(transaction, locked.user, redeemed.kind)
        await end_one_time(transaction, redeemed.user_id, _SIGN_IN)
        return True

    async def _confirm_phone(self, transaction: Transaction, user: User, redeemed: Redeemed) -> None:
        if redeemed.address != user.phone:
            raise OtpExpired
        if user.phone_confirmed_at is None:
            now, mine = self._clock.now(), phone_data(user.id, user.phone, verified=True)
            metadata = {**user.user_metadata, **shared(mine, user)}
            values: dict[Any, Any] = {Users.phone_confirmed_at: now, Users.raw_user_meta_data: metadata}
            if redeemed.kind == "sms" and user.email_confirmed_at is None:
                values[Users.encrypted_password] = None  # as of ``_first_proof``
                await end_sessions(transaction, user.id, None, "global")
            await update_user(transaction, user.id, values, now=now)
            await write_identity(transaction, user.id, mine, now=now, chance=self._chance, provider="phone")
        await end_one_time(transaction, user.id, _PHONE)

    async def _first_proof(self, transaction: Transaction, user: User, kind: Kind) -> None:
        """The address is its reader's. A password set before counts only when this mail was about that sign-up."""
        now, mine = self._clock.now(), email_data(user.id, user.email, verified=True)
        values = {Users.email_confirmed_at: now, Users.raw_user_meta_data: {**user.user_metadata, **mine}}
        if kind != "confirmation":
            # Somebody else may have signed up with this address and waited for its owner to prove it.
            values[Users.encrypted_password] = None
            await end_sessions(transaction, user.id, None, "global")
        await update_user(transaction, user.id, values, now=now)
        await write_identity(transaction, user.id, mine, now=now, chance=self._chance)

    async def _told(self, opened: Opened | Half) -> Verified:
        if isinstance(opened, Half):
            return opened
        await self._sessions.announce(opened)
        return opened.session


def _kinds(verify_type: str) -> tuple[Kind, ...]:
    if verify_type not in KINDS:
        raise ValidationFailed(f"Unsupported verification type: {verify_type or 'none given'}")
    return KINDS[verify_type]


def _session_url(target: str, session: Session, verify_type: str) -> str:
    parameters = {
        "access_token": session.access_token,
        "expires_at": str(session.expires_at),
        "expires_in": str(session.expires_in),
        "refresh_token": session.refresh_token,
        "sb": "",
        "token_type": session.token_type,
        "type": verify_type,
    }
    return with_fragment(target, parameters)


def _error_url(target: str, error: MbaasError, *, pkce: bool) -> str:
    parameters = {"error": "access_denied", "error_code": wire_code(error), "error_description": error.message}
    if pkce:
        target = with_query(target, parameters)
    return with_fragment(target, {**parameters, "sb": ""})
