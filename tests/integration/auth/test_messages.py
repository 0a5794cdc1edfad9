"""Mails and SMS of whole flows: in whose language, in whose words, and what a slow or dead mail server costs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mbaas.adapters.outbox.engine import Outbox
from mbaas.config.settings import HttpSmsSettings, MessageSettings, OutboxSettings, SmsSettings
from mbaas.core.sql.fragment import Statement
from tests.auth import PASSWORD, Auth, make_config, open_auth
from tests.phone_service import phone_service
from tests.postbox import Postbox, free_port, serving, settings_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd.*")
GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}


async def test_a_mail_is_in_the_language_of_the_user_else_of_the_browser(auth: Auth) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    await auth.post("/signup", body, headers=GERMAN)
    assert (await auth.mail("ada@example.com")).subject == "Bestätigen Sie Ihre Adresse - Fieldnotes"
    await auth.post("/signup", {**body, "email": "bob@example.com", "data": {"locale": "en-GB"}}, headers=GERMAN)
    assert (await auth.mail("bob@example.com")).subject == "Confirm your address - Fieldnotes"
    await auth.post("/recover", {"email": "ada@example.com"}, headers={"accept-language": "fr, xx;q=0"})
    assert (await auth.mail("ada@example.com")).subject == "Set a new password - Fieldnotes"


async def test_only_a_proven_address_is_greeted_by_name(auth: Auth) -> None:
    await auth.sign_up("ada@example.com", data={"name": "Call 555 now"})
    letter = await auth.mail("ada@example.com")
    assert "555" not in letter.text + letter.html
    await auth.open(letter.link)
    await auth.post("/recover", {"email": "ada@example.com"})
    assert "Hello Call 555 now," in (await auth.mail("ada@example.com")).text


async def test_the_owner_of_an_account_is_told_of_changes_to_it(easy: Auth) -> None:
    token = (await easy.sign_up("ada@example.com"))["access_token"]
    await easy.put("/user", {"password": "another horse battery"}, token=token)
    assert (await easy.mail("ada@example.com")).subject == "Your password was changed - Fieldnotes"
    await easy.put("/user", {"email": "ada@new.example"}, token=token)
    current = (await easy.mails("ada@example.com"))[-1]
    assert "instead of this one" in current.text
    await easy.open(current.link)
    await easy.open((await easy.mail("ada@new.example")).link)
    told = (await easy.mails("ada@example.com"))[-1]
    assert told.subject == "Your address was changed - Fieldnotes"
    assert "ada@new.example" in told.text


async def test_notices_can_be_off_and_a_sign_in_mail_can_have_a_code_alone(database_url: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, autoconfirm=True, messages=MessageSettings(notices=False, sign_in="code"))
    async with open_auth(database_url, config) as auth:
        token = (await auth.sign_up("ada@example.com"))["access_token"]
        await auth.put("/user", {"password": "another horse battery"}, token=token)
        assert await auth.mails() == []
        await auth.post("/otp", {"email": "ada@example.com"})
        letter = await auth.mail("ada@example.com")
        assert "http" not in letter.text
        answer = await auth.post("/verify", {"type": "email", "email": "ada@example.com", "token": letter.code})
        assert answer.status_code == 200


async def test_the_service_key_sets_a_text_that_is_tried_before_it_counts(auth: Auth) -> None:
    key = {"key": auth.service_key}
    listed = (await auth.get("/admin/messages", **key)).json()["messages"]
    confirm = next(one for one in listed if one["kind"] == "confirm")
    assert (confirm["locales"], confirm["stored"]) == (["de", "en"], [])
    path = "/admin/messages/confirm/en"
    assert (await auth.get(path, **key)).json()["subject"] == "Confirm your address - {{ app }}"
    for texts, told in (
        ({"subject": "Hi", "text": "Hello {{ nam }} {{ code }}"}, "nam"),
        ({"subject": "Hi", "text": "Hello"}, "does not show"),
        ({"text": "{{ code }}"}, "subject"),
    ):
        refused = await auth.put(path, texts, **key)
        assert (refused.status_code, told in refused.text) == (400, True), refused.text
    tried = await auth.post(f"{path}/preview", {"subject": "Hi {{ name }}", "text": "{{ code }}"}, **key)
    assert tried.json() == {"subject": "Hi Ada", "text": "123456\n", "html": None}
    assert (await auth.put(path, {"subject": "Our own", "text": "{{ link }} {{ code }}"}, **key)).status_code == 200
    await auth.sign_up("ada@example.com")
    await auth.settle()
    (only,) = (auth.config.data / "mail").glob("*.eml")
    assert b"Subject: Our own" in only.read_bytes()
    assert (await auth.post(f"{path}/preview", **key)).json()["subject"] == "Our own"
    assert (await auth.delete(path, **key)).json() == {}
    assert (await auth.delete(path, **key)).status_code == 404
    assert (await auth.put(path, {"subject": "Hi", "text": "{{ code }}"})).status_code in (401, 403)


@pytest.fixture
def box() -> tuple[Postbox, int]:
    return Postbox(), free_port()


async def test_a_mail_server_that_was_down_gets_each_mail_once(
    box: tuple[Postbox, int], database_url: str, tmp_path: Path
) -> None:
    postbox, port = box
    config = make_config(tmp_path, mail=settings_for(port), outbox=OutboxSettings(retry_s=0.05, max_attempts=50))
    async with open_auth(database_url, config) as auth:
        for number in range(5):
            await auth.sign_up(f"user{number}@example.com")
        await auth.settle()
        assert len(await auth.app.services.outbox.rows.list()) == 5
        with serving(postbox, port):
            async with asyncio.timeout(20):
                while await auth.app.services.outbox.rows.list():
                    await asyncio.sleep(0.02)
            assert sorted(str(message["to"]) for message in postbox.received) == [
                f"user{number}@example.com" for number in range(5)
            ]
            assert len({message["message-id"] for message in postbox.received}) == 5


async def test_the_api_is_fast_and_phones_and_other_domains_are_written_to_while_a_domain_hangs(
    box: tuple[Postbox, int], database_url: str, tmp_path: Path
) -> None:
    postbox, port = box
    postbox.hanging = {"hanging.example"}
    outbox = OutboxSettings(per_destination=2, lease_s=60.0)
    sms = SmsSettings(provider="console")
    config = make_config(tmp_path, mail=settings_for(port, timeout_s=20), outbox=outbox, sms=sms)
    with serving(postbox, port):
        async with open_auth(database_url, config) as auth:
            async with asyncio.timeout(15):  # less than the first letter hangs, so nobody waits for it
                for number in range(6):
                    answer = await auth.post("/otp", {"email": f"user{number}@hanging.example"})
                    assert answer.status_code == 200
                await auth.post("/otp", {"email": "ada@example.com"})
                await auth.post("/otp", {"phone": "+4915112345678"})
                while not postbox.received or not list((auth.config.data / "sms").glob("*.txt")):
                    await asyncio.sleep(0.01)
            assert [message["to"] for message in postbox.received] == ["ada@example.com"]


async def test_a_copy_of_the_database_has_no_code_and_no_link(database_url: str, tmp_path: Path) -> None:
    # Ten digits: six are found by chance, in a time or a hash.
    config = make_config(tmp_path, mail=settings_for(9), sms=SmsSettings(provider="console"), otp_length=10)
    put: list[Any] = []
    original = Outbox.put

    async def remember(self: Outbox, transaction: Any, parcel: Any) -> str:
        put.append(parcel.payload)
        return await original(self, transaction, parcel)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Outbox, "put", remember)
        async with open_auth(database_url, config) as auth:
            await auth.sign_up("ada@example.com")
            await auth.post("/otp", {"email": "ada@example.com"})
            await auth.settle()
            dump = ""
            for schema, table in await auth.database.fetch_rows(
                Statement("select schemaname, tablename from pg_tables where schemaname in ('auth', 'mbaas')")
            ):
                query = (
                    f"select string_agg(t::text, chr(10)) || string_agg(to_jsonb(t)::text, '') from {schema}.{table} t"
                )
                row = await auth.database.fetch_row(Statement(query))
                dump += str(row)
            in_text = [message for message in put if hasattr(message, "values")]
            assert len(in_text) == 2
            for message in in_text:
                for secret in (message.values["code"], message.values["link"].partition("token=")[2][:56]):
                    assert secret not in dump
                    assert secret.encode().hex() not in dump  # how bytes stand in a dump


async def test_a_code_goes_out_through_a_provider_over_http(database_url: str, tmp_path: Path) -> None:
    with phone_service() as service:
        service.answers[:] = [(503, b""), (200, b'{"id": "x"}')]
        sms = SmsSettings(provider="http", http=HttpSmsSettings(url=f"{service.url}/sms", allow_private=True))
        async with open_auth(database_url, make_config(tmp_path, sms=sms)) as auth:
            await auth.post("/otp", {"phone": "+4915112345678", "channel": "whatsapp"}, headers=GERMAN)
            async with asyncio.timeout(5):
                while len(service.asked) < 2:
                    await auth.settle()
            first, second = service.asked
            assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
            assert "ist Ihr Code" in second.body.decode()
            assert '"channel":"whatsapp"' in second.body.decode()
