"""A network that loses the answer to a refresh signs nobody out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.adversity.proxy import FaultProxy
from tests.contract.auth_flows import claims
from tests.contract.conftest import Member, Server, supabase_js

REFRESH = b"grant_type=refresh_token"
# Within the grace, and where there is none: there the parent of the current token finds it all the same.
SERVERS = pytest.mark.parametrize("there", ["server", "strict_server"], indirect=True)


@pytest.fixture
async def proxy(there: Server) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(int(str(urlsplit(there.url).port))) as opened:
        yield opened


@SERVERS
async def test_a_lost_answer_to_a_refresh_keeps_the_session(
    there: Server, proxy: FaultProxy, member: Callable[..., Member]
) -> None:
    ada = member(there)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}/auth/v1", headers=there.headers()) as client:

        async def refresh(token: str) -> Any:
            return await client.post("/token?grant_type=refresh_token", json={"refresh_token": token})

        grant = {"email": ada.email, "password": ada.password}
        session = (await client.post("/token?grant_type=password", json=grant)).json()
        for _ in range(3):
            kept = session["refresh_token"]
            proxy.lose_the_answer_to(REFRESH)
            with pytest.raises(httpx.TransportError):
                await refresh(kept)
            again = await refresh(kept)
            assert again.status_code == 200, again.text
            session = again.json()
            assert session["refresh_token"] != kept
            assert (await refresh(kept)).json()["refresh_token"] == session["refresh_token"]  # and no second line
        assert proxy.lost == 3
        user = await client.get("/user", headers=there.headers(session["access_token"]))
        assert user.json()["id"] == ada.id


@SERVERS
async def test_supabase_js_stays_signed_in_when_the_answer_to_a_refresh_is_lost(
    there: Server, proxy: FaultProxy, member: Callable[..., Member]
) -> None:
    ada = member(there)
    with supabase_js(replace(there, url=f"http://127.0.0.1:{proxy.port}")) as js:
        proxy.lose_the_answer_to(REFRESH)
        async with asyncio.timeout(20):
            found = await js(
                """
                const before = await client.auth.signInWithPassword({email: args.email, password: args.password});
                const after = await client.auth.refreshSession();
                return {before: before.data.session, after, user: (await client.auth.getUser()).data.user};
                """,
                email=ada.email,
                password=ada.password,
            )
        assert (found["after"]["error"], proxy.lost) == (None, 1)
        before, session = found["before"], found["after"]["data"]["session"]
        assert session["refresh_token"] != before["refresh_token"]
        assert claims(session["access_token"])["session_id"] == claims(before["access_token"])["session_id"]
        assert found["user"]["id"] == ada.id
