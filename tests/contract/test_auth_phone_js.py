"""Sign-up, sign-in and change of number by phone as supabase-js meets them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.contract.conftest import Js, Server, supabase_js, variant

PASSWORD = "correct horse battery"
ADA, BOB, EVE = "+4915112345678", "+4915187654321", "+4915198765432"


@pytest.fixture(scope="module")
def phones(cluster: EmbeddedPostgres) -> Iterator[tuple[Server, Js]]:
    with variant(cluster, "phones") as server, supabase_js(server) as js:
        yield server, js


def code_to(server: Server, phone: str, *, count: int = 1) -> str:
    """The code in the newest of at least so many messages. Waits for the one on its way."""
    with httpx.Client() as client:
        for _ in range(2000):
            files = sorted((server.root / ".mbaas" / "sms").glob("*.txt"))
            texts = [text for path in files if f"to {phone}:" in (text := path.read_text())]
            if len(texts) >= count:
                found = re.search(r"\b\d{6}\b", texts[-1].partition(": ")[2])
                assert found
                return found[0]
            client.get(f"{server.url}/health/live")
    raise AssertionError(f"no message to {phone}")


async def test_sign_up_and_sign_in_with_a_password(phones: tuple[Server, Js]) -> None:
    server, js = phones
    answer = await js(
        "return await client.auth.signUp({phone: args.phone, password: args.password})", phone=ADA, password=PASSWORD
    )
    assert answer["error"] is None
    assert (answer["data"]["session"], answer["data"]["user"]["phone"]) == (None, "4915112345678")
    code = """
    const first = await client.auth.signInWithPassword({phone: args.phone, password: args.password});
    const again = await client.auth.resend({type: "sms", phone: args.phone});
    return {first, again};
    """
    answer = await js(code, phone=ADA, password=PASSWORD)
    assert answer["first"]["error"]["code"] == "phone_not_confirmed"
    assert answer["again"]["error"] is None
    assert answer["again"]["data"]["messageId"]
    verify = "return await client.auth.verifyOtp({phone: args.phone, token: args.token, type: 'sms'})"
    answer = await js(verify, phone=ADA, token=code_to(server, ADA, count=2))
    assert answer["data"]["session"]["user"]["phone_confirmed_at"]
    code = "return await client.auth.signInWithPassword({phone: args.phone, password: args.password})"
    assert (await js(code, phone=ADA, password=PASSWORD))["error"] is None


async def test_sign_in_with_a_code_and_change_the_number(phones: tuple[Server, Js]) -> None:
    server, js = phones
    answer = await js("return await client.auth.signInWithOtp({phone: args.phone})", phone=BOB)
    assert answer["error"] is None
    assert answer["data"]["messageId"]
    code = """
    const {data, error} = await client.auth.verifyOtp({phone: args.phone, token: args.token, type: "sms"});
    if (error) return {error};
    const changed = await client.auth.updateUser({phone: args.wanted});
    const proof = await client.auth.reauthenticate();
    return {session: data.session, changed, proof};
    """
    answer = await js(code, phone=BOB, token=code_to(server, BOB), wanted=EVE)
    assert answer["changed"]["error"] is None
    assert answer["changed"]["data"]["user"]["new_phone"] == EVE.removeprefix("+")
    assert answer["proof"]["error"] is None
    code = """
    const {data, error} = await client.auth.verifyOtp({phone: args.phone, token: args.token, type: "phone_change"});
    return error ? {error} : data.user;
    """
    user = await js(code, phone=EVE, token=code_to(server, EVE))
    assert (user["phone"], "new_phone" in user) == (EVE.removeprefix("+"), False)


async def test_what_is_refused_is_named(phones: tuple[Server, Js]) -> None:
    _, js = phones
    code = """
    const options = {shouldCreateUser: false};
    const otp = await client.auth.signInWithOtp({phone: "+4915100000001", options});
    const wrong = await client.auth.verifyOtp({phone: args.phone, token: "000000", type: "sms"});
    const channel = await client.auth.signInWithOtp({phone: args.phone, options: {channel: "pigeon"}});
    return [otp, wrong, channel].map((answer) => answer.error.code);
    """
    assert await js(code, phone=ADA) == ["otp_disabled", "otp_expired", "validation_failed"]
