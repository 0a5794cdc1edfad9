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
from tests.integration.auth.test_sessions import claims
from tests.wallets import Ethereum, Solana, stamp

BOTH = Web3Settings(ethereum=True, solana=True)
WALLETS = [Ethereum(7), Solana(7)]
Wallet = Ethereum | Solana
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of the group of secp256k1


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
    assert [entry["method"] for entry in claims(token)["amr"]] == ["web3"]


@pytest.mark.parametrize("spelling", ["0x, from 27", "no 0x", "from 0", "upper case"])
async def test_a_signature_of_ethereum_is_read_as_wallets_write_it(auth: Auth, spelling: str) -> None:
    wallet = Ethereum(7)
    text = wallet.message()
    signature = wallet.sign(text)
    signature = {
        "0x, from 27": signature,
        "no 0x": signature[2:],
        "from 0": f"{signature[:-2]}{int(signature[-2:], 16) - 27:02x}",
        "upper case": "0x" + signature[2:].upper(),
    }[spelling]
    assert (await bring(auth, wallet, text, signature)).status_code == 200


@pytest.mark.parametrize("padded", [True, False])
async def test_a_signature_of_solana_is_base64_of_either_alphabet(auth: Auth, padded: bool) -> None:
    for seed in (3, 4, 5):
        wallet = Solana(seed)
        text = wallet.message()
        raw = base64.b64encode(wallet.key.sign(text.encode())).decode()
        assert (await bring(auth, wallet, text, raw if padded else raw.rstrip("="))).status_code == 200


async def test_the_case_of_an_address_makes_no_other_account(auth: Auth) -> None:
    wallet = Ethereum(7)
    users = set()
    for address in (wallet.address, wallet.key.public_key.to_checksum_address(), "0x" + wallet.address[2:].upper()):
        answer = await bring(auth, wallet, wallet.message(address=address))
        users.add(answer.json()["user"]["id"])
    assert len(users) == 1


async def test_two_wallets_are_two_users(auth: Auth) -> None:
    users = set()
    for wallet in (Ethereum(7), Ethereum(8), Solana(7), Solana(8)):
        users.add((await bring(auth, wallet, wallet.message())).json()["user"]["id"])
    assert len(users) == 4


# --- who does not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wallet", WALLETS, ids=lambda wallet: wallet.chain)
async def test_nobody_signs_for_the_address_of_somebody_else(auth: Auth, wallet: Wallet) -> None:
    victim = type(wallet)(99)
    text = wallet.message(address=victim.address)
    assert refused(await bring(auth, wallet, text)) == "Signature does not match address in message"
    changed = wallet.message(statement="Come in, please.")
    answer = await bring(auth, wallet, changed, wallet.sign(wallet.message()))
    assert refused(answer) == "Signature does not match address in message"
    assert any(isinstance(one, SecurityEvent) and one.kind == "web3_refused" for one in auth.observed)
    assert await count(auth, "users") == 0


@pytest.mark.parametrize("wallet", WALLETS, ids=lambda wallet: wallet.chain)
async def test_what_is_no_signature_is_refused(auth: Auth, wallet: Wallet) -> None:
    text = wallet.message()
    good = wallet.sign(text)
    for signature in (
        "",
        "0x00",
        good[:-2],
        good + "00",
        "\u2603" * len(good),
        "0x" + "f" * 130,
        "0x" + "0" * 130,
        "A" * 86,
    ):
        assert "ignature" in refused(await bring(auth, wallet, text, signature))
    whole = {"chain": wallet.chain, "message": text, "signature": good}
    for missing in ("message", "signature"):
        assert refused(await auth.post("/token?grant_type=web3", {**whole, missing: None}))
    assert await count(auth, "users") == 0


PLACES = {
    "another site": {"domain": "evil.example", "URI": "https://evil.example/"},
    "another domain": {"domain": "evil.example"},
    "another port": {"domain": "localhost:3001"},
    "another URI": {"URI": "https://evil.example/in"},
    "somebody's loopback": {"domain": "127.0.0.1:5000", "URI": "http://127.0.0.1:5000/"},
    "another scheme": {"domain": "https://localhost:3000"},
    "a domain with a path": {"domain": "localhost:3000/in"},
    "a domain before an at": {"domain": "localhost:3000@evil.example"},
    "a URI in two readings": {"URI": "http://localhost:3000@evil.example/in"},
    "no URL": {"URI": "javascript:alert(1)"},
}


async def test_a_message_for_another_app_is_refused(auth: Auth) -> None:
    wallet = WALLETS[0]
    for what, fields in PLACES.items():
        reason = refused(await bring(auth, wallet, wallet.message(**fields)))
        assert "URI" in reason, what
    for fields in ({"domain": "http://localhost:3000"}, {"domain": "callback", "URI": "fieldnotes://callback"}):
        answer = await bring(auth, wallet, wallet.message(**fields))
        assert answer.status_code == 200, answer.text


