"""The ratios of a result as a picture: a bar a workload, a mark where its goal is."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.compare import Compared, per_second
from benchmarks.result import Result
from benchmarks.workloads import WORKLOADS

MET, MISSED, GOAL = "#2a7f62", "#c8553d", "#1d1d1b"


def draw(result: Result, path: Path) -> None:
    """An SVG with a logarithmic axis: twice as fast is as far from 1 as half as fast."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "mbaas"})  # text stays text; equal figures, equal file
    names = list(dict.fromkeys(each.workload for each in result.figures))
    goals = [WORKLOADS[name].goal for name in names]
    compared = [Compared(name, result.sides, result.figures).ratios(per_second) for name in names]
    ratios = [Compared(name, result.sides, result.figures).ratio(per_second) for name in names]
    lows = [ratio - min(rounds) for ratio, rounds in zip(ratios, compared, strict=True)]
    highs = [max(rounds) - ratio for ratio, rounds in zip(ratios, compared, strict=True)]
    figure = Figure(figsize=(9, 0.55 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    places = range(len(names))
    colours = [MET if ratio >= goal else MISSED for ratio, goal in zip(ratios, goals, strict=True)]
    axes.barh(places, [ratio - 1 for ratio in ratios], left=1, color=colours, height=0.6)
    axes.errorbar(
        ratios, places, xerr=(lows, highs), fmt="none", ecolor="#777777", capsize=3, label="lowest, highest round"
    )
    axes.scatter(goals, places, marker="|", s=300, linewidths=2.5, color=GOAL, label="goal")
    axes.set_xscale("log", base=2)
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.axvline(1, color="#999999", linewidth=1)
    axes.set_yticks(places, [WORKLOADS[name].title for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(f"requests a second, {result.sides[0]} to {result.sides[1]}, {result.rows:,} posts")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
