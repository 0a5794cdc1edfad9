"""Whatever is sent to whichever route of auth: never a fault, and every refusal in the words of this protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, urlencode

import httpx
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from mbaas.config.settings import ProviderSettings, ThrottleSettings, Web3Settings
from mbaas.modules.auth.access import Access
from tests.auth import Auth, make_config, open_auth
from tests.conftest import SOAK
from tests.wallets import Ethereum

_numbers = itertools.count(1)
ACTORS = {Access.USER: "user", Access.FIRST_FACTOR: "user", Access.SERVICE: "service"}
_WALLET = Ethereum(7)
_SIGNED = _WALLET.message()
LIKELY = {
    name: st.sampled_from(values.split())
    for name, values in {
        "grant_type": "password refresh_token pkce id_token web3",
        "type": "signup magiclink recovery invite email email_change sms phone_change totp",
        "verify_type": "signup recovery",
        "scope": "global local others",
        "redirect_to": "http://localhost:3000/x fieldnotes://callback https://evil.example",
        "provider": "github apple nobody",
        "page": "1 0 -1 99999999999999999999",
        "per_page": "50 0 -1 99999999999999999999",
        "token": "123456 000000 aaaaaaaa",
        "code": "123456 00000000-0000-4000-8000-000000000000",
        "state": "a.b.c",
        "user_id": "00000000-0000-4000-8000-000000000000",
        "action": "login logout",
        "before": "1 2024-01-01T00:00:00Z",
        "email": "ada@example.com eve@example.com x@x",
        "new_email": "ada@example.com eve@example.com",
        "phone": "+491701234567 491701234567 1",
        "password": "correct-horse-battery short",
        "factor_type": "totp phone webauthn",
        "code_challenge": "a" * 43 + " short",
        "code_challenge_method": "s256 plain none",
        "ban_duration": "8760h none -1h 1y",
        "channel": "sms whatsapp",
        "id": "00000000-0000-4000-8000-000000000000",
        "challenge_id": "00000000-0000-4000-8000-000000000000",
        "chain": "ethereum solana",
        "signature": f"{_WALLET.sign(_SIGNED)} {'A' * 86} 0x{'1' * 130}",
    }.items()
} | {"message": st.sampled_from([_SIGNED, _SIGNED.replace("Ethereum", "Solana"), f"{_SIGNED}\nResources:"])}
PARAMETERS = "grant_type type scope redirect_to provider page per_page token code state user_id action before".split()
PLAUSIBLE = st.sampled_from(
    [*"-1 0 9999999999999999999 a.b.c eyJhbGciOiJub25lIn0.e30. en {} 😀 authenticated".split(), "a" * 300]
)
JUNK = st.one_of(
    st.binary(max_size=30), st.sampled_from([b"", b"{", b"[" * 2000, b'{"email": "\\ud800"}', b"\xff", b"null"])
)
ODD = st.sampled_from(("", "\0", "a\0b@example.com", "\ufffe", "é" * 300, "%00", "../..", "' or 1=1 --"))
TEXTS = st.one_of(
    PLAUSIBLE, ODD, st.uuids().map(str), st.text(max_size=20), st.binary(max_size=40).map(lambda b: b.hex())
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


class Route(msgspec.Struct, frozen=True):
    """fields: what its body may have. actor: whom it is for."""

    method: str
    path: str
    fields: tuple[str, ...]
    actor: str


def routes_with_bodies(app: Litestar) -> list[Route]:
    found = []
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                methods = handler.http_methods - {"OPTIONS"}
                actor = ACTORS.get(handler.opt.get("access"), "anon")
                found += [Route(method, route.path, fields_of(handler), actor) for method in sorted(methods)]
    return sorted(found, key=lambda route: (route.path, route.method))


def fields_of(handler: HTTPRouteHandler) -> tuple[str, ...]:
    """The keys of a body, those of bodies inside of it with them."""
    field = handler.parsed_data_field
    return () if field is None else tuple(names_in(field.annotation))


def names_in(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [name for one in msgspec.structs.fields(annotation) for name in (one.encode_name, *names_in(one.type))]
    return [name for inner in get_args(annotation) for name in names_in(inner)]


@st.composite
def requests(draw: st.DrawFn, route: Route) -> tuple[str, str, bytes, str, dict[str, str]]:
    """Method, path and query, body, by whom, and further headers."""
    parts = ["\0" if "{" in part else part for part in route.path.split("/")]
    path = "/".join(quote(draw(TEXTS), safe="") or "x" if part == "\0" else part for part in parts)
    asked = draw(st.fixed_dictionaries({}, optional={name: st.one_of(LIKELY[name], TEXTS) for name in PARAMETERS}))
    query = urlencode(asked, errors="replace")
    fields = {name: st.one_of(LIKELY.get(name, TEXTS), TEXTS) for name in route.fields}
    likely = st.fixed_dictionaries({}, optional=fields)
    known = st.fixed_dictionaries({}, optional=dict.fromkeys(route.fields, VALUES))
    body = draw(st.one_of(likely.map(encoded), likely.map(encoded), known.map(encoded), VALUES.map(encoded), JUNK))
    headers = draw(st.sampled_from([{}, {}, {"x-supabase-api-version": "2024-01-01"}, {"content-type": "text/plain"}]))
    actor = draw(st.sampled_from([route.actor] * 5 + ["nobody", "anon", "user", "service"]))
    return route.method, f"{path}?{query}", body, actor, headers


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value) if not has_surrogates(value) else b'"\\ud800"'


def has_surrogates(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return True
    return False


class Callers:
    """Tokens by who they are of. A user who signed out, or is gone, is followed by another."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._token: str | None = None

    async def headers(self, actor: str) -> dict[str, str]:
        if actor == "nobody":
            return {}
        if actor == "user":
            return self._auth.headers(self._token or await self._sign_up())
        return self._auth.headers(key=self._auth.service_key if actor == "service" else None)

    async def look(self) -> None:
        """Whether the user is still signed in."""
        if self._token and (await self._auth.get("/user", token=self._token)).status_code != 200:
            self._token = None

    async def _sign_up(self) -> str:
        self._token = str((await self._auth.sign_up(f"u{next(_numbers)}@example.com"))["access_token"])
        return self._token