async def test_a_message_counts_in_its_time(auth: Auth) -> None:
    wallet, now = WALLETS[1], datetime.now(UTC)

    def after(**amount: float) -> str:
        return stamp(now + timedelta(**amount))

    for fields, reason in (
        ({"Issued At": after(minutes=-10, seconds=-5)}, "too long ago"),
        ({"Issued At": after(seconds=75)}, "in the future"),
        ({"Not Before": after(minutes=2)}, "becomes valid in the future"),
        ({"Expiration Time": after(seconds=-1)}, "is expired"),
        ({"Issued At": "0001-01-01T00:00:00+23:59"}, "too long ago"),
        ({"Issued At": "9999-12-31T23:59:59-23:59"}, "in the future"),
    ):
        assert reason in refused(await bring(auth, wallet, wallet.message(**fields)))
    for fields in (
        {"Issued At": after(minutes=-9)},
        {"Issued At": after(seconds=30)},
        {"Not Before": after(minutes=-1), "Expiration Time": after(minutes=1)},
    ):
        assert (await bring(auth, wallet, wallet.message(**fields))).status_code == 200


# --- once ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wallet", WALLETS, ids=lambda wallet: wallet.chain)
async def test_of_twenty_who_bring_one_message_one_gets_in(auth: Auth, wallet: Wallet) -> None:
    text = wallet.message()
    answers = await asyncio.gather(*(bring(auth, wallet, text) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert {refused(answer) for answer in answers if answer.status_code == 400} == {
        "Message was used before, sign a new one"
    }
    assert await count(auth, "sessions") == 1


async def test_a_message_counts_once_on_all_nodes_and_in_any_spelling(auth: Auth, database_url: str) -> None:
    wallet = Ethereum(7)
    text = wallet.message()
    signature = wallet.sign(text)
    assert (await bring(auth, wallet, text, signature)).status_code == 200
    r, s, v = signature[2:66], int(signature[66:130], 16), int(signature[130:], 16)
    mirrored = f"0x{r}{ORDER - s:064x}{55 - v:02x}"  # the other signature that is right
    async with opened(database_url) as other:
        other.clock.advance(minutes=8)
        for again in (signature, signature[2:], mirrored):
            assert "used before" in refused(await bring(other, wallet, text, again))


async def test_messages_are_forgotten_once_they_are_too_old(auth: Auth) -> None:
    wallet = WALLETS[1]
    text = wallet.message()
    assert (await bring(auth, wallet, text)).status_code == 200
    await auth.app.services.web3_grant.forget()
    assert await count(auth, "web3_messages") == 1
    auth.clock.advance(minutes=12)
    await auth.app.services.web3_grant.forget()
    assert await count(auth, "web3_messages") == 0
    assert "too long ago" in refused(await bring(auth, wallet, text))


# --- as with other ways in -------------------------------------------------------------------------------------------


async def test_with_sign_up_closed_known_wallets_get_in_alone(database_url: str) -> None:
    known, new = Ethereum(7), Ethereum(8)
    async with opened(database_url) as auth:
        assert (await bring(auth, known, known.message())).status_code == 200
    async with opened(database_url, disable_signup=True) as auth:
        assert (await bring(auth, known, known.message())).status_code == 200
        text = new.message()
        for _ in range(2):  # what failed has not been used
            answer = await bring(auth, new, text)
            assert (answer.status_code, answer.json()["error_code"]) == (422, "signup_disabled")
        assert await count(auth, "web3_messages") == 2


async def test_a_banned_wallet_is_refused(auth: Auth) -> None:
    wallet = WALLETS[1]
    user = (await bring(auth, wallet, wallet.message())).json()["user"]
    banned = await auth.put(f"/admin/users/{user['id']}", {"ban_duration": "1h"}, key=auth.service_key)
    assert banned.status_code == 200, banned.text
    answer = await bring(auth, wallet, wallet.message(Nonce="12345678"))
    assert (answer.status_code, answer.json()["error_code"]) == (403, "user_banned")


async def test_wallets_are_counted_by_address(database_url: str) -> None:
    async with opened(database_url, throttle=ThrottleSettings(messages=3)) as auth:
        answers = [await bring(auth, wallet, wallet.message()) for wallet in map(Solana, range(1, 5))]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert await count(auth, "users") == 3


async def test_a_chain_that_is_off_or_unknown_is_refused(database_url: str) -> None:
    async with opened(database_url, web3=Web3Settings(solana=True)) as auth:
        external = (await auth.get("/settings")).json()["external"]
        assert (external["web3_ethereum"], external["web3_solana"]) == (False, True)
        wallet = Ethereum(7)
        answer = await bring(auth, wallet, wallet.message())
        assert (answer.status_code, answer.json()["error_code"]) == (422, "web3_provider_disabled")
        for chain in ("bitcoin", "", None, "Ethereum"):
            answer = await bring(auth, wallet, wallet.message(), chain=chain)
            assert (answer.status_code, answer.json()["error_code"]) == (400, "web3_unsupported_chain")
        wallets = Solana(7)
        assert (await bring(auth, wallets, wallets.message())).status_code == 200
