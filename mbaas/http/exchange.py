"""A request that is answered without a task of its own.

Whoever takes it says so at once and answers later, from a callback. Nothing is awaited, so it is for what is short by
itself. What is not taken goes the ordinary way, with the same scope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from mbaas.http.respond import Reply, Scope


class Exchange(Protocol):
    """One request whose head and body have arrived. keep_alive: whether the connection goes on after it.

    The scope's headers lack the length of the body.
    """

    scope: Scope
    body: bytes
    keep_alive: bool

    def finish(self, data: bytes) -> None:
        """Writes the answer as it goes over the wire. A client that has gone gets none."""


Quick: TypeAlias = Callable[[Exchange], bool]
"""Takes a request, or leaves it to the ordinary way."""

Settle: TypeAlias = Callable[[Reply | BaseException], None]
"""Told once: the answer, or what went wrong."""

Begin: TypeAlias = Callable[[Scope, bytes, Settle], bool]
"""Begins to answer an admitted request with that body, or says that it is not for that."""
