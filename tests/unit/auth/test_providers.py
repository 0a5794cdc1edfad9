"""What each provider says of a person, and what its settings need."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from mbaas.adapters.egress import Answer
from mbaas.config.settings import ProviderSettings
from mbaas.core.errors import ConfigError
from mbaas.modules.auth.providers import provider as provider_module
from mbaas.modules.auth.providers.apple_secret import apple_secret
from mbaas.modules.auth.providers.id_token import Expected, IdTokenRefused, check_id_token
from mbaas.modules.auth.providers.presets import PRESETS
from mbaas.modules.auth.providers.profile import standard
from mbaas.modules.auth.providers.provider import Provider, build_providers

CALLBACK = "https://api.example.com/auth/v1/callback"
OAUTH_2 = sorted(name for name, preset in PRESETS.items() if not preset.discovery)
SAMPLES: dict[str, tuple[dict[str, Any], tuple[str, str | None, bool, str | None]]] = {
    "discord": (
        {"id": "80", "username": "ada", "global_name": "Ada", "avatar": "f00", "email": "ada@x.org", "verified": True},
        ("80", "ada@x.org", True, "Ada"),
    ),
    "facebook": (
        {"id": "1", "name": "Ada", "email": "ada@x.org", "picture": {"data": {"url": "https://x.org/a.png"}}},
        ("1", "ada@x.org", True, "Ada"),
    ),
    "github": (
        {
            "id": 7,
            "login": "ada",
            "name": "Ada",
            "email": "shown@x.org",
            "emails": [
                {"email": "second@x.org", "primary": False, "verified": True},
                {"email": "Ada@X.org", "primary": True, "verified": False},
            ],
        },
        ("7", "ada@x.org", False, "Ada"),
    ),
    "spotify": ({"id": "s", "display_name": "Ada", "email": "ada@x.org"}, ("s", "ada@x.org", False, "Ada")),
    "twitch": (
        {"data": [{"id": "44", "login": "ada", "display_name": "Ada", "email": "ada@x.org"}]},
        ("44", "ada@x.org", True, "Ada"),
    ),
    "x": (
        {"data": {"id": "9", "name": "Ada", "username": "ada", "confirmed_email": "ada@x.org"}},
        ("9", "ada@x.org", True, "Ada"),
    ),
    "azure": (
        {"sub": "m", "email": "ada@x.org", "email_verified": True, "name": "Ada"},
        ("m", "ada@x.org", False, "Ada"),
    ),
    "microsoft": ({"sub": "m", "email": "ada@x.org", "xms_edov": "1"}, ("m", "ada@x.org", True, None)),
    "apple": ({"sub": "a", "email": "ada@x.org", "email_verified": "true"}, ("a", "ada@x.org", True, None)),
    "google": ({"sub": "g", "email": "ada@x.org", "email_verified": "false"}, ("g", "ada@x.org", False, None)),
}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_provider_is_read_in_its_own_words(name: str) -> None:
    said, wanted = SAMPLES[name]
    found = PRESETS[name].read("https://issuer.example", said)
    assert (found.subject, found.email, found.email_verified, found.claims.get("full_name")) == wanted
    assert found.data()["iss"] == "https://issuer.example"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = ("sub", "id", "data", "email", "email_verified", "emails", "name", "picture", "images", "avatar", "xms_edov")


@given(st.sampled_from(sorted(PRESETS)), st.dictionaries(st.sampled_from(KEYS), JSON))
@example("github", {"id": 1, "emails": True})
@settings(max_examples=200, deadline=None)
def test_whatever_a_provider_says_is_a_person_or_nobody(name: str, said: dict[str, Any]) -> None:
    try:
        found = PRESETS[name].read("https://issuer.example", said)
    except ValueError:
        return
    assert 0 < len(found.subject) <= 255
    assert found.email or not found.email_verified
    assert all(isinstance(text, str) and text.isprintable() for text in found.claims.values())


@pytest.mark.parametrize("said", [True, "true", 1, "1"])
def test_an_address_is_verified_only_when_it_is_said(said: Any) -> None:
    assert standard("i", {"sub": "a", "email": "a@x.org", "email_verified": said}).email_verified
    for other in (False, "false", 0, None, "yes", [True], 2):
        assert not standard("i", {"sub": "a", "email": "a@x.org", "email_verified": other}).email_verified


class Canned:
    """The answers of a provider by address, and what it was asked: these speak from the internet alone."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    async def fetch(
        self, client: Any, method: str, url: str, *, headers: dict[str, str], content: bytes = b"", **_: Any
    ) -> Answer:
        self.asked.append((method, url, {name.lower(): text for name, text in headers.items()}, content))
        return Answer(200, self.answers[url])


