"""Where mails go: an SMTP server, or a folder when none is configured."""

from __future__ import annotations

import asyncio
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

from mbaas.adapters.folder import leave
from mbaas.adapters.mail.message import Mail, wire_message
from mbaas.adapters.mail.smtp import SmtpMailer
from mbaas.config.settings import MailSettings


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Hand the mail on. Raises Undeliverable when that is of no use, Unavailable when it cannot be done now."""
        ...

    async def close(self) -> None: ...


def choose_mailer(settings: MailSettings, data: Path) -> Mailer:
    """SMTP when ``mail.host`` is set, else the data directory's ``mail/``."""
    return SmtpMailer(settings) if settings.host else FileMailer(data / "mail", settings)


class FileMailer:
    """Each mail as ``.eml``, for a developer to open."""

    def __init__(self, directory: Path, settings: MailSettings) -> None:
        self._directory = directory
        self._sender = settings.sender

    async def send(self, mail: Mail) -> None:
        content = wire_message(mail, self._sender).as_bytes(policy=SMTP)
        await asyncio.to_thread(leave, self._directory, ".eml", content)

    async def close(self) -> None: ...
