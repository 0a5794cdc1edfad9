"""The provider that is configured."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from mbaas.adapters.folder import leave
from mbaas.adapters.sms.http import HttpSms
from mbaas.adapters.sms.messagebird import MessageBird
from mbaas.adapters.sms.provider import CHANNELS, Channel, Sms, SmsProvider
from mbaas.adapters.sms.twilio import Twilio
from mbaas.adapters.sms.vonage import Vonage
from mbaas.config.settings import SmsSettings
from mbaas.core.errors import ConfigError

_NEEDS = {
    "twilio": ("account_sid", "auth_token", "sender"),
    "vonage": ("api_key", "api_secret", "sender"),
    "messagebird": ("access_key", "sender"),
    "http": ("url",),
}


def choose_sms(settings: SmsSettings, data: Path) -> SmsProvider | None:
    """As ``[sms]`` says; ``None``: phones are not written to. Raises ConfigError naming what is missing."""
    if settings.provider == "none":
        return None
    if settings.provider == "console":
        return ConsoleSms(data / "sms")
    section: Any = getattr(settings, settings.provider)
    for name in _NEEDS[settings.provider]:
        if not getattr(section, name):
            where = f"[sms.{settings.provider}]"
            raise ConfigError(f"{where} needs `{name}`", hint=f'{name} = "..."; or sms.provider = "none"')
    kinds: dict[str, Any] = {"twilio": Twilio, "vonage": Vonage, "messagebird": MessageBird, "http": HttpSms}
    provider: SmsProvider = kinds[settings.provider](section, timeout_s=settings.timeout_s)
    return provider


class ConsoleSms:
    """For development: a file each, and a line on the terminal when there is one. Logs that are kept get none."""

    name = "console"
    channels: frozenset[Channel] = frozenset(CHANNELS)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, sms: Sms) -> None:
        line = f"{sms.channel} to +{sms.to}: {sms.text}"
        await asyncio.to_thread(leave, self._directory, ".txt", line.encode())
        if sys.stderr.isatty():
            sys.stderr.write(f"{line}\n")

    async def close(self) -> None: ...
