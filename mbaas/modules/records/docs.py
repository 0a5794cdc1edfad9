"""The description of the API and the page that shows it, as raw ASGI answers. Nothing is loaded from elsewhere.

Swagger UI comes from the wheel ``offapi``, of which only the files are used: importing it would read all its pages.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

# Swagger UI writes style attributes; scripts are files alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE: Headers = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_OURS = Path(__file__).parent / "static"


async def send_document(document: bytes, scope: Scope, send: Send, *, content_type: str = "application/json") -> None:
    """Answers GET and HEAD with an OpenAPI document. It depends on the caller, so no shared cache may keep it."""
    headers: Headers = [(b"cache-control", b"private, no-cache"), (b"vary", b"apikey, authorization")]
    await _send(document, f"{content_type}; charset=utf-8", headers, scope, send)


class DocsPage:
    """A raw ASGI app for the page (``docs``) and its files (``docs/<name>``), beside ``openapi.json``."""

    def __init__(self) -> None:
        self._files: dict[str, _File] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.endswith("/docs/"):  # the page's own links are relative to where it is without the slash
            await _send(b"", "text/plain", [(b"location", b"../docs")], scope, send, status=308)
            return
        if self._files is None:
            self._files = await asyncio.to_thread(_read_files)
        file = self._files.get(path.rpartition("/")[2] or "docs")
        if file is None:
            await _send(b"", "text/plain", [], scope, send, status=404)
            return
        headers: Headers = [*_SAFE, (b"cache-control", b"no-cache"), (b"vary", b"accept-encoding")]
        if _header(scope, b"accept-encoding").find(b"gzip") >= 0:
            await _send(file.packed, file.type, [*headers, (b"content-encoding", b"gzip")], scope, send)
        else:
            await _send(gzip.decompress(file.packed), file.type, headers, scope, send)


class _File:
    """A file of the page, kept packed: a fifth of its size, and what nearly every browser takes."""

    def __init__(self, path: Path, content_type: str) -> None:
        self.packed = gzip.compress(path.read_bytes(), 6, mtime=0)
        self.type = content_type


def _read_files() -> dict[str, _File]:
    """Every file the page needs, by the last segment of its path."""
    spec = find_spec("offapi")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the wheel offapi is not installed")
    theirs = Path(spec.submodule_search_locations[0])
    return {
        "docs": _File(_OURS / "docs.html", "text/html; charset=utf-8"),
        "docs.js": _File(_OURS / "docs.js", "text/javascript; charset=utf-8"),
        "docs.css": _File(_OURS / "docs.css", "text/css; charset=utf-8"),
        "swagger-ui-bundle.js": _File(theirs / "swagger_bundle.js", "text/javascript; charset=utf-8"),
        "swagger-ui.css": _File(theirs / "swagger_style.css", "text/css; charset=utf-8"),
    }


async def _send(
    body: bytes, content_type: str, headers: Headers, scope: Scope, send: Send, *, status: int = 200
) -> None:
    """One answer with an entity tag; 304 to those who have it (RFC 9110 section 13.1.2), no body to HEAD."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
    if status == 200 and etag in [tag.strip() for tag in _header(scope, b"if-none-match").split(b",")]:
        await send({"type": "http.response.start", "status": 304, "headers": [*headers, (b"etag", etag)]})
        await send({"type": "http.response.body", "body": b""})
        return
    described: Headers = [
        *headers,
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 200:
        described.append((b"etag", etag))
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
