"""Mails through a real SMTP server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from mbaas.adapters.mail.deliver import FileMailer, choose_mailer
from mbaas.adapters.mail.message import Mail
from mbaas.adapters.mail.smtp import SmtpMailer
from mbaas.config.settings import MailSettings
from mbaas.core.errors import Unavailable, Undeliverable
from mbaas.core.observe import SendFailed
from tests.auth import Letter, make_config, open_auth, read_mails
from tests.postbox import Postbox, free_port, serving, settings_for

MAIL = Mail(
    id="0b5c1f6e-7a53-4c0f-8d8e-3d1c5b1f9a10",
    to="ada@example.com",
    subject="Grüße",
    text="code 123456",
    html="<p>code 123456</p>",
    date=datetime(2026, 1, 2, tzinfo=UTC),
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd.*")


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, MailSettings]]:
    box, port = Postbox(), free_port()
    with serving(box, port):
        yield box, settings_for(port)


async def test_a_mail_arrives_whole(postbox: tuple[Postbox, MailSettings]) -> None:
    box, settings = postbox
    mailer = SmtpMailer(settings)
    await mailer.send(MAIL)
    await mailer.close()
    (message,) = box.received
    assert (message["to"], message["subject"], message["from"]) == (
        "ada@example.com",
        "Grüße",
        "Notes <no@example.com>",
    )
    assert message["auto-submitted"] == "auto-generated"
    assert message["message-id"] == f"<{MAIL.id}@example.com>"
    bodies = [part.get_content().strip() for part in message.iter_parts()]
    assert bodies == ["code 123456", "<p>code 123456</p>"]


async def test_a_connection_serves_the_next_mail_and_a_dead_one_is_replaced(
    postbox: tuple[Postbox, MailSettings],
) -> None:
    box, settings = postbox
    mailer = SmtpMailer(settings)
    for _ in range(3):
        await mailer.send(MAIL)
    assert (len(box.received), box.connections) == (3, 1)
    (kept, _) = mailer._idle[0]
    assert kept.transport is not None
    kept.transport.abort()
    await mailer.send(MAIL)
    assert (len(box.received), box.connections) == (4, 2)
    await mailer.close()


async def test_a_refusal_for_good_is_told_from_one_for_now(postbox: tuple[Postbox, MailSettings]) -> None:
    box, settings = postbox
    mailer = SmtpMailer(settings)
    box.answer = "451 later"
    with pytest.raises(Unavailable):
        await mailer.send(MAIL)
    box.answer = "554 no"
    with pytest.raises(Undeliverable, match="554"):
        await mailer.send(MAIL)
    box.answer, box.refused = "250 OK", {MAIL.to: "550 ada@example.com is unknown here"}
    with pytest.raises(Undeliverable) as refused:
        await mailer.send(MAIL)
    assert "ada" not in refused.value.message
    box.refused = {MAIL.to: "450 mailbox busy"}
    with pytest.raises(Unavailable):
        await mailer.send(MAIL)
    assert box.received == []
    await mailer.close()


async def test_nothing_is_said_in_clear_when_tls_is_wanted(postbox: tuple[Postbox, MailSettings]) -> None:
    box, settings = postbox
    for tls in ("starttls", "implicit"):
        strict = settings_for(settings.port, tls=tls, timeout_s=1.0)
        with pytest.raises(Unavailable):  # it offers neither: nothing is sent
            await SmtpMailer(strict).send(MAIL)
    with pytest.raises(Unavailable, match="password"):
        await SmtpMailer(settings_for(settings.port, password="wrong")).send(MAIL)
    assert box.received == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_nobody_vouches_for_is_refused_and_a_good_one_taken(
    tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    box, port = Postbox(), free_port()
    options = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {"ssl_context": context}
    with serving(box, port, **options):
        settings = settings_for(port, tls=tls, timeout_s=2.0)
        with pytest.raises(Unavailable):
            await SmtpMailer(settings).send(MAIL)
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        mailer = SmtpMailer(settings)
        await mailer.send(MAIL)
        await mailer.close()
    assert len(box.received) == 1


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
    settings = settings_for(9)
    async with open_auth(database_url, make_config(tmp_path, mail=settings)) as auth:
        answer = await auth.post("/otp", {"email": "ada@example.com"})
        assert (answer.status_code, answer.json()) == (200, {})
        await auth.settle()
        failed = next(told for told in auth.observed if isinstance(told, SendFailed))
        assert (failed.channel, failed.kind, failed.attempt) == ("mail", "confirm", 1)
        assert "ada" not in failed.reason


async def test_without_a_server_mails_are_files_for_their_owner_alone(tmp_path: Path) -> None:
    mailer = choose_mailer(MailSettings(), tmp_path)
    assert isinstance(mailer, FileMailer)
    await mailer.send(MAIL)
    (letter,) = read_mails(tmp_path / "mail")
    assert (letter.to, letter.subject, letter.code) == ("ada@example.com", "Grüße", "123456")
    (path,) = (tmp_path / "mail").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "mail").stat().st_mode & 0o777 == 0o700
