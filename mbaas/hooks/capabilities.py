"""What a plugin can add at start-up, as values. The composition root reads them off and mounts them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeAlias

import msgspec

from mbaas.core.identity import Identity
from mbaas.hooks.events import Transaction

Access: TypeAlias = Literal["public", "key", "user", "service"]
"""Who may call a route: anyone; a valid API key; a signed-in user or the service key; the service key only."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a plugin's route.

    path: below the plugin's own prefix, ``/`` first. query: decoded, in the order sent. headers: names in lower case.
    transaction: opens a transaction as the caller; leaving the block commits, an exception rolls back.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    identity: Identity
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a plugin's route."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A route of a plugin, reached at ``/plugins/v1/<plugin><path>``. access has no default: it must be decided."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    access: Access
    handler: Handler


Capability: TypeAlias = Route
"""Everything ``provide`` takes. Grows with the modules that can use more."""


class Provided(msgspec.Struct, frozen=True):
    """A capability and the plugin it came from."""

    plugin: str
    capability: Capability
