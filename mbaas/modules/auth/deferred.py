"""What depends on whether somebody has an account, done after the answer (docs/adr/0043).

A request leaves one row in the outbox, the same for everybody, and answers; a worker does the rest, and ends the row in
the transaction of what it did. So the time of the answer tells nothing, and who dies in between loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.outbox.item import Item, Parcel
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.sms.provider import Channel
from mbaas.core.errors import HookRefused
from mbaas.core.observe import Observe, SendGivenUp
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import AuthError
from mbaas.modules.auth.pkce import Challenge

CHANNEL = "auth"
_WORTH_S = 600.0


class SignInLater(msgspec.Struct, frozen=True, kw_only=True, tag="sign_in"):
    """A link and a code, or with a phone a code; whoever is new becomes a user."""

    address: str
    data: dict[str, Any]
    challenge: Challenge | None
    asked: Asked
    via: Channel | None = None  # None: by mail


class RecoveryLater(msgspec.Struct, frozen=True, kw_only=True, tag="recovery"):
    address: str
    challenge: Challenge | None
    asked: Asked


class ConfirmationLater(msgspec.Struct, frozen=True, kw_only=True, tag="confirmation"):
    """What proves an address or number, anew."""

    address: str
    challenge: Challenge | None
    asked: Asked
    via: Channel | None = None


class ChangeLater(msgspec.Struct, frozen=True, kw_only=True, tag="change"):
    """What a pending change of address or number waits for, anew. address: by mail the current one, else the new."""

    address: str
    challenge: Challenge | None
    asked: Asked
    via: Channel | None = None


Later: TypeAlias = SignInLater | RecoveryLater | ConfirmationLater | ChangeLater
Done: TypeAlias = Callable[[Transaction], Awaitable[None]]
"""Ends the row with the transaction it is called in."""


class Deferred:
    """Keeps work for after the answer; ``run_by`` says who does it."""

    def __init__(self, *, outbox: Outbox, database: Database, observe: Observe) -> None:
        self._outbox = outbox
        self._database = database
        self._observe = observe

    async def keep(self, work: Later) -> str:
        """Have it done. Returns its id."""
        parcel = Parcel(
            channel=CHANNEL,
            kind=str(type(work).__struct_config__.tag),
            # A flood for one address does not hold up the others.
            destination=hashlib.sha256(work.address.encode()).hexdigest()[:2],
            payload=work,
            expires_s=_WORTH_S,
        )
        async with self._database.transaction() as transaction:
            return await self._outbox.put(transaction, parcel)

    def run_by(self, do: Callable[[Later, Done], Awaitable[None]]) -> None:
        """do: does it, calling ``Done`` in its transaction when there is one."""

        async def run(item: Item) -> None:
            async def done(transaction: Transaction) -> None:
                await self._outbox.done(transaction, item)

            try:
                await do(msgspec.json.decode(item.payload, type=Later), done)
            except (HookRefused, AuthError) as error:  # it would be refused again: nobody is there to be told
                self._observe(SendGivenUp(CHANNEL, item.kind, error.message))

        self._outbox.handle(CHANNEL, run)
