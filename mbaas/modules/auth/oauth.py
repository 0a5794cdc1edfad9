"""Sign-in by way of a provider: out with a state, back with a code, on to the app (RFC 6749, 7636, 9207; OIDC Core).

A flow belongs to the browser that opened its address: the state in the provider's answer counts only together with the
cookie that was set then. With PKCE nothing of the outcome counts before the app has redeemed its code, linking
included: whoever was lured into somebody else's flow has no verifier for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.sealing import Sealer
from mbaas.adapters.secrets import Secrets
from mbaas.core.errors import MbaasError
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.modules.auth.accounts import Accounts
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import (
    BadOAuthCallback,
    BadOAuthState,
    EmailNeedsVerification,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedProvider,
    ValidationFailed,
    wire_code,
    wire_words,
)
from mbaas.modules.auth.identities import Identities, Known
from mbaas.modules.auth.oauth_flows import Flow, Flows
from mbaas.modules.auth.objects import Session, User
from mbaas.modules.auth.pkce import Challenge, Redemption, issue_code
from mbaas.modules.auth.providers.profile import Profile
from mbaas.modules.auth.providers.provider import IdTokenRefused, Provider, ProviderFailed, Tokens
from mbaas.modules.auth.redirect import AllowList, with_fragment, with_query
from mbaas.modules.auth.sessions import Opened, Sessions

METHOD = "oauth"
_OURS = frozenset(
    "client_id client_secret redirect_uri response_type response_mode state nonce scope code_challenge "
    "code_challenge_method code_verifier request request_uri registration claims id_token_hint apikey provider "
    "redirect_to scopes skip_http_redirect flow link_identity".split()
)
"""Parameters of an authorization request that an app cannot set: they are ours, or hand over the flow."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")  # RFC 6749 section 3.3
_BROWSER = re.compile(r"[0-9a-f]{56}")
# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6.
_REFUSALS = frozenset(
    "access_denied invalid_request unauthorized_client unsupported_response_type invalid_scope server_error "
    "temporarily_unavailable interaction_required login_required account_selection_required consent_required".split()
)


