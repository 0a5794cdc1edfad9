"""Work that goes on after the answer: bounded, observed, finished before the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from mbaas.core.errors import MbaasError, RateLimited
from mbaas.core.observe import MailFailed, Observe

MAX_AT_WORK = 1000


class Background:
    """Tasks nobody awaits but the shutdown."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin now, beside the request. Raises RateLimited when very much is under way already."""
        if len(self._tasks) >= MAX_AT_WORK:
            work.close()
            raise RateLimited("Too many mails are waiting to be sent", retry_after_s=10)
        task = asyncio.get_running_loop().create_task(self._watched(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is under way; what takes longer is cancelled."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _watched(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except MbaasError as error:
            self._observe(MailFailed(name, error.message))
        except Exception as error:
            self._observe(MailFailed(name, repr(error)))
