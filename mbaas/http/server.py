"""uvicorn with our settings. Nothing it could do on its own (access log, proxy headers) is left to it."""

from __future__ import annotations

import contextlib
import math
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from mbaas.config.settings import ServerSettings
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

    def __init__(
        self, config: uvicorn.Config, health: Health, *, announce_s: float, on_started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._health = health
        self._announce_s = announce_s
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

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
    on_started: Callable[[], None] = lambda: None,
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
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_s),
    )
    return Server(config, health, announce_s=min(ANNOUNCE_S, settings.drain_s / 2), on_started=on_started)
