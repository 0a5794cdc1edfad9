"""Whether somebody has an account shows neither in an answer nor in its time."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.outbox.item import Parcel
from mbaas.adapters.postgres.database import Transaction
from mbaas.config.settings import ThrottleSettings
from tests.auth import PASSWORD, Auth, make_config, open_auth
from tests.conftest import SOAK

SAMPLES = 60 if SOAK else 20
ROUNDS = 6  # noise of a busy machine passes; a leak does not
Request = Callable[[str], Awaitable[httpx.Response]]


@pytest.fixture
async def auth(database_url: str) -> AsyncIterator[Auth]:
    """Without limits of tries and mails: what is refused for being too many takes as long for everybody."""
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        limits = ThrottleSettings(pair=0, account=0, ip=0, messages=0)
        async with open_auth(database_url, make_config(Path(name), throttle=limits)) as opened:
            yield opened


def same(a: httpx.Response, b: httpx.Response) -> None:
    ignored = {"x-request-id", "content-length"}
    assert a.status_code == b.status_code
    assert {k: v for k, v in a.headers.items() if k not in ignored} == {
        k: v for k, v in b.headers.items() if k not in ignored
    }


async def difference(auth: Auth, request: Request) -> float:
    """How far the medians of known and unknown addresses are apart, relative to the smaller."""
    times: dict[str, list[float]] = {"known@example.com": [], "unknown@example.com": []}
    for _ in range(SAMPLES):
        for who, seen in times.items():
            started = time.perf_counter()
            await request(who)
            seen.append(time.perf_counter() - started)
            await auth.settle()
    known, unknown = (statistics.median(seen) for seen in times.values())
    return abs(known - unknown) / min(known, unknown)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/recover", {}),
        ("/resend", {"type": "signup"}),
        ("/signup", {"password": PASSWORD}),
        ("/otp", {}),
    ],
)
async def test_known_and_unknown_addresses_leave_a_row_alike(auth: Auth, path: str, body: dict[str, object]) -> None:
    """What is too small a part of the time to be measured."""
    await auth.post("/admin/users", {"email": "known@example.com", "email_confirm": True}, key=auth.service_key)
    left: list[tuple[str, str]] = []
    put = Outbox.put

    async def remember(outbox: Outbox, transaction: Transaction, parcel: Parcel) -> str:
        left.append((parcel.channel, parcel.kind))
        return await put(outbox, transaction, parcel)

    async def asked(who: str) -> list[tuple[str, str]]:
        left.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Outbox, "put", remember)
            assert (await auth.post(path, {"email": who, **body})).status_code == 200
            found = left[:1]  # of the request itself; the worker may have begun what it leads to
        await auth.settle()
        return found

    assert len(known := await asked("known@example.com")) == 1
    assert known == await asked("unknown@example.com")


@pytest.mark.parametrize("flow", ["password", "recover", "resend", "signup"])
async def test_known_and_unknown_addresses_answer_alike(auth: Auth, flow: str) -> None:
    await auth.post(
        "/admin/users",
        {"email": "known@example.com", "password": PASSWORD, "email_confirm": True},
        key=auth.service_key,
    )

    async def request(who: str) -> httpx.Response:
        if flow == "password":
            return await auth.sign_in(who, "a wrong password")
        if flow == "recover":
            return await auth.post("/recover", {"email": who})
        if flow == "resend":
            return await auth.post("/resend", {"type": "signup", "email": who})
        return await auth.post("/signup", {"email": who, "password": PASSWORD})

    known, unknown = await request("known@example.com"), await request("unknown@example.com")
    same(known, unknown)
    if flow == "signup":
        assert set(known.json()) == set(unknown.json())
    else:
        assert known.json() == unknown.json()
    found = [await difference(auth, request)]
    while found[-1] >= 0.2 and len(found) < ROUNDS:
        found.append(await difference(auth, request))
    assert min(found) < 0.2, found


async def test_a_magic_link_for_a_new_or_a_known_address_answers_alike(auth: Auth) -> None:
    await auth.post("/admin/users", {"email": "known@example.com", "email_confirm": True}, key=auth.service_key)
    fresh = iter(f"new{number}@example.com" for number in range(10_000))

    async def request(who: str) -> httpx.Response:
        return await auth.post("/otp", {"email": who if who.startswith("known") else next(fresh)})

    same(await request("known@example.com"), await request("unknown@example.com"))
    found = [await difference(auth, request)]
    while found[-1] >= 0.2 and len(found) < ROUNDS:
        found.append(await difference(auth, request))
    assert min(found) < 0.2, found
