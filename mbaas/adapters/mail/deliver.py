"""Where mails go: an SMTP server, or a folder when none is configured."""

from __future__ import annotations

import asyncio
import os
import time
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Protocol

import aiosmtplib

from mbaas.adapters.clock import Clock
from mbaas.adapters.mail.compose import Mail
from mbaas.config.settings import MailSettings
from mbaas.core.errors import Unavailable

TIMEOUT_S = 10.0
_TLS_PORT = 465
_KEPT = 500  # files


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Hand the mail on. Raises Unavailable when that cannot be done now."""
        ...


def choose_mailer(settings: MailSettings, data: Path, *, clock: Clock) -> Mailer:
    """SMTP when ``mail.host`` is set, else the data directory's ``mail/``."""
    return SmtpMailer(settings, clock=clock) if settings.host else FileMailer(data / "mail", settings, clock=clock)


class SmtpMailer:
    """One connection a mail, each step within ten seconds. Port 465 speaks TLS from the first byte (RFC 8314)."""

    def __init__(self, settings: MailSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        settings = self._settings
        implicit_tls = settings.port == _TLS_PORT
        try:
            await aiosmtplib.send(
                _message(mail, settings.sender, self._clock),
                hostname=settings.host,
                port=settings.port,
                username=settings.username,
                password=settings.password,
                use_tls=implicit_tls,
                start_tls=settings.starttls and not implicit_tls,
                timeout=TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise Unavailable(f"the mail server did not take the mail: {type(error).__name__}") from error


class FileMailer:
    """Each mail as ``.eml`` in a folder only we can read: it holds live links. The newest few hundred are kept."""

    def __init__(self, directory: Path, settings: MailSettings, *, clock: Clock) -> None:
        self._directory = directory
        self._sender = settings.sender
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        try:
            await asyncio.to_thread(self._write, _message(mail, self._sender, self._clock))
        except OSError as error:
            raise Unavailable("the mail could not be written to the data directory") from error

    def _write(self, message: EmailMessage) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / f"{time.time_ns()}-{os.urandom(4).hex()}.eml"
        draft = path.with_suffix(".part")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(message.as_bytes(policy=SMTP))
        draft.rename(path)
        for old in sorted(self._directory.glob("*.eml"))[:-_KEPT]:
            old.unlink(missing_ok=True)


def _message(mail: Mail, sender: str, clock: Clock) -> EmailMessage:
    """The mail with its headers (RFC 5322). The library refuses a line break in any of them."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip("<> ") or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine shall answer
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message
