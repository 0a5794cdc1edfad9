"""Whether a captcha was solved, asked of who gave it out. Turnstile and hCaptcha speak alike."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from mbaas.adapters.egress import check_url, post
from mbaas.config.settings import CaptchaSettings
from mbaas.core.errors import ConfigError, MbaasError, Unavailable
from mbaas.core.later import later

if TYPE_CHECKING:
    import httpx
else:
    httpx = later("httpx")

_URLS = {
    "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    "hcaptcha": "https://api.hcaptcha.com/siteverify",
}
MAX_TOKEN = 4096  # characters; Turnstile's have 2048 at most


class _Told(msgspec.Struct, frozen=True):
    success: bool
    error_codes: list[str] = msgspec.field(default_factory=list, name="error-codes")


class Captcha:
    def __init__(self, settings: CaptchaSettings) -> None:
        """Raises ConfigError without a secret, and for a URL that will not be asked."""
        if not settings.secret:
            raise ConfigError(
                "[auth.captcha] needs `secret`", hint='secret = "env:…"; or auth.captcha.provider = "none"'
            )
        self._private = settings.verify_url is not None
        self._url = settings.verify_url or _URLS[settings.provider]
        check_url(self._url, allow_private=self._private)
        self._secret = settings.secret
        # No proxy of the environment: it would resolve names by itself.
        self._client = httpx.AsyncClient(timeout=settings.timeout_s, trust_env=False)

    async def failure(self, token: str, ip: str | None) -> str | None:
        """Why a token is not taken, ``None`` when it is. Raises Unavailable when nobody can tell."""
        if not token:
            return "no captcha_token"
        if len(token) > MAX_TOKEN:
            return "invalid-input-response"
        fields = {"secret": self._secret, "response": token, **({"remoteip": ip} if ip else {})}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        content = urlencode(fields).encode()
        try:
            answer = await post(self._client, self._url, allow_private=self._private, headers=headers, content=content)
            if answer.status_code >= 500:
                raise Unavailable(f"status {answer.status_code}")
            told = msgspec.json.decode(answer.content, type=_Told)
        except (httpx.HTTPError, msgspec.DecodeError, MbaasError) as error:
            raise Unavailable("the captcha cannot be checked now", hint="try again") from error
        return None if told.success else ", ".join(told.error_codes)[:200] or "not solved"

    async def close(self) -> None:
        await self._client.aclose()


def choose_captcha(settings: CaptchaSettings) -> Captcha | None:
    """As ``[auth.captcha]`` says; ``None``: nobody is asked. Raises ConfigError."""
    return None if settings.provider == "none" else Captcha(settings)
