"""A captcha, asked of a provider that a test has in its hand."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

import pytest

from mbaas.adapters.captcha import choose_captcha
from mbaas.config.settings import CaptchaSettings
from mbaas.core.errors import ConfigError
from tests.auth import PASSWORD, Auth, make_config, open_auth
from tests.integration.auth.test_sessions import count
from tests.phone_service import PhoneService, phone_service

SECRET = "0x4AAAAAAA-secret"
ASKS: list[tuple[str, dict[str, Any]]] = [
    ("/signup", {"email": "new@example.com", "password": PASSWORD}),
    ("/signup", {}),
    ("/token?grant_type=password", {"email": "ada@example.com", "password": PASSWORD}),
    ("/otp", {"email": "ada@example.com"}),
    ("/magiclink", {"email": "ada@example.com"}),
    ("/recover", {"email": "ada@example.com"}),
    ("/resend", {"type": "signup", "email": "ada@example.com"}),
]


@pytest.fixture
def provider() -> Iterator[PhoneService]:
    with phone_service() as service:
        yield service


@pytest.fixture(params=["turnstile", "hcaptcha"])
async def guarded(request: pytest.FixtureRequest, provider: PhoneService, database_url: str) -> AsyncIterator[Auth]:
    captcha = CaptchaSettings(
        provider=request.param, secret=SECRET, verify_url=provider.url + "/siteverify", timeout_s=2
    )
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        async with open_auth(database_url, make_config(Path(name), autoconfirm=True, captcha=captcha)) as auth:
            made = {"email": "ada@example.com", "password": PASSWORD, "email_confirm": True}
            await auth.post("/admin/users", made, key=auth.service_key)
            yield auth


async def test_nobody_gets_on_without_a_solved_captcha(guarded: Auth, provider: PhoneService) -> None:
    provider.answers = [(200, b'{"success": false, "error-codes": ["timeout-or-duplicate"]}')]
    for path, body in ASKS:
        missing = await guarded.post(path, body)
        assert (missing.status_code, missing.json().get("error_code")) == (400, "captcha_failed"), path
        failed = await guarded.post(path, {**body, "gotrue_meta_security": {"captcha_token": "solved"}})
        assert failed.status_code == 400, path
        assert failed.json()["msg"] == "captcha protection: request disallowed (timeout-or-duplicate)", path
    assert await count(guarded, "users") == 1
    assert len(provider.asked) == len(ASKS)
    assert parse_qs(provider.asked[0].body.decode()) == {
        "secret": [SECRET], "response": ["solved"], "remoteip": ["127.0.0.1"]
    }  # fmt: skip


async def test_a_solved_one_lets_through_and_refreshing_takes_none(guarded: Auth, provider: PhoneService) -> None:
    provider.answers = [(200, b'{"success": true, "hostname": "app.example.com", "error-codes": []}')]
    for path, body in ASKS:
        answer = await guarded.post(path, {**body, "gotrue_meta_security": {"captcha_token": "solved"}})
        assert answer.status_code == 200, (path, answer.text)
        if "refresh_token" in answer.json():
            token = answer.json()["refresh_token"]
    assert (await guarded.refresh(token)).status_code == 200
    body = {"email": "ada@example.com", "password": PASSWORD}
    assert (await guarded.post("/token?grant_type=password", body, key=guarded.service_key)).status_code == 200


@pytest.mark.parametrize("answer", [(500, b""), (200, b"<html>"), (200, b"{}")])
async def test_nobody_gets_on_when_it_cannot_be_checked(
    guarded: Auth, provider: PhoneService, answer: tuple[int, bytes]
) -> None:
    provider.answers = [answer]
    body = {**ASKS[0][1], "gotrue_meta_security": {"captcha_token": "solved"}}
    refused = await guarded.post("/signup", body)
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert SECRET not in refused.text


@pytest.mark.parametrize("provider_name", ["turnstile", "hcaptcha"])
def test_a_captcha_needs_its_secret(provider_name: Literal["turnstile", "hcaptcha"]) -> None:
    assert choose_captcha(CaptchaSettings()) is None
    with pytest.raises(ConfigError, match="needs `secret`"):
        choose_captcha(CaptchaSettings(provider=provider_name))
    with pytest.raises(ConfigError, match="no URL"):
        choose_captcha(CaptchaSettings(provider=provider_name, secret="x", verify_url="ftp://relay"))
