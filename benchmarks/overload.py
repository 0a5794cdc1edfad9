"""Four times as many requests as we can answer: how many are answered all the same, and how soon the others hear.

Run: python -m benchmarks.overload [seconds]. The work is the list of 30 records. The peak is the best of some numbers
of connections that ask without a pause; then many connections, each with a pause, ask four times as often as that.
Meanwhile one client asks for the same, one for health and one refreshes its session, and their waiting is measured.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks import wrk
from benchmarks.__main__ import alone
from benchmarks.call import Call
from benchmarks.data import Data
from benchmarks.ours import READY, Ours
from benchmarks.workloads import WORKLOADS

ROWS = 100_000
TIMES = 4
PEAKS = (32, 64, 128)
CONNECTIONS = 2_000
EVERY_S = 0.02
HEALTH = Call(path="/health/live")


class Waited:
    """How long one client waited for its answers, in seconds by status."""

    def __init__(self, name: str, next_call: Callable[[bytes], Call], port: int) -> None:
        """next_call: what to ask after that answer; the first time after none."""
        self.name = name
        self.found: dict[int, list[float]] = {}
        self._next = next_call
        self._port = port

    def ask(self, stop: threading.Event) -> None:
        answer = b""
        while not stop.wait(EVERY_S):
            call = self._next(answer)
            began = time.perf_counter()
            status, answer = call.send(self._port)
            self.found.setdefault(status, []).append(time.perf_counter() - began)

    def lines(self) -> Iterator[str]:
        for status, times in sorted(self.found.items()):
            times.sort()
            p50, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
            yield f"{self.name:8} {status}: {len(times):5} times, p50 {p50:6.1f} ms, p99 {p99:6.1f} ms"


def refresher(server: Ours) -> Callable[[bytes], Call]:
    """Refreshes with what the refresh before gave."""
    token = server.answer(server.sign_in(server.data.signed_in[0]))["refresh_token"]

    def call(answer: bytes) -> Call:
        nonlocal token
        token = (msgspec.json.decode(answer) if answer else {}).get("refresh_token", token)
        return Call(
            method="POST",
            path="/auth/v1/token?grant_type=refresh_token",
            headers={"apikey": server.key},
            body={"refresh_token": token},
        )

    return call


def main(seconds: float) -> None:
    with alone(), tempfile.TemporaryDirectory(prefix="mbaas-bench-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        folder.chmod(0o711)  # PostgreSQL's own account passes through
        server = Ours("mbaas", folder / "mbaas", Data(ROWS))
        (folder / "mbaas").mkdir()
        stack.callback(server.stop)
        server.load()
        calls = WORKLOADS["list"].calls(server, seed=1)
        requests = folder / "requests"
        wrk.write_requests(requests, (call.raw(server.port) for call in calls))
        wrk.run(server.port, requests, connections=32, seconds=seconds)
        peak = 0.0
        for connections in PEAKS:
            load = wrk.run(server.port, requests, connections=connections, seconds=seconds)
            peak = max(peak, load.per_second)
            print(f"{connections:5} connections: {load.per_second:7,.0f} req/s, {load.refused} refused", flush=True)
        clients = [
            Waited("list", lambda _: calls[0], server.port),
            Waited("health", lambda _: HEALTH, server.port),
            Waited("refresh", refresher(server), server.port),
        ]
        stop = threading.Event()
        threads = [threading.Thread(target=client.ask, args=(stop,)) for client in clients]
        for thread in threads:
            thread.start()
        pause_ms = CONNECTIONS / (TIMES * peak) * 1e3
        load = wrk.run(server.port, requests, connections=CONNECTIONS, seconds=2 * seconds, pause_ms=pause_ms)
        stop.set()
        for thread in threads:
            thread.join()
        good = (load.requests - load.refused) / load.duration_us * 1e6
        print(
            f"asked {load.per_second / peak:.1f} times the peak: {good:,.0f} good answers a second, {good / peak:.0%}"
        )
        print(f"{load.refused} refused, {load.broken} without an answer")
        for client in clients:
            print("\n".join(client.lines()))
        assert READY.send(server.port)[0] == 200, "not ready after it"


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
