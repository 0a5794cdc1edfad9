"""What auth does by itself: hear of revocations every second, and drop what is of no use any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from mbaas.core.errors import MbaasError

EVERY_S = 600.0


async def keep_up(drop: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Every ten minutes, for good. What fails is tried the next time."""
    while True:
        for each in drop:
            with contextlib.suppress(MbaasError):
                await each()
        await asyncio.sleep(EVERY_S)
