"""Answers as raw ASGI messages, for handlers that want nothing between them and the socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

import msgspec

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]
"""A header as ASGI has it: the name in lower case, both sides bytes."""

JSON = b"application/json; charset=utf-8"


class Reply(msgspec.Struct, frozen=True):
    """A finished answer. headers: besides ``content-type`` and ``content-length``; an empty body has no type."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()
    content_type: bytes = JSON


async def send_reply(send: Send, reply: Reply) -> None:
    """The whole answer. The server leaves the body out for HEAD."""
    await send_body(send, reply.status, reply.body, reply.headers, reply.content_type)


async def send_json(send: Send, status: int, body: bytes, headers: Iterable[Header] = ()) -> None:
    """JSON that is bytes already."""
    await send_body(send, status, body, headers, JSON)


async def send_body(send: Send, status: int, body: bytes, headers: Iterable[Header], content_type: bytes) -> None:
    lines: list[Header] = list(headers)
    if body:
        lines.append((b"content-type", content_type))
    if status != 204 and status != 304:  # RFC 9110 section 8.6: neither has a length
        lines.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
