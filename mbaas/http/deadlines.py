"""A time limit for each request, at the price of a look-up: one timer for all of them.

``asyncio.timeout`` sets a timer for each request and takes it back, though nearly none ever fires. Here the running
requests stand in a table that is looked over now and then, so a request may run up to ``TICK_S`` over its limit.
"""

from __future__ import annotations

import asyncio
from typing import Any

TICK_S = 0.25


class Deadlines:
    """The requests that run, each with the moment at which it has to be done."""

    def __init__(self) -> None:
        self._until: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, seconds: float | None) -> asyncio.Task[Any]:
        """Counts from now for the task that asks; ``None``: it may take any time. ``leave`` ends it."""
        task = asyncio.current_task()
        assert task is not None, "requests run in tasks"  # noqa: S101
        if seconds is None:
            return task
        loop = task.get_loop()
        self._until[task] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(TICK_S, self._look, loop)
        return task

    def leave(self, task: asyncio.Task[Any]) -> bool:
        """Whether the task was cancelled for being late. It then goes on as if it had not been."""
        self._until.pop(task, None)
        if task not in self._overdue:
            return False
        self._overdue.discard(task)
        task.uncancel()
        return True

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for task, until in list(self._until.items()):
            if until <= now and task not in self._overdue:
                self._overdue.add(task)
                task.cancel("the request took too long")
        if self._until:
            self._timer = loop.call_later(TICK_S, self._look, loop)
