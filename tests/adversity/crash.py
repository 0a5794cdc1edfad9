"""kill -9 at seeded moments, under writers who remember what was acknowledged.

``run_crashes`` starts a command, writes through it, kills, waits until it takes writes again, and compares at the end.
It knows neither SQL nor HTTP: one callable writes, another reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

_WRITE_LIMIT_S = 10.0  # no single write may hang that long
_FIRST_START_S = 60.0
_PATIENCE_S = 10.0
_PAUSE_S = 0.05  # after a failure, as a client would: or the writers take the processor from who is to come back
T = TypeVar("T")


@dataclass
class Report:
    """What a run saw.

    start_s: from the first start to the first acknowledged write: how fast this machine is just now. restarts_s: for each
    kill, the time until a write that began after it was acknowledged. errors: what writes raised
    once the first had been acknowledged.
    """

    seed: int
    acknowledged: set[int] = field(default_factory=set)
    attempted: int = 0
    slowest_failure_s: float = 0.0
    errors: set[type[Exception]] = field(default_factory=set)
    start_s: float = 0.0
    restarts_s: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    torn: dict[int, int] = field(default_factory=dict)

    def check(self, *, ready_within_s: float = 5.0, fails_within_s: float = 5.0) -> None:
        """Every acknowledged write is there, none is there by half, and it was ready again soon, each time."""
        assert not self.lost, f"seed {self.seed}: acknowledged but gone: {self.lost[:10]}"
        assert not self.torn, f"seed {self.seed}: there by half: {self.torn}"
        assert max(self.restarts_s) <= ready_within_s, f"seed {self.seed}: ready after {self.restarts_s}"
        assert self.slowest_failure_s <= fails_within_s, f"seed {self.seed}: a write hung {self.slowest_failure_s} s"


async def run_crashes(
    command: Sequence[str],
    write: Callable[[int], Awaitable[None]],
    read: Callable[[], Awaitable[Mapping[int, int]]],
    *,
    seed: int,
    parts: int,
    kills: int = 3,
    writers: int = 4,
    victim: Callable[[int], int | None] | None = None,
) -> Report:
    """Run ``command`` (until SIGTERM ends it with status 0) and kill it ``kills`` times.

    write: makes the write of that number, of ``parts`` rows or the like, and returns once it is acknowledged; raises
    otherwise. read: what is there, parts counted by number. victim: given the command's process id, the process to
    kill; ``None`` from it: none is there yet. Without it the command itself is killed, and started again.
    """
    dice = random.Random(seed)
    report = Report(seed)
    started = time.monotonic()
    process = subprocess.Popen(command)
    numbers = itertools.count()
    latest = [0.0]  # when the latest acknowledged write began
    acknowledged = asyncio.Condition()

    async def keep_writing() -> None:
        while True:
            number = next(numbers)
            report.attempted = number + 1
            began = time.monotonic()
            try:
                async with asyncio.timeout(_WRITE_LIMIT_S):
                    await write(number)
            except Exception as error:
                if latest[0]:
                    report.errors.add(type(error))
                    report.slowest_failure_s = max(report.slowest_failure_s, time.monotonic() - began)
                await asyncio.sleep(_PAUSE_S)
                continue
            async with acknowledged:
                report.acknowledged.add(number)
                latest[0] = max(latest[0], began)
                acknowledged.notify_all()

    async def until(condition: Callable[[], bool], limit_s: float) -> None:
        async with asyncio.timeout(limit_s), acknowledged:
            await acknowledged.wait_for(condition)

    async def kill() -> float:
        """Returns when it was killed, once it is gone and another is there."""
        nonlocal process
        pid = process.pid if victim is None else await _patiently(lambda: _found(victim(process.pid)))
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        if victim is None:
            process.wait()
            process = subprocess.Popen(command)
        else:
            await _patiently(lambda: _another(victim(process.pid), pid))
        return killed

    tasks = [asyncio.create_task(keep_writing()) for _ in range(writers)]
    try:
        await until(lambda: bool(report.acknowledged), _FIRST_START_S)
        report.start_s = time.monotonic() - started
        for _ in range(kills):
            enough = len(report.acknowledged) + dice.randrange(1, 200)
            await until(lambda enough=enough: len(report.acknowledged) >= enough, 30.0)
            await asyncio.sleep(dice.uniform(0.0, 0.02))  # anywhere within a write, not only right after one
            killed = await kill()
            since = time.monotonic()
            await until(lambda since=since: latest[0] > since, _FIRST_START_S)
            report.restarts_s.append(time.monotonic() - killed)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        try:
            there = await _patiently(read)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
            process.wait()
    assert process.returncode == 0, f"it did not stop cleanly: {process.returncode}"
    report.lost = sorted(number for number in report.acknowledged if number not in there)
    report.torn = {number: count for number, count in there.items() if count != parts}
    return report


async def _patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Its result, once it has one. What it raised last, when that takes too long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await attempt()
        except Exception:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.01)


async def _found(pid: int | None) -> int:
    if pid is None:
        raise ProcessLookupError("there is nothing to kill")
    return pid


async def _another(pid: int | None, killed: int) -> None:
    """A process just killed may still acknowledge what it has been sent: that does not make it ready again."""
    if await _found(pid) == killed:
        raise ProcessLookupError(f"process {killed} is not replaced yet")
