"""What a server can say no with, as exceptions. ``code`` is the wire's own: ``23505``, ``PGRST116``, ``bad_jwt``."""

from __future__ import annotations

from typing import Any


class MbaasError(Exception):
    """Base of everything this client raises on purpose. status: HTTP, 0 when no answer came."""

    def __init__(self, message: str, *, code: str = "", status: int = 0, hint: str | None = None, details: Any = None):
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.code = code
        self.status = status
        self.hint = hint
        self.details = details


class BadRequest(MbaasError):
    """The request cannot be understood, or a value does not fit."""


class Unauthenticated(MbaasError):
    """No key or token, or one that no longer holds."""


class Forbidden(MbaasError):
    """A rule refuses it."""


class NotFound(MbaasError):
    """There is no such thing, or none the caller may see."""


class Conflict(MbaasError):
    """What is there already stands against it: a unique value, a reference."""


class RateLimited(MbaasError):
    """Too many requests. ``retry_after_s``: seconds to wait."""

    retry_after_s = 1.0


class Unavailable(MbaasError):
    """The server, or its database, does not answer now."""


_BY_STATUS = {401: Unauthenticated, 403: Forbidden, 404: NotFound, 409: Conflict, 429: RateLimited}


def error_for(status: int, body: Any, retry_after: str | None) -> MbaasError:
    """The exception for an answer of 400 or more, whichever of the server's error shapes it has."""
    said = body if isinstance(body, dict) else {}
    message = said.get("message") or said.get("msg") or said.get("error_description") or f"HTTP {status}"
    code = said.get("error_code") or said.get("code") or ""
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else BadRequest)
    error = kind(str(message), code=str(code), status=status, hint=said.get("hint"), details=said.get("details"))
    if isinstance(error, RateLimited) and retry_after is not None and retry_after.isdigit():
        error.retry_after_s = float(retry_after)
    return error
