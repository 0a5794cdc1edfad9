"""Two sides' figures of one workload, round by round: what disturbed a round disturbed both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.measure import Figures

Measure = Callable[[Figures], float]


class Compared:
    """Of one workload: ``ours`` is the side that is judged, ``theirs`` what it is judged by."""

    def __init__(self, workload: str, sides: Sequence[str], figures: Iterable[Figures]) -> None:
        rounds = sorted((each for each in figures if each.workload == workload), key=lambda each: each.round)
        self.ours, self.theirs = ([each for each in rounds if each.side == side] for side in sides)

    def ratio(self, of: Measure) -> float:
        """The median over the rounds of ours to theirs."""
        return statistics.median(self.ratios(of))

    def ratios(self, of: Measure) -> list[float]:
        return [of(ours) / of(theirs) for ours, theirs in zip(self.ours, self.theirs, strict=True)]


def per_second(figures: Figures) -> float:
    return figures.load.per_second


def cpu(figures: Figures) -> float:
    """Seconds per 1,000 requests."""
    return figures.cpu_s_per_1000


def p50_ms(figures: Figures) -> float:
    return figures.load.p50_us / 1000


def p99_ms(figures: Figures) -> float:
    return figures.load.p99_us / 1000


def median(rounds: Sequence[Figures], of: Measure) -> float:
    return statistics.median(map(of, rounds))
