"""Flows on their way over a provider: one row each, kept as hashes, ended once and by the browser that began it."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Literal, cast

import msgspec

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import BadOAuthState
from mbaas.modules.auth.pkce import Challenge
from mbaas.modules.auth.tables import OAuthFlows

LIFETIME = timedelta(minutes=5)

_OPENED = """
update auth.oauth_flows set browser_hash = $2::text
where state_hash = $1::text and browser_hash is null and expires_at > $3::timestamptz
returning provider
"""
# Only the browser that began a flow ends it: who merely learned a state takes nothing away.
_ENDED = """
delete from auth.oauth_flows
where state_hash = $1::text and browser_hash = $2::text and expires_at > $3::timestamptz
returning provider, redirect_to, code_challenge, code_challenge_method, user_id
"""


class Flow(msgspec.Struct, frozen=True):
    """What was wanted when the flow began. user_id: who wants one more way in."""

    provider: str
    redirect_to: str
    challenge: Challenge | None
    user_id: str | None


class Flows:
    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def keep(self, state: str, flow: Flow, browser: str | None) -> None:
        """Remember a flow. browser: ``None``: whichever opens it first."""
        now = self._clock.now()
        row = OAuthFlows(
            state_hash=_hash(state),
            browser_hash=None if browser is None else _hash(browser),
            provider=flow.provider,
            redirect_to=flow.redirect_to,
            code_challenge=flow.challenge.text if flow.challenge else None,
            code_challenge_method=flow.challenge.method if flow.challenge else None,
            user_id=flow.user_id,
            created_at=now,
            expires_at=now + LIFETIME,
        )
        await self._database.fetch_row(compiled(OAuthFlows.delete().where(OAuthFlows.expires_at < now)))
        await self._database.fetch_row(compiled(OAuthFlows.insert(row)))

    async def open(self, state: str, browser: str) -> str:
        """The flow is this browser's from now on. Its provider. Raises BadOAuthState."""
        row = await self._database.fetch_row(Statement(_OPENED, self._args(state, browser)))
        if row is None:
            raise BadOAuthState
        return str(row[0])

    async def end(self, state: str, browser: str | None) -> Flow | None:
        """The flow of a state in this browser. It is over with that."""
        if not browser or not state:
            return None
        row = await self._database.fetch_row(Statement(_ENDED, self._args(state, browser)))
        if row is None:
            return None
        provider, redirect_to, text, method, user_id = row
        challenge = Challenge(text, cast(Literal["s256", "plain"], method)) if text and method else None
        return Flow(str(provider), str(redirect_to), challenge, user_id)

    def _args(self, state: str, browser: str) -> tuple[str, str, str]:
        return _hash(state), _hash(browser), self._clock.now().isoformat()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
