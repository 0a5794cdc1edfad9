"""Our errors on HTTP: the one table of statuses, and the body for every prefix that has no dialect of its own.

A dialect (``/rest/v1``, ``/auth/v1``, …) is a function of the same shape as ``default_dialect``; it stands beside the
module's routes and takes statuses from here where its protocol does not fix another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from mbaas.core.errors import (
    Conflict,
    Forbidden,
    HookRefused,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    MbaasError,
    NotFound,
    QueryError,
    RateLimited,
    Timeout,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnknownCollection,
)
from mbaas.http.respond import Header, Reply, Scope

Dialect: TypeAlias = Callable[[MbaasError, Scope], Reply]
"""How one prefix words an error. The scope is there for headers that change the wording and for the request id."""


class PathInvalid(QueryError):
    """The path has more than one reading."""

    code = "path_invalid"


class MethodNotAllowed(MbaasError):
    """The method means nothing here."""

    code = "method_not_allowed"


class UrlTooLong(TooLarge):
    code = "url_too_long"


class HeadersTooLarge(TooLarge):
    code = "headers_too_large"


class BodyTooSlow(MbaasError):
    """The body did not arrive in time."""

    code = "body_too_slow"


STATUS: dict[type[MbaasError], int] = {
    QueryError: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    UnknownCollection: 404,
    MethodNotAllowed: 405,
    BodyTooSlow: 408,
    Conflict: 409,
    TooLarge: 413,
    IdempotencyKeyReused: 422,
    UrlTooLong: 414,
    RateLimited: 429,
    HeadersTooLarge: 431,
    MbaasError: 500,
    Unavailable: 503,
    Timeout: 504,
}
"""A class without a line takes its parent's."""


def status_of(error: MbaasError) -> int:
    """The HTTP status of an error; a plugin's refusal brings its own."""
    if isinstance(error, HookRefused):
        return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def headers_of(error: MbaasError) -> tuple[Header, ...]:
    """Headers that go with an error in every dialect. ``Retry-After`` in seconds (RFC 9110 section 10.2.3)."""
    if isinstance(error, IdempotencyInProgress | RateLimited | Unavailable):
        return ((b"retry-after", b"%d" % error.retry_after_s),)
    if isinstance(error, Unauthenticated):
        return ((b"www-authenticate", b"Bearer"),)
    return ()


def default_dialect(error: MbaasError, scope: Scope) -> Reply:
    """``{"code", "message", "hint", "details"}``. Of a 500 the caller learns the code and the request id only."""
    status = status_of(error)
    body: dict[str, Any]
    if status == 500:
        request_id = scope.get("state", {}).get("request_id", "unknown")
        hint = f"the server's log has the cause under request id {request_id}"
        body = {"code": error.code, "message": "something failed on the server", "hint": hint, "details": None}
    else:
        body = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
    return Reply(status, msgspec.json.encode(body), headers_of(error))
