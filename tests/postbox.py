"""A real SMTP server to test with: it keeps what it is handed, refuses, or hangs, as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mbaas.config.settings import MailSettings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postbox:
    """answer: to the next mails. refused: addresses with the reply to each. hanging: domains no answer comes for."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.connections = 0
        self.tries = 0
        self.answer = "250 OK"
        self.refused: dict[str, str] = {}
        self.hanging: set[str] = set()

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.rpartition("@")[2] in self.hanging:
            await asyncio.Event().wait()
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.authenticated
        self.tries += 1
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.received.append(message)
        return self.answer


@contextlib.contextmanager
def serving(box: Postbox, port: int, *, password: str = "secret", **options: Any) -> Iterator[None]:
    """The server, for a block. password: of its user ``me``."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", password.encode())
        return AuthResult(success=good, handled=good)

    controller = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=authenticate, auth_require_tls=False, **options
    )
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def settings_for(port: int, **changes: Any) -> MailSettings:
    """To reach it, without TLS unless told otherwise."""
    return MailSettings(
        **{
            "host": "127.0.0.1",
            "port": port,
            "username": "me",
            "password": "secret",
            "tls": "none",
            "sender": "Notes <no@example.com>",
            **changes,
        }
    )
