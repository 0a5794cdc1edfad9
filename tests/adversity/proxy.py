"""A TCP proxy on loopback that can be cut, stalled, closed and made slow, in front of a unix socket or another port."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType


class FaultProxy:
    """``async with FaultProxy(target) as proxy``: listens on ``proxy.port``, passes on what comes.

    target: a socket's path, or a port of this machine.
    latency_s: added to each chunk, in both directions.
    """

    def __init__(self, target: Path | int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.latency_s = 0.0
        self.port = 0
        self._last_word: bytes | None = None
        self.lost = 0

    async def __aenter__(self) -> FaultProxy:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        self.cut()
        if self._pipes:
            await asyncio.wait(self._pipes)

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse new connections. Those that stand are left alone."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def cut(self) -> None:
        """Reset every connection that stands."""
        for writer in self._writers:
            writer.transport.abort()
        for pipe in self._pipes:
            pipe.cancel()

    def stall(self) -> None:
        """Hold back every byte, and say nothing."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def lose_the_answer_to(self, word: bytes) -> None:
        """The next message with that in it arrives, and its answer does not: the connection is reset instead.

        lost: how often that has happened.
        """
        self._last_word = word

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self._target, int):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            else:
                far_reader, far_writer = await asyncio.open_unix_connection(str(self._target))
        except OSError:
            writer.transport.abort()
            return
        doomed = asyncio.Event()
        for source, sink, there in ((reader, far_writer, True), (far_reader, writer, False)):
            self._writers.add(sink)
            pipe = asyncio.create_task(self._pump(source, sink, doomed, there=there))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, doomed: asyncio.Event, *, there: bool
    ) -> None:
        """there: towards the target."""
        try:
            while chunk := await source.read(65_536):
                if there and self._last_word is not None and self._last_word in chunk:
                    self._last_word = None
                    doomed.set()
                elif not there and doomed.is_set():
                    self.lost += 1
                    sink.transport.abort()
                    return
                await asyncio.sleep(self.latency_s)
                await self._flowing.wait()
                sink.write(chunk)
                await sink.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(sink)
            sink.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await sink.wait_closed()
