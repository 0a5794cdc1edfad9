"""The service key in a browser: whoever opens that page can take it. Counted each time, told once in a while.

Only browsers send ``Sec-Fetch-Site`` (W3C Fetch Metadata), and no page can keep them from it; ``Origin`` is for older
ones. ``Sec-Fetch-Mode`` says nothing: fetch in Node sends it too.
"""

from __future__ import annotations

from mbaas.http.logs import Log
from mbaas.http.metrics import Metrics
from mbaas.http.redact import redact_text

EVERY_S = 60.0
_MAX_ORIGIN = 200


class ExposedKey:
    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._told_at = float("-inf")
        self._untold = 0

    def seen(self, head: dict[bytes, bytes], *, request_id: str, path: str, now: float) -> None:
        """A browser's request came with the service key. now: seconds of a clock that never goes back."""
        self._metrics.count("service_key_in_browser")
        self._untold += 1
        if now - self._told_at < EVERY_S:
            return
        origin = redact_text(head.get(b"origin", b"same origin").decode("latin-1")[:_MAX_ORIGIN])
        self._log.warning(
            "service_key_in_browser",
            origin=origin,
            path=redact_text(path[:_MAX_ORIGIN]),
            request_id=request_id,
            times=self._untold,
            hint="take the key out of that page, then: mbaas keys rotate",
        )
        self._told_at, self._untold = now, 0