class Begun(msgspec.Struct, frozen=True):
    """Where to send the browser, and what it has to keep."""

    url: str
    browser: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request to begin says. parameters: the whole query."""

    provider: str
    parameters: Mapping[str, str]
    challenge: Challenge | None


class Outcome(msgspec.Struct, frozen=True):
    """What waits, sealed, for the app to redeem its code. link: a way in that the user has not got yet."""

    tokens: Tokens
    link: Known | None


class OAuth:
    """auth_url: of this module, ``https://…/auth/v1``."""

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        identities: Identities,
        database: Database,
        accounts: Accounts,
        sessions: Sessions,
        allow_list: AllowList,
        secrets: Callable[[], Secrets],
        clock: Clock,
        chance: Chance,
        observe: Observe,
        auth_url: str,
    ) -> None:
        self.providers = providers
        self.identities = identities
        self._database = database
        self._accounts = accounts
        self._sessions = sessions
        self._allow_list = allow_list
        self._flows = Flows(database=database, clock=clock)
        self._sealer = Sealer(secrets, "auth.oauth_outcome")
        self._key = secrets().purpose_key("auth.oauth_flow")
        self._clock = clock
        self._chance = chance
        self._observe = observe
        self._auth_url = auth_url

    # --- out ---------------------------------------------------------------------------------------------------------

    async def begin(self, wanted: Wanted, browser: str | None, *, asked: Asked) -> Begun:
        """Send a browser to the provider. Raises UnsupportedProvider, ValidationFailed, ProviderUnavailable."""
        provider = self._provider(wanted.provider)
        state, browser = self._chance.new_token(), self._browser(browser)
        url = await self._address(provider, state, wanted.parameters)
        flow = Flow(provider.name, asked.redirect_to, wanted.challenge, None)
        await self._flows.keep(state, flow, browser)
        return Begun(url, browser)

    async def prepare(self, wanted: Wanted, user: User | None, *, asked: Asked) -> str:
        """An address of ours that begins the flow in whichever browser opens it first.

        For an app that asks by itself and has no browser to give a cookie to. user: who wants one more way in.
        Raises UnsupportedProvider, ValidationFailed.
        """
        provider = self._provider(wanted.provider)
        _scopes(wanted.parameters)
        state = self._chance.new_token()
        flow = Flow(provider.name, asked.redirect_to, wanted.challenge, user.id if user else None)
        await self._flows.keep(state, flow, None)
        passed = {name: value for name, value in wanted.parameters.items() if name not in _OURS}
        if scopes := wanted.parameters.get("scopes"):
            passed["scopes"] = scopes
        return with_query(f"{self._auth_url}/authorize", {"flow": state, **passed})

    async def open(self, state: str, parameters: Mapping[str, str], browser: str | None) -> Begun:
        """The browser that opened such an address. Raises BadOAuthState, ProviderUnavailable."""
        browser = self._browser(browser)
        provider = self._provider(await self._flows.open(state, browser))
        return Begun(await self._address(provider, state, parameters), browser)

    # --- back --------------------------------------------------------------------------------------------------------

    async def back(self, answer: Mapping[str, str], browser: str | None, *, asked: Asked) -> str:
        """Where to send a browser that comes back: on to the app, with a session, a code or an error."""
        flow = await self._flows.end(answer.get("state", ""), browser)
        if flow is None:
            self._observe(SecurityEvent("oauth_state_refused", asked.ip or ""))
            return _error_url(asked.redirect_to, BadOAuthState())
        # The list may have changed since, and a row is no proof: looked at again.
        asked = msgspec.structs.replace(asked, redirect_to=self._allow_list.resolve(flow.redirect_to))
        try:
            return await self._finish(flow, answer, asked)
        except MbaasError as error:
            return _error_url(asked.redirect_to, error)

    async def redeem(self, transaction: Transaction, redeemed: Redemption, code: str, *, asked: Asked) -> Tokens | None:
        """What was left with a code, taken into effect; ``None``: nothing. Raises as ``Identities.link``."""
        if redeemed.sealed is None:
            return None
        plain = self._sealer.open(base64.b64decode(redeemed.sealed), bound_to=code)
        outcome = msgspec.json.decode(plain, type=Outcome)
        if outcome.link is not None:
            await self.identities.link(transaction, redeemed.user_id, outcome.link, asked=asked)
        return outcome.tokens

    async def enter(self, transaction: Transaction, known: Known, *, asked: Asked) -> tuple[Opened | None, User | None]:
        """A session of somebody a provider has proven, and the user where it was made just now.

        No session: a mail asks to prove the address first; commit it.
        """
        optional = self.providers[known.provider].settings.email_optional
        entered = await self.identities.enter(transaction, known, None, email_optional=optional, asked=asked)
        created = entered.user if entered.created else None
        if entered.user is None or not entered.is_proven:
            return None, created
        return await self._sessions.open(transaction, entered.user.id, method=METHOD, asked=asked), created

    async def _finish(self, flow: Flow, answer: Mapping[str, str], asked: Asked) -> str:
        known, tokens = await self._ask(flow, answer)
        opened: Opened | None = None
        created: User | None = None
        url: str | None = None
        async with self._database.transaction() as transaction:
            if flow.challenge is not None:
                url, created = await self._with_code(transaction, flow.challenge, flow, known, tokens, asked)
            elif flow.user_id is not None:
                user = await self.identities.link(transaction, flow.user_id, known, asked=asked)
                opened = await self._sessions.open(transaction, user.id, method=METHOD, asked=asked)
            else:
                opened, created = await self.enter(transaction, known, asked=asked)
        if created is not None:
            await self._accounts.announce(created, known.provider)
        if url is not None:
            return url
        if opened is None:
            raise EmailNeedsVerification(known.provider)
        await self._sessions.announce(opened)
        return _session_url(asked.redirect_to, opened.session, tokens)

    async def _with_code(
        self, transaction: Transaction, challenge: Challenge, flow: Flow, known: Known, tokens: Tokens, asked: Asked
    ) -> tuple[str | None, User | None]:
        """The app's address with a code for it; ``None``: a mail asks to prove the address first."""
        created: User | None = None
        if flow.user_id is not None:
            await self.identities.check_link(transaction, flow.user_id, known)
            user_id, link = flow.user_id, known
        else:
            optional = self.providers[known.provider].settings.email_optional
            entered = await self.identities.enter(transaction, known, challenge, email_optional=optional, asked=asked)
            created = entered.user if entered.created else None
            if entered.user is None or not entered.is_proven:
                return None, created
            user_id, link = entered.user.id, None
        outcome = msgspec.json.encode(Outcome(msgspec.structs.replace(tokens, id_token=None), link))
        code = await issue_code(
            transaction,
            user_id,
            challenge,
            method=METHOD,
            now=self._clock.now(),
            chance=self._chance,
            seal=lambda code: base64.b64encode(self._sealer.seal(outcome, bound_to=code)).decode(),
        )
        return with_query(asked.redirect_to, {"code": code}), created

    async def _ask(self, flow: Flow, answer: Mapping[str, str]) -> tuple[Known, Tokens]:
        """Of whom the provider's answer is. Raises ProviderRefused, BadOAuthCallback, ProviderUnavailable."""
        provider = self._provider(flow.provider)
        try:
            await self._check_issuer(provider, answer.get("iss"))
            if error := answer.get("error"):
                raise ProviderRefused(error if error in _REFUSALS else "server_error")
            if not answer.get("code"):
                raise BadOAuthCallback("OAuth callback with missing authorization code")
            state = answer["state"]
            profile, tokens = await provider.exchange(
                answer["code"], verifier=self._secret("verifier", state), nonce=self._secret("nonce", state),
                now=self._clock.now(),
            )  # fmt: skip
        except IdTokenRefused as error:
            self._observe(SecurityEvent("id_token_refused", provider.name, str(error)))
            raise BadOAuthCallback from error
        except ProviderFailed as error:
            self._observe(SecurityEvent("provider_failed", provider.name, str(error)))
            raise ProviderUnavailable from error
        return Known(provider.name, _named(profile, answer.get("user"), provider)), tokens

    async def _check_issuer(self, provider: Provider, given: str | None) -> None:
        """An answer of one provider is not taken to another (RFC 9207)."""
        endpoints = await provider.endpoints()
        if given is None and not endpoints.sends_issuer:
            return
        if given != endpoints.issuer:
            self._observe(SecurityEvent("oauth_answer_of_another_issuer", provider.name, repr(given)[:200]))
            raise BadOAuthCallback

    async def _address(self, provider: Provider, state: str, parameters: Mapping[str, str]) -> str:
        passed = {
            name: value[:512] for name, value in parameters.items() if name not in _OURS and _NAME.fullmatch(name)
        }
        try:
            return await provider.address(
                state,
                verifier=self._secret("verifier", state),
                nonce=self._secret("nonce", state),
                scopes=_scopes(parameters),
                asked=passed,
            )
        except ProviderFailed as error:
            self._observe(SecurityEvent("provider_failed", provider.name, str(error)))
            raise ProviderUnavailable from error

    def _provider(self, name: str) -> Provider:
        found = self.providers.get(name)
        if found is None:
            raise UnsupportedProvider
        return found

    def _browser(self, known: str | None) -> str:
        """What this browser is known by. One that has a name keeps it: it may have several flows at once."""
        return known if known and _BROWSER.fullmatch(known) else self._chance.new_token()

    def _secret(self, purpose: str, state: str) -> str:
        """43 characters that nobody computes without our key, so that no row has to hold them."""
        digest = hmac.new(self._key, f"{purpose}:{state}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _scopes(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Scopes an app asks for. Raises ValidationFailed."""
    found = tuple(parameters.get("scopes", "").replace(",", " ").split())
    if not all(_SCOPE.fullmatch(scope) for scope in found) or len(found) > 50:
        raise ValidationFailed("scopes cannot be used")
    return found


def _named(profile: Profile, user: str | None, provider: Provider) -> Profile:
    """Apple tells a name once, beside its answer and unsigned: so it is a name, and nothing else of it counts."""
    if user is None or not provider.preset.form_post or "name" in profile.claims:
        return profile
    try:
        given: Any = msgspec.json.decode(user)
    except (msgspec.MsgspecError, RecursionError):
        return profile
    name = given.get("name") if isinstance(given, dict) else None
    parts = [name.get(part) for part in ("firstName", "lastName")] if isinstance(name, dict) else []
    text = " ".join(part for part in parts if isinstance(part, str) and part.isprintable())[:200].strip()
    return (
        msgspec.structs.replace(profile, claims={**profile.claims, "name": text, "full_name": text})
        if text
        else profile
    )


def with_tokens(session: Session, tokens: Tokens) -> Session:
    """A session with the provider's tokens beside ours."""
    return msgspec.structs.replace(
        session,
        provider_token=tokens.access_token,
        provider_refresh_token=tokens.refresh_token or msgspec.UNSET,
    )


def _session_url(target: str, session: Session, tokens: Tokens) -> str:
    parameters = {
        "access_token": session.access_token,
        "expires_at": str(session.expires_at),
        "expires_in": str(session.expires_in),
        "provider_refresh_token": tokens.refresh_token,
        "provider_token": tokens.access_token,
        "refresh_token": session.refresh_token,
        "sb": "",
        "token_type": session.token_type,
    }
    return with_fragment(target, {name: value for name, value in parameters.items() if value is not None})


def _error_url(target: str, error: MbaasError) -> str:
    if isinstance(error, ProviderRefused):
        name = error.error
    elif isinstance(error, BadOAuthState | BadOAuthCallback):
        name = "invalid_request"
    elif isinstance(error, ProviderUnavailable):
        name = "server_error"
    else:
        name = "access_denied"
    parameters = {"error": name, "error_code": wire_code(error), "error_description": wire_words(error)}
    return with_fragment(with_query(target, parameters), {**parameters, "sb": ""})
