"""An installation of an app: its session, and what its user does with factors."""

from __future__ import annotations

from typing import Any

import pyotp

from tests.auth import Auth
from tests.contract.auth_flows import claims

ADA = "ada@example.com"


class App:
    """One installation of the app: its session, and what it does with it."""

    def __init__(self, auth: Auth, session: dict[str, Any]) -> None:
        self.auth = auth
        self.session = session
        self.secret = ""
        self.factor = ""

    @property
    def token(self) -> str:
        return str(self.session["access_token"])

    @property
    def aal(self) -> str:
        return str(claims(self.token)["aal"])

    @property
    def amr(self) -> list[str]:
        return [entry["method"] for entry in claims(self.token)["amr"]]

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        return await self.auth.ask(method, path, body, token=self.token)

    async def enroll(self, name: str = "app", **fields: Any) -> Any:
        answer = await self.ask("POST", "/factors", {"factor_type": "totp", "friendly_name": name, **fields})
        assert answer.status_code == 200, answer.text
        self.factor = answer.json()["id"]
        if "totp" in answer.json():
            self.secret = answer.json()["totp"]["secret"]
        return answer.json()

    def code(self, steps: int = 0) -> str:
        return pyotp.TOTP(self.secret).at(int(self.auth.clock.now().timestamp()), counter_offset=steps)

    async def challenge(self, **body: Any) -> Any:
        answer = await self.ask("POST", f"/factors/{self.factor}/challenge", body or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def answer(self, challenge_id: str, code: str) -> Any:
        return await self.ask("POST", f"/factors/{self.factor}/verify", {"challenge_id": challenge_id, "code": code})

    async def verify(self, code: str | None = None) -> Any:
        """With a fresh challenge; a success makes the session the new one."""
        answer = await self.answer((await self.challenge())["id"], code or self.code())
        if answer.status_code == 200:
            self.session = answer.json()
        return answer

    async def protect(self) -> App:
        """Enroll TOTP and verify it."""
        await self.enroll()
        answer = await self.verify()
        assert answer.status_code == 200, answer.text
        return self

    async def next_step(self) -> None:
        """Until the app shows another code."""
        self.auth.clock.advance(seconds=30)


async def installed(auth: Auth, address: str = ADA) -> App:
    """Signed up, or in."""
    answer = await auth.sign_in(address)
    return App(auth, answer.json() if answer.status_code == 200 else await auth.sign_up(address))


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error_code", "")
