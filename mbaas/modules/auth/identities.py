"""Whose a provider's person is: who has come this way before, whose address both sides have proven, or somebody new.

The key of a person is issuer and subject, never the address: that moves. An address joins an account only when the
provider has verified it and the account has, too; an account that merely claimed it loses all it was claimed with.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.errors import RateLimited
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.accounts import (
    MAX_METADATA,
    Accounts,
    NewUser,
    find_user,
    lock_user,
    merged,
    to_json,
    update_user,
)
from mbaas.modules.auth.addresses import Contact
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.errors import (
    BadOAuthCallback,
    EmailConflictsAfterUnlinking,
    EmailExists,
    EmailNotProvided,
    IdentityExists,
    IdentityNotFound,
    ManualLinkingDisabled,
    SignupDisabled,
    SingleIdentity,
    UnknownIdentityId,
    UserAlreadyExists,
    UserBannedSince,
    UserGone,
)
from mbaas.modules.auth.mails import Mails
from mbaas.modules.auth.objects import User, UserIdentity
from mbaas.modules.auth.pauses import pause
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.policy import Policy
from mbaas.modules.auth.proof import Proof
from mbaas.modules.auth.providers.profile import Profile
from mbaas.modules.auth.sessions import load_user
from mbaas.modules.auth.tables import TABLES, Users
from mbaas.modules.auth.tables import Identities as IdentityTable

_ALONE = "select pg_advisory_xact_lock(hashtextextended($1::text, 0))"
_FIND = """
select id, user_id, identity_data ->> 'iss' from auth.identities
where provider = $1::text and provider_id = $2::text
"""
_ADD = """
insert into auth.identities (
    id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at
) values ($1::uuid, $2::text, $3::uuid, $4::jsonb, $5::text, $6::timestamptz, $6::timestamptz, $6::timestamptz)
"""
_SEEN = """
update auth.identities set identity_data = $2::jsonb, last_sign_in_at = $3::timestamptz, updated_at = $3::timestamptz
where id = $1::uuid
"""
# The providers of a user are those of its identities, the oldest first; the first one stays the first.
_PROVIDERS = """
update auth.users as u
set
    raw_app_meta_data = u.raw_app_meta_data || jsonb_build_object(
        'provider',
        case
            when u.raw_app_meta_data ->> 'provider' = any (known.names) then u.raw_app_meta_data ->> 'provider'
            else known.names[1]
        end,
        'providers',
        to_jsonb(known.names)
    )
