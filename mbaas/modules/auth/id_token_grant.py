"""``grant_type=id_token``: a token that an app got from the provider itself, on a phone or in a page."""

from __future__ import annotations

import hashlib
import hmac

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.modules.auth.accounts import Accounts
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.bodies import TokenBody
from mbaas.modules.auth.errors import EmailNeedsVerification, OAuthShaped, ProviderDisabled
from mbaas.modules.auth.identities import Known
from mbaas.modules.auth.oauth import METHOD, OAuth
from mbaas.modules.auth.objects import Session, User
from mbaas.modules.auth.providers.provider import IdTokenRefused, Provider, ProviderFailed
from mbaas.modules.auth.sessions import Sessions


class IdTokenGrant:
    def __init__(
        self,
        *,
        oauth: OAuth,
        database: Database,
        accounts: Accounts,
        sessions: Sessions,
        clock: Clock,
        observe: Observe,
    ) -> None:
        self._oauth = oauth
        self._database = database
        self._accounts = accounts
        self._sessions = sessions
        self._clock = clock
        self._observe = observe

    async def session(self, body: TokenBody, user: User | None, *, asked: Asked) -> Session:
        """The session of whom the token is of. user: who wants the provider as one more way in.

        Raises OAuthShaped, ProviderDisabled, EmailNeedsVerification, and as ``Identities`` does.
        """
        known = await self._believed(body)
        created = None
        async with self._database.transaction() as transaction:
            if user is None:
                opened, created = await self._oauth.enter(transaction, known, asked=asked)
            else:
                linked = await self._oauth.identities.link(transaction, user.id, known, asked=asked)
                opened = await self._sessions.open(transaction, linked.id, method=METHOD, asked=asked)
        if created is not None:
            await self._accounts.announce(created, known.provider)
        if opened is None:
            raise EmailNeedsVerification(known.provider)
        await self._sessions.announce(opened)
        return opened.session

    async def _believed(self, body: TokenBody) -> Known:
        if not body.id_token:
            raise OAuthShaped("invalid_request", "id_token required")
        if not body.provider:
            raise OAuthShaped("invalid_request", "provider required")
        provider = self._oauth.providers.get(body.provider)
        if provider is None or not provider.has_id_tokens:
            raise ProviderDisabled
        try:
            claims = await provider.claims(
                body.id_token, nonces=None, now=self._clock.now(), access_token=body.access_token or None
            )
            _check_nonce(claims.get("nonce"), body.nonce)
            return Known(provider.name, await provider.profile(claims, body.access_token))
        except IdTokenRefused as error:
            raise self._refused(provider, str(error)) from error
        except ProviderFailed as error:
            self._observe(SecurityEvent("provider_failed", provider.name, str(error)))
            raise OAuthShaped("server_error", "The provider did not answer as expected; try again later") from error

    def _refused(self, provider: Provider, reason: str) -> OAuthShaped:
        self._observe(SecurityEvent("id_token_refused", provider.name, reason))
        return OAuthShaped("invalid_request", "Bad ID token")


def _check_nonce(claimed: object, given: str | None) -> None:
    """The token has the hash of what the app made up, so a token that was seen somewhere is of no use to others."""
    if bool(claimed) != bool(given):
        raise OAuthShaped("invalid_request", "Passed nonce and nonce in id_token should either both exist or not.")
    if given:
        wanted = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
        if not hmac.compare_digest(str(claimed).encode("utf-8", "surrogatepass"), wanted.encode()):
            raise OAuthShaped("invalid_request", "Nonces mismatch")
