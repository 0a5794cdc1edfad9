"""Cross-origin requests (Fetch standard, CORS protocol): which browsers may read our answers.

Keys and tokens travel in headers that a page sets itself, so credentials are never allowed, with ``*`` or without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mbaas.core.errors import ConfigError
from mbaas.http.respond import Header, Reply

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS = (
    "authorization, apikey, content-type, accept, accept-profile, content-profile, prefer, range, range-unit, "
    "x-client-info, x-supabase-api-version, x-retry-count, x-upsert, x-metadata, cache-control, x-region, x-signature, "
    "tus-resumable, upload-length, upload-metadata, upload-offset, upload-defer-length, upload-checksum, traceparent, "
    "tracestate, baggage, x-request-id, idempotency-key, if-none-match, if-match"
)
EXPOSED_HEADERS = (
    b"content-range, content-location, range-unit, location, preference-applied, proxy-status, x-total-count, link, "
    b"x-supabase-api-version, x-relay-error, x-sb-error-code, sb-error-code, upload-offset, upload-length, "
    b"upload-expires, upload-metadata, tus-resumable, tus-version, tus-extension, tus-max-size, etag, "
    b"content-disposition, x-request-id, retry-after, idempotency-replayed"
)
PREFLIGHT_LIFETIME_S = 7200  # what Chromium takes at most

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,64}")  # RFC 9110 section 5.6.2
_MAX_ASKED = 50


class Cors:
    """The answer to browsers for one list of origins."""

    def __init__(self, origins: Iterable[str]) -> None:
        """origins: ``https://app.example``, exact; or ``*`` for any. Raises ConfigError for anything else."""
        listed = tuple(origins)
        for origin in listed:
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s*]+", origin):
                raise ConfigError(
                    f"server.cors_origins: {origin!r} is not an origin", hint='like "https://app.example", or "*"'
                )
        exposed = (b"access-control-expose-headers", EXPOSED_HEADERS)
        self._any: tuple[Header, ...] | None = None
        if "*" in listed:
            self._any = ((b"access-control-allow-origin", b"*"), exposed)
        self._by_origin: dict[bytes, tuple[Header, ...]] = {
            origin.encode(): ((b"access-control-allow-origin", origin.encode()), exposed) for origin in listed
        }

    def headers(self, origin: bytes | None) -> tuple[Header, ...]:
        """What goes with an answer. An origin that is not listed gets nothing, and its browser keeps the answer."""
        if origin is None:
            return ()
        return self._any or self._by_origin.get(origin, ())

    def preflight(self, head: Mapping[bytes, bytes]) -> Reply:
        """The answer to OPTIONS with ``Access-Control-Request-Method``. Headers that a client of ours may add pass."""
        origin = self.headers(head.get(b"origin"))
        vary = (b"vary", b"Origin, Access-Control-Request-Headers")
        if not origin:
            return Reply(204, headers=(vary,))
        known = REQUEST_HEADERS.split(", ")
        asked = head.get(b"access-control-request-headers", b"").decode("latin-1").lower().split(",")[:_MAX_ASKED]
        more = [name for name in map(str.strip, asked) if name not in known and _TOKEN.fullmatch(name)]
        return Reply(
            204,
            headers=(
                (b"access-control-allow-methods", METHODS),
                (b"access-control-allow-headers", ", ".join(known + more).encode()),
                (b"access-control-max-age", b"%d" % PREFLIGHT_LIFETIME_S),
                vary,
            ),
        )
