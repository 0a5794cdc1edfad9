"""uvicorn with our settings. Nothing it could do on its own (access log, proxy headers) is left to it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType

import uvicorn

from mbaas.config.settings import ServerSettings
from mbaas.core.errors import ConfigError
from mbaas.http.admission import Admission
from mbaas.http.exchange import Quick
from mbaas.http.heads import KnownHeads
from mbaas.http.health import Health
from mbaas.http.pace import Pace
from mbaas.http.protocol import Protocol
from mbaas.http.respond import ASGIApp

KEEP_ALIVE_S = 75  # longer than what balancers keep by default (60), so that they close first and lose no request
ANNOUNCE_S = 10.0


class Server(uvicorn.Server):
    """Drains on SIGTERM and SIGINT: not ready at once, no new connections, running requests finish, then shutdown.

    A balancer that asks ``/health/ready`` is given time to notice before connections are refused; SIGINT, a person's
    Ctrl-C, does not wait for that. ``serve`` and ``run`` return in the end, so that the caller can put the rest away
    and exit with 0.
    """

    def __init__(self, config: uvicorn.Config, health: Health, *, announce_s: float) -> None:
        super().__init__(config)
        self._health = health
        self._announce_s = announce_s
        self._load: Callable[[], Awaitable[None]] | None = None
        self._loading: asyncio.Future[None] | None = None

    async def serve_while(self, load: Callable[[], Awaitable[None]]) -> None:
        """Serve until told to stop; ``load`` is run once there are answers.

        Raises ConfigError when nobody can listen there, and what ``load`` raises, which ends the server.
        """
        self._load = load
        try:
            await self.serve()
        except SystemExit:  # uvicorn's word for a port that cannot be had
            raise ConfigError(
                f"cannot listen on {self.config.host}:{self.config.port}",
                hint="another program may have the port; choose one with --port",
            ) from None
        if self._loading is not None:
            self._loading.cancel()  # when it is not through
            with contextlib.suppress(asyncio.CancelledError):
                await self._loading

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._load is not None:
            self._loading = asyncio.ensure_future(self._load())
            self._loading.add_done_callback(self._loaded)

    def _loaded(self, loading: asyncio.Future[None]) -> None:
        if loading.cancelled() or loading.exception() is not None:
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._health.drain()
        if sig == signal.SIGINT:
            self._announce_s = 0.0
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) and not self._health.announcing(self._announce_s)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()  # uvicorn would raise them again and so kill the process


def server(
    app: ASGIApp,
    settings: ServerSettings,
    *,
    health: Health,
    quick: Quick = lambda _: False,
    admission: Admission | None = None,
) -> Server:
    """A server to ``run()``, or to ``await serve()``. Its ``should_exit`` set to true ends it from inside.

    quick: is asked first for requests that are short. admission: of the app; ``None``: anything is looked at at once.
    """
    shared = {"heads": KnownHeads(), "quick": staticmethod(quick), "pace": Pace(admission or Admission(0))}
    config = uvicorn.Config(
        app,
        interface="asgi3",
        host=settings.host,
        port=settings.port,
        loop="auto",
        http=type("Connections", (Protocol,), shared),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_s),
    )
    return Server(config, health, announce_s=min(ANNOUNCE_S, settings.drain_s / 2))
