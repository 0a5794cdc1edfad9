"""HTTP/1.1 on a socket: uvicorn's httptools protocol, and what it leaves open to clients that are slow or odd.

A request line and headers must arrive whole within a time and a size; an answer must be read at some pace; a request
whose client has gone is cancelled; a target that is not a plain path is refused.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mbaas.core.query.shape import cut
from mbaas.http.cycle import WHOLE, Cycle
from mbaas.http.exchange import Quick
from mbaas.http.heads import Head, KnownHeads
from mbaas.http.pace import Pace
from mbaas.http.pending import Pending
from mbaas.http.proxies import UNIX
from mbaas.http.respond import Scope

HEAD_TIMEOUT_S = 10.0  # from connecting, or from the first byte of a further request, to the end of its headers
MAX_HEAD_BYTES = 131_072  # of a head that is not complete; the edge has exact limits for complete ones
MAX_UNREAD_BYTES = 16 * 1024 * 1024  # of a body that goes on after its answer, read so that the client sees the answer
MAX_QUEUED = 4  # pieces that wait for their turn, of one connection
MAX_EARLY_BYTES = 65_536  # of further requests, before the one on its way is answered
STALL_S = 10.0
MIN_BYTES_PER_S = 1024  # slower readers of an answer are cut off, counted over STALL_S

_VERSION = b" HTTP/1.1\r\n"
_PLAIN = re.compile(rb"(?:GET|POST|PATCH) /[!\"$->@-~]*(?:\?[!\"$-~]*)?")
_WITH_BODY = (b"POST ", b"PATCH ")
_BODY = frozenset((b"content-length", b"transfer-encoding", b"upgrade"))
_HELD = frozenset(("POST", "PATCH"))
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_EXTENSIONS: dict[str, Any] = {WHOLE: {}}


class Protocol(HttpToolsProtocol):
    """One connection."""

    heads: KnownHeads
    quick: Quick
    pace: Pace
    """All three of all connections of one server, which sets them on a class of its own."""
    head_timeout_s = HEAD_TIMEOUT_S
    stall_s = STALL_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer = UNIX
        self._block = b""  # the last known head, as bytes and read
        self._head: Head | None = None
        self._task: asyncio.Task[None] | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._drained = False  # since the last look at the reader
        self.waits_for: Pending | None = None  # which went the quick way
        self._early = bytearray()  # what came while one was pending
        self.queued = 0
        self._held: Pending | None = None  # its head is read, and its body may be here as well
        self._idle_since = 0.0
        self._in_head = False
        self._unfinished = False  # the parser is in the middle of a request
        self._learn: Head | None = None
        self._head_bytes = 0
        self._unread_bytes = 0

    @property
    def _busy(self) -> bool:
        return self.waits_for is not None or (self.cycle is not None and not self.cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            self.peer = self.client[0]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.waits_for = None
        for timer in (self._head_timer, self._stall_timer, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel("the client went away")

    def data_received(self, data: bytes) -> None:
        if self.pace.holds(self, data):
            if self.queued > MAX_QUEUED:
                self.flow.pause_reading()
        else:
            self._look(data)

    def look(self, data: bytes) -> None:
        """Take what came. It comes late, when the client may have gone."""
        if self.queued == MAX_QUEUED:
            self.flow.resume_reading()
        if not self.transport.is_closing():
            self._look(data)

    def _look(self, data: bytes) -> None:
        if self.waits_for is not None or self._early:
            self._early += data
            if len(self._early) > MAX_EARLY_BYTES:
                self.flow.pause_reading()
            return
        if self._unfinished or not self._whole_request(data):
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None:  # the rest of the body is still to come
            self._release(self._held)
        if self._learn is not None and not self._unfinished:
            self._remember(data, self._learn)
            self._learn = None
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._reject(431, "Request Header Fields Too Large")
                return
        else:
            self._head_bytes = 0
        if not self._busy:
            self._await_head()
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _whole_request(self, data: bytes) -> bool:
        """A request in one piece whose headers came before, byte for byte: only its target, and the length of its body
        and the body itself, are new. ``False``: not taken."""
        head, body = self._head, b""
        if head is not None and data.startswith(b"GET ") and data.endswith(self._block):
            line = data[: -len(self._block)]  # more than the line, if it is: then that is not plain
        else:
            end = data.find(_VERSION)
            line = data[:end]
            if data.startswith(b"GET "):
                head = self.heads.get(data[end:])
                if head is not None:
                    self._block, self._head = data[end:], head
            elif data.startswith(_WITH_BODY):
                found = self.heads.with_body(data, end)
                if found is None:
                    return False
                head, body = found
            else:
                return False
        cycle = self.cycle
        if head is None or (cycle is not None and not cycle.response_complete):  # it is busy
            return False
        shape, literals = cut(line)
        known = self.heads.lines.get((head, shape))
        if known is None and _PLAIN.fullmatch(line) is None:
            return False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        pending = Pending(self, self.peer, head, line, shape, literals, known, body)
        if not self._take(pending):
            self.expect_100_continue = False
            if not line.startswith(b"GET"):
                self.headers = [*head.headers, (b"content-length", b"%d" % len(body))]
                self._release(pending)
            else:
                self._start(pending.scope, keep_alive=True)
            self.cycle.more_body = False
            self.cycle.message_event.set()
        return True

    def _take(self, pending: Pending) -> bool:
        """Whether the request goes the quick way. Not when the client is slow to read what it got."""
        if self.flow.write_paused:
            return False
        self.waits_for = pending
        if self.quick(pending):
            return True
        self.waits_for = None
        return False

    def _release(self, held: Pending) -> None:
        """A request whose body was waited for goes the ordinary way, with what of it has come."""
        self._held = None
        scope = held.scope
        scope["headers"] = self.headers
        scope["state"]["head"] = Head(self.headers)
        self._start(scope, keep_alive=True)
        self.cycle.body += held.body

    def go_on(self) -> None:
        """Begins what came early, or waits for the next request.

        One timer a connection looks whether it has been idle for too long: one a request would be set and taken back
        each time.
        """
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._early:
            early, self._early = bytes(self._early), bytearray()
            self.flow.resume_reading()
            self.look(early)
        else:
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._await_request(self.timeout_keep_alive)

    def shutdown(self) -> None:
        if self.waits_for is not None:
            self.waits_for.keep_alive = False
        else:
            super().shutdown()

    def _remember(self, data: bytes, head: Head) -> None:
        """Keeps the head when the bytes were one whole request and nothing else."""
        end = data.find(_VERSION)
        if end < 0 or _PLAIN.fullmatch(data, 0, end) is None:
            return
        if data.startswith(_WITH_BODY):
            self.heads.add_with_body(data, end, head)
        elif data.find(b"\r\n\r\n") == len(data) - 4:
            self.heads.add(data[end:], head)

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._in_head = True
        self._unfinished = True
        self._learn = None

    def on_message_complete(self) -> None:
        self._unfinished = False
        held, self._held = self._held, None
        if held is not None:
            if self._take(held):
                return
            self._release(held)
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if not self.url.startswith(b"/"):
            raise ValueError("the target is not a path")  # absolute, authority and asterisk form: answered with 400
        parser = self.parser
        version = parser.get_http_version()
        keep_alive = version != "1.0" and parser.should_keep_alive()
        method = parser.get_method().decode("ascii")
        if method in _HELD and keep_alive and not self._busy and not self.expect_100_continue and self._is_short():
            head = self.heads.of(self.headers)
            line = b"%b %b" % (method.encode(), self.url)
            shape, literals = cut(line)
            known = self.heads.lines.get((head, shape))
            self._held = Pending(self, self.peer, head, line, shape, literals, known)
            self._learn = None if head.fields.keys() & _BODY - {b"content-length"} else head
            return
        head = Head(self.headers)
        path, _, query = self.url.partition(b"?")
        self._start(self.make_scope(method, version, path, query, head), keep_alive=keep_alive)
        plain = method == "GET" and keep_alive and not parser.should_upgrade() and head.fields.keys().isdisjoint(_BODY)
        self._learn = head if plain and not self.expect_100_continue else None

    def make_scope(self, method: str, version: str, raw_path: bytes, query: bytes, head: Head) -> Scope:
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "method": method,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": head.headers,
            "extensions": _EXTENSIONS,
            "state": {**self.app_state, "head": head},
        }

    def _start(self, scope: Scope, *, keep_alive: bool) -> None:
        """A request whose head is complete is given to the app, once those before it are answered."""
        self._unread_bytes = 0
        free = not self._busy
        self.cycle = cycle = Cycle(
            scope,
            self.transport,
            self.flow,
            self.logger,
            keep_alive=keep_alive,
            expect_100_continue=self.expect_100_continue,
            on_response=self.on_response_complete,
        )
        if free:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _is_short(self) -> bool:
        """Whether a body is announced that may come along with its head."""
        length = next((value for name, value in self.headers if name == b"content-length"), b"")
        return length.isdigit() and len(length) <= 5

    def on_body(self, body: bytes) -> None:
        if self._held is not None:
            self._held.body += body
            return
        if self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > MAX_UNREAD_BYTES:
                self.transport.close()
            return
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        self._reject(400, "Bad Request")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.run(cycle.run_asgi(app))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """As the task of this connection."""
        self._task = task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self.go_on()

    def _await_request(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """Bytes came. The timer looks at ``_idle_since`` when it fires."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._drained = True

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self._busy or self._unfinished:  # its end, or the limit for heads, comes first
            return
        if left > 0:
            self._await_request(left)
            return
        super().timeout_keep_alive_handler()
        self._watch_reader()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_timed_out)

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if not self._busy:
            self._reject(408, "Request Timeout")

    def _reject(self, status: int, phrase: str) -> None:
        """Answers what never became a whole request, and closes; after the answer that is on its way, if one is."""
        if self._busy and (self.cycle.response_started or not self.cycle.more_body):
            self.cycle.keep_alive = False
            self.pipeline.clear()
            self.flow.pause_reading()
            return
        if self.transport.is_closing():
            return
        body = b'{"code":"http_invalid","message":"%s","hint":null,"details":null}' % phrase.encode()
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _watch_reader(self) -> None:
        """Looks now and then whether what is written gets read."""
        size = self.transport.get_write_buffer_size()
        if size and self._stall_timer is None:
            self._drained = False
            self._stall_timer = self.loop.call_later(self.stall_s, self._check_reader, size)

    def _check_reader(self, before: int) -> None:
        self._stall_timer = None
        size = self.transport.get_write_buffer_size()
        if size and not self._drained and before - size < MIN_BYTES_PER_S * self.stall_s:
            self.transport.abort()
        else:
            self._watch_reader()
