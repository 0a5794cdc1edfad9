"""A request that waits for the answer of the quick way."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from mbaas.http.heads import Head, Shape
from mbaas.http.respond import Scope

if TYPE_CHECKING:
    from mbaas.http.protocol import Protocol


class Pending(msgspec.Struct, eq=False):
    """See ``mbaas.http.exchange.Exchange``. protocol: the connection it came on."""

    protocol: Protocol
    peer: str
    head: Head
    line: bytes
    shape: Shape
    literals: list[bytes]
    known: Any
    body: bytes = b""
    keep_alive: bool = True
    made: Scope | None = None

    @property
    def method(self) -> str:
        return self.line[: self.line.index(b" ")].decode("ascii")

    @property
    def path(self) -> bytes:
        return self.line[self.line.index(b" ") + 1 :].partition(b"?")[0]

    @property
    def query(self) -> bytes:
        return self.line.partition(b"?")[2]

    @property
    def scope(self) -> Scope:
        if self.made is None:
            self.made = self.protocol.make_scope(self.method, "1.1", self.path, self.query, self.head)
        return self.made

    def keep(self, known: Any) -> None:
        self.protocol.heads.keep(self.head, self.shape, known)

    @property
    def gone(self) -> bool:
        return self.protocol.waits_for is not self

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.protocol.run(work)

    def finish(self, data: bytes) -> None:
        protocol = self.protocol
        if protocol.waits_for is not self:
            return
        protocol.waits_for = None
        protocol.server_state.total_requests += 1
        protocol.transport.write(data)
        if self.keep_alive:
            protocol.go_on()
        else:
            protocol.transport.close()
