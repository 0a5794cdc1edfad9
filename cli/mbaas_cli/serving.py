"""How a server is started, without Typer and rich: what they take to load, the server would carry as long as it lives.

Typer declares the command and says what is wrong with a command line (``mbaas_cli.serve``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mbaas.config.load import load
from mbaas.config.settings import Config
from mbaas.core.errors import MbaasError

if TYPE_CHECKING:
    from mbaas.serve import Ready

DEFAULT = Path("mbaas.toml")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What ``mbaas serve`` is told. host, port: ``None``: as configured."""

    config: Path = DEFAULT
    host: str | None = None
    port: int | None = None
    safe_mode: bool = False
    unsafe_dev: bool = False
    json: bool = False


def plainly(arguments: Sequence[str]) -> Start | None:
    """A command line without anything special; ``None`` for any other, which is for Typer to understand.

    >>> plainly(["--port", "9000", "--json"])
    Start(config=PosixPath('mbaas.toml'), host=None, port=9000, safe_mode=False, unsafe_dev=False, json=True)
    >>> plainly(["--help"])
    """
    told: dict[str, object] = {}
    if configured := os.environ.get("MBAAS_CONFIG"):
        told["config"] = Path(configured)
    left = list(reversed(arguments))
    while left:
        match left.pop():
            case "--safe-mode" | "--unsafe-dev" | "--json" as flag:
                told[flag[2:].replace("-", "_")] = True
            case "--config" | "-c" if left and not left[-1].startswith("-"):
                told["config"] = Path(left.pop())
            case "--host" if left and not left[-1].startswith("-"):
                told["host"] = left.pop()
            case "--port" if left and left[-1].isascii() and left[-1].isdigit():
                told["port"] = int(left.pop())
            case _:
                return None
    return Start(**told)  # type: ignore[arg-type]


def run(start: Start) -> int:
    """Serve until told to stop. The exit status; what went wrong is told."""
    overrides = dict(os.environ)
    if start.host is not None:
        overrides["MBAAS_SERVER__HOST"] = start.host
    if start.port is not None:
        overrides["MBAAS_SERVER__PORT"] = str(start.port)

    def configuration() -> Config:
        return load(start.config, overrides)

    def ready(found: Ready) -> None:
        if start.json:
            sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        elif sys.stdout.isatty():
            from mbaas_cli.output import banner

            banner(found)
        else:
            sys.stdout.write("".join(f"{line}\n" for line in lines(found)))
        sys.stdout.flush()

    try:
        config = configuration()
        from mbaas.serve import serve  # once the configuration is known to be usable

        return serve(
            config, reload=configuration, on_ready=ready, safe_mode=start.safe_mode, unsafe_dev=start.unsafe_dev
        )
    except MbaasError as error:
        from mbaas_cli.output import tell

        return tell(error, json=start.json)


def lines(ready: Ready) -> list[str]:
    """For a log: without the service key, which is in none."""
    return [
        f"mbaas is ready in {ready.started_s:.1f} s",
        f"URL          {ready.url}",
        f"API          {ready.url}/docs" if ready.docs else "API          docs are off (server.docs)",
        *([f"plugins      {', '.join(ready.plugins)}"] if ready.plugins else []),
        *([f"mails        {ready.mail} (no mail.host: they are files there)"] if ready.mail else []),
        f"anon key     {ready.anon_key}",
        "service key  mbaas keys list",
    ]
