"""Where observations go: some become log lines, some numbers."""

from __future__ import annotations

from mbaas.core.observe import (
    DatabaseBack,
    DatabaseLost,
    HookFailed,
    HookRested,
    MailFailed,
    Observation,
    Observe,
    QueryRan,
)
from mbaas.http.logs import Log
from mbaas.http.metrics import Metrics

SLOW_MS = 1000.0


def observer(log: Log, metrics: Metrics) -> Observe:
    """The one ``Observe`` of a server."""

    def observe(told: Observation) -> None:
        if isinstance(told, QueryRan):
            metrics.statements.add((), told.duration_ms / 1000)
            if told.duration_ms > SLOW_MS:
                log.warning("slow_statement", sql=told.sql, duration_ms=round(told.duration_ms))
        elif isinstance(told, HookFailed):
            metrics.count("hook_failed", told.hook)
            log.error("hook_failed", hook=told.hook, on=told.event, error=told.error, trace=told.trace)
        elif isinstance(told, HookRested):
            log.error("hook_rests", hook=told.hook, on=told.event, rest_s=told.rest_s)
        elif isinstance(told, MailFailed):
            metrics.count("mail_failed", told.kind)
            log.error("mail_failed", mail=told.kind, reason=told.reason)
        elif isinstance(told, DatabaseLost):
            metrics.database_up = False
            metrics.count("database_lost")
            log.error("database_lost", reason=told.reason)
        elif isinstance(told, DatabaseBack):
            metrics.database_up = True
            log.warning("database_back", down_ms=round(told.down_ms))
        else:
            metrics.count("security", told.kind)
            log.warning("security", kind=told.kind, subject=told.subject, detail=told.detail)

    return observe
