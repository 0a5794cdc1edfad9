"""An edge to test with: a small app behind it, called directly or through a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import msgspec

from mbaas.config.settings import LimitSettings, LogSettings, RateSettings, ServerSettings
from mbaas.core.errors import TokenExpired, TokenInvalid, Unauthenticated
from mbaas.core.identity import ANON, SERVICE, Identity
from mbaas.http.access import json_access_log
from mbaas.http.admission import Admission
from mbaas.http.caller import caller
from mbaas.http.edge import Edge, Surface
from mbaas.http.exchange import Quick
from mbaas.http.health import Health
from mbaas.http.logs import LineWriter, make_log
from mbaas.http.metrics import Metrics
from mbaas.http.respond import ASGIApp, Header, Message, Receive, Scope, Send, send_json
from mbaas.http.server import Server, server

USER_ID = "7f1b2c5e-0000-4000-8000-000000000001"
USER = Identity(role="authenticated", claims={"role": "authenticated", "sub": USER_ID})
WHO = {"anon-key": ANON, "service-key": SERVICE, "user-token": USER}
NO_RATES = RateSettings(enabled=False)


def identify(apikey: str | None, bearer: str | None, *, now: float) -> Identity:
    """The shape of the real one: the key opens the door, the token says who comes in."""
    if apikey is None:
        raise Unauthenticated("no API key found in request")
    if apikey not in WHO:
        raise TokenInvalid("unknown API key")
    if bearer == "old-token":
        raise TokenExpired("JWT expired")
    if bearer is not None and bearer not in WHO:
        raise TokenInvalid("token cannot be read")
    return WHO[bearer or apikey]


async def whoami(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what arrived: path, method, role, address, request id and how much body."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    identity = caller(scope)
    body = {
        "path": scope["path"],
        "method": scope["method"],
        "role": identity.role,
        "ip": scope["state"]["client_ip"],
        "request_id": scope["state"]["request_id"],
        "size": size,
    }
    await send_json(send, 200, msgspec.json.encode(body))


async def database_answers() -> None: ...


class Setup:
    """An edge with everything it tells in reach."""

    def __init__(
        self,
        app: ASGIApp = whoami,
        *,
        settings: ServerSettings | None = None,
        limits: LimitSettings | None = None,
        surfaces: Iterable[Surface] = (),
        probe: Callable[[], Awaitable[None]] = database_answers,
    ) -> None:
        self.settings = settings or ServerSettings()
        self.output = io.StringIO()
        self.writer = LineWriter(self.output)
        self.log = make_log(LogSettings(format="json", level="debug"), self.writer)
        self.health = Health(probe)
        self.metrics = Metrics()
        self.edge = Edge(
            app,
            server=self.settings,
            limits=limits or LimitSettings(rate=NO_RATES),
            identify=identify,
            health=self.health,
            metrics=self.metrics,
            log=self.log,
            access_log=json_access_log(self.writer),
            surfaces=surfaces,
        )

    def lines(self) -> list[dict[str, Any]]:
        """Everything logged so far. Writing goes on in a new thread after it."""
        self.writer.close()
        return [json.loads(line) for line in self.output.getvalue().splitlines()]


class Answer(msgspec.Struct):
    """What came back, headers as a list of pairs."""

    status: int
    headers: list[Header]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        return [value.decode() for known, value in self.headers if known == name.encode()]

    def __getitem__(self, name: str) -> str | None:
        return ", ".join(self.all(name)) or None


async def ask(
    edge: ASGIApp,
    method: str = "GET",
    path: str = "/rest/v1/posts",
    *,
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    key: str | None = "anon-key",
    body: bytes = b"",
    query: bytes = b"",
    client: str | None = "192.0.2.1",
    raw_path: bytes | None = None,
) -> Answer:
    """One request, without a socket."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
    lines = [(name.encode(), value.encode()) for name, value in pairs]
    if key is not None:
        lines.append((b"apikey", key.encode()))
    if body and not any(name == b"content-length" for name, _ in lines):
        lines.append((b"content-length", b"%d" % len(body)))
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode() if raw_path is None else raw_path,
        "query_string": query,
        "headers": lines,
        "client": (client, 1) if client else None,
        "state": {},
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await edge(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], list(sent[0]["headers"]), content)


class Running(msgspec.Struct):
    """A server on loopback. One has to close what one opened before it stops."""

    port: int
    server: Server

    async def raw(self, data: bytes, *, timeout_s: float = 5.0) -> bytes:
        """Sends bytes as they are and gives all that comes until the server closes or falls silent after an answer."""
        async with connected(self.port) as (reader, writer):
            writer.write(data)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return await until_quiet(reader, timeout_s)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to loopback that is closed in any case."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until_quiet(reader: asyncio.StreamReader, timeout_s: float) -> bytes:
    """What the server sends until it closes, or until nothing came for a moment after the first answer."""
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while True:
            chunk = await asyncio.wait_for(reader.read(65536), 0.2 if received else timeout_s)
            if not chunk:
                break
            received += chunk
    return received


@contextlib.asynccontextmanager
async def running(
    app: ASGIApp,
    settings: ServerSettings | None = None,
    health: Health | None = None,
    *,
    quick: Quick = lambda _: False,
    admission: Admission | None = None,
) -> AsyncIterator[Running]:
    """A real uvicorn server with our settings, in this event loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    health = health or Health(database_answers)
    settings = settings or ServerSettings(drain_s=2)
    made = server(app, settings, health=health, quick=quick, admission=admission)
    task = asyncio.create_task(made.serve(sockets=[listener]))
    while not made.started:
        await asyncio.sleep(0)
        if task.done():
            task.result()
    try:
        yield Running(listener.getsockname()[1], made)
    finally:
        made.should_exit = True
        await task


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[Running]:
    """A real server in a thread of its own, on the loop that serves in earnest."""
    listener = socket.create_server(("127.0.0.1", 0))
    made = server(app, ServerSettings(drain_s=2), health=Health(database_answers))
    thread = threading.Thread(target=made.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Running(listener.getsockname()[1], made)
    finally:
        made.should_exit = True
        thread.join()
