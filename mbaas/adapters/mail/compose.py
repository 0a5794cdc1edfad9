"""One mail from its template: a subject, a text and an HTML body."""

from __future__ import annotations

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

SUBJECTS = {
    "confirm": "Confirm your address",
    "magic_link": "Your sign-in link",
    "recovery": "Set a new password",
    "invite": "You have been invited",
    "email_change": "Confirm the change of your address",
}


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A finished mail. kind: the template's name, for logs."""

    kind: str
    to: str
    subject: str
    text: str
    html: str


class Composer:
    """app: the name of the app, as its users know it."""

    def __init__(self, app: str) -> None:
        # Line breaks would start a new header; the mail library refuses them, so a name with one is put on one line.
        self._app = " ".join(app.split())
        loader = PackageLoader("mbaas.adapters.mail")
        self._html = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
        self._text = Environment(loader=loader, autoescape=False, undefined=StrictUndefined)  # noqa: S701 - plain text

    def compose(self, kind: str, to: str, **values: str) -> Mail:
        """The mail of that kind. values: what its template names, ``link`` and ``code`` in each."""
        return Mail(
            kind=kind,
            to=to,
            subject=f"{SUBJECTS[kind]} - {self._app}",
            text=self._text.get_template(f"{kind}.txt").render(app=self._app, to=to, **values),
            html=self._html.get_template(f"{kind}.html").render(app=self._app, to=to, **values),
        )
