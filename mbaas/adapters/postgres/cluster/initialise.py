"""A new cluster, there whole or not at all.

initdb works in a directory of another name which becomes ``data`` by one rename. So whatever is called ``data`` was
once finished and is never redone, and whatever a killed initdb left never held anybody's data.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
from pathlib import Path

from mbaas.adapters.postgres.cluster.account import Account
from mbaas.adapters.postgres.cluster.processes import clear, run
from mbaas.core.errors import ConfigError, Unavailable

SUPERUSER = "postgres"
# Not the name of a schema: an unqualified name would then mean that one.
OWNER = "mbaas_owner"
DATABASE = "mbaas"
_UNFINISHED = "initdb-"
_REMOVALS = 30
# The socket's directory is the guard (0700), so whoever gets there is let in. What the server itself does needs no
# superuser: it owns its database, and makes the roles that requests act as (their rows' security included).
_FIRST_STATEMENTS = f"""\
create role {OWNER} login createrole createdb bypassrls
create database {DATABASE} owner {OWNER}
"""


async def ensure_cluster(directory: Path, programs: Path, account: Account | None, *, durable: bool) -> Path:
    """The data directory in ``directory``, made when there is none. Only for the holder of the directory's lock.

    durable: wait until the disk has it. Raises ConfigError when there is something else in its place.
    """
    data = directory / "data"
    await _sweep(directory)
    if (data / "PG_VERSION").exists():
        return data
    if data.exists() and _entries(data):
        raise ConfigError(
            f"{data} holds something that is no PostgreSQL cluster", hint="move it away, then start again"
        )
    fresh = directory / f"{_UNFINISHED}{secrets.token_hex(4)}"
    fresh.mkdir(mode=0o700)
    if account is not None:
        os.chown(fresh, account.uid, account.gid)
    locale = await _locale_arguments(programs, account)
    arguments = ("-D", fresh, "-U", SUPERUSER, "-E", "UTF8", "-k", "--auth-local=trust", "--auth-host=scram-sha-256")
    await _must_run(programs / "initdb", (*arguments, *locale, *(() if durable else ("-N",))), account, place=fresh)
    single = ("--single", "-D", fresh, "-c", f"fsync={'on' if durable else 'off'}", "postgres")
    await _must_run(programs / "postgres", single, account, place=fresh, script=_FIRST_STATEMENTS)
    fresh.rename(data)
    _sync_directory(directory)
    return data


async def checksums_on(data: Path, programs: Path, account: Account | None) -> bool:
    """Whether its pages carry checksums. They are off only if somebody switched them off."""
    _, written = await run(programs / "pg_controldata", ("-D", data), account=account)
    found = re.search(r"^Data page checksum version:\s+(\d+)", written, re.MULTILINE)
    return found is not None and found[1] != "0"


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def _sweep(directory: Path) -> None:
    """Remove what a killed server's initdb left. It may still be at work there."""
    for unfinished in [path for path in _entries(directory) if path.name.startswith(_UNFINISHED)]:
        await clear(unfinished)
        for _ in range(_REMOVALS):
            shutil.rmtree(unfinished, ignore_errors=True)
            if not unfinished.exists():
                break
            await asyncio.sleep(0.1)
        else:
            raise Unavailable(f"{unfinished} cannot be removed", hint="end what uses it, then remove it")


async def _locale_arguments(programs: Path, account: Account | None) -> tuple[str, ...]:
    """Text compares by code point, on every machine alike. Before 17 only the C library could do that."""
    _, written = await run(programs / "postgres", ("-V",), account=account)
    found = re.search(r"(\d+)", written)
    if found is None:
        raise Unavailable("PostgreSQL does not tell its version", hint=written.strip() or None)
    locale = ("--locale=C.UTF-8",)
    return ("--locale-provider=builtin", *locale) if int(found[1]) >= 17 else locale


async def _must_run(
    program: Path, arguments: tuple[str | Path, ...], account: Account | None, *, place: Path, script: str = ""
) -> None:
    status, written = await run(program, arguments, account=account, script=script, place=place)
    # Single-user mode answers a bad statement with a line and exit status 0.
    if status != 0 or "ERROR:" in written or "FATAL:" in written:
        raise Unavailable(f"{program.name} failed", hint=written.strip()[-2000:] or f"exit status {status}")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
