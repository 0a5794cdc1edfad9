"""Who may call which route. Every handler names its access; the app is not built when one does not."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from mbaas.core.errors import MbaasError, TokenExpired, TokenInvalid
from mbaas.core.identity import ANON, Identity
from mbaas.http.caller import caller
from mbaas.http.respond import Scope
from mbaas.http.step_up import StepUpRequired
from mbaas.modules.auth.errors import BadJwt, NoAuthorization, NotAdmin


class Access(StrEnum):
    OPEN = "open"  # browsers and mail clients: no key
    PROJECT = "project"  # whoever has a key of the project
    USER = "user"  # a signed-in user
    FIRST_FACTOR = "first_factor"  # the same, also where the settings ask for a second factor that is still to come
    SERVICE = "service"  # the service key


def require_access(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A Litestar guard: lets a request pass to its handler, or raises what refuses it."""
    scope: Scope = connection.scope  # type: ignore[assignment]
    access = Access(handler.opt["access"])
    if access is Access.PROJECT:
        project_caller(scope)
    elif access is Access.USER:
        _require_user(scope, caller)
    elif access is Access.FIRST_FACTOR:
        _require_user(scope, first_factor_caller)
    elif access is Access.SERVICE:
        _require_service(scope)


def project_caller(scope: Scope) -> Identity:
    """Who asks where a user's token does not matter: one that has run out must not keep it from being refreshed.

    Raises Unauthenticated for the project's key alone.
    """
    try:
        return first_factor_caller(scope)
    except (TokenExpired, TokenInvalid):
        return ANON


def first_factor_caller(scope: Scope) -> Identity:
    """Who asks, also of a session that has yet to prove a second factor. Raises as ``caller``."""
    try:
        return caller(scope)
    except StepUpRequired as refusal:
        return refusal.identity


def _require_user(scope: Scope, found: Callable[[Scope], Identity]) -> None:
    if not _has_bearer(scope):
        _key_only(scope)
        raise NoAuthorization
    if found(scope).user_id is None:
        raise BadJwt


def _require_service(scope: Scope) -> None:
    """The service key alone, as ``apikey`` or bearer; with a user's token beside it the user is who asks."""
    if _has_bearer(scope):
        if not caller(scope).bypasses_rules:
            raise NotAdmin
    elif not _key_only(scope).bypasses_rules:
        raise NoAuthorization


def _key_only(scope: Scope) -> Identity:
    try:
        return caller(scope)
    except MbaasError as error:
        raise NoAuthorization(error.message) from error


def _has_bearer(scope: Scope) -> bool:
    return any(name == b"authorization" for name, _ in scope["headers"])
