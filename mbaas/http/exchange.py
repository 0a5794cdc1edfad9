"""A request that is answered without ASGI's messages, and if it is short without a task of its own.

Whoever takes it says so at once and answers later: from a callback, or by a coroutine that is waited for. What is not
taken goes the ordinary way, with the same scope.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from mbaas.core.identity import Identity
from mbaas.http.heads import Head, Shape
from mbaas.http.respond import Reply, Scope


class Exchange(Protocol):
    """One request whose head and body have arrived. keep_alive: whether the connection goes on after it.

    line: method and target, as they came; path and query: of the target. shape, literals: the line, cut
    (``mbaas.core.query.shape``). known: what was kept of requests whose lines differ by them alone, with this head.
    scope: made when it is asked for, which costs something; its headers lack the length of the body.
    """

    head: Head
    line: bytes
    shape: Shape
    literals: list[bytes]
    known: Any
    body: bytes
    peer: str
    keep_alive: bool

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> bytes: ...

    @property
    def query(self) -> bytes: ...

    def keep(self, known: Any) -> None:
        """For the next ones of this head and shape."""

    @property
    def scope(self) -> Scope: ...

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """As a task that is cancelled when the client goes away."""

    def finish(self, data: bytes) -> None:
        """Writes the answer as it goes over the wire. A client that has gone gets none."""


Quick: TypeAlias = Callable[[Exchange], bool]
"""Takes a request, or leaves it to the ordinary way."""

Settle: TypeAlias = Callable[[Reply | BaseException], None]
"""Told once: the answer, or what went wrong."""


class Admitted(Protocol):
    """A request that passed the edge. Who takes it calls one of ``settle`` and ``wait``, once."""

    @property
    def exchange(self) -> Exchange:
        """What came, for what differs between requests of one shape: ``literals``, ``query``, ``body``."""

    @property
    def scope(self) -> Scope: ...

    @property
    def settle(self) -> Settle: ...

    def wait(self, answer: Coroutine[Any, Any, Reply]) -> None:
        """The answer is what that gives or raises, within the time limit of its surface."""


Again: TypeAlias = Callable[[Admitted, Identity], bool]
"""Begins to answer a request of a head and shape that came before, or says that it is not for that."""

Begin: TypeAlias = Callable[[Admitted], bool | Again]
"""Begins to answer a request, or says that it is not for that.

An ``Again`` says that it has begun, and is asked first for the next ones of the same head and shape.
"""
