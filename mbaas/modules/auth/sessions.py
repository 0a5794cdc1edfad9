"""Sessions: opened by whoever proved who they are, kept alive by refreshing, ended by signing out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.adapters.secrets import Secrets
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.core.sql.fragment import Statement
from mbaas.hooks.dispatch import Hooks
from mbaas.hooks.events import SignedIn
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import record
from mbaas.modules.auth.errors import (
    RefreshTokenUsed,
    SessionExpired,
    SessionNotFound,
    UserBanned,
    UserBannedSince,
    UserGone,
)
from mbaas.modules.auth.objects import Session, User, parse_user, told
from mbaas.modules.auth.refresh import parse_refresh_token, refresh_token, turn
from mbaas.modules.auth.tables import Sessions as SessionTable
from mbaas.modules.auth.tokens import TokenIssuer

Scope: TypeAlias = Literal["global", "local", "others"]

_OPEN = """
with seen as (
    update auth.users set last_sign_in_at = $2::timestamptz, updated_at = $2::timestamptz
    where id = $1::uuid
    returning id
), known as (
    update auth.identities set last_sign_in_at = $2::timestamptz, updated_at = $2::timestamptz
    where user_id = $1::uuid and provider = 'email'
)
insert into auth.sessions (
    id, user_id, amr, user_agent, ip, not_after, created_at, updated_at, aal, proven_by
)
select
    $3::uuid, id, $4::jsonb, $5::text, $6::inet, $7::timestamptz, $2::timestamptz, $2::timestamptz, $8::text, $9::uuid
from seen
"""
# In place, and with a refresh token of its own: none from before gives what was proven now.
_RAISE = """
with raised as (
    update auth.sessions set
        aal = 'aal2',
        amr = jsonb_build_array(jsonb_build_object('method', $3::text, 'timestamp', $4::bigint)) || coalesce(
            (
                select jsonb_agg(entry order by place)
                from jsonb_array_elements(amr) with ordinality as former (entry, place)
                where entry ->> 'method' <> $3::text
            ),
            '[]'
        ),
        proven_by = $5::uuid,
        first_counter = refresh_counter + 1,
        refresh_counter = refresh_counter + 1,
        rotated_at = '{}',
        refreshed_at = $6::timestamptz,
        updated_at = $6::timestamptz
    where id = $1::uuid and user_id = $2::uuid
    returning refresh_counter, amr
), ended as (
    delete from auth.sessions where user_id = $2::uuid and id <> $1::uuid and aal = 'aal1'
)
select refresh_counter, amr from raised
"""
_LOWER = """
update auth.sessions set
    aal = 'aal1',
    proven_by = null,
    amr = coalesce(
        (
            select jsonb_agg(entry order by place)
            from jsonb_array_elements(amr) with ordinality as former (entry, place)
            where entry ->> 'method' <> 'totp' and entry ->> 'method' not like 'mfa/%'
        ),
        '[]'
    ),
    updated_at = $3::timestamptz
