"""While more is asked than can be answered, sockets are looked at in turns, so that the answers are not held up.

The loop looks at every socket that has something before it comes to what PostgreSQL answered. With a thousand clients
that are turned away one such look takes long, and hardly anybody else is served: goodput fell to a twentieth.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, TypeAlias

from mbaas.http.admission import Admission

TURN = 16
"""So many looks between two looks at everything else."""
VITAL = (b"GET /health/", b"POST /auth/v1/token")
"""How what must not wait begins; it may be refused all the same (``mbaas.http.admission``)."""


class Connection(Protocol):
    queued: int
    """How many pieces of it wait."""

    def look(self, data: bytes) -> None:
        """Take what came."""
        ...


_Item: TypeAlias = tuple[Connection, bytes]


class Pace:
    """Of all connections of one server."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._waiting: deque[_Item] = deque()

    def holds(self, connection: Connection, data: bytes) -> bool:
        """Whether the connection is to wait with that: it is told to ``look`` when its turn has come."""
        admission = self._admission
        if not self._waiting and not admission.active - admission.waiting >= admission.limit > 0:
            return False
        if not connection.queued and data.startswith(VITAL):
            return False
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        self._waiting.append((connection, data))
        connection.queued += 1
        return True

    def _turn(self) -> None:
        for _ in range(min(TURN, len(self._waiting))):
            connection, data = self._waiting.popleft()
            connection.queued -= 1
            connection.look(data)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
