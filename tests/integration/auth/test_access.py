"""Who may call what, made from the route table; and the words every refusal comes in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mbaas.modules.auth.access import Access
from mbaas.modules.auth.admin_routes import ADMIN_ROUTES
from mbaas.modules.auth.errors import CODES, STATUS, AuthError
from mbaas.modules.auth.routes import ROUTES
from tests.auth import Auth

HANDLERS = [
    (method, re.sub(r"\{[^}]*\}", "7f1b2c5e-0000-4000-8000-000000000001", path), Access(handler.opt["access"]))
    for handler in (*ROUTES, *ADMIN_ROUTES)
    for path in sorted(handler.paths)
    for method in sorted(handler.http_methods)
]


def of(access: Access) -> list[tuple[str, str]]:
    return [(method, path) for method, path, wanted in HANDLERS if wanted is access]


def test_every_route_says_who_may_call_it() -> None:
    assert all("access" in handler.opt for handler in (*ROUTES, *ADMIN_ROUTES))
    assert {handler.opt["access"] for handler in ADMIN_ROUTES} == {Access.SERVICE}
    assert ("GET", "/verify") in of(Access.OPEN)


@pytest.mark.parametrize(("method", "path"), of(Access.SERVICE))
async def test_only_the_service_key_reaches_an_admin_route(easy: Auth, method: str, path: str) -> None:
    session = await easy.sign_up("ada@example.com")
    current = easy.secrets.current
    bare: list[tuple[int, str, dict[str, str]]] = [
        (401, "no_authorization", {}),
        (401, "no_authorization", {"apikey": current.anon_key}),
        (401, "no_authorization", {"apikey": current.publishable_key}),
        (403, "not_admin", easy.headers()),
        (403, "not_admin", easy.headers(session["access_token"])),
        (403, "not_admin", easy.headers(session["access_token"], current.service_key)),
        (403, "not_admin", {"apikey": current.anon_key, "authorization": f"Bearer {current.publishable_key}"}),
        (403, "bad_jwt", easy.headers("no.token.atall")),
    ]
    for status, code, headers in bare:
        answer = await easy.client.request(method, path, headers=headers, content=b"{}")
        assert (answer.status_code, answer.json().get("error_code")) == (status, code), headers
    for headers in (easy.headers(key=current.service_key), {"apikey": current.secret_key}):
        answer = await easy.client.request(
            method, path, headers={**headers, "content-type": "application/json"}, content=b"{}"
        )
        assert answer.status_code not in (401, 403), answer.text


@pytest.mark.parametrize(("method", "path"), of(Access.USER))
async def test_only_a_user_reaches_a_users_route(easy: Auth, method: str, path: str) -> None:
    cases: list[tuple[int, str, dict[str, str]]] = [
        (401, "no_authorization", {}),
        (401, "no_authorization", {"apikey": easy.anon_key}),
        (403, "bad_jwt", easy.headers()),
        (403, "bad_jwt", easy.headers(key=easy.service_key)),
        (403, "bad_jwt", easy.headers("no.token.atall")),
    ]
    for status, code, headers in cases:
        answer = await easy.client.request(method, path, headers=headers, content=b"{}")
        assert (answer.status_code, answer.json().get("error_code")) == (status, code), headers


@pytest.mark.parametrize(("method", "path"), of(Access.PROJECT))
async def test_nobody_comes_in_without_a_key_of_the_project(easy: Auth, method: str, path: str) -> None:
    for headers in ({}, {"apikey": "x"}, {"apikey": easy.anon_key[:-1]}, {"authorization": f"Bearer {easy.anon_key}"}):
        answer = await easy.client.request(method, path, headers=headers, content=b"{}")
        assert (answer.status_code, answer.json().get("error_code")) == (401, "no_authorization")
        assert answer.json()["message"]


@pytest.mark.parametrize(("method", "path"), of(Access.OPEN))
async def test_open_routes_ask_for_no_key(easy: Auth, method: str, path: str) -> None:
    answer = await easy.client.request(method, path, content=b"{}" if method == "POST" else b"")
    assert answer.status_code not in (401, 403)


async def test_the_frame_of_an_error_follows_the_version_header(easy: Auth) -> None:
    old = await easy.sign_in("nobody@example.com")
    assert old.json() == {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}
    assert old.headers["x-sb-error-code"] == "invalid_credentials"
    assert "x-supabase-api-version" not in old.headers
    body = {"email": "nobody@example.com", "password": "x"}
    new = await easy.post("/token?grant_type=password", body, headers={"x-supabase-api-version": "2024-01-01"})
    assert new.json() == {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert new.headers["x-supabase-api-version"] == "2024-01-01"


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/nothing/here", b"", 404, "not_found"),
        ("DELETE", "/signup", b"", 405, "method_not_allowed"),
        ("POST", "/signup", b"{", 400, "bad_json"),
        ("POST", "/signup", b"[]", 400, "validation_failed"),
        ("POST", "/signup", b"\xff\xfe", 400, "bad_json"),
        ("POST", "/signup", b'{"email":"\\ud800"}', 400, "bad_json"),
        ("POST", "/signup", b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "bad_json"),
        ("POST", "/signup", b"{}" + b" " * 1_100_000, 413, "request_entity_too_large"),
    ],
)
async def test_every_failure_is_in_the_frame(
    easy: Auth, method: str, path: str, content: bytes, status: int, code: str
) -> None:
    headers = {**easy.headers(), "x-supabase-api-version": "2024-01-01", "content-type": "application/json"}
    answer = await easy.client.request(method, path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["x-sb-error-code"] == code


async def test_a_fault_says_nothing_of_itself(easy: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("select secret from nowhere")

    monkeypatch.setattr(easy.app.services.tokens, "public_keys", broken)
    answer = await easy.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.json()["error_code"]) == (500, "unexpected_failure")
    assert "nowhere" not in answer.text


def test_every_error_of_auth_has_its_status() -> None:
    def below(kind: type[AuthError]) -> set[type[AuthError]]:
        return {kind} | {deeper for child in kind.__subclasses__() for deeper in below(child)}

    for kind in below(AuthError) - {AuthError}:
        assert any(parent in STATUS for parent in kind.__mro__), kind
    assert all(400 <= status < 600 for status, _ in CODES.values())


async def test_jwks_lists_public_keys_and_may_be_cached(easy: Auth) -> None:
    answer = await easy.client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=600"
    (key,) = answer.json()["keys"]
    assert set(key) == {"kid", "alg", "use", "key_ops", "kty", "crv", "x", "y"}
    assert (key["alg"], key["key_ops"]) == ("ES256", ["verify"])


async def test_health_and_settings(easy: Auth) -> None:
    health = (await easy.get("/health")).json()
    assert set(health) == {"version", "name", "description"}
    settings = (await easy.get("/settings")).json()
    assert (settings["external"]["email"], settings["external"]["phone"]) == (True, False)
    assert (settings["external"]["google"], settings["external"]["anonymous_users"]) == (False, True)
    assert (settings["mailer_autoconfirm"], settings["disable_signup"]) == (True, False)
