"""Medians of the rounds and the ratio of ours to PocketBase's, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.measure import Figures
from benchmarks.ours import Ours
from benchmarks.pocketbase import PocketBase
from benchmarks.workloads import Workload


class Compared:
    """The figures of one workload, both sides."""

    def __init__(self, workload: Workload, figures: Iterable[Figures]) -> None:
        self.workload = workload
        rounds = sorted((each for each in figures if each.workload == workload.name), key=lambda each: each.round)
        self.ours = [each for each in rounds if each.side == Ours.name]
        self.theirs = [each for each in rounds if each.side == PocketBase.name]

    def median(self, of: Callable[[Figures], float]) -> tuple[float, float]:
        """Ours and theirs."""
        return statistics.median(map(of, self.ours)), statistics.median(map(of, self.theirs))

    def ratios(self, of: Callable[[Figures], float]) -> list[float]:
        """Ours to theirs in each round: what disturbed a round disturbed both of its figures."""
        return [of(ours) / of(theirs) for ours, theirs in zip(self.ours, self.theirs, strict=True)]


def per_second(figures: Figures) -> float:
    return figures.load.per_second


def cpu(figures: Figures) -> float:
    return figures.cpu_s_per_1000


def summary(workloads: Sequence[Workload], figures: Sequence[Figures]) -> str:
    """A Markdown table."""
    lines = [
        "| work | mbaas: req/s · p50 · p99 ms | PocketBase | ratio | goal | | CPU s per 1,000: ours · theirs | ratio |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for workload in workloads:
        compared = Compared(workload, figures)
        speed = statistics.median(compared.ratios(per_second))
        used = compared.median(cpu)
        cells = [
            workload.title,
            _side(compared.ours),
            _side(compared.theirs),
            f"{speed:.2f}",
            f"≥ {workload.goal:g}",
            "met" if speed >= workload.goal else "missed",
            f"{used[0]:.3f} · {used[1]:.3f}",
            f"{statistics.median(compared.ratios(cpu)):.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _side(rounds: Sequence[Figures]) -> str:
    speed = statistics.median(map(per_second, rounds))
    p50 = statistics.median(each.load.p50_us for each in rounds) / 1000
    p99 = statistics.median(each.load.p99_us for each in rounds) / 1000
    return f"{speed:,.0f} · {p50:.1f} · {p99:.1f}"
