"""What the edge adds to a request, without sockets: the same app called bare and through it, interleaved.

Run: python -m benchmarks.edge [rounds]. Prints the median of the rounds: microseconds of CPU a request, with the thread
that writes the log.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from mbaas.config.settings import LimitSettings, LogSettings, RateSettings, ServerSettings
from mbaas.core.identity import Identity
from mbaas.http.access import json_access_log
from mbaas.http.edge import Edge
from mbaas.http.health import Health
from mbaas.http.logs import LineWriter, make_log
from mbaas.http.metrics import Metrics
from mbaas.http.respond import Message, Receive, Scope, Send, send_json

REQUESTS = 5_000
USER = Identity(role="authenticated", claims={"sub": "7f1b2c5e-0000-4000-8000-000000000001"})
HEADERS = [
    (b"host", b"localhost:8000"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"de,en;q=0.7"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
    (b"connection", b"keep-alive"),
    (b"origin", b"https://app.example"),
    (b"referer", b"https://app.example/"),
    (b"x-client-info", b"supabase-js-web/2.119.1"),
    (b"apikey", b"e" * 200),
    (b"authorization", b"Bearer " + b"e" * 600),
]


def identify(apikey: str | None, bearer: str | None, *, now: float) -> Identity:
    return USER


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["method"] == "POST":
        await receive()
    await send_json(send, 200, b"[]")


async def probe() -> None: ...


def request(method: str) -> Scope:
    headers = [*HEADERS, (b"content-type", b"application/json"), (b"content-length", b"100")]
    return {
        "type": "http",
        "method": method,
        "path": "/rest/v1/posts",
        "raw_path": b"/rest/v1/posts",
        "query_string": b"select=*&id=eq.7f1b2c5e-0000-4000-8000-000000000001",
        "headers": headers if method == "POST" else list(HEADERS),
        "client": ("127.0.0.1", 50000),
        "state": {},
    }


async def receive() -> Message:
    return {"type": "http.request", "body": b"x" * 100, "more_body": False}


async def send(message: Message) -> None: ...


async def timed(what: Any, method: str) -> float:
    scopes = [request(method) for _ in range(REQUESTS)]
    started = time.process_time()
    for scope in scopes:
        await what(scope, receive, send)
    return (time.process_time() - started) / REQUESTS * 1e6


async def main(rounds: int) -> None:
    with Path("/dev/null").open("w") as nowhere:
        writer = LineWriter(nowhere, max_lines=1_000_000)

        def edge(*, logged: bool) -> Edge:
            return Edge(
                app,
                server=ServerSettings(),
                limits=LimitSettings(rate=RateSettings(per_ip=1e9, per_user=1e9, per_key=1e9)),
                identify=identify,
                health=Health(probe),
                metrics=Metrics(),
                log=make_log(LogSettings(), writer),
                access_log=json_access_log(writer) if logged else None,
            )

        kinds = {"bare": app, "edge": edge(logged=True), "edge without access log": edge(logged=False)}
        for method in ("GET", "POST"):
            took: dict[str, list[float]] = {name: [] for name in kinds}
            for _ in range(rounds):
                for name, what in kinds.items():
                    took[name].append(await timed(what, method))
            bare = statistics.median(took["bare"])
            for name, times in took.items():
                median = statistics.median(times)
                print(f"{method:5}{name:26}{median:7.1f} µs   adds {median - bare:5.1f} µs   best {min(times):5.1f}")
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
