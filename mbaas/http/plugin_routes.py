"""Routes that plugins provide, at ``/plugins/v1/<plugin><path>``.

Who may call is part of the route and checked here, before the plugin's code runs.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from mbaas.core.errors import Forbidden, HookBroken, MbaasError, NotFound, Unauthenticated
from mbaas.core.identity import ANON, Identity
from mbaas.core.observe import HookFailed, Observe, ignore
from mbaas.hooks.capabilities import Access, Provided, Request, Response, Route
from mbaas.hooks.events import Transaction
from mbaas.http.caller import caller
from mbaas.http.errors import MethodNotAllowed
from mbaas.http.respond import ASGIApp, Header, Receive, Scope, Send, send_body

PREFIX = "/plugins/v1"

Begin = Callable[[Identity], AbstractAsyncContextManager[Transaction]]


def plugin_routes(
    provided: Iterable[Provided], *, begin: Begin, timeout_s: float, observe: Observe = ignore
) -> ASGIApp:
    """An ASGI app for ``PREFIX``, behind the edge. It raises what the edge words: NotFound, Forbidden, ….

    begin: opens a transaction as the caller. timeout_s: what one call may take.
    """
    routes: dict[str, dict[str, Route]] = {}
    for item in provided:
        path = f"/{item.plugin}{item.capability.path}".rstrip("/")
        routes.setdefault(path, {})[item.capability.method] = item.capability

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["state"]["path"].removeprefix(PREFIX)
        by_method = routes.get(path)
        if by_method is None:
            raise NotFound("no plugin has a route here")
        route = by_method.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if route is None:
            raise MethodNotAllowed(f"this route takes {', '.join(sorted(by_method))}")
        identity = allowed(route.access, scope)
        request = Request(
            method=scope["method"],
            path=route.path,
            query=tuple(urllib.parse.parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=await _body(receive),
            identity=identity,
            transaction=lambda: begin(identity),
        )
        response = await _answer(route, request, timeout_s, observe)
        headers: list[Header] = [(n.lower().encode(), v.encode("latin-1")) for n, v in response.headers.items()]
        await send_body(send, response.status, response.body, headers, response.content_type.encode())

    return app


def allowed(access: Access, scope: Scope) -> Identity:
    """The caller, when the route is for such a one. Raises Unauthenticated or Forbidden."""
    if access == "public":
        found = scope["state"]["caller"]
        return found if isinstance(found, Identity) else ANON
    identity = caller(scope)
    if access == "user" and identity.role == "anon":
        raise Unauthenticated("this route is for signed-in users")
    if access == "service" and not identity.bypasses_rules:
        raise Forbidden("this route is for the service key")
    return identity


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(route: Route, request: Request, timeout_s: float, observe: Observe) -> Response:
    try:
        async with asyncio.timeout(timeout_s):
            response = await route.handler(request)
        if not isinstance(response, Response):
            raise TypeError(f"a handler gives a Response, not {type(response).__name__}")
    except MbaasError:
        raise
    except (Exception, SystemExit) as error:
        observe(HookFailed(request.path, f"{route.method} route", repr(error)))
        raise HookBroken("a plugin failed", hint="the server's log says which and why") from error
    return response
