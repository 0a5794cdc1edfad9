"""A result as a page: what was measured, where, and the tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.at_rest import AtRest
from benchmarks.compare import Compared, cpu, median, p50_ms, p99_ms, per_second
from benchmarks.measure import Figures
from benchmarks.result import Result
from benchmarks.workloads import WORKLOADS

START_GOAL_S = 1.0
MEMORY_GOAL_MIB = 140 * 1000**2 / 1024**2  # the goal is 140 MB


def page(result: Result, chart: str) -> str:
    """chart: the file of the chart, beside the page."""
    return "\n\n".join(
        [
            f"# {result.rows:,} posts, {result.date}",
            where(result),
            f"![The ratio of each workload beside its goal]({chart})",
            speed_table(result),
            "Ratios are medians of the rounds' own ratios; in brackets the lowest and the highest round. "
            "The change feed is not part of this version: create is measured without one.",
            "## At rest",
            rest_table(result.at_rest),
            "## Raw limit",
            "pgbench on our PostgreSQL in the same rounds: prepared statements that give the same JSON.",
            raw_table(result),
            "Read [how this is measured](../README.md) before quoting a figure.",
        ]
    )


def where(result: Result) -> str:
    """The paragraph every page begins with."""
    place = result.place
    versions = ", ".join(f"{name} {version}" for name, version in place.versions.items())
    return (
        f"{result.rounds} interleaved rounds of {result.seconds:g} s on {place.cores} cores ({place.processor}, "
        f"{place.memory_gib:g} GiB), the load generator on the same cores, Python {place.python}, {versions}, "
        f"commit {place.commit}.\n\n{company(result)}"
    )


def company(result: Result) -> str:
    """How far the figures can be trusted: who else was at work."""
    others = statistics.median(each.others for each in result.figures)
    said = f"Other work took {others:.1f} of the {result.place.cores} cores meanwhile (median)."
    if others < 0.05 * result.place.cores:
        return said
    return (
        f"{said} **Requests a second, latencies and their ratios are therefore not what either side can do**, worse "
        "for the one with fewer busy threads; CPU seconds per 1,000 requests are the steadier figures, and even they "
        "rise when caches are shared with others."
    )


def speed_table(result: Result) -> str:
    first, second = result.sides
    head = ["work", f"{first}: req/s · p50 · p99 ms", second, "ratio", "goal", "", "CPU s per 1,000", "CPU ratio"]
    lines = []
    for name in _measured(result):
        workload = WORKLOADS[name]
        compared = Compared(name, result.sides, result.figures)
        ratio = compared.ratio(per_second)
        lines.append(
            [
                workload.title,
                _side(compared.ours),
                _side(compared.theirs),
                f"**{ratio:.2f}** ({_range(compared.ratios(per_second))})",
                f"≥ {workload.goal:g}",
                _verdict(ratio >= workload.goal),
                f"{median(compared.ours, cpu):.3f} · {median(compared.theirs, cpu):.3f}",
                f"{compared.ratio(cpu):.2f} ({_range(compared.ratios(cpu))})",
            ]
        )
    return table(head, lines)


def rest_table(sides: Sequence[AtRest]) -> str:
    """The first side has the goals."""
    head = ["", *(side.side for side in sides), "goal", ""]
    starts = [statistics.median(side.start_s) for side in sides]
    memory = [side.memory_mib for side in sides]
    used = [f"{statistics.median(side.start_cpu_s):.2f}" for side in sides]
    began = [f"{each:.2f}" for each in starts]
    took = [f"{each:.0f}" for each in memory]
    return table(
        head,
        [
            ["start on existing data to the first record, s", *began, *_goal(starts[0], START_GOAL_S)],
            ["CPU seconds until then", *used, "", ""],
            ["memory of the whole process tree (PSS), MiB", *took, *_goal(memory[0], MEMORY_GOAL_MIB)],
        ],
    )


def raw_table(result: Result) -> str:
    first = result.sides[0]
    head = ["statement", "per second", "mean ms", "CPU s per 1,000", f"{first} reaches"]
    lines = []
    for name in _measured(result):
        rounds = [each for each in result.raw if each.workload == name]
        if rounds:
            ours = [each for each in result.figures if each.workload == name and each.side == first]
            speed = statistics.median(each.per_second for each in rounds)
            lines.append(
                [
                    WORKLOADS[name].title,
                    f"{speed:,.0f}",
                    f"{statistics.median(each.mean_ms for each in rounds):.2f}",
                    f"{statistics.median(each.cpu_s_per_1000 for each in rounds):.3f}",
                    f"{median(ours, per_second) / speed:.0%}",
                ]
            )
    return table(head, lines)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """In Markdown, figures to the right."""
    rule = ["---", *(["---:"] * (len(head) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def _measured(result: Result) -> list[str]:
    return list(dict.fromkeys(each.workload for each in result.figures))


def _side(rounds: Sequence[Figures]) -> str:
    return f"{median(rounds, per_second):,.0f} · {median(rounds, p50_ms):.1f} · {median(rounds, p99_ms):.1f}"


def _range(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _goal(reached: float, most: float) -> tuple[str, str]:
    return f"≤ {most:.3g}", _verdict(reached <= most)


def _verdict(met: bool) -> str:
    return "met" if met else "missed"
