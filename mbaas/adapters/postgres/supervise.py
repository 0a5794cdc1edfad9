"""Keeps our own PostgreSQL running: when it ends by itself, or is killed, it is started again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.core.observe import Observe, PostgresExited, PostgresStarted, ignore

_STEADY_S = 10.0  # having been up that long, an end counts as the first
_PAUSES_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)


@contextlib.asynccontextmanager
async def supervised(server: EmbeddedPostgres, *, observe: Observe = ignore) -> AsyncIterator[EmbeddedPostgres]:
    """The server, started and kept running for the length of the block, stopped after it."""
    await server.start()
    keeper = asyncio.create_task(_keep(server, observe), name="postgres supervisor")
    try:
        yield server
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await server.stop()


async def _keep(server: EmbeddedPostgres, observe: Observe) -> None:
    ends = 0
    while True:
        up_since = time.monotonic()
        status = await server.exited()
        ends = 0 if time.monotonic() - up_since > _STEADY_S else ends
        observe(PostgresExited(reason=_reason(status)))
        while True:
            pause_s = _PAUSES_S[min(ends, len(_PAUSES_S) - 1)]
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            ends += 1
            began = time.monotonic()
            try:
                await server.restart()
            except Exception as error:  # the loop that mends everything else must not end
                observe(PostgresExited(reason=str(error) or repr(error)))
                continue
            observe(PostgresStarted(duration_ms=(time.monotonic() - began) * 1000))
            break


def _reason(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