from (
    select array_agg(provider order by since, provider) as names
    from (
        select provider, min(created_at) as since from auth.identities where user_id = $1::uuid group by provider
    ) as each_one
) as known
where u.id = $1::uuid and known.names is not null
"""


# Whatever hangs on a user, also what comes later: sessions, identities, links, codes, factors.
_OF_USERS = [
    (table, column) for table in TABLES for column in table._meta.columns if column._meta.db_column_name == "user_id"
]


class Known(msgspec.Struct, frozen=True):
    """Somebody, as one provider of ours says."""

    provider: str
    profile: Profile


class Entered(msgspec.Struct, frozen=True):
    """Whose account it is. created: made just now. is_proven: the address needs no mail any more; without it the user
    may be nobody.
    """

    user: User | None
    created: bool = False
    is_proven: bool = True


class Identities:
    def __init__(
        self,
        *,
        policy: Policy,
        accounts: Accounts,
        proof: Proof,
        mails: Mails,
        clock: Clock,
        chance: Chance,
        observe: Observe,
        manual_linking: bool,
    ) -> None:
        self._policy = policy
        self._accounts = accounts
        self._proof = proof
        self._mails = mails
        self._clock = clock
        self._chance = chance
        self._observe = observe
        self._manual_linking = manual_linking

    def require_linking(self) -> None:
        """Raises ManualLinkingDisabled."""
        if not self._manual_linking:
            raise ManualLinkingDisabled

    async def enter(
        self,
        transaction: Transaction,
        known: Known,
        challenge: Challenge | None,
        *,
        email_optional: bool,
        asked: Asked,
    ) -> Entered:
        """The account of somebody whom a provider has proven. Commit also what is not proven: a mail is on its way.

        Raises UserBannedSince, SignupDisabled, EmailNotProvided, BadOAuthCallback, what hooks raise.
        """
        profile = known.profile
        await self._alone(transaction, known)
        found = await self._find(transaction, known)
        if found is not None:
            user = await self._usable(transaction, found[1])
            await self._seen(transaction, user, found[0], profile)
            return await self._proven(transaction, user, known, challenge, asked)
        if profile.email is None and not email_optional:
            raise EmailNotProvided
        owner = await find_user(transaction, profile.email) if profile.email else None
        if owner is not None and profile.email_verified:
            user = await self._usable(transaction, owner[0].id)
            if user.email_confirmed_at is not None:
                await self._join(transaction, user, known, asked)
                return Entered(await load_user(transaction, user.id))
            if user.phone_confirmed_at is None:
                await self._reset(transaction, user, asked)
                await self._add(transaction, user, known)
                await self._confirm(transaction, user)
                return Entered(await load_user(transaction, user.id))
            await self._let_go_of_address(transaction, user)  # a number's account, which never proved the address
            owner = None
        return await self._new(transaction, known, challenge, asked, is_taken=owner is not None)

    async def link(self, transaction: Transaction, user_id: str, known: Known, *, asked: Asked) -> User:
        """Make somebody's account one of this provider, too. An anonymous user becomes a permanent one.

        Raises IdentityExists, EmailExists, UserGone, UserBannedSince.
        """
        user = await self.check_link(transaction, user_id, known)
        email = known.profile.email
        if not user.email and email and known.profile.email_verified:
            now = self._clock.now()
            await update_user(transaction, user.id, {Users.email: email, Users.email_confirmed_at: now}, now=now)
        await self._join(transaction, user, known, asked)
        if user.is_anonymous:
            await update_user(transaction, user.id, {Users.is_anonymous: False}, now=self._clock.now())
        return await load_user(transaction, user.id)

    async def check_link(self, transaction: Transaction, user_id: str, known: Known) -> User:
        """Whether ``link`` would do it now. Raises as it does."""
        await self._alone(transaction, known)
        user = await self._usable(transaction, user_id)
        found = await self._find(transaction, known)
        if found is not None:
            raise IdentityExists("Identity is already linked" if found[1] == user.id else None)
        email = known.profile.email
        if not user.email and email and known.profile.email_verified and await find_user(transaction, email):
            raise EmailExists
        return user

    async def unlink(self, transaction: Transaction, user: User, identity_id: str, *, asked: Asked) -> None:
        """Take a way in away. With the address as a way in goes the password.

        Raises ManualLinkingDisabled, UnknownIdentityId, IdentityNotFound, SingleIdentity, EmailConflictsAfterUnlinking.
        """
        self.require_linking()
        try:
            wanted = str(uuid.UUID(identity_id))
        except ValueError:
            raise UnknownIdentityId from None
        user = await self._usable(transaction, user.id)  # two at once must not take the last two
        gone = next((identity for identity in user.identities if identity.identity_id == wanted), None)
        rest = [identity for identity in user.identities if identity.identity_id != wanted]
        if gone is None:
            raise IdentityNotFound
        if not rest:
            raise SingleIdentity
        now = self._clock.now()
        await transaction.fetch_row(compiled(IdentityTable.delete().where(IdentityTable.id == wanted)))
        values = await self._address_after(transaction, user, gone, rest)
        await update_user(transaction, user.id, values, now=now)
        await transaction.fetch_row(Statement(_PROVIDERS, (user.id,)))
        await record(transaction, "identity_unlinked", asked, user_id=user.id, now=now, provider=gone.provider)
        await self._mails.notice(transaction, "identity_unlinked", user, asked, provider=gone.provider)

    # --- the steps ---------------------------------------------------------------------------------------------------

    async def _alone(self, transaction: Transaction, known: Known) -> None:
        """One at a time for one person and for one address, in that order."""
        profile = known.profile
        await transaction.fetch_row(Statement(_ALONE, (f"identity:{known.provider}:{profile.subject}",)))
        if profile.email:
            await transaction.fetch_row(Statement(_ALONE, (f"email:{profile.email}",)))

    async def _find(self, transaction: Transaction, known: Known) -> tuple[str, str] | None:
        """Identity and user. Raises BadOAuthCallback when the subject is one of the issuer that we had before."""
        row = await transaction.fetch_row(Statement(_FIND, (known.provider, known.profile.subject)))
        if row is None:
            return None
        if row[2] is not None and row[2] != known.profile.issuer:
            detail = f"{known.provider}: {row[2]} before, {known.profile.issuer} now"
            self._observe(SecurityEvent("identity_of_another_issuer", str(row[1]), detail))
            raise BadOAuthCallback("The provider is not the one this account was linked with")
        return str(row[0]), str(row[1])

    async def _usable(self, transaction: Transaction, user_id: str) -> User:
        locked = await lock_user(transaction, user_id)
        if locked is None:
            raise UserGone
        if locked.user.is_banned(self._clock.now()):
            raise UserBannedSince
        return await load_user(transaction, user_id)  # its identities, too, as they are once it is ours

    async def _seen(self, transaction: Transaction, user: User, identity_id: str, profile: Profile) -> None:
        now = self._clock.now().isoformat()
        await transaction.fetch_row(Statement(_SEEN, (identity_id, to_json(profile.data()), now)))
        await self._tell_metadata(transaction, user, profile)

    async def _join(self, transaction: Transaction, user: User, known: Known, asked: Asked) -> None:
        """One more way in, and its owner told so."""
        await self._add(transaction, user, known)
        now = self._clock.now()
        await record(transaction, "identity_linked", asked, user_id=user.id, now=now, provider=known.provider)
        await self._mails.notice(transaction, "identity_linked", user, asked, provider=known.provider)

    async def _add(self, transaction: Transaction, user: User, known: Known) -> None:
        profile, now = known.profile, self._clock.now().isoformat()
        data = to_json(profile.data())
        args = (self._chance.new_id(), profile.subject, user.id, data, known.provider, now)
        await transaction.fetch_row(Statement(_ADD, args))
        await transaction.fetch_row(Statement(_PROVIDERS, (user.id,)))
        await self._tell_metadata(transaction, await load_user(transaction, user.id), profile)

    async def _tell_metadata(self, transaction: Transaction, user: User, profile: Profile) -> None:
        """What the app sees of the person; left as it is where a token could not carry it."""
        metadata = merged(user.user_metadata, profile.data())
        if len(to_json(metadata)) + len(to_json(user.app_metadata)) <= MAX_METADATA:
            now = self._clock.now()
            await update_user(transaction, user.id, {Users.raw_user_meta_data: metadata}, now=now)

    async def _proven(
        self, transaction: Transaction, user: User, known: Known, challenge: Challenge | None, asked: Asked
    ) -> Entered:
        """Somebody who has come before; perhaps they still have to prove the address, or the provider has by now."""
        profile = known.profile
        if not user.email or user.email_confirmed_at is not None or user.phone_confirmed_at is not None:
            return Entered(await load_user(transaction, user.id))
        if profile.email == user.email and profile.email_verified:
            await self._reset(transaction, user, asked)
            await self._add(transaction, user, known)
            await self._confirm(transaction, user)
            return Entered(await load_user(transaction, user.id))
        await self._ask_for_proof(transaction, user, challenge, asked)
        return Entered(user, is_proven=False)

    async def _new(
        self, transaction: Transaction, known: Known, challenge: Challenge | None, asked: Asked, *, is_taken: bool
    ) -> Entered:
        if self._policy.disable_signup:
            raise SignupDisabled
        profile = known.profile
        if is_taken:
            # Answered like a new one, and nothing is done: whoever owns the address signs in the way they know.
            return Entered(None, is_proven=False)
        proven = profile.email_verified or self._policy.autoconfirm
        new = NewUser(
            provider=known.provider,
            email=profile.email,
            app_metadata={"provider": known.provider, "providers": [known.provider]},
            user_metadata=profile.data(),
            email_confirmed=proven,
            own_ways=False,
        )
        try:
            user = await self._accounts.create(transaction, new, asked=asked)
        except UserAlreadyExists:  # somebody signed up with a password at the same time
            return Entered(None, is_proven=False)
        await self._add(transaction, user, known)
        user = await load_user(transaction, user.id)
        if user.email and user.email_confirmed_at is None:
            await self._ask_for_proof(transaction, user, challenge, asked)
            return Entered(user, created=True, is_proven=False)
        return Entered(user, created=True)

    async def _ask_for_proof(
        self, transaction: Transaction, user: User, challenge: Challenge | None, asked: Asked
    ) -> None:
        """A mail, unless one was sent a moment ago."""
        with contextlib.suppress(RateLimited):
            now, frequency_s = self._clock.now(), self._policy.frequency_s
            await pause(transaction, "signup", user.email, now=now, frequency_s=frequency_s)
            await self._proof.issue(transaction, user, Contact(user.email), challenge, asked)

    async def _reset(self, transaction: Transaction, user: User, asked: Asked) -> None:
        """Somebody claimed an address and never proved it: with the claim goes what they left to come back with."""
        now = self._clock.now()
        values: dict[Any, Any] = {
            Users.encrypted_password: None,
            Users.email_change: None,
            Users.email_change_confirm_status: 0,
            Users.phone: None,
            Users.phone_change: None,
            Users.raw_user_meta_data: user.user_metadata if user.invited_at else {},
        }
        await update_user(transaction, user.id, values, now=now)
        for table, holder in _OF_USERS:
            await transaction.fetch_row(compiled(table.delete().where(holder == user.id)))
        await record(transaction, "unproven_account_reset", asked, user_id=user.id, now=now)

    async def _confirm(self, transaction: Transaction, user: User) -> None:
        now = self._clock.now()
        await update_user(transaction, user.id, {Users.email_confirmed_at: now}, now=now)

    async def _let_go_of_address(self, transaction: Transaction, user: User) -> None:
        mine = (IdentityTable.user_id == user.id) & (IdentityTable.provider == "email")
        await transaction.fetch_row(compiled(IdentityTable.delete().where(mine)))
        await update_user(transaction, user.id, {Users.email: None}, now=self._clock.now())
        await transaction.fetch_row(Statement(_PROVIDERS, (user.id,)))

    async def _address_after(
        self, transaction: Transaction, user: User, gone: UserIdentity, rest: list[UserIdentity]
    ) -> dict[Any, Any]:
        """What changes of the user itself: an address or number that no way in speaks of any more goes with it."""
        values: dict[Any, Any] = {}
        if gone.provider == "phone":
            values |= {Users.phone: None, Users.phone_confirmed_at: None}
        if not any(identity.provider in ("email", "phone") for identity in rest):
            values[Users.encrypted_password] = None
        if not user.email or (gone.email or "").lower() != user.email:
            return values
        others = [one for one in rest if one.email and one.identity_data.get("email_verified") is True]
        if any(one.email == user.email for one in rest):
            return values
        if not others:
            return values | {Users.email: None, Users.email_confirmed_at: None}
        email = str(others[0].email)
        owner = await find_user(transaction, email)
        if owner is not None and owner[0].id != user.id:
            raise EmailConflictsAfterUnlinking
        return values | {Users.email: email, Users.email_confirmed_at: self._clock.now()}
