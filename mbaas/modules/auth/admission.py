"""What stands before a flow that makes accounts, sends messages or checks a password: a captcha, and a count."""

from __future__ import annotations

from mbaas.adapters.captcha import Captcha
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.bodies import Security
from mbaas.modules.auth.errors import CaptchaFailed
from mbaas.modules.auth.throttle import Throttle


class Admission:
    """captcha: ``None``: none is wanted."""

    def __init__(self, *, captcha: Captcha | None, throttle: Throttle) -> None:
        self._captcha = captcha
        self._throttle = throttle

    async def check(self, security: Security | None, *, asked: Asked) -> None:
        """Raises CaptchaFailed, Unavailable. A server with the service key has solved none and needs none."""
        if self._captcha is None or asked.identity.bypasses_rules:
            return
        failure = await self._captcha.failure((security and security.captcha_token) or "", asked.ip)
        if failure is not None:
            raise CaptchaFailed(f"captcha protection: request disallowed ({failure})")

    async def message(self, security: Security | None, *, asked: Asked) -> None:
        """The same, for what makes an account or sends a message. Raises RateLimited, too."""
        await self.check(security, asked=asked)
        await self._throttle.message(asked=asked)

    async def close(self) -> None:
        if self._captcha is not None:
            await self._captcha.close()
