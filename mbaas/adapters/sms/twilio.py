"""Twilio's Messages resource: a form, answered with a message that may already have failed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from mbaas.adapters.sms.provider import Channel, Sms, ask
from mbaas.config.settings import TwilioSettings
from mbaas.core.errors import Undeliverable
from mbaas.core.later import later

if TYPE_CHECKING:
    import httpx
else:
    httpx = later("httpx")


class Twilio:
    name = "twilio"

    def __init__(self, settings: TwilioSettings, *, timeout_s: float) -> None:
        self._settings = settings
        self.channels: frozenset[Channel] = frozenset(
            ("sms", "whatsapp") if settings.whatsapp_sender or settings.content_sid else ("sms",)
        )
        account = str(settings.account_sid)
        self._url = f"{settings.base_url.rstrip('/')}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
        self._client = httpx.AsyncClient(timeout=timeout_s, auth=(account, str(settings.auth_token)))

    async def send(self, sms: Sms) -> None:
        form = self._whatsapp(sms) if sms.channel == "whatsapp" else self._sms(sms)
        answer = await ask(lambda: self._client.post(self._url, data=form))
        if answer.get("status") in ("failed", "undelivered"):
            raise Undeliverable(f"the SMS provider could not deliver it ({answer.get('error_code')})")

    async def close(self) -> None:
        await self._client.aclose()

    def _sms(self, sms: Sms) -> dict[str, str]:
        return {"To": f"+{sms.to}", "Body": sms.text, **_sender(str(self._settings.sender))}

    def _whatsapp(self, sms: Sms) -> dict[str, str]:
        """Outside of a conversation WhatsApp takes approved templates alone; ``ContentSid`` names ours."""
        sender = self._settings.whatsapp_sender or str(self._settings.sender)
        form = {"To": f"whatsapp:+{sms.to}", **_sender(sender, "whatsapp:")}
        if self._settings.content_sid and sms.code:
            variables = msgspec.json.encode({"1": sms.code}).decode()
            return {**form, "ContentSid": self._settings.content_sid, "ContentVariables": variables}
        return {**form, "Body": sms.text}


def _sender(sender: str, prefix: str = "") -> dict[str, str]:
    return {"MessagingServiceSid": sender} if sender.startswith("MG") else {"From": prefix + sender}
