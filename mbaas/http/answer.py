"""The answer of one request on its way out: what every answer has, and how it went."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import lru_cache

import msgspec

from mbaas.http.cycle import WHOLE, opening_of
from mbaas.http.respond import Header, Message, Reply, Send, send_reply

NO_STORE = (b"cache-control", b"no-store")


class Known(msgspec.Struct, frozen=True):
    """What the headers of a request say to the edge. common: the headers of its answer; lines: them as bytes.
    browser: whether one sent it."""

    key: str | None
    bearer: str | None
    request_id: str | None
    common: tuple[Header, ...]
    lines: bytes
    browser: bool


class Answer:
    """``send`` of one request: adds the headers that every answer has, and remembers how it went.

    whole: the server takes lines of a head as bytes (``mbaas.http.cycle``).
    """

    __slots__ = ("_known", "_request_id", "_send", "_whole", "complete", "status")

    def __init__(self, send: Send, known: Known, request_id: bytes, *, whole: bool) -> None:
        self._send = send
        self._known = known
        self._request_id = request_id
        self._whole = whole
        self.status = 0
        self.complete = False

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[Header] = list(message.get("headers", ()))
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
            if self._whole:
                message["lines"] = lines_of(self._known, self._request_id)
            else:
                headers += (*self._known.common, (b"x-request-id", self._request_id))
            message["headers"] = headers
        elif not message.get("more_body"):
            self.complete = True
        return self._send(message)

    async def reply(self, reply: Reply) -> None:
        """A finished answer, to any request but HEAD."""
        if not self._whole:
            await send_reply(self.send, reply)
            return
        self.status = reply.status
        headers = (*reply.headers, *ending_of(reply))
        lines = lines_of(self._known, self._request_id)
        await self._send(
            {"type": WHOLE, "status": reply.status, "headers": headers, "lines": lines, "body": reply.body}
        )
        self.complete = True


def lines_of(known: Known, request_id: bytes) -> bytes:
    """The lines that end every head."""
    return b"%bx-request-id: %b\r\n" % (known.lines, request_id)


@lru_cache(maxsize=1024)
def known_opening(status: int, headers: tuple[Header, ...], content_type: bytes | None) -> bytes:
    """How short answers begin: in few ways, again and again. content_type: ``None`` of one without a body."""
    reply = Reply(status, b"" if content_type is None else b"-", headers, content_type or b"")
    return opening_of(status, (*headers, *ending_of(reply)))


def ending_of(reply: Reply) -> tuple[Header, ...]:
    """What a reply says of itself beside its headers."""
    kind = ((b"content-type", reply.content_type),) if reply.body else ()
    return kind if any(name == b"cache-control" for name, _ in reply.headers) else (*kind, NO_STORE)
