"""The check of the route table finds what it is for."""

from __future__ import annotations

from uuid import UUID

import pytest
from litestar import Litestar, asgi, delete, get
from litestar.connection import Request
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send

from mbaas.core.errors import Forbidden
from mbaas.http.caller import caller
from mbaas.http.edge import Surface
from mbaas.http.uncaught import EXCEPTION_HANDLERS
from tests.edge import Setup, ask, whoami
from tests.routes import Policy, check, filled, routes_of

CREDENTIALS: dict[str, tuple[str | None, str | None]] = {
    "nobody": (None, None),
    "anon": ("anon-key", None),
    "user": ("anon-key", "user-token"),
    "service": ("service-key", None),
}


def service_only(request: Request) -> None:  # type: ignore[type-arg]
    if not caller(request.scope).bypasses_rules:  # type: ignore[arg-type]
        raise Forbidden("for the service key")


@get("/admin/v1/users/{user_id:uuid}", sync_to_thread=False)
def show(request: Request, user_id: FromPath[UUID]) -> dict[str, str]:  # type: ignore[type-arg]
    service_only(request)
    return {}


@delete("/admin/v1/users/{user_id:uuid}", sync_to_thread=False)
def remove(request: Request, user_id: FromPath[UUID]) -> None:  # type: ignore[type-arg]
    service_only(request)


@get("/admin/v1/forgotten", sync_to_thread=False)
def forgotten() -> dict[str, str]:
    return {}


@get("/docs", sync_to_thread=False)
def docs() -> dict[str, str]:
    return {}


@asgi("/open/v1", is_mount=True, copy_scope=False)
async def open_mount(scope: Scope, receive: Receive, send: Send) -> None:
    await whoami(scope, receive, send)  # type: ignore[arg-type]


POLICIES = [
    Policy("/admin/v1/users/{user_id:uuid}", "service"),
    Policy("/docs", "public"),
    Policy("/open/v1/**", "key", sample="/things"),
    Policy("/rest/v1/**", "key", sample="/posts"),
]


def served(*extra: object) -> tuple[Litestar, Setup]:
    app = Litestar(
        [show, remove, docs, open_mount, *extra],  # type: ignore[list-item]
        exception_handlers=dict(EXCEPTION_HANDLERS),
        openapi_config=None,
    )
    return app, Setup(app, surfaces=[Surface(prefix="/rest/v1", app=whoami)])  # type: ignore[arg-type]


async def wrong(policies: list[Policy], *extra: object) -> list[str]:
    app, setup = served(*extra)

    async def status(method: str, path: str, actor: str) -> int:
        key, bearer = CREDENTIALS[actor]
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return (await ask(setup.edge, method, path, key=key, headers=headers)).status

    return await check(routes_of(app, mounts=["/rest/v1"]), policies, status)


async def test_routes_that_keep_their_policies_pass() -> None:
    assert await wrong(POLICIES) == []


async def test_a_new_route_without_a_policy_fails() -> None:
    assert await wrong(POLICIES, forgotten) == ["GET /admin/v1/forgotten has no policy"]


async def test_a_door_that_stands_open_is_found() -> None:
    found = await wrong([*POLICIES, Policy("/admin/v1/forgotten", "service")], forgotten)
    assert found == [f"GET /admin/v1/forgotten lets {actor} in: 200" for actor in ("nobody", "anon", "user")]


async def test_a_door_that_is_shut_for_those_it_is_for_is_found() -> None:
    policies = [Policy("/admin/v1/users/{user_id:uuid}", "user"), *POLICIES[1:]]
    assert "GET /admin/v1/users/00000000-0000-4000-8000-000000000000 keeps user out: 403" in await wrong(policies)


async def test_a_policy_for_a_route_that_is_gone_is_found() -> None:
    assert await wrong([*POLICIES, Policy("/gone", "public")]) == ["a policy speaks of /gone, which is no route"]


async def test_a_policy_may_be_for_some_methods_only() -> None:
    policies = [Policy("/admin/v1/users/{user_id:uuid}", "service", frozenset({"GET"})), *POLICIES[1:]]
    assert await wrong(policies) == ["DELETE /admin/v1/users/{user_id:uuid} has no policy"]


@pytest.mark.parametrize(("path", "asked"), [("/a/{x:str}/b", "/a/x/b"), ("/a/{n:int}", "/a/1"), ("/a", "/a")])
def test_parameters_get_values(path: str, asked: str) -> None:
    assert filled(path) == asked
