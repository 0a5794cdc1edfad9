"""Messages through the outbox: put with the values of their template, composed when they are sent.

So a request does not wait for rendering, and a dead letter that is replayed gets the template that was mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from mbaas.adapters.mail.deliver import Mailer
from mbaas.adapters.mail.message import Mail
from mbaas.adapters.messages.compose import Composer
from mbaas.adapters.messages.stored import StoredTemplates
from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.outbox.item import Item, Parcel
from mbaas.adapters.postgres.database import Transaction
from mbaas.adapters.sms.provider import Channel, Sms, SmsProvider
from mbaas.core.errors import Undeliverable
from mbaas.core.later import later

if TYPE_CHECKING:
    import phonenumbers
else:
    phonenumbers = later("phonenumbers")

NOTICE_S = 7 * 86_400.0
"""How long a message without a code or link is worth sending, in seconds."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one person.

    via: ``mail`` with an address, else with a phone number in digits. locales: languages wanted, the first the most.
    values: what the template of that kind names. expires_s: when its code or link has run out, in seconds from now.
    """

    kind: str
    to: str
    via: Literal["mail", "sms", "whatsapp"] = "mail"
    locales: tuple[str, ...] = ()
    values: dict[str, str] = {}
    expires_s: float = NOTICE_S


class Messages:
    """sms: ``None``: phones are not written to."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        composer: Composer,
        stored: StoredTemplates,
        mailer: Mailer,
        sms: SmsProvider | None,
    ) -> None:
        self._outbox = outbox
        self.composer = composer
        self.stored = stored
        self._mailer = mailer
        self._sms = sms
        outbox.handle("mail", self._send_mail)
        outbox.handle("sms", self._send_sms)

    @property
    def phone_channels(self) -> frozenset[Channel]:
        """How phones can be written to."""
        return self._sms.channels if self._sms else frozenset()

    @property
    def sms_provider(self) -> str:
        return self._sms.name if self._sms else ""

    async def put(self, transaction: Transaction, message: Message) -> str:
        """Have it sent when the transaction commits. Returns its id: the ``Message-ID``, the provider's reference."""
        channel, destination = ("mail", message.to.rpartition("@")[2]) if message.via == "mail" else _phone(message)
        parcel = Parcel(
            channel=channel,
            kind=message.kind,
            destination=destination,
            payload=message,
            expires_s=message.expires_s,
        )
        return await self._outbox.put(transaction, parcel)

    async def close(self) -> None:
        await self._mailer.close()
        if self._sms:
            await self._sms.close()

    async def _send_mail(self, item: Item) -> None:
        message = msgspec.json.decode(item.payload, type=Message)
        composed = self.composer.compose(
            message.kind,
            {**message.values, "to": message.to},
            locales=message.locales,
            stored=await self.stored.of_kind(message.kind),
        )
        await self._mailer.send(
            Mail(
                id=item.id,
                to=message.to,
                subject=composed.subject or "",
                text=composed.text,
                html=composed.html,
                date=item.created_at,
            )
        )

    async def _send_sms(self, item: Item) -> None:
        message = msgspec.json.decode(item.payload, type=Message)
        if self._sms is None or message.via == "mail" or message.via not in self._sms.channels:
            raise Undeliverable("no SMS provider is configured for it")
        composed = self.composer.compose(
            message.kind,
            {**message.values, "to": f"+{message.to}"},
            locales=message.locales,
            stored=await self.stored.of_kind(message.kind),
        )
        code = message.values.get("code", "")
        sms = Sms(id=item.id, to=message.to, text=composed.text.strip(), channel=message.via, code=code)
        await self._sms.send(sms)


def _phone(message: Message) -> tuple[str, str]:
    """By country: where one's networks hang others do not wait."""
    return "sms", str(phonenumbers.parse(f"+{message.to}").country_code)


def masked(phone: str) -> str:
    """A number to be recognised by its owner, not to be learnt from.

    >>> masked("4915112345678")
    '+49 ••• 678'
    """
    return f"+{phonenumbers.parse(f'+{phone}').country_code} ••• {phone[-3:]}"
