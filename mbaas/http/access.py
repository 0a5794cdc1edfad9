"""One line a request. The general log costs 30 µs a line; this one has a fixed shape and costs 2."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import msgspec

from mbaas.config.settings import LogSettings
from mbaas.core.identity import Identity
from mbaas.http.logs import LineWriter, Log, for_people
from mbaas.http.redact import redact_text
from mbaas.http.respond import Scope

AccessLog: TypeAlias = Callable[[Scope, int, float], None]
"""Told of every request: its scope, the status (499: the client went away) and the seconds it took."""


def access_log(
    settings: LogSettings, *, writer: LineWriter, log: Log, terminal: bool | None = None
) -> AccessLog | None:
    """As ``[log]`` says; ``None`` when requests are not logged."""
    if not settings.requests or settings.level in ("warning", "error"):
        return None
    return log_access_log(log) if for_people(settings, terminal=terminal) else json_access_log(writer)


def json_access_log(writer: LineWriter) -> AccessLog:
    """Lines of JSON, past the general log's processors.

    There is no query string: filters hold personal data, and links hold secrets.
    """
    second, stamp = -1, ""

    def write(scope: Scope, status: int, seconds: float) -> None:
        nonlocal second, stamp
        now = time.time()
        if (whole := int(now)) != second:
            second, stamp = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        state = scope["state"]
        identity = state.get("caller")
        who = _who(identity.role, identity.user_id) if isinstance(identity, Identity) else ""
        writer.write(
            f'{{"time":"{stamp}.{int((now - whole) * 1000):03d}Z","level":"info","event":"request",'
            f'"method":{_quoted(scope["method"])},"path":{_quoted_path(state.get("path") or scope["path"])},'
            f'"status":{status},"duration_ms":{seconds * 1000:.2f},"request_id":"{state.get("request_id", "")}",'
            f'"client_ip":{_quoted(state.get("client_ip", ""))}{who}}}'
        )

    return write


def log_access_log(log: Log) -> AccessLog:
    """Lines through the general log, for people who watch a console."""

    def write(scope: Scope, status: int, seconds: float) -> None:
        state = scope["state"]
        identity = state.get("caller")
        who: dict[str, str] = {}
        if isinstance(identity, Identity):
            who = {"role": identity.role} | ({"user_id": identity.user_id} if identity.user_id else {})
        log.info(
            "request",
            method=scope["method"],
            path=shown_path(state.get("path") or scope["path"]),
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client_ip=state.get("client_ip", ""),
            request_id=state.get("request_id", ""),
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
def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


@lru_cache(maxsize=1024)
def _quoted_path(path: str) -> str:
    return _quoted(shown_path(path))


@lru_cache(maxsize=1024)
def _who(role: str, user_id: str | None) -> str:
    """The end of a line: what is known of the caller."""
    return f',"role":{_quoted(role)}' + ("" if user_id is None else f',"user_id":{_quoted(user_id)}')
