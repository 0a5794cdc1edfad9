"""Processes of a cluster: start one, wait for it, find and end what an earlier server left.

A PostgreSQL process stands in its data directory (its working directory). That, not its number, tells it from a
process that happens to have got the number since.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from mbaas.adapters.postgres.cluster.account import Account
from mbaas.core.errors import Unavailable

_POLL_S = 0.02


class PidFile(msgspec.Struct, frozen=True):
    """What ``postmaster.pid`` says (PostgreSQL source, ``src/include/utils/pidfile.h``). state: ``ready``, …"""

    pid: int
    socket_directory: str
    state: str


def read_pid_file(data: Path) -> PidFile | None:
    """``None`` when there is none, or when it is not written to the end yet."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
        return PidFile(pid=int(lines[0]), socket_directory=lines[4], state=lines[7].strip())
    except (FileNotFoundError, IndexError, ValueError):
        return None


def launch(
    program: Path, arguments: Sequence[str | Path], *, account: Account | None, output: Any
) -> subprocess.Popen[bytes]:
    """Start ``program`` so that a terminal's Ctrl-C does not reach it and it does not outlive us.

    output: a file for both its streams. Call it on a thread that lives as long as the program shall (prctl(2)).
    """
    user, group = ("-1", "-1") if account is None else (str(account.uid), str(account.gid))
    script = Path(__file__).with_name("launch.py")
    return subprocess.Popen(  # noqa: S603 - our own program and arguments
        [sys.executable, "-I", "-S", script, str(os.getpid()), user, group, program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd="/",
        env=_environment(),
    )


async def run(
    program: Path,
    arguments: Sequence[str | Path],
    *,
    account: Account | None,
    script: str = "",
    place: Path | None = None,
) -> tuple[int, str]:
    """Run a small program to its end: exit status and what it wrote. Ended if cancelled.

    script: its standard input. place: where it stands, by which ``processes_of`` finds it.
    """
    process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program; uvloop's cannot change the user
        [program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=place or "/",
        env=_environment(),
        **_identity(account),
    )
    try:
        # A thread for the pipes: what passes through them may be larger than they hold.
        written, _ = await asyncio.to_thread(process.communicate, script.encode())
    except asyncio.CancelledError:
        process.kill()
        raise
    return process.returncode, written.decode(errors="replace")


async def exited(process: subprocess.Popen[bytes]) -> int:
    """Its exit status, once it ends; minus the signal's number when a signal ended it."""
    descriptor = _watchable(process.pid) if process.poll() is None else None
    if descriptor is not None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    while (status := process.poll()) is None:  # noqa: ASYNC110 - where the kernel cannot tell us
        await asyncio.sleep(_POLL_S)
    return status


def processes_of(data: Path) -> list[psutil.Process]:
    """Every PostgreSQL process of this cluster that we may see, initdb included, whoever started it."""
    home = str(data.resolve())
    return [process for process in psutil.process_iter() if _stands_in(home, process)]


def runs_on(data: Path, process_id: int) -> bool:
    """Whether that is a PostgreSQL process of this cluster."""
    try:
        return _stands_in(str(data.resolve()), psutil.Process(process_id))
    except psutil.NoSuchProcess:
        return False


def _stands_in(home: str, process: psutil.Process) -> bool:
    try:
        return bool(process.cwd() == home and process.name().startswith(("postgres", "initdb")))
    except psutil.Error:
        return False  # gone meanwhile, a zombie, or somebody else's


async def clear(data: Path) -> None:
    """End what still runs on this cluster, then remove a ``postmaster.pid`` that would stand in the way.

    Only for the holder of the directory's lock. Orderly first: fast shutdown, then immediate, then SIGKILL; about
    4 seconds at most. Raises Unavailable when something cannot be ended.
    """
    pid_file = read_pid_file(data)
    postmaster = None if pid_file is None else pid_file.pid
    left = processes_of(data)
    if left:
        # To the postmaster alone. When it is gone its children notice that by themselves, unless they are computing.
        head = [process for process in left if process.pid == postmaster]
        _signal(head, signal.SIGINT)
        await _gone(data, 2.5 if head else 0.3)
    for number, patience_s in ((signal.SIGQUIT, 0.5), (signal.SIGKILL, 1.0)):
        if left and (left := processes_of(data)):
            _signal(left, number)
            await _gone(data, patience_s)
    if left and processes_of(data):
        raise Unavailable(f"an earlier PostgreSQL still runs on {data} and cannot be ended", hint="end it by hand")
    # Nobody stands in the data directory, so the number in the file is another process's by now.
    (data / "postmaster.pid").unlink(missing_ok=True)


async def _gone(data: Path, patience_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + patience_s
    while processes_of(data) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - not our children
        await asyncio.sleep(_POLL_S)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise Unavailable(
                f"PostgreSQL (process {process.pid}) runs as another user on our data",
                hint="stop it, or run this server as the user who started it",
            ) from error


def _watchable(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends (pidfd_open(2)); ``None`` where there are none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _environment() -> dict[str, str]:
    """Ours without what would change PostgreSQL's behaviour from outside."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}


def _identity(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
