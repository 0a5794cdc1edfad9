"""SMTP: connections kept for the next mail, every step bounded, a refusal told from a failure."""

from __future__ import annotations

import asyncio
import contextlib
import time

import aiosmtplib

from mbaas.adapters.mail.message import Mail, wire_message
from mbaas.config.settings import MailSettings
from mbaas.core.errors import Unavailable, Undeliverable

_TLS_PORT = 465  # RFC 8314
_IDLE_S = 20.0  # servers wait minutes, firewalls less
_MAX_IDLE = 4


class SmtpMailer:
    """Hands mails to one server."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._implicit = settings.tls == "implicit" or (settings.tls == "auto" and settings.port == _TLS_PORT)
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []

    async def send(self, mail: Mail) -> None:
        """Raises Undeliverable when the server will never take it, Unavailable when it does not take it now."""
        try:
            client = await self._kept() or await self._connected()
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Unavailable(f"the mail server refused our password: {error.code}") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise Unavailable(f"no connection to the mail server: {type(error).__name__}") from error
        try:
            await client.send_message(wire_message(mail, self._settings.sender))
        except BaseException as error:
            client.close()
            if (code := _refusal(error)) is not None:
                raise Undeliverable(f"the mail server refused the mail: {code}") from error
            if isinstance(error, aiosmtplib.SMTPException | OSError | TimeoutError):
                raise Unavailable(f"the mail server did not take the mail: {_reason(error)}") from error
            raise
        if len(self._idle) < _MAX_IDLE:
            self._idle.append((client, time.monotonic()))
        else:
            await _quit(client)

    async def close(self) -> None:
        """Take leave of the server."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_quit(client) for client, _ in idle))

    async def _kept(self) -> aiosmtplib.SMTP | None:
        """A connection of a former mail that still answers."""
        while self._idle:
            client, since = self._idle.pop()
            if time.monotonic() - since < _IDLE_S and client.is_connected:
                with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                    await client.rset()
                    return client
            client.close()
        return None

    async def _connected(self) -> aiosmtplib.SMTP:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=self._implicit,
            start_tls=not self._implicit and settings.tls != "none",
            timeout=settings.timeout_s or None,
        )
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return client


def _refusal(error: BaseException) -> int | None:
    """The reply code of a refusal for good (RFC 5321 section 4.2.1): of this mail or its only recipient."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError) and 500 <= error.code <= 599:
        return error.code
    return None


def _reason(error: BaseException) -> str:
    """Without the server's words, which may name the recipient."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


async def _quit(client: aiosmtplib.SMTP) -> None:
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        await client.quit(timeout=2.0)
    client.close()
