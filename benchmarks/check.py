"""That what is measured is the work: every side answers, with the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from benchmarks.call import Call
from benchmarks.server import Server
from benchmarks.workloads import Workload
from benchmarks.wrk import Load

Check = Callable[[Workload, Sequence[Server], Sequence[Sequence[Call]]], None]
CHECKED = 10  # of each workload's calls


def check_alike(workload: Workload, sides: Sequence[Server], calls: Sequence[Sequence[Call]]) -> None:
    """Every side was asked for the same and gives the same; of new records, whose ids are new, as many.

    Raises RuntimeError when an answer is an error, empty, or not the other side's.
    """
    answers = [_answers(workload, side, asked) for side, asked in zip(sides, calls, strict=True)]
    for found in zip(*answers, strict=True):
        different = {json.dumps(len(ids) if workload.grows else ids) for ids in found}
        if len(different) > 1:
            said = dict(zip((side.name for side in sides), found, strict=True))
            raise RuntimeError(f"{workload.name}: the sides do not answer alike: {said}")


def check_answered(workload: Workload, sides: Sequence[Server], calls: Sequence[Sequence[Call]]) -> None:
    """Every side gives as many records, which ones depends on its size. Raises RuntimeError otherwise."""
    answers = [_answers(workload, side, asked) for side, asked in zip(sides, calls, strict=True)]
    if len({json.dumps([len(ids) for ids in found]) for found in answers}) > 1:
        raise RuntimeError(f"{workload.name}: the sides do not answer with as many records: {answers}")


def _answers(workload: Workload, side: Server, calls: Sequence[Call]) -> list[list[str]]:
    found = [side.ids(side.answer(call)) for call in calls[: 1 if workload.grows > 1 else CHECKED]]
    if not all(found):
        raise RuntimeError(f"{workload.name} on {side.name}: an answer without a record")
    return found


def check_growth(workload: Workload, side: Server, load: Load, grown: int) -> None:
    """Every answered request has left its rows; at most as many more as were under way at the end.

    Raises RuntimeError otherwise.
    """
    least, most = (count * workload.grows for count in (load.requests, load.requests + workload.connections))
    if not least <= grown <= most:
        raise RuntimeError(f"{workload.name} on {side.name}: {grown} rows were added, not {least} to {most}")
