"""SIGTERM to a real process: running requests finish, nothing new is taken, the exit is clean."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import pytest

from tests.edge import connected

REPOSITORY = Path(__file__).parents[2]
HEAD = b"POST /x HTTP/1.1\r\nhost: x\r\napikey: anon-key\r\ncontent-length: 4\r\n\r\n"
SCRIPT = """
import socket, sys
from mbaas.config.settings import LimitSettings, ServerSettings
from mbaas.http.server import server
from tests.edge import NO_RATES, Setup

settings, limits = ServerSettings(drain_s=float(sys.argv[1])), LimitSettings(body_timeout_s=60, rate=NO_RATES)
setup = Setup(settings=settings, limits=limits)
listener = socket.create_server(("127.0.0.1", 0))
made = server(setup.edge, setup.settings, health=setup.health)
print(listener.getsockname()[1], flush=True)
made.run(sockets=[listener])
print("put away", flush=True)
"""


async def started(drain_s: float) -> tuple[asyncio.subprocess.Process, int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SCRIPT,
        str(drain_s),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, int(await process.stdout.readline())


async def exchange(port: int, data: bytes) -> bytes:
    async with connected(port) as (reader, writer):
        writer.write(data)
        return await reader.readuntil(b"}")


async def refused(port: int) -> None:
    """Returns once nobody listens there."""
    with contextlib.suppress(ConnectionError):  # refused, or reset while the listener closes
        while True:
            async with connected(port):
                pass


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_a_request_that_runs_is_finished_and_the_exit_is_clean(sent: signal.Signals) -> None:
    process, port = await started(drain_s=20)
    async with connected(port) as (reader, writer):
        writer.write(HEAD + b"12")
        assert b" 200 " in await exchange(port, b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        process.send_signal(sent)
        await asyncio.wait_for(refused(port), 10)
        answer = asyncio.create_task(reader.read())
        await asyncio.wait([answer], timeout=0.5)
        assert not answer.done(), "it was not waited for"
        writer.write(b"34")
        received = await asyncio.wait_for(answer, 10)
    assert b" 200 " in received
    assert b'"size":4' in received
    assert b"connection: close" in received
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert process.stdout is not None
    assert (await process.stdout.read()).endswith(b"put away\n")


async def test_a_request_that_does_not_end_is_told_to_try_again() -> None:
    process, port = await started(drain_s=0.5)
    async with connected(port) as (reader, writer):
        writer.write(HEAD + b"12")
        assert b" 200 " in await exchange(port, b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        process.send_signal(signal.SIGTERM)
        received = await asyncio.wait_for(reader.read(), 10)
    assert b" 503 " in received
    assert b"retry-after: 1" in received
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_balancer_that_watches_learns_of_it_before_connections_are_refused() -> None:
    process, port = await started(drain_s=20)
    ask = b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n"
    assert b" 200 " in await exchange(port, ask)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        while b"draining" not in await exchange(port, ask):
            pass
    exited = asyncio.create_task(process.wait())
    await asyncio.wait([exited], timeout=0.5)
    assert not exited.done(), "one answer is not enough for a balancer"
    assert b" 503 " in await exchange(port, ask)
    assert await asyncio.wait_for(exited, 10) == 0