where user_id = $1::uuid and proven_by = any ($2::uuid[])
"""
_USER = Statement("select auth.user_object(u) from auth.users as u where u.id = $1::uuid")
_HOLDER = """
select u.id is not null, s.id is not null, auth.user_object(u), s.aal
from (select $1::uuid as user_id, $2::uuid as session_id) as token
left join auth.users as u on u.id = token.user_id and u.deleted_at is null
left join auth.sessions as s on s.id = token.session_id and s.user_id = u.id
"""


class Opened(msgspec.Struct, frozen=True):
    """A session that was just opened, and how."""

    session: Session
    session_id: str
    method: str


class Holder(msgspec.Struct, frozen=True):
    """Who an access token is of. aal: what the session has proven and its token tells, the lesser of both."""

    user: User
    session_id: str | None
    aal: str


class Sessions:
    """lifetime_s: of a session, however often refreshed; 0: no end. idle_s: of one that is not refreshed; 0: no end.
    single: a sign-in ends the user's other sessions. reuse_interval_s: how long a replaced refresh token still finds
    its successor."""

    def __init__(
        self,
        *,
        database: Database,
        tokens: TokenIssuer,
        secrets: Callable[[], Secrets],
        clock: Clock,
        chance: Chance,
        observe: Observe,
        hooks: Hooks,
        lifetime_s: int,
        idle_s: int,
        single: bool,
        reuse_interval_s: int,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._chance = chance
        self._observe = observe
        self._hooks = hooks
        self._lifetime_s = lifetime_s
        self._idle_s = idle_s
        self._single = single
        self._reuse_interval_s = reuse_interval_s
        # Of the encryption key, which is not rotated: sessions outlive rotations of the other keys.
        self._refresh_key = secrets().purpose_key("auth.refresh")

    async def open(
        self, transaction: Transaction, user_id: str, *, method: str, asked: Asked, proven_by: str | None = None
    ) -> Opened:
        """A new session; tell of it with ``announce``. method: how the user proved who they are, for the claim ``amr``.

        proven_by: a passkey that proved two things at once, which is ``aal2``. Raises UserBannedSince.
        """
        now = self._clock.now()
        session_id = self._chance.new_id()
        amr = [{"method": method, "timestamp": int(now.timestamp())}]
        not_after = (now + timedelta(seconds=self._lifetime_s)).isoformat() if self._lifetime_s else None
        proven = msgspec.json.encode(amr).decode()
        aal = "aal1" if proven_by is None else "aal2"
        when = now.isoformat()
        args = (user_id, when, session_id, proven, asked.user_agent, asked.ip, not_after, aal, proven_by)
        await transaction.fetch_row(Statement(_OPEN, args))
        if self._single:  # of two sign-ins at once the second waits for the first, which has locked the user's row
            await end_sessions(transaction, user_id, session_id, "others")
        user = await load_user(transaction, user_id)
        if user.is_banned(now):
            raise UserBannedSince
        await record(transaction, "login", asked, user_id=user_id, now=now, method=method)
        return Opened(self._session(user, session_id, 0, aal, amr, now), session_id, method)

    async def raise_level(
        self, transaction: Transaction, user_id: str, session_id: str, *, method: str, proven_by: str
    ) -> Session:
        """The same session at ``aal2``; the user's others that are not there end. proven_by: a factor's id.

        Raises SessionNotFound.
        """
        now = self._clock.now()
        args = (session_id, user_id, method, str(int(now.timestamp())), proven_by, now.isoformat())
        row = await transaction.fetch_row(Statement(_RAISE, args))
        if row is None:
            raise SessionNotFound
        amr = msgspec.json.decode(str(row[1]), type=list[dict[str, Any]])
        return self._session(await load_user(transaction, user_id), session_id, int(str(row[0])), "aal2", amr, now)

    async def announce(self, opened: Opened) -> None:
        """Tell hooks of a session that was opened, once the transaction is committed."""
        if self._hooks.wants(SignedIn):
            event = SignedIn(user=told(opened.session.user), method=opened.method, session_id=opened.session_id)
            await self._hooks.emit(event)

    async def refresh(self, token: str, *, asked: Asked) -> Session:
        """The session of a refresh token with fresh tokens.

        Raises ValidationFailed, RefreshTokenNotFound, RefreshTokenUsed (then the session has ended), SessionExpired,
        UserBanned.
        """
        now = self._clock.now()
        session_id, counter = parse_refresh_token(token, self._refresh_key)
        grace_s, idle_s = self._reuse_interval_s, self._idle_s
        turned = await turn(self._database, session_id, counter, now=now, grace_s=grace_s, idle_s=idle_s, asked=asked)
        if turned.reused:
            await self._revoke_family(session_id, turned.user.id, asked, now)
            raise RefreshTokenUsed
        if turned.expired:
            raise SessionExpired
        if turned.user.is_banned(now):
            raise UserBanned
        return self._session(turned.user, session_id, turned.counter, turned.aal, turned.amr, now)

    async def holder_of(self, user_id: str, session_id: str | None, *, aal: str) -> Holder:
        """Who a verified access token is of. A token made elsewhere with our secret may have no session.

        aal: as the token has it. Raises UserGone, SessionNotFound, UserBannedSince.
        """
        row = await self._database.fetch_row(Statement(_HOLDER, (user_id, session_id)))
        if row is None or row[0] != "t":
            raise UserGone
        if session_id is not None and row[1] != "t":
            raise SessionNotFound
        user = parse_user(str(row[2]))
        if user.is_banned(self._clock.now()):
            raise UserBannedSince
        return Holder(user, session_id, min(aal, row[3] or aal))

    async def end(self, user_id: str, session_id: str | None, scope: Scope, *, asked: Asked) -> None:
        """Sign out of this session, of the others, or of all."""
        async with self._database.transaction() as transaction:
            await end_sessions(transaction, user_id, session_id, scope)
            await record(transaction, "logout", asked, user_id=user_id, now=self._clock.now(), scope=scope)

    async def _revoke_family(self, session_id: str, user_id: str, asked: Asked, now: datetime) -> None:
        async with self._database.transaction() as transaction:
            await transaction.fetch_row(compiled(SessionTable.delete().where(SessionTable.id == session_id)))
            await record(transaction, "token_revoked", asked, user_id=user_id, now=now, session_id=session_id)
        self._observe(SecurityEvent("refresh_token_reused", user_id, f"session {session_id} was ended"))

    def _session(
        self, user: User, session_id: str, counter: int, aal: str, amr: Sequence[dict[str, Any]], now: datetime
    ) -> Session:
        return Session(
            access_token=self._tokens.issue(user, session_id=session_id, aal=aal, amr=amr, now=now),
            expires_in=self._tokens.lifetime_s,
            expires_at=int(now.timestamp()) + self._tokens.lifetime_s,
            refresh_token=refresh_token(session_id, counter, self._refresh_key),
            user=user,
        )


async def load_user(transaction: Transaction | Database, user_id: str) -> User:
    """One user by id. Raises UserGone."""
    row = await transaction.fetch_row(Statement(_USER.text, (user_id,)))
    if row is None:
        raise UserGone
    return parse_user(str(row[0]))


async def end_proven_by(transaction: Transaction, user_id: str, passkey_id: str, *, keep: str | None) -> None:
    """Delete the sessions a passkey opened, all but ``keep``."""
    query = SessionTable.delete().where((SessionTable.user_id == user_id) & (SessionTable.proven_by == passkey_id))
    if keep is not None:
        query = query.where(SessionTable.id != keep)
    await transaction.fetch_row(compiled(query))


async def lower_level(transaction: Transaction, user_id: str, proven_by: Sequence[str], *, now: datetime) -> None:
    """What was proven with these factors or passkeys is not any more: their sessions are ``aal1`` again."""
    await transaction.fetch_row(Statement(_LOWER, (user_id, tuple(proven_by), now.isoformat())))


async def end_sessions(transaction: Transaction, user_id: str, session_id: str | None, scope: Scope) -> None:
    """Delete sessions of a user: with ``local`` the named one, with ``others`` all but it."""
    query = SessionTable.delete().where(SessionTable.user_id == user_id)
    if scope == "local":
        query = query.where(SessionTable.id == session_id)
    elif scope == "others" and session_id is not None:
        query = query.where(SessionTable.id != session_id)
    await transaction.fetch_row(compiled(query))
