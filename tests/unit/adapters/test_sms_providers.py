"""Each provider is asked in the form it documents, over real HTTP, and its refusals are told from its failures."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest

from mbaas.adapters.egress import check_url, is_public, resolve
from mbaas.adapters.sms.choose import choose_sms
from mbaas.adapters.sms.provider import Sms, SmsProvider
from mbaas.config.settings import (
    HttpSmsSettings,
    MessageBirdSettings,
    SmsSettings,
    TwilioSettings,
    VonageSettings,
)
from mbaas.core.errors import ConfigError, Unavailable, Undeliverable
from tests.phone_service import Asked, PhoneService, phone_service

SMS = Sms(id="6f1c", to="4915112345678", text="123456 ist Ihr Code für Ä", channel="sms", code="123456")
WHATSAPP = msgspec.structs.replace(SMS, channel="whatsapp")


@pytest.fixture(scope="module")
def service() -> Iterator[PhoneService]:
    with phone_service() as opened:
        yield opened


@pytest.fixture(autouse=True)
def reset(service: PhoneService) -> None:
    service.asked.clear()
    service.headers.clear()
    service.answers[:] = [(200, b"{}")]


def provider(name: str, service: PhoneService, tmp_path: Path, **changes: object) -> SmsProvider:
    settings = SmsSettings(
        provider=name,  # type: ignore[arg-type]
        timeout_s=2.0,
        twilio=TwilioSettings(
            **{"account_sid": "AC1", "auth_token": "t", "sender": "+1500", "base_url": service.url, **changes}  # type: ignore[arg-type]
        )
        if name == "twilio"
        else TwilioSettings(),
        vonage=VonageSettings(
            api_key="k", api_secret="s", sender="Notes", whatsapp_sender="1415", base_url=service.url
        ),
        messagebird=MessageBirdSettings(
            access_key="a", sender="Notes", whatsapp_channel="ch1", base_url=service.url, conversations_url=service.url
        ),
        http=HttpSmsSettings(url=f"{service.url}/send", token="tok", allow_private=True),
    )
    chosen = choose_sms(settings, tmp_path)
    assert chosen is not None
    return chosen


async def ask(name: str, service: PhoneService, tmp_path: Path, sms: Sms, **changes: object) -> Asked:
    chosen = provider(name, service, tmp_path, **changes)
    try:
        await chosen.send(sms)
    finally:
        await chosen.close()
    return service.asked[-1]


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_twilio_takes_a_form(service: PhoneService, tmp_path: Path) -> None:
    service.answers[:] = [(201, b'{"sid": "SM1", "status": "queued", "error_code": null}')]
    asked = await ask("twilio", service, tmp_path, SMS)
    assert asked.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert asked.headers["authorization"] == basic("AC1", "t")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {"To": ["+4915112345678"], "From": ["+1500"], "Body": [SMS.text]}
    asked = await ask("twilio", service, tmp_path, SMS, sender="MG77")
    assert parse_qs(asked.body.decode())["MessagingServiceSid"] == ["MG77"]
    asked = await ask("twilio", service, tmp_path, WHATSAPP, whatsapp_sender="+1600", content_sid="HX1")
    assert parse_qs(asked.body.decode()) == {
        "To": ["whatsapp:+4915112345678"],
        "From": ["whatsapp:+1600"],
        "ContentSid": ["HX1"],
        "ContentVariables": ['{"1":"123456"}'],
    }
    service.answers[:] = [(201, b'{"sid": "SM1", "status": "failed", "error_code": 30006}')]
    with pytest.raises(Undeliverable, match="30006"):
        await ask("twilio", service, tmp_path, SMS)
    assert provider("twilio", service, tmp_path).channels == {"sms"}


async def test_vonage_takes_json(service: PhoneService, tmp_path: Path) -> None:
    service.answers[:] = [(202, b'{"message_uuid": "aaaaaaaa"}')]
    asked = await ask("vonage", service, tmp_path, SMS)
    assert (asked.path, asked.headers["authorization"]) == ("/v1/messages", basic("k", "s"))
    wanted = {"message_type": "text", "channel": "sms", "from": "Notes", "to": SMS.to, "text": SMS.text}
    assert msgspec.json.decode(asked.body) == {**wanted, "client_ref": "6f1c"}
    asked = await ask("vonage", service, tmp_path, WHATSAPP)
    assert msgspec.json.decode(asked.body) == {**wanted, "channel": "whatsapp", "from": "1415", "client_ref": "6f1c"}


async def test_messagebird_takes_json(service: PhoneService, tmp_path: Path) -> None:
    service.answers[:] = [(201, b'{"id": "b"}')]
    asked = await ask("messagebird", service, tmp_path, SMS)
    assert (asked.path, asked.headers["authorization"]) == ("/messages", "AccessKey a")
    assert msgspec.json.decode(asked.body) == {
        "originator": "Notes",
        "recipients": [SMS.to],
        "body": SMS.text,
        "datacoding": "auto",
        "reference": "6f1c",
    }
    asked = await ask("messagebird", service, tmp_path, WHATSAPP)
    assert asked.path == "/v1/send"
    assert msgspec.json.decode(asked.body) == {
        "to": "+4915112345678",
        "from": "ch1",
        "type": "text",
        "content": {"text": SMS.text},
    }


async def test_a_service_of_ones_own_gets_json_and_an_idempotency_key(service: PhoneService, tmp_path: Path) -> None:
    asked = await ask("http", service, tmp_path, WHATSAPP)
    assert asked.path == "/send"
    assert (asked.headers["authorization"], asked.headers["idempotency-key"]) == ("Bearer tok", "6f1c")
    assert asked.headers["host"] == service.url.removeprefix("http://")
    assert msgspec.json.decode(asked.body) == {
        "id": "6f1c",
        "to": "+4915112345678",
        "channel": "whatsapp",
        "text": SMS.text,
    }


@pytest.mark.parametrize("name", ["twilio", "vonage", "messagebird", "http"])
async def test_a_refusal_of_the_message_is_told_from_a_failure(
    name: str, service: PhoneService, tmp_path: Path
) -> None:
    body = b'{"code": 21211, "errors": [{"code": 9, "description": "+4915112345678 is wrong"}], "message": "4915112345678"}'
    for status in (400, 422):
        service.answers[:] = [(status, body)]
        with pytest.raises(Undeliverable) as refused:
            await ask(name, service, tmp_path, SMS)
        assert "4915112345678" not in refused.value.message
    for status in (401, 402, 429, 500, 503, 302):
        service.answers[:] = [(status, b"no json")]
        service.headers["location"] = f"{service.url}/elsewhere"
        with pytest.raises(Unavailable, match=str(status)):
            await ask(name, service, tmp_path, SMS)
    assert {asked.path for asked in service.asked} & {"/elsewhere"} == set()


async def test_a_provider_that_is_not_there_is_unavailable(service: PhoneService, tmp_path: Path) -> None:
    gone = PhoneService()
    gone.url = "http://127.0.0.1:9"
    with pytest.raises(Unavailable):
        await ask("vonage", gone, tmp_path, SMS)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::"],
)  # fmt: skip
def test_an_address_that_is_not_on_the_internet_is_none_to_post_to(address: str) -> None:
    assert not is_public(address)


async def test_a_private_destination_is_refused_before_a_connection(service: PhoneService, tmp_path: Path) -> None:
    for url in ("http://sms.example.com/", "ftp://sms.example.com", "https://user:pw@sms.example.com/", "https:///x"):
        with pytest.raises(ConfigError):
            check_url(url, allow_private=False)
    port = service.url.rpartition(":")[2]
    settings = HttpSmsSettings(url=f"https://localhost:{port}/send")
    chosen = choose_sms(SmsSettings(provider="http", http=settings), tmp_path)
    assert chosen is not None
    with pytest.raises(Undeliverable, match="public"):
        await chosen.send(SMS)
    await chosen.close()
    assert service.asked == []
    assert await resolve("localhost", 1, allow_private=True) in ("127.0.0.1", "::1")


def test_what_a_provider_needs_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[sms.twilio\] needs `auth_token`"):
        choose_sms(SmsSettings(provider="twilio", twilio=TwilioSettings(account_sid="AC1")), tmp_path)
    assert choose_sms(SmsSettings(), tmp_path) is None


async def test_the_console_leaves_a_file_for_its_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = choose_sms(SmsSettings(provider="console"), tmp_path)
    assert chosen is not None
    await chosen.send(SMS)
    (path,) = (tmp_path / "sms").iterdir()
    assert path.read_text() == f"sms to +4915112345678: {SMS.text}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr() == ("", ""), "no terminal, so nothing that a log would keep"
