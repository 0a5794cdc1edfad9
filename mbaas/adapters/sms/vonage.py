"""Vonage's Messages API: one JSON shape for SMS and WhatsApp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mbaas.adapters.sms.provider import Channel, Sms, ask
from mbaas.config.settings import VonageSettings
from mbaas.core.later import later

if TYPE_CHECKING:
    import httpx
else:
    httpx = later("httpx")


class Vonage:
    name = "vonage"

    def __init__(self, settings: VonageSettings, *, timeout_s: float) -> None:
        self._settings = settings
        self.channels: frozenset[Channel] = frozenset(("sms", "whatsapp") if settings.whatsapp_sender else ("sms",))
        self._url = f"{settings.base_url.rstrip('/')}/v1/messages"
        self._client = httpx.AsyncClient(timeout=timeout_s, auth=(str(settings.api_key), str(settings.api_secret)))

    async def send(self, sms: Sms) -> None:
        sender = self._settings.whatsapp_sender if sms.channel == "whatsapp" else self._settings.sender
        body = {
            "message_type": "text",
            "channel": sms.channel,
            "from": sender,
            "to": sms.to,
            "text": sms.text,
            "client_ref": sms.id,
        }
        await ask(lambda: self._client.post(self._url, json=body))

    async def close(self) -> None:
        await self._client.aclose()
