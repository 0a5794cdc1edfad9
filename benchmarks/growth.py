"""What fifty times as many rows cost: ours on the small and on the large tables, in the same rounds."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.compare import Compared, cpu, median, per_second
from benchmarks.report import table, where
from benchmarks.result import Result
from benchmarks.workloads import WORKLOADS

KEYED = ("get", "get_own", "list", "create", "update")
GOAL = 1.3


def growth_page(result: Result) -> str:
    return "\n\n".join(
        [
            f"# {result.sides[1]} beside {result.sides[0]}, {result.date}",
            where(result),
            growth_table(result),
            f"Keyed and indexed work is to cost at most {GOAL:g} times as much CPU a request.",
        ]
    )


def growth_table(result: Result) -> str:
    small, large = result.sides
    names = list(dict.fromkeys(each.workload for each in result.figures))
    return table(
        ["work", f"{small}: req/s · CPU s per 1,000", large, "CPU ratio", "goal", ""],
        [_line(name, Compared(name, (large, small), result.figures)) for name in names],
    )


def _line(name: str, compared: Compared) -> Sequence[str]:
    ratio = compared.ratio(cpu)
    sides = [f"{median(each, per_second):,.0f} · {median(each, cpu):.3f}" for each in (compared.theirs, compared.ours)]
    return [WORKLOADS[name].title, *sides, f"**{ratio:.2f}**", f"≤ {GOAL:g}", "met" if ratio <= GOAL else "missed"]
