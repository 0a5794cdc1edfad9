"""The reference of settings and the demo app say what the code does."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mbaas.config import reference
from mbaas.config.inputs import (
    CollectionInput,
    FieldInput,
    FunctionInput,
    IndexInput,
    RelationInput,
    RulesInput,
    SearchInput,
)
from mbaas.config.load import SECTIONS, load
from mbaas.config.settings import ProviderSettings
from mbaas.core.rules.compile import compile_rules

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "settings.md"
DEMO = REPOSITORY / "mbaas.toml"
# Where no default can stand, or the demo app shows it with a value of its own.
EXAMPLES = {
    "server.public_url",
    "database.url",
    "mail.host",
    "mail.username",
    "mail.password",
    "sms.twilio.account_sid",
    "sms.twilio.auth_token",
    "sms.twilio.sender",
    "sms.twilio.whatsapp_sender",
    "sms.twilio.content_sid",
    "sms.vonage.api_key",
    "sms.vonage.api_secret",
    "sms.vonage.sender",
    "sms.vonage.whatsapp_sender",
    "sms.messagebird.access_key",
    "sms.messagebird.sender",
    "sms.messagebird.whatsapp_channel",
    "sms.http.url",
    "auth.mfa_issuer",
    "auth.webauthn_rp_id",
    "sms.http.token",
    "app.name",
    "app.site_url",
    "app.redirect_urls",
    "auth.autoconfirm",
    "auth.anonymous",
    "auth.providers",
    "auth.claims",
    "auth.captcha.secret",
    "auth.captcha.verify_url",
}


def settings() -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    """``limits.rate.per_ip`` and its field, for every setting."""

    def below(path: str, kind: type[msgspec.Struct]) -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
        for field in msgspec.structs.fields(kind):
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                yield from below(f"{path}.{field.name}", field.type)
            else:
                yield f"{path}.{field.name}", field

    for name, kind in SECTIONS.items():
        yield from below(name, kind)


def mentioned() -> dict[str, str]:
    """Every setting that the demo app names, also in a comment, and what stands behind it."""
    found: dict[str, str] = {}
    table = ""
    for line in DEMO.read_text().splitlines():
        if header := re.match(r"\[([a-z0-9.]+)\]", line):
            table = header[1]
        elif key := re.match(r"(?:# )?([a-z_]+) = (.*)", line):
            found[f"{table}.{key[1]}"] = key[2]
    return found


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == reference.reference(), (
        "docs/reference/settings.md lags; run: .venv/bin/python -m mbaas.config.reference > docs/reference/settings.md"
    )


@pytest.mark.parametrize(
    "kind",
    [
        *SECTIONS.values(),
        CollectionInput,
        FieldInput,
        RulesInput,
        IndexInput,
        RelationInput,
        SearchInput,
        FunctionInput,
        ProviderSettings,
    ],
)
def test_every_key_has_a_meaning(kind: type[msgspec.Struct]) -> None:
    summary, said = reference.meanings(kind)
    wanted = {
        field.name
        for field in msgspec.structs.fields(kind)
        if not (kind in SECTIONS.values() and isinstance(field.default, msgspec.Struct))
    }
    assert summary
    assert set(said) == wanted
    assert all(said.values())


def test_the_demo_app_loads_and_its_rules_compile() -> None:
    config = load(DEMO, {})
    rules = compile_rules(config.catalog)
    assert set(config.catalog.collections) >= {"profiles", "posts", "comments", "tags", "notes", "posts_tags"}
    assert rules.catalog is config.catalog


@pytest.mark.parametrize("name", [name for name, _ in settings()])
def test_the_demo_app_shows_every_setting(name: str) -> None:
    assert name in mentioned(), f"mbaas.toml says nothing of {name}: add it as a comment, with its default and unit"


@pytest.mark.parametrize(("name", "field"), [given for given in settings() if given[0] not in EXAMPLES])
def test_the_demo_app_shows_the_real_default(name: str, field: msgspec.structs.FieldInfo) -> None:
    shown = tomllib.loads(f"value = {mentioned()[name]}")["value"]
    wanted = reference.toml_default(field)
    assert wanted is not None
    assert shown == tomllib.loads(f"value = {wanted}")["value"]


def test_the_demo_app_shows_no_setting_that_does_not_exist() -> None:
    known = {name for name, _ in settings()}
    shown = {name for name in mentioned() if name.partition(".")[0] in SECTIONS}
    assert shown - known == set()
