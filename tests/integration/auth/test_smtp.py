"""Mails through a real SMTP server."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mbaas.adapters.mail.compose import Composer, Mail
from mbaas.adapters.mail.deliver import FileMailer, SmtpMailer, choose_mailer
from mbaas.config.settings import MailSettings
from mbaas.core.errors import Unavailable
from mbaas.core.observe import MailFailed
from tests.auth import Letter, ShiftedClock, make_config, open_auth, read_mails

MAIL = Mail(kind="confirm", to="ada@example.com", subject="Grüße", text="code 123456", html="<p>code 123456</p>")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd.*")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postbox:
    """Keeps what it is handed, or refuses it."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.authenticated
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.received.append(message)
        return self.answer


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"secret")
    return AuthResult(success=good)


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, MailSettings]]:
    box = Postbox()
    controller = Controller(
        box, hostname="127.0.0.1", port=free_port(), authenticator=authenticate, auth_require_tls=False
    )
    controller.start()
    settings = MailSettings(
        host="127.0.0.1",
        port=controller.port,
        username="me",
        password="secret",
        starttls=False,
        sender="Notes <no@example.com>",
    )
    yield box, settings
    controller.stop()


async def test_a_mail_arrives_whole(postbox: tuple[Postbox, MailSettings]) -> None:
    box, settings = postbox
    await SmtpMailer(settings, clock=ShiftedClock()).send(MAIL)
    (message,) = box.received
    assert (message["to"], message["subject"], message["from"]) == (
        "ada@example.com",
        "Grüße",
        "Notes <no@example.com>",
    )
    assert message["auto-submitted"] == "auto-generated"
    assert message["message-id"].endswith("@example.com>")
    bodies = [part.get_content().strip() for part in message.iter_parts()]
    assert bodies == ["code 123456", "<p>code 123456</p>"]


async def test_a_server_that_refuses_is_unavailable(postbox: tuple[Postbox, MailSettings]) -> None:
    box, settings = postbox
    box.answer = "451 later"
    with pytest.raises(Unavailable):
        await SmtpMailer(settings, clock=ShiftedClock()).send(MAIL)
    strict = MailSettings(host=settings.host, port=settings.port, starttls=True)
    with pytest.raises(Unavailable):  # STARTTLS is wanted and not offered: nothing is sent in the clear
        await SmtpMailer(strict, clock=ShiftedClock()).send(MAIL)
    assert box.received == []


async def test_a_sign_up_is_mailed_through_the_server(
    postbox: tuple[Postbox, MailSettings], database_url: str, tmp_path: Path
) -> None:
    box, settings = postbox
    async with open_auth(database_url, make_config(tmp_path, mail=settings)) as auth:
        await auth.sign_up("ada@example.com")
        await auth.settle()
        (message,) = box.received
        body = message.get_body(("plain",))
        assert body is not None
        letter = Letter("ada@example.com", message["subject"], body.get_content(), "")
        assert letter.subject == "Confirm your address - Fieldnotes"
        assert "access_token" in (await auth.open(letter.link)).fragment


async def test_a_mail_server_that_is_down_is_observed_and_changes_no_answer(database_url: str, tmp_path: Path) -> None:
    settings = MailSettings(host="127.0.0.1", port=9, starttls=False)
    async with open_auth(database_url, make_config(tmp_path, mail=settings)) as auth:
        answer = await auth.post("/otp", {"email": "ada@example.com"})
        assert (answer.status_code, answer.json()) == (200, {})
        await auth.settle()
        (failed,) = [told for told in auth.observed if isinstance(told, MailFailed)]
        assert failed.kind == "magiclink"
        assert "ada" not in failed.reason


async def test_without_a_server_mails_are_files_for_their_owner_alone(tmp_path: Path) -> None:
    mailer = choose_mailer(MailSettings(), tmp_path, clock=ShiftedClock())
    assert isinstance(mailer, FileMailer)
    await mailer.send(MAIL)
    (letter,) = read_mails(tmp_path / "mail")
    assert (letter.to, letter.subject, letter.code) == ("ada@example.com", "Grüße", "123456")
    (path,) = (tmp_path / "mail").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "mail").stat().st_mode & 0o777 == 0o700


def test_what_people_choose_cannot_change_a_mail() -> None:
    composer = Composer('App"\r\nBcc: eve@example.com <script>')
    link = "https://app.example.com/?a=1&b=<x>"
    mail = composer.compose("email_change", "a@example.com", link=link, code="123456", new_email="<b>@example.com")
    assert "\n" not in mail.subject
    assert "<script>" not in mail.html
    assert "<b>@" not in mail.html
    assert "<x>" not in mail.html
    assert link in mail.text


@pytest.mark.parametrize("kind", ["confirm", "magic_link", "recovery", "invite", "email_change"])
def test_every_mail_says_the_code_and_the_link_in_both_bodies(kind: str) -> None:
    mail = Composer("Fieldnotes").compose(
        kind, "a@example.com", link="https://x.example/verify", code="123456", new_email="n@example.com"
    )
    for body in (mail.text, mail.html):
        assert "123456" in body
        assert "https://x.example/verify" in body
        assert "Fieldnotes" in body
