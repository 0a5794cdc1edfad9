"""A finished mail, and its form on the wire."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import msgspec


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """id: the same for every try, so that a receiver can tell a duplicate. html: ``None``: text alone."""

    id: str
    to: str
    subject: str
    text: str
    html: str | None
    date: datetime


def wire_message(mail: Mail, sender: str) -> EmailMessage:
    """The mail with its headers (RFC 5322). The library refuses a line break in any of them."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.date)
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2].strip('<> ') or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine shall answer
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message
