"""What stands before the server itself: its database, and what tells of it."""

from __future__ import annotations

from typing import NamedTuple

from mbaas.adapters.live import Live
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.secrets import SecretsFile
from mbaas.config.settings import Config
from mbaas.core.observe import Observe
from mbaas.hooks.dispatch import Hooks
from mbaas.http.logs import LineWriter, Log
from mbaas.http.metrics import Metrics


class Begun(NamedTuple):
    """live: the rules in force, followed once the server runs. plugins: the names of those loaded."""

    config: Config
    secrets: SecretsFile
    database: Database
    live: Live
    hooks: Hooks
    plugins: tuple[str, ...]
    observe: Observe
    metrics: Metrics
    log: Log
    writer: LineWriter
