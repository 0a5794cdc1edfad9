"""A server under measurement: a process of its own, started, asked and stopped."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from benchmarks.call import Call
from benchmarks.data import Data, Post
from benchmarks.tree import Tree

START_S = 60.0
STOP_S = 60.0


class Server(ABC):
    """One side of the comparison. Below ``start`` and ``load`` stand the calls that the workloads send to it."""

    def __init__(self, name: str, folder: Path, data: Data) -> None:
        """folder: an empty one, which PostgreSQL's own account may pass through."""
        self.name = name
        self.folder = folder
        self.data = data
        self.port = _free_port()
        self.tokens: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, probe: Call) -> float:
        """Seconds until ``probe`` was answered with 200. Raises RuntimeError when that takes too long."""
        began = time.monotonic()
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        while time.monotonic() < began + START_S and self._process.poll() is None:
            try:
                if probe.send(self.port)[0] == 200:
                    return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.005)
        raise RuntimeError(f"{self.name} did not start: {log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_S)
            self._process = None

    def tree(self) -> Tree:
        assert self._process is not None, "not started"
        return Tree(self._process.pid)

    def answer(self, call: Call) -> Any:
        """What a call that must succeed says. Raises RuntimeError otherwise."""
        status, body = call.send(self.port)
        if not 200 <= status < 300:
            raise RuntimeError(
                f"{self.name}: {call.method} {call.path}: {status} {body[:500].decode(errors='replace')}"
            )
        return json.loads(body) if body else None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def load(self) -> None:
        """From nothing to running with all rows, and ``tokens`` of those who are signed in."""

    @abstractmethod
    def stored(self) -> int:
        """How many private posts there are."""

    @abstractmethod
    def ids(self, answer: Any) -> list[str]:
        """Of the records in an answer, in order, each as its first 15 hexadecimal digits."""

    @abstractmethod
    def get(self, post: Post) -> Call: ...

    @abstractmethod
    def get_own(self, post: Post) -> Call: ...

    @abstractmethod
    def page(self, author: int) -> Call: ...

    @abstractmethod
    def page_counted(self, author: int) -> Call: ...

    @abstractmethod
    def create(self, post: Post) -> Call: ...

    @abstractmethod
    def update(self, post: Post) -> Call: ...

    @abstractmethod
    def batch(self, posts: list[Post]) -> Call: ...

    @abstractmethod
    def sign_in(self, author: int) -> Call: ...


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def program(name: str) -> str:
    """A command of the virtual environment we run in."""
    return str(Path(sys.executable).with_name(name))
