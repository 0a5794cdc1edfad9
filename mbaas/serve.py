"""From a configuration to a server that runs until it is told to stop.

PostgreSQL starts, and the tables are brought up to date, while the rest of the server is being loaded: the one waits
for another process, the other computes (docs/adr/0100).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

import msgspec

from mbaas.adapters.plugins import load_plugins
from mbaas.adapters.secrets import SecretsFile
from mbaas.begun import Begun
from mbaas.config.settings import Config
from mbaas.hooks.dispatch import Hooks
from mbaas.http.logs import LineWriter, make_log, redirect_standard_logging
from mbaas.http.metrics import Metrics
from mbaas.http.telemetry import observer
from mbaas.schema import migrated, open_database


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
    loading = asyncio.create_task(asyncio.to_thread(import_module, "mbaas.app"))
    metrics = Metrics()
    writer = LineWriter(sys.stderr)
    log = make_log(config.log, writer)
    observe = observer(log, metrics)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(writer.close)
        stack.callback(redirect_standard_logging(log))
        secrets = SecretsFile(config.data / "secrets.toml")
        hooks = Hooks(observe=observe, timeout_s=config.plugins.timeout_s)
        plugins = load_plugins(
            hooks, config.plugins, root=config.root, collections=config.catalog.collections, safe_mode=safe_mode
        )
        database = await stack.enter_async_context(open_database(config, observe=observe, unsafe_dev=unsafe_dev))
        live = await migrated(database, config, observe=observe)
        metrics.catalog_revision = lambda: live.revision
        begun = Begun(config, secrets, database, live, hooks, plugins, observe, metrics, log, writer)

        def ready() -> None:
            on_ready(
                Ready(
                    url=config.server.public_url or f"http://{config.server.host}:{config.server.port}",
                    anon_key=secrets.current.anon_key,
                    service_key=secrets.current.service_key,
                    publishable_key=secrets.current.publishable_key,
                    docs=config.server.docs,
                    plugins=plugins,
                    started_s=time.monotonic() - began,
                    mail=None if config.mail.host else str(config.data / "mail"),
                )
            )

        await loading
        from mbaas import app  # there by now

        await app.run(begun, reload=reload, on_ready=ready)
    return 0


def _run(coroutine: Any) -> int:
    if sys.platform == "win32":
        return cast(int, asyncio.run(coroutine))
    import uvloop

    return cast(int, uvloop.run(coroutine))
