"""What stands before the server itself: its database, what tells of it, its secrets and plugins."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import NamedTuple

from mbaas.adapters.live import Live
from mbaas.adapters.plugins import load_plugins
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.secrets import SecretsFile
from mbaas.config.settings import Config
from mbaas.core.observe import Held, Observe
from mbaas.hooks.dispatch import Hooks
from mbaas.http.logs import LineWriter, Log, make_log, redirect_standard_logging
from mbaas.http.metrics import Metrics
from mbaas.http.telemetry import observer


class Telling(NamedTuple):
    """Logs and metrics, and what brings observations there."""

    metrics: Metrics
    writer: LineWriter
    log: Log
    observe: Observe


class Begun(NamedTuple):
    """live: the rules in force, followed once the server runs. plugins: the names of those loaded."""

    config: Config
    secrets: SecretsFile
    database: Database
    live: Live
    hooks: Hooks
    plugins: tuple[str, ...]
    telling: Telling


@contextlib.contextmanager
def telling(config: Config, held: Held) -> Iterator[Telling]:
    """Tells what was observed before, and from now on."""
    metrics, writer = Metrics(), LineWriter(sys.stderr)
    log = make_log(config.log, writer)
    observe = observer(log, metrics)
    held.tell(observe)
    with contextlib.ExitStack() as stack:
        stack.callback(writer.close)
        stack.callback(redirect_standard_logging(log))
        yield Telling(metrics, writer, log, observe)


def begin(
    config: Config, secrets: SecretsFile, telling: Telling, database: Database, live: Live, *, safe_mode: bool
) -> Begun:
    """safe_mode: without plugins. Raises ConfigError for a plugin that cannot be used."""
    hooks = Hooks(observe=telling.observe, timeout_s=config.plugins.timeout_s)
    plugins = load_plugins(
        hooks, config.plugins, root=config.root, collections=config.catalog.collections, safe_mode=safe_mode
    )
    telling.metrics.catalog_revision = lambda: live.revision
    return Begun(config, secrets, database, live, hooks, plugins, telling)
