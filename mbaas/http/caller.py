"""Who is asking, as the edge found out once for the request."""

from __future__ import annotations

from mbaas.core.errors import MbaasError, Unauthenticated
from mbaas.core.identity import Identity
from mbaas.http.respond import Scope


def caller(scope: Scope) -> Identity:
    """The caller of this request.

    Raises what was wrong with the key or token: Unauthenticated, TokenInvalid, TokenExpired.
    """
    found: Identity | MbaasError | None = scope.get("state", {}).get("caller")
    if isinstance(found, Identity):
        return found
    raise found or Unauthenticated("this request did not pass the edge")
