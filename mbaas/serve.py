"""From a configuration to a server that runs until it is told to stop.

PostgreSQL starts, and the tables are brought up to date, while the rest of the server is being loaded: the one waits
for another process, the other computes (docs/adr/0100).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import msgspec

from mbaas.adapters.secrets import SecretsFile
from mbaas.config.settings import Config
from mbaas.core.observe import Held
from mbaas.schema import open_migrated

if TYPE_CHECKING:
    from mbaas.begun import Begun


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What one needs to know of a server that answers."""

    url: str
    anon_key: str
    service_key: str
    publishable_key: str
    docs: bool
    plugins: tuple[str, ...]
    started_s: float
    mail: str | None


def serve(
    config: Config,
    *,
    reload: Callable[[], Config] | None = None,
    on_ready: Callable[[Ready], None] = lambda _: None,
    safe_mode: bool = False,
    unsafe_dev: bool = False,
) -> int:
    """Run the server until SIGTERM or SIGINT, then put everything away. Returns the exit status.

    reload: reads the configuration anew, so that faults of a changed file are told while the server runs.
    safe_mode: without plugins. unsafe_dev: accept a PostgreSQL that may lose writes. Raises MbaasError when it cannot
    start; nothing is left running then.
    """
    return _run(_serve(config, reload, on_ready, safe_mode=safe_mode, unsafe_dev=unsafe_dev))


async def _serve(
    config: Config,
    reload: Callable[[], Config] | None,
    on_ready: Callable[[Ready], None],
    *,
    safe_mode: bool,
    unsafe_dev: bool,
) -> int:
    began = time.monotonic()
    secrets = SecretsFile(config.data / "secrets.toml")  # before there is anything they could fail to protect
    loading = asyncio.create_task(asyncio.to_thread(import_module, "mbaas.app"))
    held = Held()
    with contextlib.ExitStack() as tells:  # to the very end
        async with contextlib.AsyncExitStack() as stack:
            try:
                with _often_switched():
                    database, live = await stack.enter_async_context(
                        open_migrated(config, observe=held, unsafe_dev=unsafe_dev)
                    )
            finally:
                await loading
                from mbaas.begun import begin, telling  # there by now, as is mbaas.app

                told = tells.enter_context(telling(config, held))
            begun = begin(config, secrets, told, database, live, safe_mode=safe_mode)
            from mbaas import app

            await app.run(begun, reload=reload, on_ready=lambda: on_ready(_ready(begun, time.monotonic() - began)))
    return 0


def _ready(begun: Begun, started_s: float) -> Ready:
    config, secrets = begun.config, begun.secrets.current
    return Ready(
        url=config.server.public_url or f"http://{config.server.host}:{config.server.port}",
        anon_key=secrets.anon_key,
        service_key=secrets.service_key,
        publishable_key=secrets.publishable_key,
        docs=config.server.docs,
        plugins=begun.plugins,
        started_s=started_s,
        mail=None if config.mail.host else str(config.data / "mail"),
    )


@contextlib.contextmanager
def _often_switched() -> Iterator[None]:
    """The thread that loads modules lets us in more often: what is asked of PostgreSQL is much, and each a little."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _run(coroutine: Any) -> int:
    if sys.platform == "win32":
        return cast(int, asyncio.run(coroutine))
    import uvloop

    return cast(int, uvloop.run(coroutine))
