"""A process that runs our own PostgreSQL as the server does, for tests that kill it: ``python … DIRECTORY``."""

import asyncio
import signal
import sys
from pathlib import Path

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.supervise import supervised


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with supervised(EmbeddedPostgres(Path(sys.argv[1]))) as server:
        print(server.url(), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
