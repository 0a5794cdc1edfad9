"""How many requests may be under way at once. More are turned away at once, while it still costs nearly nothing.

A server that takes everything answers everybody too late. What waits for its client, a body that trickles in, does not
count: it holds nothing that others need.
"""

from __future__ import annotations

from mbaas.core.errors import Overloaded

VITAL = frozenset(("/auth/v1/token",))
"""Without it a client loses its session over a busy minute, and signs in anew, which costs more."""
RESERVE = 1.25  # how far vital routes may go beyond the limit


class Admission:
    """Counts the requests of one server."""

    __slots__ = ("active", "limit", "waiting")

    def __init__(self, limit: int) -> None:
        """limit: requests at once; 0: no limit."""
        self.limit = limit
        self.active = 0
        self.waiting = 0  # of them, those that wait for their client

    @property
    def full(self) -> bool:
        """Whether one more would be too many."""
        return self.active - self.waiting >= self.limit > 0

    def check(self, path: str) -> None:
        """Raises Overloaded when too many are under way, the one that asks among them."""
        busy = self.active - self.waiting
        if busy > self.limit > 0 and (path not in VITAL or busy > self.limit * RESERVE):
            raise turned_away()


def turned_away() -> Overloaded:
    return Overloaded("the server is busy", hint="try again in a moment")
