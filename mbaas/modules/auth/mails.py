"""What auth writes to people: the link, the code beside it, and the mail around both."""

from __future__ import annotations

from typing import Literal, TypeAlias
from urllib.parse import urlencode

from mbaas.adapters.mail.compose import Composer
from mbaas.adapters.mail.deliver import Mailer
from mbaas.modules.auth.one_time import Issued

VerifyType: TypeAlias = Literal["signup", "invite", "magiclink", "recovery", "email", "email_change"]

_TEMPLATES: dict[VerifyType, str] = {
    "signup": "confirm",
    "invite": "invite",
    "magiclink": "magic_link",
    "recovery": "recovery",
    "email_change": "email_change",
}


class Mails:
    """auth_url: where links go first, ``https://…/auth/v1``."""

    def __init__(self, *, mailer: Mailer, composer: Composer, auth_url: str) -> None:
        self._mailer = mailer
        self._composer = composer
        self._auth_url = auth_url

    def action_link(self, link: str, verify_type: VerifyType, redirect_to: str) -> str:
        """The URL that redeems a link and then leads on."""
        query = urlencode({"token": link, "type": verify_type, "redirect_to": redirect_to})
        return f"{self._auth_url}/verify?{query}"

    async def send(
        self, verify_type: VerifyType, to: str, issued: Issued, redirect_to: str, *, new_email: str = ""
    ) -> None:
        """Hand the mail to the mail server. Raises Unavailable. new_email: for a change of address."""
        link = self.action_link(issued.link, verify_type, redirect_to)
        mail = self._composer.compose(_TEMPLATES[verify_type], to, link=link, code=issued.code, new_email=new_email)
        await self._mailer.send(mail)
