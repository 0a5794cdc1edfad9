"""What is not there yet when the server begins to answer: who needs it waits, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mbaas.http.respond import ASGIApp, Receive, Scope, Send


class Arriving:
    """Stands for an app that is loaded while the server answers already what needs nothing of it."""

    def __init__(self) -> None:
        self._app: ASGIApp = self._wait
        self._there = asyncio.Event()

    def arrived(self, app: ASGIApp) -> None:
        """From now on it is asked, by those who wait too."""
        self._app = app
        self._there.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._there.wait()
        await self._app(scope, receive, send)


class FirstUse:
    """Loads something when it is first needed, in a thread, for as long as whoever needs it waits.

    done: asked before every use, so that it costs nothing from then on.
    """

    def __init__(self, *load: Callable[[], object]) -> None:
        self._load = load
        self._one_at_a_time = asyncio.Lock()
        self.done = False

    async def __call__(self) -> None:
        async with self._one_at_a_time:
            if not self.done:
                for load in self._load:
                    await asyncio.to_thread(load)
                self.done = True
