"""Notices when something holds the event loop up: a hook that blocks, a computation that belongs in a thread.

A thread of its own looks, since nothing in the loop can while it is held. It tells once for each time, with the stack
of what the loop is in.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Iterator

from mbaas.core.observe import LoopBlocked, Observe

LIMIT_S = 0.5
_FRAMES = 12  # of the stack, the innermost


@contextlib.contextmanager
def watched_loop(observe: Observe, *, limit_s: float = LIMIT_S) -> Iterator[None]:
    """Watches the running loop inside of the block. limit_s: how long one callback may take unnoticed."""
    watch = _Watch(asyncio.get_running_loop(), observe, limit_s)
    watch.start()
    try:
        yield
    finally:
        watch.stop()


class _Watch:
    def __init__(self, loop: asyncio.AbstractEventLoop, observe: Observe, limit_s: float) -> None:
        self._loop = loop
        self._observe = observe
        self._limit_s = limit_s
        self._of_loop = threading.get_ident()
        self._stopped = threading.Event()
        self._beaten = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._look, name="loop-watch", daemon=True)

    def start(self) -> None:
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        self._beaten = time.monotonic()
        self._timer = self._loop.call_later(self._limit_s / 2, self._beat)

    def _look(self) -> None:
        told = 0.0
        while not self._stopped.wait(self._limit_s / 2):
            beaten = self._beaten
            held_s = time.monotonic() - beaten
            if held_s < self._limit_s * 1.5 or beaten == told:
                continue
            told = beaten
            frame = sys._current_frames().get(self._of_loop)
            stack = traceback.extract_stack(frame)[-_FRAMES:] if frame is not None else []
            where = " < ".join(f"{one.name} {one.filename.rpartition('/')[2]}:{one.lineno}" for one in reversed(stack))
            event = LoopBlocked(held_ms=held_s * 1000, where=where)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._observe, event)
