"""That what is measured is the work: every side answers, with the same rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks.call import Call
from benchmarks.server import Server
from benchmarks.workloads import Workload
from benchmarks.wrk import Load

CHECKED = 10  # of each workload's calls


def check_answers(workload: Workload, sides: Sequence[Server], calls: Sequence[Sequence[Call]]) -> None:
    """Ask every side for the same and compare. New records have ids of their own, so their number is compared.

    Raises RuntimeError when an answer is an error, empty, or not the other side's.
    """
    for asked in list(zip(*calls, strict=True))[: 1 if workload.grows > 1 else CHECKED]:
        found = {}
        for side, call in zip(sides, asked, strict=True):
            ids = side.ids(side.answer(call))
            found[side.name] = len(ids) if workload.grows else ids
        different = {json.dumps(value) for value in found.values()}
        if len(different) > 1 or not all(found.values()):
            raise RuntimeError(f"{workload.name}: the sides do not answer alike: {found}")


def check_growth(workload: Workload, side: Server, load: Load, grown: int) -> None:
    """Every answered request has left its rows; at most as many more as were under way at the end.

    Raises RuntimeError otherwise.
    """
    least, most = (count * workload.grows for count in (load.requests, load.requests + workload.connections))
    if not least <= grown <= most:
        raise RuntimeError(f"{workload.name} on {side.name}: {grown} rows were added, not {least} to {most}")
