"""Everything that counts once, used twenty times at the same moment on two servers of one project: once it counts."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.config.settings import SmsSettings, ThrottleSettings
from tests.auth import PASSWORD, SITE, Auth, Landed, make_config, open_auth
from tests.authenticator import ORIGIN, Authenticator
from tests.idp.scripted import Scripted, query, scripted_provider
from tests.integration.auth.installed import ADA, App, installed
from tests.integration.auth.test_oauth import settings
from tests.integration.auth.test_oauth_certified import CHALLENGE, VERIFIER

PKCE = f"&code_challenge={CHALLENGE}&code_challenge_method=s256"
PHONE = "+4915112345678"
Attempt = Callable[[Auth, int], Awaitable[Any]]
"""One use at one server, with its number; the answer, or where it led."""


@pytest.fixture
def idp() -> Iterator[Scripted]:
    with scripted_provider() as provider:
        yield provider


@pytest.fixture
async def nodes(database_url: str, idp: Scripted) -> AsyncIterator[tuple[Auth, Auth]]:
    """Two servers of one project, each with its own connections."""
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = make_config(
            Path(name),
            sms=SmsSettings(provider="console"),
            providers={"acme": settings(idp)},
            throttle=ThrottleSettings(pair=0, account=0, ip=0),
            passkeys=True,
            password_reauthentication=True,
        )
        async with contextlib.AsyncExitStack() as stack:
            one = await stack.enter_async_context(open_auth(database_url, config))
            two = await stack.enter_async_context(open_auth(database_url, config))
            await two.app.services.outbox.close()  # or chance would say whose mails a test has to wait for
            yield one, two


def on(auth: Auth, app: App) -> App:
    """The same installation, talking to another server."""
    there = App(auth, app.session)
    there.factor, there.secret = app.factor, app.secret
    return there


async def member(auth: Auth) -> App:
    made = {"email": ADA, "password": PASSWORD, "email_confirm": True}
    assert (await auth.post("/admin/users", made, key=auth.service_key)).status_code == 200
    return await installed(auth)


async def mailed(auth: Auth) -> Any:
    await auth.post("/otp", {"email": ADA})
    return await auth.mail(ADA)


async def sms_code(auth: Auth) -> str:
    await auth.settle()
    newest = sorted((auth.config.data / "sms").glob("*.txt"))[-1].read_text()
    return re.findall(r"\b\d{6}\b", newest.partition(": ")[2])[0]


# --- ways in ---------------------------------------------------------------------------------------------------------


async def a_code_by_mail(auth: Auth) -> Attempt:
    code = (await mailed(auth)).code
    return lambda node, _: node.post("/verify", {"type": "email", "email": ADA, "token": code})


async def a_link(auth: Auth) -> Attempt:
    link = (await mailed(auth)).link
    return lambda node, _: node.open(link)


async def the_hash_of_a_link(auth: Auth) -> Attempt:
    token = (await mailed(auth)).token_hash
    return lambda node, _: node.post("/verify", {"type": "email", "token_hash": token})


async def a_link_to_a_new_password(auth: Auth) -> Attempt:
    await member(auth)
    await auth.post("/recover", {"email": ADA})
    link = (await auth.mail(ADA)).link
    return lambda node, _: node.open(link)


async def a_code_by_sms(auth: Auth) -> Attempt:
    await auth.post("/otp", {"phone": PHONE})
    code = await sms_code(auth)
    return lambda node, _: node.post("/verify", {"type": "sms", "phone": PHONE, "token": code})


async def the_code_behind_a_link(auth: Auth) -> Attempt:
    await auth.post("/otp", {"email": ADA, "code_challenge": CHALLENGE, "code_challenge_method": "s256"})
    code = (await auth.open((await auth.mail(ADA)).link)).query["code"]
    return lambda node, _: redeem(node, code)


def redeem(node: Auth, code: str) -> Awaitable[Any]:
    return node.post("/token?grant_type=pkce", {"auth_code": code, "code_verifier": VERIFIER})


async def an_answer_of_a_passkey(auth: Auth) -> Attempt:
    app, key = await member(auth), Authenticator()
    begun = (await app.ask("POST", "/passkeys/registration/options", {})).json()
    body = {"challenge_id": begun["challenge_id"], "credential": key.create(begun["options"])}
    assert (await app.ask("POST", "/passkeys/registration/verify", body)).status_code == 200
    begun = (await auth.post("/passkeys/authentication/options", {})).json()
    told = [{"challenge_id": begun["challenge_id"], "credential": key.get(begun["options"])} for _ in range(20)]
    return lambda node, number: node.post("/passkeys/authentication/verify", told[number])


# --- what one proves, or adds ----------------------------------------------------------------------------------------


async def the_registration_of_a_passkey(auth: Auth) -> Attempt:
    app = await member(auth)
    begun = (await app.ask("POST", "/passkeys/registration/options", {})).json()
    told = [
        {"challenge_id": begun["challenge_id"], "credential": Authenticator().create(begun["options"])}
        for _ in range(20)
    ]
    return lambda node, number: on(node, app).ask("POST", "/passkeys/registration/verify", told[number])


async def a_step_of_an_authenticator_app(auth: Auth) -> Attempt:
    app = await member(auth)
    await app.enroll()
    challenge = (await app.challenge())["id"]
    return lambda node, _: on(node, app).answer(challenge, app.code())


async def a_step_with_a_challenge_each(auth: Auth) -> Attempt:
    app = await (await member(auth)).protect()
    challenges = [(await app.challenge())["id"] for _ in range(20)]
    code = app.code(1)
    return lambda node, number: on(node, app).answer(challenges[number], code)


async def a_recovery_code(auth: Auth) -> Attempt:
    app = await (await member(auth)).protect()
    code = (await app.ask("POST", "/factors/recovery-codes")).json()["codes"][3]
    return lambda node, _: on(node, app).ask("POST", "/factors/recovery-codes/verify", {"code": code})


async def a_code_to_the_phone_of_a_factor(auth: Auth) -> Attempt:
    app = await member(auth)
    await app.enroll("mobile", factor_type="phone", phone=PHONE)
    challenge, code = (await app.challenge(channel="sms"))["id"], await sms_code(auth)
    return lambda node, _: on(node, app).answer(challenge, code)


async def an_answer_of_a_security_key(auth: Auth) -> Attempt:
    app, key = await member(auth), Authenticator(verifies=False)
    await app.enroll("key", factor_type="webauthn")

    async def ask() -> tuple[str, str, Any]:
        asked = await app.challenge(webauthn={"rpId": "localhost", "rpOrigins": [ORIGIN]})
        told = asked["webauthn"]
        return asked["id"], told["type"], told["credential_options"]["publicKey"]

    def answer(node: Auth, challenge: str, kind: str, credential: Any) -> Awaitable[Any]:
        body = {"challenge_id": challenge, "webauthn": {"type": kind, "credential_response": credential}}
        return on(node, app).ask("POST", f"/factors/{app.factor}/verify", body)

    challenge, kind, options = await ask()
    app.session = (await answer(auth, challenge, kind, key.create(options))).json()
    challenge, kind, options = await ask()
    told = [key.get(options) for _ in range(20)]
    return lambda node, number: answer(node, challenge, kind, told[number])


async def a_code_for_a_new_password(auth: Auth) -> Attempt:
    app = await member(auth)
    await app.ask("GET", "/reauthenticate")
    code = (await auth.mail(ADA)).code
    return lambda node, number: on(node, app).ask("PUT", "/user", {"password": f"{PASSWORD} {number}", "nonce": code})


# --- through a provider ----------------------------------------------------------------------------------------------


async def a_state(auth: Auth, idp: Scripted) -> Attempt:
    address = await begin(auth, "")
    return lambda node, _: back(auth, node, idp, address)


async def the_code_behind_a_provider(auth: Auth, idp: Scripted) -> Attempt:
    code = (await back(auth, auth, idp, await begin(auth, PKCE))).query["code"]
    return lambda node, _: redeem(node, code)


async def begin(auth: Auth, more: str) -> str:
    answer = await auth.client.get(f"/authorize?provider=acme&redirect_to={SITE}/in{more}")
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def back(auth: Auth, node: Auth, idp: Scripted, address: str) -> Landed:
    """The browser that was sent from ``auth`` comes back to ``node``."""
    asked = {"code": idp.code_for(address), "state": query(address)["state"]}
    cookie = "; ".join(f"{name}={value}" for name, value in auth.client.cookies.items())
    got = await node.client.get("/callback", params=asked, headers={"cookie": cookie})
    return Landed(got.headers["location"])


ONCE = [
    a_code_by_mail, a_link, the_hash_of_a_link, a_link_to_a_new_password, a_code_by_sms, the_code_behind_a_link,
    an_answer_of_a_passkey, the_registration_of_a_passkey, a_step_of_an_authenticator_app,
    a_step_with_a_challenge_each, a_recovery_code, a_code_to_the_phone_of_a_factor, an_answer_of_a_security_key,
    a_code_for_a_new_password,
]  # fmt: skip


def counted(answer: Any) -> bool:
    if isinstance(answer, Landed):
        return "access_token" in answer.fragment
    assert answer.status_code < 500, answer.text
    return bool(answer.status_code == 200)


async def use(nodes: tuple[Auth, Auth], attempt: Attempt) -> None:
    answers = await asyncio.gather(*(attempt(nodes[number % 2], number) for number in range(20)))
    assert sum(counted(answer) for answer in answers) == 1, [getattr(one, "text", one) for one in answers]
    assert not counted(await attempt(nodes[1], 0))


@pytest.mark.parametrize("prepare", ONCE, ids=lambda prepare: prepare.__name__)
async def test_of_twenty_uses_on_two_servers_one_counts(
    nodes: tuple[Auth, Auth], prepare: Callable[[Auth], Awaitable[Attempt]]
) -> None:
    await use(nodes, await prepare(nodes[0]))


@pytest.mark.parametrize("prepare", [a_state, the_code_behind_a_provider], ids=lambda prepare: prepare.__name__)
async def test_of_twenty_uses_behind_a_provider_on_two_servers_one_counts(
    nodes: tuple[Auth, Auth], idp: Scripted, prepare: Callable[[Auth, Scripted], Awaitable[Attempt]]
) -> None:
    await use(nodes, await prepare(nodes[0], idp))


async def test_twenty_refreshes_on_two_servers_get_one_successor(nodes: tuple[Auth, Auth]) -> None:
    first = (await member(nodes[0])).session["refresh_token"]
    answers = await asyncio.gather(*(nodes[number % 2].refresh(first) for number in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    again = await nodes[1].refresh(first)
    assert again.json()["refresh_token"] == successor
