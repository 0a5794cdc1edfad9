"""Rounds: in each, every workload on one side right after the other, so that a busy machine hurts both alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from benchmarks import wrk
from benchmarks.check import Check, check_growth
from benchmarks.server import Server
from benchmarks.tree import Others
from benchmarks.workloads import Workload

WARM_UP_S = 2.0
QUIET = 0.05  # of one core
QUIET_WITHIN_S = 15.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One workload on one side in one round.

    cpu_s: CPU seconds of the server's whole process tree. others: cores that work which is none of ours took meanwhile.
    """

    workload: str
    side: str
    round: int
    load: wrk.Load
    cpu_s: float
    others: float

    @property
    def cpu_s_per_1000(self) -> float:
        return self.cpu_s / self.load.requests * 1000


def run_rounds(
    sides: Sequence[Server],
    workloads: Iterable[Workload],
    *,
    rounds: int,
    seconds: float,
    folder: Path,
    check: Check,
    beside: Callable[[Workload, int], None],
    told: Callable[[str], None],
) -> list[Figures]:
    """All figures. check: looks at answers before anything is measured. beside: what else to measure of a workload in
    this round. Raises RuntimeError when a side answers wrongly: errors are no work."""
    workloads = tuple(workloads)
    for workload in workloads:
        calls = [workload.calls(side, seed=1) for side in sides]
        check(workload, sides, calls)
        for side, asked in zip(sides, calls, strict=True):
            wrk.write_requests(_requests(folder, workload, side), (call.raw(side.port) for call in asked))
    found: list[Figures] = []
    for number in range(rounds):
        order = sides if number % 2 == 0 else tuple(reversed(sides))
        for workload in workloads:
            for side in order:
                requests = _requests(folder, workload, side)
                if number == 0:
                    wrk.run(side.port, requests, connections=workload.connections, seconds=min(seconds, WARM_UP_S))
                found.append(_measured(workload, side, number, seconds, requests))
                told(_line(found[-1]))
            beside(workload, number)
    return found


def _measured(workload: Workload, side: Server, number: int, seconds: float, requests: Path) -> Figures:
    until_quiet(side)
    stored = side.stored() if workload.grows else 0
    tree = side.tree()
    others, began, before = Others(tree), time.monotonic(), tree.cpu_s()
    load = wrk.run(side.port, requests, connections=workload.connections, seconds=seconds * workload.stretch)
    used = tree.cpu_s() - before
    foreign = others.cpu_s() / (time.monotonic() - began)
    if load.refused or load.broken or not load.requests:
        raise RuntimeError(f"{workload.name} on {side.name}: {load}: errors are no work")
    if workload.grows:
        until_quiet(side)
        check_growth(workload, side, load, side.stored() - stored)
    return Figures(workload=workload.name, side=side.name, round=number, load=load, cpu_s=used, others=foreign)


def until_quiet(side: Server) -> None:
    """Waits until what wrk left unfinished is done; a side that never rests is measured as it is."""
    tree = side.tree()
    deadline = time.monotonic() + QUIET_WITHIN_S
    used = tree.cpu_s()
    while time.monotonic() < deadline:
        time.sleep(0.2)
        before, used = used, tree.cpu_s()
        if used - before <= 0.2 * QUIET:
            return


def _requests(folder: Path, workload: Workload, side: Server) -> Path:
    return folder / f"{workload.name}-{side.name}.requests"


def _line(figures: Figures) -> str:
    load = figures.load
    latency = f"p50 {load.p50_us / 1000:7.1f} ms  p99 {load.p99_us / 1000:7.1f} ms"
    speed = f"{load.per_second:9,.0f} req/s  {latency}  CPU {figures.cpu_s_per_1000:8.3f} s/1000"
    busy = f"  (others: {figures.others:.1f} cores)"
    return f"round {figures.round + 1}  {figures.workload:8} {figures.side:11} {speed}{busy}"
