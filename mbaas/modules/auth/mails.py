"""What auth writes to people: the link, the code beside it, the message around both; all through the outbox."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

from mbaas.adapters.messages.locale import of_user
from mbaas.adapters.messages.outgoing import Message, Messages
from mbaas.adapters.postgres.database import Transaction
from mbaas.adapters.sms.provider import Channel
from mbaas.config.settings import AuthSettings
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.objects import User
from mbaas.modules.auth.one_time import Issued

VerifyType: TypeAlias = Literal["signup", "invite", "magiclink", "recovery", "email", "email_change"]
MailKind: TypeAlias = Literal["confirm", "invite", "magic_link", "recovery", "email_change", "email_change_current"]
SmsKind: TypeAlias = Literal["sms_otp", "sms_phone_change", "sms_reauthentication"]
Notice: TypeAlias = Literal[
    "password_changed",
    "email_changed",
    "phone_changed",
    "factor_enrolled",
    "factor_removed",
    "identity_linked",
    "identity_unlinked",
]

_TYPES: dict[MailKind, VerifyType] = {
    "confirm": "signup",
    "invite": "invite",
    "magic_link": "magiclink",
    "recovery": "recovery",
    "email_change": "email_change",
    "email_change_current": "email_change",
}


class Mails:
    """auth_url: where links go first, ``https://…/auth/v1``."""

    def __init__(self, *, messages: Messages, auth_url: str, settings: AuthSettings) -> None:
        self._messages = messages
        self._auth_url = auth_url
        self._link_s = settings.otp_lifetime_s
        self._code_s = min(settings.code_lifetime_s, settings.otp_lifetime_s)
        self._sign_in_by_code = settings.messages.sign_in == "code"
        self._notices = settings.messages.notices

    def action_link(self, link: str, verify_type: VerifyType, redirect_to: str) -> str:
        """The URL that redeems a link and then leads on."""
        query = urlencode({"token": link, "type": verify_type, "redirect_to": redirect_to})
        return f"{self._auth_url}/verify?{query}"

    async def send(
        self,
        transaction: Transaction,
        kind: MailKind,
        user: User,
        issued: Issued,
        asked: Asked,
        *,
        to: str | None = None,
        new_email: str | None = None,
        void: bool = False,
    ) -> None:
        """A mail with a link and a code. to: ``None``: the user's address. new_email: for a change of address.

        void: the row is made and nobody is written to, where a mail must not make a difference.
        """
        values = {**self._about(user), "code": issued.code, "code_minutes": _minutes(self._code_s)}
        if kind == "magic_link" and self._sign_in_by_code:
            name, expires_s = "email_otp", self._code_s
        else:
            name, expires_s = kind, self._link_s
            values["link"] = self.action_link(issued.link, _TYPES[kind], asked.redirect_to)
            values["link_minutes"] = _minutes(self._link_s)
        if new_email is not None:
            values["new_email"] = new_email
        message = Message(
            kind=name,
            to=to or user.email,
            locales=_locales(user, asked),
            values=values,
            expires_s=0 if void else expires_s,
        )
        await self._messages.put(transaction, message)

    async def send_code(self, transaction: Transaction, user: User, code: str, asked: Asked) -> None:
        """The mail that asks a signed-in user to prove again who they are."""
        values = {**self._about(user), "code": code, "code_minutes": _minutes(self._code_s)}
        message = Message(
            kind="reauthentication",
            to=user.email,
            locales=_locales(user, asked),
            values=values,
            expires_s=self._code_s,
        )
        await self._messages.put(transaction, message)

    async def text(
        self,
        transaction: Transaction,
        kind: SmsKind,
        user: User,
        phone: str,
        code: str,
        asked: Asked,
        *,
        via: Channel = "sms",
        void: bool = False,
        lifetime_s: float | None = None,
    ) -> str:
        """A code to a phone. Returns the message's id. void: as of ``send``. lifetime_s: ``None``: that of codes."""
        code_s = self._code_s if lifetime_s is None else lifetime_s
        message = Message(
            kind=kind,
            to=phone,
            via=via,
            locales=_locales(user, asked),
            values={"code": code, "code_minutes": _minutes(code_s)},
            expires_s=0 if void else code_s,
        )
        return await self._messages.put(transaction, message)

    async def notice(self, transaction: Transaction, kind: Notice, user: User, asked: Asked, **values: str) -> None:
        """Tell a user at their proven address of a change to their account, unless notices are off."""
        if not self._notices or not user.email or user.email_confirmed_at is None:
            return
        message = Message(
            kind=kind, to=user.email, locales=_locales(user, asked), values={**self._about(user), **values}
        )
        await self._messages.put(transaction, message)

    def _about(self, user: User) -> dict[str, str]:
        """By name only at a proven address: anybody can sign up somebody else's, with any text as the name."""
        if user.email_confirmed_at is None:
            return {}
        name: Any = user.user_metadata.get("name") or user.user_metadata.get("full_name")
        return {"name": name} if isinstance(name, str) else {}


def _locales(user: User, asked: Asked) -> tuple[str, ...]:
    own = of_user(user.user_metadata)
    return (own, *asked.languages) if own else asked.languages


def _minutes(seconds: float) -> str:
    return str(max(1, round(seconds / 60)))
