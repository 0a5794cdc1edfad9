"""One line a request. The general log costs 30 µs a line; this one has a fixed shape and costs 2."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import msgspec

from mbaas.config.settings import LogSettings
from mbaas.core.identity import Identity
from mbaas.http.logs import LineWriter, Log, for_people
from mbaas.http.redact import redact_text

AccessLog: TypeAlias = Callable[[str, str, int, float, str, str, object], None]
"""Told of every request: method, path, status (499: the client went away), seconds, its id, the client's address, and
the ``Identity`` of the caller when it has one."""

_AT_ONCE = 64
_Told: TypeAlias = tuple[float, str, str, int, float, str, str, object]
"""When, and what an ``AccessLog`` is told."""


def access_log(
    settings: LogSettings, *, writer: LineWriter, log: Log, terminal: bool | None = None
) -> AccessLog | None:
    """As ``[log]`` says; ``None`` when requests are not logged."""
    if not settings.requests or settings.level in ("warning", "error"):
        return None
    return log_access_log(log) if for_people(settings, terminal=terminal) else json_access_log(writer)


def json_access_log(writer: LineWriter) -> AccessLog:
    """Lines of JSON, past the general log's processors.

    There is no query string: filters hold personal data, and links hold secrets. What is told is kept for lines of many
    requests to be made in a row, by the writer's thread at the latest: one between two requests costs twice as much.
    """
    told: deque[_Told] = deque()

    def write(
        method: str, path: str, status: int, seconds: float, request_id: str, client_ip: str, caller: object
    ) -> None:
        told.append((time.time(), method, path, status, seconds, request_id, client_ip, caller))
        waiting = len(told)
        if waiting >= _AT_ONCE:
            writer.write_lines(_lines(told))
        elif waiting == 1:
            writer.start()

    writer.sources.append(lambda: _lines(told))
    return write


def _lines(told: deque[_Told]) -> list[str]:
    """Takes all that was told."""
    lines: list[str] = []
    since, until, stamp = 0.0, 0.0, ""  # one millisecond
    while told:
        try:
            now, method, path, status, seconds, request_id, client_ip, caller = told.popleft()
        except IndexError:  # another thread took the last
            break
        if not since <= now < until:
            milliseconds = int(now * 1000)
            since, until = milliseconds / 1000, (milliseconds + 1) / 1000
            whole, part = divmod(milliseconds, 1000)
            stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{part:03d}"
        who = _who(client_ip, caller.role, caller.user_id) if isinstance(caller, Identity) else _who(client_ip)
        lines.append(
            f'{{"time":"{stamp}Z",{_asked(method, path)}'
            f',"status":{status},"duration_ms":{seconds * 1000:.2f},"request_id":"{request_id}",{who}}}'
        )
    return lines


def log_access_log(log: Log) -> AccessLog:
    """Lines through the general log, for people who watch a console."""

    def write(
        method: str, path: str, status: int, seconds: float, request_id: str, client_ip: str, caller: object
    ) -> None:
        who: dict[str, str] = {}
        if isinstance(caller, Identity):
            who = {"role": caller.role} | ({"user_id": caller.user_id} if caller.user_id else {})
        log.info(
            "request",
            method=method,
            path=shown_path(path),
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client_ip=client_ip,
            request_id=request_id,
            **who,
        )

    return write


def shown_path(path: str) -> str:
    """A path as a log may have it: not too long, without what looks like a secret."""
    if len(path) > 512:
        path = path[:512] + "…"
    if "=" in path or "eyJ" in path or "sb_" in path:
        path = redact_text(path)
    return path


@lru_cache(maxsize=1024)
def _asked(method: str, path: str) -> str:
    """The beginning of a line, behind the time."""
    return f'"level":"info","event":"request","method":{_quoted(method)},"path":{_quoted(shown_path(path))}'


@lru_cache(maxsize=1024)
def _who(client_ip: str, role: str | None = None, user_id: str | None = None) -> str:
    """The end of a line: what is known of the caller."""
    known = f'"client_ip":{_quoted(client_ip)}'
    if role is not None:
        known += f',"role":{_quoted(role)}'
    return known if user_id is None else f'{known},"user_id":{_quoted(user_id)}'


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
