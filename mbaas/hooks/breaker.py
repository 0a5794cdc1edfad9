"""Leaves a hook alone that keeps failing, so that it cannot hold a transaction open for its timeout again and again."""

from __future__ import annotations

import msgspec


class Breaker(msgspec.Struct):
    """Counts failures in a row. After ``max_failures`` the hook rests; then one failure more sends it back to rest.

    Times are seconds of one monotonic clock.
    """

    max_failures: int = 5
    rest_s: float = 60.0
    failures: int = 0
    until: float = 0.0

    def rests(self, now: float) -> bool:
        return now < self.until

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, now: float) -> float:
        """Seconds of rest that begin now, 0 when the hook may go on."""
        self.failures += 1
        if self.failures < self.max_failures:
            return 0.0
        self.until = now + self.rest_s
        return self.rest_s
