"""What a server costs when nobody asks: how long it takes to start on data it has, and its memory then."""

from __future__ import annotations

import time

import msgspec

from benchmarks.data import Post
from benchmarks.server import Server

STARTS = 5
REST_S = 5.0


class AtRest(msgspec.Struct, frozen=True, kw_only=True):
    """start_s: from the command to the first record, each time. start_cpu_s: CPU seconds until then.

    memory_mib: of the whole process tree, shared pages shared out, some seconds after the last of these starts.
    """

    side: str
    start_s: list[float]
    start_cpu_s: list[float]
    memory_mib: float


def measure_at_rest(side: Server) -> AtRest:
    """Stops the running server and starts it again, several times; it runs afterwards."""
    first = side.get(Post(0, side.data.authors))
    took, used = [], []
    for _ in range(STARTS):
        side.stop()
        took.append(side.start(first))
        used.append(side.tree().cpu_s())
    time.sleep(REST_S)
    return AtRest(side=side.name, start_s=took, start_cpu_s=used, memory_mib=side.tree().memory_mib())
