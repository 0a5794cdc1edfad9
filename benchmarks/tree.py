"""What a server takes from the machine: CPU seconds and memory of its whole process tree, as the kernel counts them."""

from __future__ import annotations

import contextlib
import resource

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


class Others:
    """What everything else on the machine took since: neither the server nor what we waited for."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._began = self._taken()

    def cpu_s(self) -> float:
        return max(0.0, self._taken() - self._began)

    def _taken(self) -> float:
        machine = psutil.cpu_times()
        waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy: float = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
        return busy - self._tree.cpu_s() - waited_for.ru_utime - waited_for.ru_stime
