"""Where one is signed in, for users themselves and for the service key."""

from __future__ import annotations

import uuid
from typing import cast

from litestar import delete, get
from litestar.params import FromPath

from mbaas.http.caller import caller
from mbaas.http.respond import Scope
from mbaas.modules.auth.access import Access
from mbaas.modules.auth.devices import Device
from mbaas.modules.auth.errors import NoSuchSession, UnknownUserId
from mbaas.modules.auth.routes import AnyRequest, Injected, asked_by, current_user


@get("/user/sessions", opt={"access": Access.USER})
async def own_sessions(request: AnyRequest, services: Injected) -> dict[str, list[Device]]:
    user = await current_user(request, services)
    current = caller(cast(Scope, request.scope)).session_id
    return {"sessions": await services.devices.of(user.id, current=current)}


@delete("/user/sessions/{session_id:str}", status_code=204, opt={"access": Access.USER})
async def end_own_session(request: AnyRequest, services: Injected, session_id: FromPath[str]) -> None:
    user = await current_user(request, services)
    await services.devices.end(user.id, _session_id(session_id), asked=asked_by(request, services, None))


@get("/admin/users/{user_id:str}/sessions", opt={"access": Access.SERVICE})
async def sessions_of(services: Injected, user_id: FromPath[str]) -> dict[str, list[Device]]:
    return {"sessions": await services.devices.of(_user_id(user_id))}


@delete("/admin/users/{user_id:str}/sessions", status_code=200, opt={"access": Access.SERVICE})
async def end_sessions_of(request: AnyRequest, services: Injected, user_id: FromPath[str]) -> dict[str, int]:
    ended = await services.devices.end_all(_user_id(user_id), asked=asked_by(request, services, None))
    return {"ended": ended}


@delete("/admin/users/{user_id:str}/sessions/{session_id:str}", status_code=204, opt={"access": Access.SERVICE})
async def end_session_of(
    request: AnyRequest, services: Injected, user_id: FromPath[str], session_id: FromPath[str]
) -> None:
    asked = asked_by(request, services, None)
    await services.devices.end(_user_id(user_id), _session_id(session_id), asked=asked)


def _user_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise UnknownUserId from None


def _session_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise NoSuchSession from None


SESSION_ROUTES = (own_sessions, end_own_session, sessions_of, end_sessions_of, end_session_of)
