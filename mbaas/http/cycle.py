"""One request and its answer on a connection: uvicorn's cycle, with the answer in one piece.

Nearly every answer is a head and one body of known length. Uvicorn writes them apart and looks at each header by two
patterns; here they leave in one write, and one count over the head finds whatever would have broken a line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from mbaas.http.respond import Header

WHOLE = "mbaas.whole"
"""The ASGI extension, and its message: a whole answer at once, ``status``, ``headers``, ``lines`` (more of the head, as
finished bytes) and ``body``. Content-length is the server's. ``http.response.start`` may hold ``lines`` too."""

_CLOSE = b"connection: close\r\n"


def whole_answer(status: int, headers: Iterable[Header], lines: bytes, body: bytes, *, keep_alive: bool) -> bytes:
    """An answer as it goes over the wire, but for HEAD. lines: more of the head. Raises RuntimeError."""
    opening, close = opening_of(status, headers), b"" if keep_alive else _CLOSE
    if status == 204:  # RFC 9110 section 8.6
        return b"%b%b%b\r\n" % (opening, lines, close)
    return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (opening, lines, close, len(body), body)


def opening_of(status: int, headers: Iterable[Header]) -> bytes:
    """How an answer begins: status and headers. Raises RuntimeError."""
    lines = [b"%b: %b\r\n" % header for header in headers]
    count = len(lines)
    text = b"".join(lines)
    if text.count(b"\n") != count or text.count(b"\r") != count or b"\0" in text:
        raise RuntimeError("a header would break out of its line")
    return STATUS_LINE[status] + text


class Cycle(RequestResponseCycle):
    """Raises RuntimeError, as uvicorn's does, when the app breaks the order or the length it announced (ASGI)."""

    def __init__(
        self,
        scope: Any,
        transport: asyncio.Transport,
        flow: FlowControl,
        logger: logging.Logger,
        *,
        keep_alive: bool,
        expect_100_continue: bool,
        on_response: Callable[[], None],
    ) -> None:
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.logger = logger
        self.on_response = on_response
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expect_100_continue
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = None
        self.expected_content_length = 0
        self.message_event = asyncio.Event()
        self._head: bytes | None = None
        self._bodiless = False

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == WHOLE:
            self._answer(message["status"], message["headers"], message["lines"], message["body"])
        elif not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"expected http.response.start, got {kind}")
            self._begin(message["status"], message.get("headers", ()), message.get("lines", b""))
        elif self.response_complete:
            raise RuntimeError(f"{kind} after the response was complete")
        elif kind != "http.response.body":
            raise RuntimeError(f"expected http.response.body, got {kind}")
        else:
            self._continue(message.get("body", b""), message.get("more_body", False))

    def _answer(self, status: int, headers: Any, finished: bytes, body: bytes) -> None:
        if self.response_started:
            raise RuntimeError("a second answer")
        data = whole_answer(status, headers, finished, body, keep_alive=self.keep_alive)
        self.response_started = True
        self.transport.write(data)
        self._end()

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _begin(self, status: int, headers: Any, finished: bytes) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        method = self.scope["method"]
        self._bodiless = method == "HEAD"
        lines = [STATUS_LINE[status]]
        closing = False
        for name, value in headers:
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"transfer-encoding":
                self.chunked_encoding = value.lower() == b"chunked"
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive, closing = False, True
            lines += (name, b": ", value, b"\r\n")
        count = len(lines) // 4 + 1
        if not self.keep_alive and not closing:
            lines.append(b"connection: close\r\n")
            count += 1
        if self.chunked_encoding is None and not self._bodiless and status not in (204, 304):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
            count += 1
        head = b"".join(lines)
        if head.count(b"\n") != count or head.count(b"\r") != count or b"\0" in head:
            raise RuntimeError("a header would break out of its line")
        self._head = b"%b%b\r\n" % (head, finished)
        if self._bodiless:
            self.expected_content_length = 0
        elif self.chunked_encoding:  # a stream: its reader is to know at once that it has begun
            self.transport.write(self._head)
            self._head = None

    def _continue(self, body: bytes, more_body: bool) -> None:
        head = self._head or b""
        self._head = None
        if self._bodiless:
            data = head
        elif self.chunked_encoding:
            data = head + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"")
            if not more_body:
                data += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its content-length")
            data = head + body
        if not more_body and self.expected_content_length:
            raise RuntimeError("the body is shorter than its content-length")
        if data:
            self.transport.write(data)
        if not more_body:
            self._end()
