"""Which browsers may read our answers."""

from __future__ import annotations

import pytest

from mbaas.config.settings import ServerSettings
from mbaas.core.errors import ConfigError
from mbaas.http.cors import Cors
from tests.edge import Setup, ask

APP = "https://app.example"
CLIENTS_SEND = (
    "authorization, apikey, content-type, accept, accept-profile, content-profile, prefer, range, range-unit, "
    "x-client-info, x-supabase-api-version, x-retry-count, x-upsert, x-metadata, cache-control, x-region, x-signature, "
    "tus-resumable, upload-length, upload-metadata, upload-offset, upload-defer-length, upload-checksum, traceparent, "
    "tracestate, baggage"
)
CLIENTS_READ = (
    "content-range, content-location, range-unit, location, preference-applied, proxy-status, x-total-count, link, "
    "x-supabase-api-version, x-relay-error, sb-error-code, upload-offset, upload-length, upload-expires, "
    "upload-metadata, tus-resumable, tus-version, tus-extension, tus-max-size, etag, content-disposition"
)


def asks(origin: str, **more: str) -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": "PATCH", **more}


@pytest.mark.parametrize("path", ["/rest/v1/posts", "/auth/v1/token", "/storage/v1/object/b/k", "/metrics", "/nowhere"])
async def test_a_preflight_is_answered_everywhere_without_a_key(path: str) -> None:
    answer = await ask(Setup().edge, "OPTIONS", path, key=None, headers=asks(APP))
    assert (answer.status, answer.body) == (204, b"")
    assert answer["access-control-allow-origin"] == "*"
    methods = set((answer["access-control-allow-methods"] or "").split(", "))
    assert methods == {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    allowed = set((answer["access-control-allow-headers"] or "").split(", "))
    assert set(CLIENTS_SEND.split(", ")) <= allowed
    assert answer["access-control-max-age"] == "7200"


async def test_a_preflight_allows_further_headers_of_the_page_but_no_nonsense() -> None:
    asked = "X-My-App, apikey, bad header, x\x00y, , " + ", ".join(f"x-{number}" for number in range(100))
    answer = await ask(
        Setup().edge, "OPTIONS", key=None, headers=asks(APP, **{"access-control-request-headers": asked})
    )
    allowed = (answer["access-control-allow-headers"] or "").split(", ")
    assert "x-my-app" in allowed
    assert allowed.count("apikey") == 1
    assert len(allowed) < 100
    assert not any(" " in name or "\x00" in name for name in allowed)


async def test_options_that_is_no_preflight_reaches_the_route() -> None:
    assert (await ask(Setup().edge, "OPTIONS")).json()["method"] == "OPTIONS"


@pytest.mark.parametrize("request_", [{"key": None}, {"path": "/a//b"}, {"method": "BREW"}, {}])
async def test_answers_and_errors_alike_can_be_read_across_origins(request_: dict[str, str]) -> None:
    answer = await ask(Setup().edge, headers={"origin": APP}, **request_)  # type: ignore[arg-type]
    assert answer["access-control-allow-origin"] == "*"
    exposed = set((answer["access-control-expose-headers"] or "").split(", "))
    assert set(CLIENTS_READ.split(", ")) <= exposed


async def test_without_an_origin_nothing_is_said() -> None:
    answer = await ask(Setup().edge)
    assert answer["access-control-allow-origin"] is None
    assert "Origin" in (answer["vary"] or "")


@pytest.mark.parametrize("origins", [("*",), (APP,), (APP, "https://other.example"), ()])
@pytest.mark.parametrize("origin", [APP, "https://evil.example", "null", "https://app.example.evil", "*"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_credentials_are_never_allowed(origins: tuple[str, ...], origin: str, method: str) -> None:
    edge = Setup(settings=ServerSettings(cors_origins=origins)).edge
    answer = await ask(edge, method, headers=asks(origin))
    assert answer["access-control-allow-credentials"] is None
    allowed = answer["access-control-allow-origin"]
    if origins == ("*",):
        assert allowed == "*"
    else:
        assert allowed == (origin if origin in origins else None)


async def test_a_listed_origin_is_echoed_and_another_gets_nothing() -> None:
    edge = Setup(settings=ServerSettings(cors_origins=(APP,))).edge
    assert (await ask(edge, headers={"origin": APP}))["access-control-allow-origin"] == APP
    for odd in ("http://app.example", "https://app.example:444", "https://APP.example", "https://sub.app.example"):
        answer = await ask(edge, "OPTIONS", headers=asks(odd))
        assert (answer.status, answer["access-control-allow-methods"]) == (204, None)


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://*.example", ""])
def test_what_is_no_origin_stops_the_start(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.cors_origins"):
        Cors((origin,))