@pytest.mark.parametrize("name", OAUTH_2)
async def test_a_known_provider_is_asked_at_its_addresses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = PRESETS[name]
    said = SAMPLES[name][0]
    token = b'{"access_token":"their token","token_type":"bearer"}'
    answers = {str(preset.token_url): token, str(preset.userinfo_url): msgspec.json.encode(said)}
    if preset.emails_url:
        answers[preset.emails_url] = msgspec.json.encode(said["emails"])
    canned = Canned(answers)
    monkeypatch.setattr(provider_module, "fetch", canned.fetch)
    found = Provider(name, ProviderSettings(client_id="app", client_secret="secret"), callback=CALLBACK)
    url = await found.address("state", verifier="v" * 43, nonce="n", scopes=(), asked={})
    asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(str(preset.authorize_url))
    assert asked["scope"] == " ".join(preset.scopes)
    assert ("code_challenge" in asked) is (preset.pkce is True)
    assert "nonce" not in asked
    profile, tokens = await found.exchange("the code", verifier="v" * 43, nonce="n", now=datetime.now(UTC))
    assert (profile.issuer, profile.subject) == (preset.issuer, SAMPLES[name][1][0])
    assert tokens.access_token == "their token"
    _, _, headers, content = canned.asked[0]
    body = {key: values[0] for key, values in parse_qs(content.decode()).items()}
    assert (body["code"], body["redirect_uri"], body["grant_type"]) == ("the code", CALLBACK, "authorization_code")
    assert ("code_verifier" in body) is (preset.pkce is True)
    basic = headers.get("authorization", "").startswith("Basic ")
    assert basic is (preset.auth_method != "client_secret_post")
    assert (body.get("client_secret") == "secret") is not basic
    assert canned.asked[1][2]["authorization"] == "Bearer their token"
    assert (canned.asked[1][2].get("client-id") == "app") is preset.headers_client_id


def test_apples_secret_is_signed_and_lasts_minutes() -> None:
    key = ECKey.generate_key("P-256")
    text = apple_secret(key.as_pem(private=True).decode(), team_id="T", key_id="K", client_id="app", now=1000)
    token = jwt.decode(text, key, algorithms=["ES256"])
    assert token.header == {"typ": "JWT", "alg": "ES256", "kid": "K"}
    assert token.claims == {"iss": "T", "sub": "app", "aud": "https://appleid.apple.com", "iat": 1000, "exp": 1300}


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("acme", {"client_id": "x"}, "has no issuer"),
        ("keycloak", {"client_id": "x"}, "has no issuer"),
        *(
            (name, {"client_id": "x", "issuer": "https://x.example"}, "of our own")
            for name in ("email", "phone", "web3")
        ),
        ("google", {}, "has no client_id"),
        ("acme", {"client_id": "x", "issuer": "http://login.example"}, "would go in clear"),
        ("acme", {"client_id": "x", "issuer": "https://u:p@login.example"}, "is no URL"),
        ("apple", {"client_id": "x", "private_key": "no key"}, "is no key of Apple's"),
        ("apple", {"client_id": "x", "private_key": RSAKey.generate_key(2048).as_pem(private=True).decode()}, "no key"),
        (
            "apple",
            {"client_id": "x", "private_key": ECKey.generate_key("P-256").as_pem(private=True).decode()},
            "needs team_id",
        ),
    ],
)
def test_settings_that_cannot_work_stop_the_start(name: str, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_providers({name: ProviderSettings(**fields)}, callback=CALLBACK)
    assert build_providers({name: ProviderSettings(**fields, enabled=False)}, callback=CALLBACK) == {}


def test_a_token_of_any_tenant_names_its_tenant_as_issuer() -> None:
    key = ECKey.generate_key("P-256", {"kid": "k"})
    tenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
    issuers = ("https://login.microsoftonline.com/{tenantid}/v2.0",)
    expected = Expected(issuers=issuers, audiences=("app",), nonces=None, now=1000)

    def signed(**claims: str) -> str:
        told = {"sub": "m", "aud": "app", "iat": 1000, "exp": 2000, **claims}
        return jwt.encode({"alg": "ES256", "kid": "k"}, told, key)

    right = f"https://login.microsoftonline.com/{tenant}/v2.0"
    assert check_id_token(signed(iss=right, tid=tenant), KeySet([key]), expected)["sub"] == "m"
    other = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0"
    for claims in ({"iss": right}, {"iss": other, "tid": tenant}, {"iss": issuers[0], "tid": "{tenantid}"}):
        with pytest.raises(IdTokenRefused):
            check_id_token(signed(**claims), KeySet([key]), expected)
