"""Ratios are of figures of the same round; rows that are missing stop a run."""

import pytest

from benchmarks.check import check_growth
from benchmarks.compare import Compared, cpu, per_second
from benchmarks.measure import Figures
from benchmarks.workloads import WORKLOADS
from benchmarks.wrk import Load


def load(requests: int) -> Load:
    return Load(requests=requests, duration_us=1_000_000, p50_us=1, p99_us=2, refused=0, broken=0)


def figures(side: str, number: int, requests: int, cpu_s: float) -> Figures:
    return Figures(workload="get", side=side, round=number, load=load(requests), cpu_s=cpu_s, others=0.0)


def test_the_ratio_is_the_median_of_the_ratios_of_each_round():
    # The machine was slow in round 1: a ratio of the medians would be 200 to 100.
    found = [
        figures("theirs", 2, 100, 1.0),
        figures("ours", 0, 300, 0.6),
        figures("theirs", 0, 100, 1.0),
        figures("ours", 1, 30, 0.6),
        figures("theirs", 1, 10, 1.0),
        figures("ours", 2, 200, 0.8),
    ]

    compared = Compared("get", ("ours", "theirs"), found)

    assert compared.ratios(per_second) == [3, 3, 2]
    assert compared.ratio(per_second) == 3
    assert compared.ratio(cpu) == pytest.approx(0.2)


class Side:
    name = "ours"


@pytest.mark.parametrize("grown", [10_000, 13_000, 14_000])
def test_a_batch_leaves_all_its_rows_and_those_under_way_may_too(grown):
    check_growth(WORKLOADS["batch"], Side(), load(10), grown)


@pytest.mark.parametrize("grown", [0, 9_999, 14_001])
def test_rows_that_are_missing_or_too_many_stop_the_run(grown):
    with pytest.raises(RuntimeError, match=f"{grown} rows were added, not 10000 to 14000"):
        check_growth(WORKLOADS["batch"], Side(), load(10), grown)
