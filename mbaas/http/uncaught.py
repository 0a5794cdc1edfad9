"""What the router's own errors mean in ours, and the way of all errors out to the edge.

Litestar would answer exceptions itself, with bodies of its own. Given ``EXCEPTION_HANDLERS`` it lets them pass, so that
the edge words every error once, in the dialect of its prefix, and logs what is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from litestar.exceptions import HTTPException

from mbaas.core.errors import (
    BodyInvalid,
    Forbidden,
    MbaasError,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from mbaas.http.errors import MethodNotAllowed


def _pass_on(_: Any, error: Exception) -> NoReturn:
    raise error


def _pass_on_as_ours(_: Any, error: HTTPException) -> NoReturn:
    if error.status_code == 500:
        raise error
    raise as_ours(error) from error


EXCEPTION_HANDLERS: Mapping[type[Exception], Any] = {Exception: _pass_on, HTTPException: _pass_on_as_ours}
"""For ``Litestar(exception_handlers=…)``."""


def as_ours(error: HTTPException) -> MbaasError:
    """Our class for an error of the router, of validation or of a guard."""
    status = error.status_code
    if status == 404:
        return NotFound("there is no such route")
    if status == 405:
        allow = (error.headers or {}).get("allow", "")
        return MethodNotAllowed("this route does not take that method", hint=f"it takes {allow}" if allow else None)
    if status == 401:
        return Unauthenticated(error.detail)
    if status == 403:
        return Forbidden(error.detail)
    if status == 413:
        return TooLarge(error.detail)
    if status == 503:
        return Unavailable(error.detail)
    found = error.extra if isinstance(error.extra, list) else []
    told = [f"{item['key']}: {item['message']}" if item.get("key") else item["message"] for item in found]
    return BodyInvalid("; ".join(told) or error.detail)
