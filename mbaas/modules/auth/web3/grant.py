"""``grant_type=web3``: a message signed with the key of a wallet. It counts once, whichever node gets it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from types import ModuleType

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.config.settings import Web3Settings
from mbaas.core.later import later
from mbaas.core.observe import Observe, SecurityEvent
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.accounts import Accounts
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.bodies import TokenBody
from mbaas.modules.auth.errors import EmailNeedsVerification, OAuthShaped, Web3ChainUnsupported, Web3Disabled
from mbaas.modules.auth.identities import Identities, Known
from mbaas.modules.auth.objects import Session
from mbaas.modules.auth.providers.profile import MAX_TEXT, Profile
from mbaas.modules.auth.redirect import AllowList, parse_target
from mbaas.modules.auth.sessions import Sessions
from mbaas.modules.auth.tables import Web3Messages
from mbaas.modules.auth.web3 import solana
from mbaas.modules.auth.web3.message import Message, parse_message

METHOD = PROVIDER = "web3"
WINDOW = timedelta(minutes=10)
SKEW = timedelta(minutes=1)
"""How far a wallet's clock, or another node's, may be off."""
_ACCOUNTS = {"ethereum": "Ethereum", "solana": "Solana"}

# One statement: of many that bring the same message one goes on; the others wait for how it ends.
_USE = """
insert into auth.web3_messages (digest, expires_at) values ($1::text, $2::timestamptz)
on conflict do nothing returning 1
"""


class Web3Grant:
    def __init__(
        self,
        *,
        settings: Web3Settings,
        identities: Identities,
        database: Database,
        accounts: Accounts,
        sessions: Sessions,
        allow_list: AllowList,
        clock: Clock,
        observe: Observe,
    ) -> None:
        self.chains = _chains(settings)
        self._identities = identities
        self._database = database
        self._accounts = accounts
        self._sessions = sessions
        self._allow_list = allow_list
        self._clock = clock
        self._observe = observe

    def require_any(self) -> None:
        """Raises Web3Disabled where the settings want no wallets."""
        if not self.chains:
            raise Web3Disabled

    async def session(self, body: TokenBody, *, asked: Asked) -> Session:
        """The session of whose wallet signed. Raises Web3Disabled, Web3ChainUnsupported, OAuthShaped,
        EmailNeedsVerification, and as ``Identities.enter`` does.
        """
        chain = body.chain or ""
        if chain not in _ACCOUNTS:
            raise Web3ChainUnsupported
        if chain not in self.chains:
            raise Web3Disabled(f"{_ACCOUNTS[chain]} Web3 provider is disabled")
        text = body.message or ""
        try:
            message = parse_message(text, _ACCOUNTS[chain])
            address = self.chains[chain].parse_address(message.address)
            signature = self.chains[chain].parse_signature(body.signature or "")
            self._check_place(message)
            self._check_time(message)
            # Numbers of 256 bits in Python: 10 ms, beside everything else.
            if not await asyncio.to_thread(self.chains[chain].is_signed, text.encode(), signature, address):
                raise ValueError("Signature does not match address in message")
        except ValueError as error:
            raise self._refused(chain, str(error)) from None
        known = Known(PROVIDER, _profile(chain, address, message))
        async with self._database.transaction() as transaction:
            if not await self._use(transaction, chain, text, message):
                raise self._refused(chain, "Message was used before, sign a new one")
            entered = await self._identities.enter(transaction, known, None, email_optional=True, asked=asked)
            opened = None
            if entered.user is not None and entered.is_proven:
                opened = await self._sessions.open(transaction, entered.user.id, method=METHOD, asked=asked)
        if entered.created and entered.user is not None:
            await self._accounts.announce(entered.user, PROVIDER)
        if opened is None:
            raise EmailNeedsVerification(PROVIDER)
        await self._sessions.announce(opened)
        return opened.session

    async def forget(self) -> None:
        """Drop messages that are too old to be taken again."""
        await self._database.fetch_row(
            compiled(Web3Messages.delete().where(Web3Messages.expires_at < self._clock.now()))
        )

    def _check_place(self, message: Message) -> None:
        """A message signed for another app is of no use here. Raises ValueError."""
        uri = parse_target(message.uri)
        if uri is None or not self._allow_list.is_ours(uri):
            raise ValueError("message is for a URI that is not allowed on this server")
        domain = parse_target(f"{uri.scheme}://{message.domain}")
        if (
            domain is None
            or domain.path
            or domain.query is not None
            or (domain.host, domain.port) != (uri.host, uri.port)
        ):
            raise ValueError("message has a domain that does not match its URI")
        if message.scheme is not None and message.scheme.lower() != uri.scheme:
            raise ValueError("message has a scheme that does not match its URI")

    def _check_time(self, message: Message) -> None:
        """Raises ValueError."""
        now = self._clock.now()
        if now - message.issued_at > WINDOW:
            raise ValueError("message was issued too long ago")
        if message.issued_at - now > SKEW:
            raise ValueError("message was issued in the future")
        if message.not_before is not None and message.not_before - now > SKEW:
            raise ValueError("message becomes valid in the future")
        if message.expires_at is not None and message.expires_at <= now:
            raise ValueError("message is expired")

    async def _use(self, transaction: Transaction, chain: str, text: str, message: Message) -> bool:
        """By its text: one signature can be turned into others that are right, too, one text cannot."""
        digest = hashlib.sha256(f"{chain}:{text}".encode()).hexdigest()
        until = (message.issued_at + WINDOW + SKEW).isoformat()
        return await transaction.fetch_row(Statement(_USE, (digest, until))) is not None

    def _refused(self, chain: str, reason: str) -> OAuthShaped:
        self._observe(SecurityEvent("web3_refused", chain, reason))
        return OAuthShaped("invalid_grant", reason)


def _chains(settings: Web3Settings) -> Mapping[str, ModuleType]:
    """The modules that know the chains. Of Ethereum only where it is on: its libraries take 25 MB."""
    chains: dict[str, ModuleType] = {}
    if settings.ethereum:
        chains["ethereum"] = later("mbaas.modules.auth.web3.ethereum")
    if settings.solana:
        chains["solana"] = solana
    return chains


def _profile(chain: str, address: str, message: Message) -> Profile:
    claims = {
        "address": address,
        "chain": chain,
        "network": message.network,
        "domain": message.domain,
        "statement": message.statement and message.statement[:MAX_TEXT],
    }
    told = {name: value for name, value in claims.items() if value is not None}
    return Profile(issuer=None, subject=f"{PROVIDER}:{chain}:{address}", claims={"custom_claims": told})
