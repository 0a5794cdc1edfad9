"""The load generator: wrk, a process of its own, with requests made beforehand."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

TIMEOUT_S = 60
_SCRIPT = Path(__file__).with_suffix(".lua")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What wrk saw. refused: answers of 400 and above. broken: no answer at all, or none in time."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    refused: int
    broken: int

    @property
    def per_second(self) -> float:
        return self.requests / self.duration_us * 1e6


def write_requests(path: Path, requests: Iterable[bytes]) -> None:
    """A file for ``run``: each request after a line with its length."""
    with path.open("wb") as file:
        for request in requests:
            file.write(b"%d\n%b" % (len(request), request))


def run(port: int, requests: Path, *, connections: int, seconds: float, pause_ms: float | None = None) -> Load:
    """Send them in random order for so long. One thread: wrk's own work is small beside a server's.

    pause_ms: about as long each connection waits before it asks again; ``None``: not at all.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"--timeout={TIMEOUT_S}s"]
    pause = [] if pause_ms is None else [f"{pause_ms:.3f}"]
    ran = subprocess.run(
        [*command, "-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", str(requests), *pause],
        check=True,
        capture_output=True,
        text=True,
    )
    return parse(ran.stdout)


def parse(output: str) -> Load:
    """The last line, which our script wrote. Raises ValueError when there is none."""
    lines = output.strip().splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else "", type=Load)
    except msgspec.DecodeError as error:
        raise ValueError(f"wrk did not say what it measured:\n{output}") from error
