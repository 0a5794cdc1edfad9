"""What a request may look like and weigh, checked before anything reads it."""

from __future__ import annotations

import asyncio
import re
import urllib.parse
from functools import lru_cache

from mbaas.core.errors import QueryError, TooLarge
from mbaas.http.admission import Admission
from mbaas.http.errors import BodyTooSlow, HeadersTooLarge, PathInvalid, UrlTooLong
from mbaas.http.respond import Message, Receive, Scope

MAX_HEADERS = 100
MAX_HEADER_BYTES = 65_536  # all values together; a session cookie and a long Prefer are far below
ONCE = (
    b"authorization",
    b"apikey",
    b"content-length",
    b"content-type",
    b"host",
    b"idempotency-key",
    b"origin",
    b"transfer-encoding",
    b"x-request-id",
)
"""Headers that decide something and may come once: two of them would let two readers see two requests."""

_ODD = re.compile(r"//|/\.\.?(?:/|\Z)|\\|[\x00-\x1f\x7f]")
_ENCODED_SLASH = re.compile(rb"%2f|%5c", re.IGNORECASE)


def canonical_path(scope: Scope) -> str:
    """The one path that limits, policies and the router see: decoded once, no slash at the end.

    Refuses what has two readings: encoded slashes, empty and dot segments, control characters, bytes that are not
    UTF-8. Raises PathInvalid.
    """
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode()
    _check_path(path, raw)
    if path[-1:] == "/" and path != "/":
        path = scope["path"] = path[:-1]
        scope["raw_path"] = raw[:-1]
    return path


@lru_cache(maxsize=4096)
def _check_path(path: str, raw: bytes) -> None:
    if b"%" in raw:
        if _ENCODED_SLASH.search(raw):
            raise PathInvalid("the path holds an encoded slash")
        try:
            urllib.parse.unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise PathInvalid("the path is not UTF-8") from None
    if _ODD.search(path):
        raise PathInvalid("the path holds empty, dot or unprintable parts")


def leave_base(scope: Scope, base: bytes) -> None:
    """Takes the path of the server's own public address off, for proxies that pass it on. base: ``/backend``.

    >>> scope = {"path": "/backend/rest/v1/posts", "raw_path": b"/backend/rest/v1/posts"}
    >>> leave_base(scope, b"/backend")
    >>> scope["path"]
    '/rest/v1/posts'
    """
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode()
    if raw.startswith(base + b"/") and path.startswith(base.decode() + "/"):
        scope["path"], scope["raw_path"] = path[len(base) :], raw[len(base) :]


def check_url(scope: Scope, *, max_url: int) -> None:
    """Its size and encoding. Raises UrlTooLong, QueryError."""
    query: bytes = scope["query_string"]
    if len(scope.get("raw_path") or scope["path"]) + len(query) > max_url:
        raise UrlTooLong(f"a URL has at most {max_url} bytes", hint="send long lists in the body of an rpc call")
    if not query.isascii():
        try:
            query.decode()
        except UnicodeDecodeError:
            raise QueryError("the query string is not UTF-8", hint="percent-encode it") from None


def check_headers(headers: list[tuple[bytes, bytes]], head: dict[bytes, bytes]) -> None:
    """Their sizes, and headers that may come once. head: them as a dict. Raises HeadersTooLarge, QueryError."""
    if len(headers) > MAX_HEADERS or sum(map(len, head.values())) > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"a request has at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together")
    if len(head) != len(headers):
        check_repeated(headers)


def check_repeated(headers: list[tuple[bytes, bytes]]) -> None:
    """Some name came more than once. Raises QueryError when that name may not, HeadersTooLarge when they add up."""
    names = [name for name, _ in headers]
    for name in ONCE:
        if names.count(name) > 1:
            raise QueryError(f"the header {name.decode()} came more than once")
    if sum(len(value) for _, value in headers) > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"a request has at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together")


def declared_length(head: dict[bytes, bytes], *, max_body: int) -> int | None:
    """The length the client declares, ``None`` for chunked or none. Raises TooLarge, QueryError."""
    if head.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
        raise QueryError("the only transfer-encoding read here is chunked")  # RFC 9112 section 6.1
    text = head.get(b"content-length")
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise QueryError("content-length is not a number")
    length = int(text)
    if length > max_body:
        raise too_large(max_body)
    return length


def too_large(max_body: int) -> TooLarge:
    return TooLarge(f"a body has at most {max_body} bytes here", hint="send it in smaller parts")


class LimitedReceive:
    """``receive`` of a request with a body: counts what really comes and how long that takes.

    Raises TooLarge and BodyTooSlow inside the reader, which lets them pass.
    """

    __slots__ = ("_admission", "_count", "_deadline", "_done", "_max_body", "_receive")

    def __init__(self, receive: Receive, *, max_body: int, timeout_s: float, admission: Admission) -> None:
        self._receive = receive
        self._admission = admission
        self._max_body = max_body
        self._deadline = asyncio.get_running_loop().time() + timeout_s if timeout_s else None
        self._count = 0
        self._done = False

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()
        self._admission.waiting += 1
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise BodyTooSlow("the body did not arrive in time") from None
        finally:
            self._admission.waiting -= 1
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            if self._count > self._max_body:
                raise too_large(self._max_body)
            self._done = not message.get("more_body", False)
        return message
