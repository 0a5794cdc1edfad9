"""Auth as one ASGI app, mounted at ``/auth/v1`` behind the edge."""

from __future__ import annotations

import functools
from typing import Any, cast

import msgspec
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Scope as LitestarScope

from mbaas.adapters.clock import Chance, Clock
from mbaas.adapters.messages.outgoing import Messages
from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.secrets import SecretsFile
from mbaas.config.settings import Config
from mbaas.core.errors import BodyInvalid, MbaasError, NotFound, QueryError, TooLarge
from mbaas.core.later import load_all
from mbaas.core.observe import Observe, ignore
from mbaas.hooks.dispatch import Hooks
from mbaas.http.arriving import FirstUse
from mbaas.http.errors import MethodNotAllowed
from mbaas.http.respond import Receive, Scope, Send
from mbaas.http.routed import Routed
from mbaas.modules.auth.access import Access, require_access
from mbaas.modules.auth.admin_routes import ADMIN_ROUTES
from mbaas.modules.auth.common_passwords import common_passwords
from mbaas.modules.auth.errors import MAX_BODY, auth_dialect
from mbaas.modules.auth.message_routes import MESSAGE_ROUTES
from mbaas.modules.auth.mfa.routes import MFA_ROUTES
from mbaas.modules.auth.oauth_routes import OAUTH_ROUTES
from mbaas.modules.auth.revocations import Revocations
from mbaas.modules.auth.routes import ROUTES
from mbaas.modules.auth.services import Services, build_services
from mbaas.modules.auth.session_routes import SESSION_ROUTES
from mbaas.modules.auth.upkeep import keep_up

_SERVICES = "auth_services"
_ALL = (*ROUTES, *MFA_ROUTES, *OAUTH_ROUTES, *SESSION_ROUTES, *ADMIN_ROUTES, *MESSAGE_ROUTES)


class AuthApp:
    """The mounted app and its end."""

    def __init__(self, services: Services) -> None:
        self.litestar = _litestar()
        self.services = services
        self._libraries = FirstUse(load_all, common_passwords)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._libraries.done:
            await self._libraries()
        scope["state"][_SERVICES] = self.services
        await self.litestar(cast(Any, scope), cast(Any, receive), cast(Any, send))

    async def keep_up(self, revocations: Revocations) -> None:
        """Drop what has ended, from time to time and for good."""
        services = self.services
        drop = (services.throttle.forget, services.devices.forget, services.web3_grant.forget, revocations.forget)
        await keep_up(drop)

    async def close(self) -> None:
        """Let go of the threads that hash, and of connections."""
        self.services.passwords.close()
        await self.services.admission.close()


def auth_app(
    *,
    config: Config,
    secrets: SecretsFile,
    database: Database,
    outbox: Outbox,
    messages: Messages,
    hooks: Hooks,
    observe: Observe = ignore,
    clock: Clock | None = None,
    chance: Chance | None = None,
) -> AuthApp:
    """Auth for one project. It expects paths without the prefix, and the edge's ``scope["state"]``.

    outbox: not started yet: auth adds a channel of its own.

    Raises LookupError when a route does not say who may call it.
    """
    services = build_services(
        config=config,
        secrets=lambda: secrets.current,
        database=database,
        outbox=outbox,
        messages=messages,
        hooks=hooks,
        observe=observe,
        clock=clock or Clock(),
        chance=chance or Chance(),
    )
    return AuthApp(services)


@functools.cache
def _litestar() -> Litestar:
    """The routes, which hold nothing of a project: they take a third of a second to build, and serve every app of a
    process."""
    for handler in _ALL:
        Access(handler.opt["access"])
    return Routed(
        route_handlers=[*_ALL],
        dependencies={"services": Provide(_services, sync_to_thread=False)},
        guards=[require_access],
        exception_handlers={Exception: _answer_error},
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        logging_config=None,
    )


def _services(scope: LitestarScope) -> Services:
    found: Services = scope["state"][_SERVICES]
    return found


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Every failure in the words of this protocol. What is not ours goes on to the edge, which logs it."""
    known = _ours(error)
    if known is None:
        raise error
    reply = auth_dialect(known, cast(Scope, request.scope))
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    if isinstance(error, HTTPException) and error.headers:
        headers = {**error.headers, **headers}
    return Response(reply.body, status_code=reply.status, headers=headers, media_type=reply.content_type.decode())


def _ours(error: Exception) -> MbaasError | None:
    """The framework's words for a bad request in ours; ``None``: a fault."""
    if isinstance(error, MbaasError):
        return error
    if isinstance(error, NotFoundException):
        return NotFound("there is no such route")
    if isinstance(error, MethodNotAllowedException):
        return MethodNotAllowed("this route does not take that method")
    if isinstance(error, RequestEntityTooLarge):
        return TooLarge(f"a body has at most {MAX_BODY} bytes here")
    if isinstance(error, msgspec.MsgspecError | RecursionError):
        return BodyInvalid("Could not parse request body as JSON")
    if isinstance(error, ValidationException):
        return QueryError(_first_reason(error))
    if isinstance(error, ClientException) and error.status_code == 400:  # raised from a SerializationException
        return BodyInvalid("Could not parse request body as JSON")
    return None


def _first_reason(error: ValidationException) -> str:
    """Which field was wrong and how, in the framework's words, which name types and nothing of ours."""
    reasons = [item for item in error.extra or () if isinstance(item, dict)]
    if not reasons:
        return "a parameter of the request cannot be used"
    return f"{reasons[0].get('key', 'the body')}: {reasons[0].get('message', 'cannot be used')}"
