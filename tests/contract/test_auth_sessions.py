"""Captcha, throttles, imported accounts and revoked tokens, as the official clients meet them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from supabase_auth.errors import AuthApiError

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.auth import PASSWORD
from tests.contract.auth_flows import WRONG_PASSWORD, address
from tests.contract.conftest import Js, PyMaker, Server, supabase_js, variant
from tests.integration.auth.test_import import FIREBASE
from tests.phone_service import PhoneService, phone_service

LIVE_S = 5.0


@pytest.fixture(scope="module")
def provider() -> Iterator[PhoneService]:
    with phone_service() as service:
        service.answers = [(200, b'{"success": true}')]
        yield service


@pytest.fixture(scope="module")
def guarded(cluster: EmbeddedPostgres, provider: PhoneService) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("CAPTCHA_URL", provider.url)
        with variant(cluster, "captcha") as started:
            yield started


@pytest.fixture(scope="module")
def guarded_js(guarded: Server) -> Iterator[Js]:
    with supabase_js(guarded) as driver:
        yield driver


async def test_a_captcha_is_asked_for_js(guarded_js: Js) -> None:
    snippet = """
        const auth = client.auth, who = {email: args.email, password: args.password};
        const solved = {captchaToken: 'solved'};
        const made = await auth.signUp({...who, options: solved});
        const refused = [
            await auth.signUp({...who, email: 'x' + who.email}), await auth.signInWithPassword(who),
            await auth.signInWithOtp({email: who.email}), await auth.resetPasswordForEmail(who.email),
            await auth.signInAnonymously(), await auth.resend({type: 'signup', email: who.email}),
        ];
        const taken = [
            await auth.signInWithPassword({...who, options: solved}),
            await auth.resetPasswordForEmail(who.email, solved),
            await auth.refreshSession(),
        ];
        return {
            made: Boolean(made.data.session), refused: refused.map(({error}) => [error.status, error.code]),
            taken: taken.map(({error}) => error),
        };
    """
    told = await guarded_js(snippet, email=address(), password=PASSWORD)
    assert told == {"made": True, "refused": [[400, "captcha_failed"]] * 6, "taken": [None] * 3}


async def test_a_captcha_is_asked_for_python(guarded: Server, supabase_py: PyMaker) -> None:
    auth, email = supabase_py(guarded).auth, address()
    solved = {"options": {"captcha_token": "solved"}}
    assert (await auth.sign_up({"email": email, "password": PASSWORD, **solved})).session
    for call in (
        auth.sign_up({"email": "x" + email, "password": PASSWORD}),
        auth.sign_in_with_password({"email": email, "password": PASSWORD}),
        auth.sign_in_with_otp({"email": email}),
        auth.reset_password_for_email(email),
        auth.sign_in_anonymously(),
    ):
        with pytest.raises(AuthApiError) as caught:
            await call
        assert (caught.value.status, caught.value.code) == (400, "captcha_failed")
    assert (await auth.sign_in_with_password({"email": email, "password": PASSWORD, **solved})).session


async def test_too_many_wrong_passwords_js(guarded_js: Js) -> None:
    snippet = """
        const found = [];
        for (const password of [args.wrong, args.wrong, args.wrong, args.password]) {
            const {error} = await client.auth.signInWithPassword(
                {email: args.email, password, options: {captchaToken: 'solved'}});
            found.push([error.status, error.code]);
        }
        return found;
    """
    told = await guarded_js(snippet, email=address(), wrong=WRONG_PASSWORD, password=PASSWORD)
    assert told == [[400, "invalid_credentials"]] * 3 + [[429, "over_request_rate_limit"]]


async def test_too_many_wrong_passwords_python(guarded: Server, supabase_py: PyMaker) -> None:
    auth, email = supabase_py(guarded).auth, address()
    found = []
    for _ in range(4):
        with pytest.raises(AuthApiError) as caught:
            credentials = {"email": email, "password": WRONG_PASSWORD, "options": {"captcha_token": "solved"}}
            await auth.sign_in_with_password(credentials)
        found.append((caught.value.status, caught.value.code))
    assert found == [(400, "invalid_credentials")] * 3 + [(429, "over_request_rate_limit")]


async def test_an_account_of_firebase_signs_in_js(js: Js, server: Server) -> None:
    email = made_with(server, FIREBASE)
    snippet = "return await client.auth.signInWithPassword({email: args.email, password: 'user1password'})"
    assert (await js(snippet, email=email))["data"]["session"]


async def test_an_account_of_firebase_signs_in_python(server: Server, supabase_py: PyMaker) -> None:
    credentials = {"email": made_with(server, FIREBASE), "password": "user1password"}
    assert (await supabase_py(server).auth.sign_in_with_password(credentials)).session


async def test_an_ended_sessions_token_is_refused_by_the_api_js(js: Js) -> None:
    snippet = """
        const {data: {session}} = await client.auth.signUp({email: args.email, password: args.password});
        const bearer = {apikey: anonKey, authorization: `Bearer ${session.access_token}`};
        const ask = () => fetch(`${url}/rest/v1/posts?limit=1`, {headers: bearer});
        const before = (await ask()).status;
        await client.auth.signOut({scope: 'global'});
        const until = Date.now() + 5000;
        let answer = await ask();
        while (answer.status === 200 && Date.now() < until) answer = await ask();
        return [before, answer.status, (await answer.json()).code];
    """
    assert await js(snippet, email=address(), password=PASSWORD) == [200, 401, "PGRST301"]


async def test_an_ended_sessions_token_is_refused_by_the_api_python(server: Server, supabase_py: PyMaker) -> None:
    auth = supabase_py(server).auth
    session = (await auth.sign_up({"email": address(), "password": PASSWORD})).session
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers(session.access_token)) as client:
        assert (await client.get("/rest/v1/posts?limit=1")).status_code == 200
        await auth.sign_out({"scope": "global"})
        ended = time.monotonic()
        while (answer := await client.get("/rest/v1/posts?limit=1")).status_code == 200:
            assert time.monotonic() < ended + LIVE_S
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301")


def made_with(server: Server, stored: str) -> str:
    """The address of a user with a hash from elsewhere."""
    email = address()
    users = [{"email": email, "password_hash": stored, "email_confirm": True}]
    path = f"{server.url}/auth/v1/admin/users/import"
    answer = httpx.post(path, json={"users": users}, headers=server.headers(key=server.service_key))
    assert answer.json() == {"created": 1, "existing": 0, "rejected": []}
    return email
