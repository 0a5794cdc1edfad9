"""Passkeys: credentials an authenticator keeps with their user, which sign in by themselves.

They prove possession and, by user verification, a PIN or a finger; so a session that a passkey opens is ``aal2``
(docs/adr/0080).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.accounts import hold_user
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.errors import (
    AnonymousHasNone,
    CredentialExists,
    CredentialNotFound,
    InsufficientAal,
    PasskeyDisabled,
    RemovalNeedsAal2,
    SessionNotFound,
    TooManyPasskeys,
    UserBanned,
    WebauthnFailed,
)
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.mfa.challenges import Challenges
from mbaas.modules.auth.mfa.factors import check_name
from mbaas.modules.auth.mfa.relying_party import CHALLENGE_BYTES, RelyingParty, credential_id_of, user_of
from mbaas.modules.auth.mfa.rows import (
    count_use,
    credentials_of,
    delete_passkey,
    find_passkey,
    insert_credential,
    is_uuid,
    second_of,
)
from mbaas.modules.auth.objects import Session
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.sessions import Holder, Sessions, end_proven_by, load_user, lower_level

MAX_PASSKEYS = 10

_LIST = """
select coalesce(
    jsonb_agg(
        jsonb_strip_nulls(
            jsonb_build_object(
                'id', id, 'friendly_name', friendly_name, 'created_at', created_at, 'last_used_at', last_used_at
            )
        )
        order by created_at, id
    ),
    '[]'
)
from auth.webauthn_credentials
where user_id = $1::uuid and factor_id is null
"""
_RENAME = """
update auth.webauthn_credentials set friendly_name = nullif($3::text, '')
where id = $1::uuid and user_id = $2::uuid and factor_id is null
returning id
"""


class Passkey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    friendly_name: str | None = None
    created_at: datetime
    last_used_at: datetime | None = None


class Ceremony(msgspec.Struct, frozen=True, kw_only=True):
    """options: of PublicKeyCredential, as JSON. expires_at: unix seconds."""

    challenge_id: str
    options: dict[str, Any]
    expires_at: int


class Passkeys:
    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        sessions: Sessions,
        challenges: Challenges,
        relying_party: RelyingParty,
        mails: Mails,
        clock: Clock,
        chance: Chance,
        observe: Observe,
    ) -> None:
        self._on = policy.passkeys
        self._database = database
        self._sessions = sessions
        self._challenges = challenges
        self._relying_party = relying_party
        self._mails = mails
        self._clock = clock
        self._chance = chance
        self._observe = observe

    async def begin_registration(self, holder: Holder) -> Ceremony:
        """Raises PasskeyDisabled, AnonymousHasNone, InsufficientAal, TooManyPasskeys."""
        await self._may_register(holder)
        challenge = self._chance.new_bytes(CHALLENGE_BYTES)
        known = await credentials_of(self._database, holder.user.id)
        options = self._relying_party.creation_options(holder.user, challenge, known=known, passkey=True)
        async with self._database.transaction() as transaction:
            made = await self._challenges.issue(
                transaction, "passkey_registration", session_id=_session_of(holder), secret=challenge
            )
        return Ceremony(challenge_id=made.id, options=options, expires_at=made.expires_at)

    async def register(self, holder: Holder, challenge_id: str, credential: dict[str, Any], *, asked: Asked) -> Passkey:
        """Raises as ``begin_registration``, PasskeyChallengeNotFound, PasskeyChallengeExpired, WebauthnFailed,
        CredentialExists."""
        await self._may_register(holder)
        challenge = await self._challenges.use_passkey(
            challenge_id, "passkey_registration", session_id=_session_of(holder)
        )
        made = self._relying_party.register(credential, challenge, passkey=True)
        now, user_id, new_id = self._clock.now(), holder.user.id, self._chance.new_id()
        async with self._database.transaction() as transaction:
            held = await hold_user(transaction, user_id)
            if holder.aal != "aal2" and (await second_of(transaction, user_id)).any:
                raise InsufficientAal("AAL2 required to register a passkey")
            if not await insert_credential(transaction, made, user_id, None, new_id=new_id, now=now):
                raise CredentialExists
            if len(await _listed(transaction, user_id)) > MAX_PASSKEYS:
                raise TooManyPasskeys(f"A user has at most {MAX_PASSKEYS} passkeys")
            await self._mails.notice(transaction, "factor_enrolled", held, asked, factor="passkey")
            await record(transaction, "passkey_added", asked, user_id=user_id, now=now, passkey_id=new_id)
        return Passkey(id=new_id, created_at=now)

    async def begin_sign_in(self) -> Ceremony:
        """For anybody: the answer says who it is. Raises PasskeyDisabled."""
        self._require()
        challenge = self._chance.new_bytes(CHALLENGE_BYTES)
        options = self._relying_party.request_options(challenge, known=(), passkey=True)
        async with self._database.transaction() as transaction:
            made = await self._challenges.issue(transaction, "passkey_authentication", secret=challenge)
        return Ceremony(challenge_id=made.id, options=options, expires_at=made.expires_at)

    async def sign_in(self, challenge_id: str, credential: dict[str, Any], *, asked: Asked) -> Session:
        """A session at ``aal2``.

        Raises PasskeyDisabled, PasskeyChallengeNotFound, PasskeyChallengeExpired, CredentialNotFound, WebauthnFailed,
        UserBanned.
        """
        self._require()
        challenge = await self._challenges.use_passkey(challenge_id, "passkey_authentication")
        known = await find_passkey(self._database, credential_id_of(credential))
        if known is None or user_of(credential) not in (None, known.user_id):
            raise CredentialNotFound
        sign_count = self._relying_party.authenticate(credential, challenge, known, passkey=True)
        now = self._clock.now()
        if (await load_user(self._database, known.user_id)).is_banned(now):
            raise UserBanned
        async with self._database.transaction() as transaction:
            counted = await count_use(transaction, known, sign_count, now=now)
            if counted:
                opened = await self._sessions.open(
                    transaction, known.user_id, method="passkey", asked=asked, proven_by=known.id
                )
        if not counted:
            self._observe(SecurityEvent("webauthn_counter", known.user_id, f"passkey {known.id} may have been copied"))
            raise WebauthnFailed("Credential verification failed: the signature counter did not advance")
        await self._sessions.announce(opened)
        return opened.session

    async def of_user(self, user_id: str) -> list[Passkey]:
        return await _listed(self._database, user_id)

    async def rename(self, user_id: str, passkey_id: str, name: str) -> Passkey:
        """Raises CredentialNotFound, ValidationFailed."""
        check_name(name)
        args = (passkey_id, user_id, name)
        if not is_uuid(passkey_id) or await self._database.fetch_row(Statement(_RENAME, args)) is None:
            raise CredentialNotFound
        return next(one for one in await self.of_user(user_id) if one.id == passkey_id.lower())

    async def remove_own(self, holder: Holder, passkey_id: str, *, asked: Asked) -> None:
        """Raises CredentialNotFound, RemovalNeedsAal2."""
        if holder.aal != "aal2":
            raise RemovalNeedsAal2("AAL2 session is required to remove a passkey")
        await self.remove(holder.user.id, passkey_id, asked=asked, keep_session=holder.session_id)

    async def remove(self, user_id: str, passkey_id: str, *, asked: Asked, keep_session: str | None = None) -> None:
        """Remove a passkey and end the sessions it opened; keep_session falls back to ``aal1`` instead.

        Raises CredentialNotFound.
        """
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            held = await hold_user(transaction, user_id)
            if not is_uuid(passkey_id) or not await delete_passkey(transaction, passkey_id, user_id):
                raise CredentialNotFound
            await end_proven_by(transaction, user_id, passkey_id, keep=keep_session)
            await lower_level(transaction, user_id, (passkey_id,), now=now)
            await self._mails.notice(transaction, "factor_removed", held, asked, factor="passkey")
            await record(transaction, "passkey_removed", asked, user_id=user_id, now=now, passkey_id=passkey_id)

    async def _may_register(self, holder: Holder) -> None:
        self._require()
        if holder.user.is_anonymous:
            raise AnonymousHasNone
        if holder.aal != "aal2" and (await second_of(self._database, holder.user.id)).any:
            raise InsufficientAal("AAL2 required to register a passkey")
        if len(await self.of_user(holder.user.id)) >= MAX_PASSKEYS:
            raise TooManyPasskeys(f"A user has at most {MAX_PASSKEYS} passkeys")

    def _require(self) -> None:
        if not self._on:
            raise PasskeyDisabled


async def _listed(source: Database | Transaction, user_id: str) -> list[Passkey]:
    row = await source.fetch_row(Statement(_LIST, (user_id,)))
    return msgspec.json.decode(str(row and row[0]), type=list[Passkey])


def _session_of(holder: Holder) -> str:
    if holder.session_id is None:
        raise SessionNotFound
    return holder.session_id
