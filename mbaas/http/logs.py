"""Structured logs: one JSON object a line, or columns for people. Secrets are taken out before anything is written.

Lines go to a queue that a thread writes out, so that a slow or blocked reader of our output cannot hold up requests.
"""

from __future__ import annotations

import atexit
import collections
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import IO, Any, TypeAlias

import msgspec

from mbaas.config.settings import LogSettings
from mbaas.core.later import without
from mbaas.http.redact import redact

with without("rich"):  # for tracebacks in colour, which are text before structlog gets them here
    import structlog

REQUEST_ID: ContextVar[str] = ContextVar("request_id")
"""The id of the request at work, on every line that is logged meanwhile."""

Log: TypeAlias = structlog.typing.FilteringBoundLogger

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class LineWriter:
    """Writes lines to a stream from a thread of its own, a few times a second.

    dropped: lines lost because the stream did not take them fast enough. sources: asked for further lines each time.
    """

    PAUSE_S = 0.1

    def __init__(self, stream: IO[str], *, max_lines: int = 10_000) -> None:
        self._stream = stream
        self._max_lines = max_lines
        self._lines: collections.deque[str] = collections.deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        self.sources: list[Callable[[], list[str]]] = []

    def write(self, line: str) -> None:
        """Takes one line without its end. Never waits."""
        self.write_lines([line])

    def write_lines(self, lines: list[str]) -> None:
        """The same of several."""
        room = max(0, self._max_lines - len(self._lines))
        self._lines.extend(lines[:room])
        self.dropped += len(lines[room:])
        self.start()

    def start(self) -> None:
        """Has the thread run, which it does for as long as the writer is not closed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    debug = info = warning = error = critical = write  # what structlog calls, the level being in the line by then

    def close(self, timeout_s: float = 2.0) -> None:
        """Writes what is left, as far as the stream takes it in time."""
        self._stop.set()
        if self._thread is not None:
            atexit.unregister(self.close)
            self._thread.join(timeout_s)
            self._thread = None
        self._stop.clear()

    def _run(self) -> None:
        while not self._stop.wait(self.PAUSE_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines: list[str] = []
        while self._lines:
            lines.append(self._lines.popleft())
        for source in self.sources:
            lines += source()
        if not lines:
            return
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader is gone, or the stream is closed
            self.dropped += len(lines)


def make_log(settings: LogSettings, writer: LineWriter, *, terminal: bool | None = None) -> Log:
    """The log of one server. terminal: whether people read it, for format ``auto``; ``None``: ask standard error."""
    render: structlog.typing.Processor = _render_json
    if for_people(settings, terminal=terminal):
        colors = terminal is not False and sys.stderr.isatty()
        render = structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time")
    log: Log = structlog.wrap_logger(
        writer,
        processors=[
            _add_context,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            redact_event,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
    )
    return log.bind()


def for_people(settings: LogSettings, *, terminal: bool | None = None) -> bool:
    """Columns rather than JSON."""
    if settings.format == "auto":
        return sys.stderr.isatty() if terminal is None else terminal
    return settings.format == "console"


def redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The structlog processor that takes secrets out."""
    shown: Mapping[str, Any] = redact(event)
    return shown


def _add_context(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    now = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    event["time"] = f"{whole}.{int(now % 1 * 1000):03d}Z"
    if "request_id" not in event and (request_id := REQUEST_ID.get(None)):
        event["request_id"] = request_id
    return event


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    ordered = {"time": event.pop("time"), "level": event.pop("level"), "event": event.pop("event"), **event}
    return msgspec.json.encode(ordered).decode()


class ToLog(logging.Handler):
    """Brings what libraries log by the standard way (uvicorn, Litestar, …) into ours."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            exc_info: Any = record.exc_info or None
            self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=exc_info)
        except Exception:  # logging's own convention: a line that cannot be logged must not fail its request
            self.handleError(record)


def redirect_standard_logging(log: Log, level: str = "warning") -> Callable[[], None]:
    """Sends the root logger to ``log`` from ``level`` on. Gives the way back."""
    root = logging.getLogger()
    handler = ToLog(log)
    before = root.level
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])

    def undo() -> None:
        root.removeHandler(handler)
        root.setLevel(before)

    return undo
