"""The clients before an edge of their own: an address with a path, and too many requests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import ClientOptions, create_client

from mbaas.config.settings import LimitSettings, RateSettings, ServerSettings
from mbaas.http.edge import Surface
from mbaas.modules.records.dialect import rest_dialect
from tests.contract.conftest import Js
from tests.edge import NO_RATES, Setup, serving

SURFACES = (Surface(prefix="/rest/v1", dialect=rest_dialect),)
JS = "return await new client.constructor(args.url, 'anon-key', {auth: {persistSession: false, autoRefreshToken: false}})"


@pytest.fixture(scope="module")
def below_a_path() -> Iterator[str]:
    """The address of a server whose public address has a path, and whose proxy passes it on."""
    settings = ServerSettings(public_url="https://app.example/backend/")
    with serving(Setup(settings=settings, limits=LimitSettings(rate=NO_RATES), surfaces=SURFACES).edge) as made:
        yield f"http://127.0.0.1:{made.port}"


@pytest.fixture
def slow() -> Iterator[str]:
    """A server that takes two requests, and then one a minute."""
    rate = RateSettings(per_ip=1 / 60, per_user=0, per_key=0)
    with serving(Setup(limits=LimitSettings(rate=rate), surfaces=SURFACES).edge) as made:
        yield f"http://127.0.0.1:{made.port}"


@contextlib.contextmanager
def python(url: str) -> Iterator[Any]:
    with httpx.Client() as session:
        yield create_client(url, "anon-key", ClientOptions(auto_refresh_token=False, httpx_client=session))


@pytest.mark.parametrize("path", ["", "/backend"])
async def test_js_may_reach_it_below_a_path(js: Js, below_a_path: str, path: str) -> None:
    answer = await js(JS + ".from('posts').select()", url=below_a_path + path)
    assert (answer["status"], answer["data"]["path"]) == (200, "/rest/v1/posts")


@pytest.mark.parametrize("path", ["", "/backend"])
def test_py_may_reach_it_below_a_path(below_a_path: str, path: str) -> None:
    with python(below_a_path + path) as client:
        assert client.table("posts").select("*").execute().data["path"] == "/rest/v1/posts"


async def test_js_is_throttled_by_429_and_does_not_insist(js: Js, slow: str) -> None:
    code = (
        "let calls = 0; const counted = (input, init) => { calls += 1; return fetch(input, init); };"
        "const me = new client.constructor(args.url, 'anon-key', {auth: {persistSession: false, autoRefreshToken: false}, global: {fetch: counted}});"
        "const answers = []; do { answers.push(await me.from('posts').select()); } while (answers.at(-1).status === 200 && answers.length < 9);"
        "return [calls, answers.length, answers.at(-1)]"
    )
    calls, asked, last = await js(code, url=slow)
    assert (last["status"], last["error"]["code"], calls) == (429, "rate_limited", asked)


def test_py_is_throttled_by_429(slow: str) -> None:
    with python(slow) as client, pytest.raises(APIError) as caught:
        for _ in range(9):
            client.table("posts").select("*").execute()
    assert caught.value.code == "rate_limited"
