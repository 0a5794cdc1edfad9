"""What plugins may say to new users, and what they are told."""

from __future__ import annotations

from typing import Any

import msgspec

from mbaas.core.errors import HookRefused
from mbaas.core.observe import SendGivenUp
from mbaas.hooks.dispatch import Proceed
from mbaas.hooks.events import SignedIn, User, UserCreate, UserCreated
from tests.auth import PASSWORD, Auth
from tests.integration.auth.test_sessions import count


async def test_a_hook_changes_and_refuses_users(easy: Auth) -> None:
    @easy.hooks.around(UserCreate)
    async def only_ours(event: UserCreate, proceed: Proceed[UserCreate, User]) -> User:
        if not (event.email or "").endswith("@example.com"):
            raise HookRefused("only for people of example.com", status=403)
        return await proceed(msgspec.structs.replace(event, app_metadata={**event.app_metadata, "org": 7}))

    refused = await easy.post("/signup", {"email": "eve@example.org", "password": PASSWORD})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "hook_refused")
    assert refused.json()["msg"] == "only for people of example.com"
    assert await count(easy, "users") == 0
    session = await easy.sign_up("ada@example.com")
    assert session["user"]["app_metadata"]["org"] == 7


async def test_a_hook_that_fails_leaves_no_user(easy: Auth) -> None:
    @easy.hooks.around(UserCreate)
    async def late(event: UserCreate, proceed: Proceed[UserCreate, User]) -> User:
        await proceed(event)
        raise RuntimeError("after the insert")

    answer = await easy.post("/signup", {"email": "ada@example.com", "password": PASSWORD})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "unexpected_failure")
    assert await count(easy, "users") == 0


async def test_hooks_are_told_of_what_happened(easy: Auth) -> None:
    told: list[Any] = []

    @easy.hooks.after(UserCreated)
    async def created(event: UserCreated) -> None:
        told.append(event)

    @easy.hooks.after(SignedIn)
    async def signed_in(event: SignedIn) -> None:
        told.append(event)

    await easy.sign_up("ada@example.com")
    await easy.sign_in("ada@example.com")
    await easy.sign_in("ada@example.com", "wrong")
    await easy.post("/admin/users", {"email": "bob@example.com"}, key=easy.service_key)
    await easy.hooks.settle()
    kinds = [(type(event).__name__, event.user.email) for event in told]
    assert sorted(kinds) == [
        ("SignedIn", "ada@example.com"),
        ("SignedIn", "ada@example.com"),
        ("UserCreated", "ada@example.com"),
        ("UserCreated", "bob@example.com"),
    ]


async def test_a_refusal_behind_a_magic_link_stays_behind_it(auth: Auth) -> None:
    @auth.hooks.around(UserCreate)
    async def nobody(event: UserCreate, proceed: Proceed[UserCreate, User]) -> User:
        raise HookRefused("nobody comes in")

    answer = await auth.post("/otp", {"email": "ada@example.com"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert await auth.mails() == []
    assert SendGivenUp("auth", "sign_in", "nobody comes in") in auth.observed
