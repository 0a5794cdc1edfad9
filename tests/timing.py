"""What something costs, where the question is whether it grows faster than what it reads."""

from __future__ import annotations

import time
from collections.abc import Callable

_TRIES = 3


def cpu_s(run: Callable[[], object], *, enough: float) -> float:
    """Seconds of this thread's processor, the best of three tries; one that costs less than ``enough`` is the last.

    One try alone says little: a garbage collection or a slow moment of the machine may fall into it.
    """
    best = float("inf")
    for _ in range(_TRIES):
        began = time.thread_time()
        run()
        best = min(best, time.thread_time() - began)
        if best < enough:
            break
    return best