def test_no_request_is_a_fault_and_every_refusal_has_a_code_and_words(database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name, asyncio.Runner() as runner:
        config = make_config(
            Path(name),
            autoconfirm=True,
            passkeys=True,
            manual_linking=True,
            providers={"github": ProviderSettings(client_id="id", client_secret="secret")},
            web3=Web3Settings(ethereum=True, solana=True),
            throttle=ThrottleSettings(pair=0, account=0, ip=0, messages=0),
        )
        stack = contextlib.AsyncExitStack()
        auth = runner.run(stack.enter_async_context(open_auth(database_url, config)))
        callers = Callers(auth)

        async def ask(method: str, target: str, body: bytes, actor: str, more: dict[str, str]) -> httpx.Response:
            headers = {"content-type": "application/json", **await callers.headers(actor), **more}
            answer = await auth.client.request(method, target, content=body, headers=headers)
            if method != "GET":
                await callers.look()
            return answer

        def try_(route: Route) -> None:
            @given(asked=requests(route))
            @settings(
                max_examples=100 if SOAK else 4,
                deadline=None,
                derandomize=not SOAK,
                database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            )
            def once(asked: tuple[str, str, bytes, str, dict[str, str]]) -> None:
                check(runner.run(ask(*asked)))

            once()

        try:
            for route in routes_with_bodies(auth.app.litestar):
                try_(route)
        finally:
            runner.run(stack.aclose())


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return
    assert answer.headers["content-type"].startswith("application/json"), answer.headers
    said = answer.json()
    if "x-supabase-api-version" in answer.headers:
        assert isinstance(said["code"], str)
        assert said["message"]
    elif "error" in said:  # OAuth's own form (RFC 6749 section 5.2)
        assert said["error_description"]
    else:
        assert said["code"] == answer.status_code
        assert isinstance(said["error_code"], str)
        assert said["msg"]
