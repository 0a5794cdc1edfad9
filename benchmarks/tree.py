"""What a server takes from the machine: CPU seconds and memory of its whole process tree, as the kernel counts them."""

from __future__ import annotations

import contextlib

import psutil


class Tree:
    """A process and everything below it, PostgreSQL's backends included. Linux only."""

    def __init__(self, process_id: int) -> None:
        self._root = psutil.Process(process_id)

    def cpu_s(self) -> float:
        """CPU seconds so far, user and system; with those of processes that ended and were waited for."""
        total = 0.0
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                used = process.cpu_times()
                total += used.user + used.system + used.children_user + used.children_system
        return total

    def memory_mib(self) -> float:
        """Proportional set size: a page that n processes share counts 1/n in each."""
        total = 0
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / 1024**2

    def _processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]
