"""Any HTTP service: a JSON object posted to one URL, with the message's id as idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mbaas.adapters.egress import check_url, post
from mbaas.adapters.sms.provider import CHANNELS, Channel, Sms, ask
from mbaas.config.settings import HttpSmsSettings
from mbaas.core.later import later

if TYPE_CHECKING:
    import httpx
else:
    httpx = later("httpx")


class HttpSms:
    name = "http"

    def __init__(self, settings: HttpSmsSettings, *, timeout_s: float) -> None:
        """Raises ConfigError for a URL that will not be asked."""
        check_url(str(settings.url), allow_private=settings.allow_private)
        self._settings = settings
        self.channels: frozenset[Channel] = frozenset(CHANNELS)
        # No proxy of the environment: it would resolve names by itself.
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False)

    async def send(self, sms: Sms) -> None:
        settings = self._settings
        headers = {"content-type": "application/json", "idempotency-key": sms.id}
        if settings.token:
            headers["authorization"] = f"Bearer {settings.token}"
        body = {"id": sms.id, "to": f"+{sms.to}", "channel": sms.channel, "text": sms.text}
        await ask(
            lambda: post(
                self._client,
                str(settings.url),
                allow_private=settings.allow_private,
                headers=headers,
                content=msgspec.json.encode(body),
            )
        )

    async def close(self) -> None:
        await self._client.aclose()
