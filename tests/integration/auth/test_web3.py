"""Wallets sign people in: those that signed, for this app, now, and once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mbaas.config.settings import ThrottleSettings, Web3Settings
from mbaas.core.observe import SecurityEvent
from tests.auth import Auth, make_config, open_auth
from tests.integration.auth.test_oauth import count
from tests.wallets import Ethereum, Solana, stamp

BOTH = Web3Settings(ethereum=True, solana=True)
WALLETS = [Ethereum(7), Solana(7)]
Wallet = Ethereum | Solana


@contextlib.asynccontextmanager
async def opened(database_url: str, **fields: Any) -> AsyncIterator[Auth]:
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(Path(name), **{"web3": BOTH, **fields})
        async with open_auth(database_url, config, connections=8) as auth:
            yield auth


@pytest.fixture
async def auth(database_url: str) -> AsyncIterator[Auth]:
    async with opened(database_url) as found:
        yield found


async def bring(auth: Auth, wallet: Wallet, text: str, signature: str | None = None, **fields: Any) -> httpx.Response:
    signature = wallet.sign(text) if signature is None else signature
    body = {"chain": wallet.chain, "message": text, "signature": signature, **fields}
    return await auth.post("/token?grant_type=web3", body)


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_grant"
    return str(answer.json()["error_description"])


# --- who comes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wallet", WALLETS, ids=lambda wallet: wallet.chain)
async def test_a_wallet_opens_a_session_of_one_and_the_same_user(auth: Auth, wallet: Wallet) -> None:
    first = await bring(auth, wallet, wallet.message())
    assert first.status_code == 200, first.text
    user = first.json()["user"]
    subject = f"web3:{wallet.chain}:{wallet.address}"
    assert (user["email"], user["is_anonymous"]) == ("", False)
    assert user["app_metadata"] == {"provider": "web3", "providers": ["web3"]}
    (identity,) = user["identities"]
    assert (identity["provider"], identity["id"]) == ("web3", subject)
    assert identity["identity_data"]["sub"] == subject
    assert user["user_metadata"]["custom_claims"] == {
        "address": wallet.address,
        "chain": wallet.chain,
        "network": "1" if wallet.chain == "ethereum" else "mainnet",
        "domain": "localhost:3000",
        "statement": "Come in.",
    }
    again = await bring(auth, wallet, wallet.message(Nonce="12345678"))
    assert again.json()["user"]["id"] == user["id"]
    assert (await auth.get("/user", token=again.json()["access_token"])).json()["id"] == user["id"]
    assert (await auth.refresh(again.json()["refresh_token"])).status_code == 200
    assert await count(auth, "users") == 1


async def test_the_token_says_how_its_user_came_in(auth: Auth) -> None:
    wallet = WALLETS[0]
    token = (await bring(auth, wallet, wallet.message())).json()["access_token"]
    claims = auth.app.services.tokens.verify(token) if hasattr(auth.app.services.tokens, "verify") else None
    payload = token.split(".")[1]
    import json

    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert [entry["method"] for entry in claims["amr"]] == ["web3"]
