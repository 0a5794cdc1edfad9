"""Something that holds the loop up is told, with where it was."""

from __future__ import annotations

import asyncio
import threading
import time

from mbaas.adapters.loop_watch import watched_loop
from mbaas.core.observe import LoopBlocked, Observation


def hold_up_everything(until: float) -> None:
    while time.monotonic() < until:
        pass


async def test_what_holds_the_loop_up_is_told_once_with_its_stack() -> None:
    told: list[Observation] = []
    with watched_loop(told.append, limit_s=0.04):
        hold_up_everything(time.monotonic() + 0.4)
        while not told:
            await asyncio.sleep(0)
    assert len(told) == 1
    (event,) = told
    assert isinstance(event, LoopBlocked)
    assert event.held_ms >= 40
    assert event.where.startswith("hold_up_everything test_loop_watch.py:")


async def test_nothing_is_told_of_a_loop_that_turns_and_the_thread_ends() -> None:
    told: list[Observation] = []
    with watched_loop(told.append, limit_s=5.0):
        for _ in range(100):
            await asyncio.sleep(0)
    assert told == []
    assert "loop-watch" not in {thread.name for thread in threading.enumerate()}
