"""Where observations go: numbers for those that are counted, a log line for all but the fast statements."""

from __future__ import annotations

import logging
import re

import msgspec

from mbaas.core.observe import (
    CatalogNotTaken,
    ConfigNotTaken,
    ConfigWaits,
    DatabaseBack,
    DatabaseLost,
    HookFailed,
    HookRested,
    LoopBlocked,
    MigrationWaits,
    Observation,
    Observe,
    PostgresExited,
    PostgresStarted,
    QueryRan,
    SecurityEvent,
    SendFailed,
    SendGivenUp,
    SignInFailed,
    TemplateFailed,
)
from mbaas.http.logs import Log
from mbaas.http.metrics import Metrics

SLOW_MS = 1000.0

LEVELS: dict[type, int] = {
    CatalogNotTaken: logging.ERROR,
    ConfigNotTaken: logging.ERROR,
    ConfigWaits: logging.WARNING,
    DatabaseLost: logging.ERROR,
    DatabaseBack: logging.WARNING,
    HookFailed: logging.ERROR,
    HookRested: logging.ERROR,
    LoopBlocked: logging.WARNING,
    MigrationWaits: logging.WARNING,
    PostgresExited: logging.ERROR,
    PostgresStarted: logging.WARNING,
    QueryRan: logging.WARNING,
    SecurityEvent: logging.WARNING,
    SendFailed: logging.WARNING,
    SendGivenUp: logging.ERROR,
    TemplateFailed: logging.ERROR,
}
"""The level of a line; a class without one is information."""

COUNTED: dict[type, str] = {
    CatalogNotTaken: "",
    ConfigNotTaken: "",
    DatabaseLost: "",
    HookFailed: "hook",
    LoopBlocked: "",
    PostgresExited: "",
    SecurityEvent: "kind",
    SendFailed: "channel",
    SendGivenUp: "channel",
    SignInFailed: "purpose",
    TemplateFailed: "kind",
}
"""What is counted, and the field that tells its kinds apart: one of few values, never one that callers choose."""


def observer(log: Log, metrics: Metrics) -> Observe:
    """The one ``Observe`` of a server."""

    def observe(told: Observation) -> None:
        if isinstance(told, QueryRan):
            metrics.statements.series().add(told.duration_ms / 1000)
            if told.duration_ms <= SLOW_MS:
                return
        elif isinstance(told, DatabaseLost | DatabaseBack):
            metrics.database_up = isinstance(told, DatabaseBack)
        kind = type(told)
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
        if (field := COUNTED.get(kind)) is not None:
            metrics.count(name, getattr(told, field) if field else "")
        fields = msgspec.structs.asdict(told)
        if "event" in fields:  # the log's own word for the name of the line
            fields["on"] = fields.pop("event")
        log.log(LEVELS.get(kind, logging.INFO), name, **fields)

    return observe
