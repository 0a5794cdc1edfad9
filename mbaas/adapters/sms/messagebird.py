"""MessageBird: its SMS API, and its Conversations API for WhatsApp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mbaas.adapters.sms.provider import Channel, Sms, ask
from mbaas.config.settings import MessageBirdSettings
from mbaas.core.later import later

if TYPE_CHECKING:
    import httpx
else:
    httpx = later("httpx")


class MessageBird:
    name = "messagebird"

    def __init__(self, settings: MessageBirdSettings, *, timeout_s: float) -> None:
        self._settings = settings
        self.channels: frozenset[Channel] = frozenset(("sms", "whatsapp") if settings.whatsapp_channel else ("sms",))
        headers = {"authorization": f"AccessKey {settings.access_key}"}
        self._client = httpx.AsyncClient(timeout=timeout_s, headers=headers)

    async def send(self, sms: Sms) -> None:
        if sms.channel == "whatsapp":
            message = {
                "to": f"+{sms.to}",
                "from": self._settings.whatsapp_channel,
                "type": "text",
                "content": {"text": sms.text},
            }
            await ask(
                lambda: self._client.post(f"{self._settings.conversations_url.rstrip('/')}/v1/send", json=message)
            )
            return
        body = {
            "originator": self._settings.sender,
            "recipients": [sms.to],
            "body": sms.text,
            "datacoding": "auto",
            "reference": sms.id,
        }
        await ask(lambda: self._client.post(f"{self._settings.base_url.rstrip('/')}/messages", json=body))

    async def close(self) -> None:
        await self._client.aclose()
