"""``mbaas dev``: the server, started anew whenever the project changes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import typer
from rich.markup import escape

from mbaas.core.errors import ConfigError
from mbaas_cli.output import DEFAULT, Project, configuration, err, failures
from mbaas_cli.serve import Host, Port

SUFFIXES = (".toml", ".sql", ".py")
STOP_S = 30.0


def dev(config: Project = DEFAULT, host: Host = None, port: Port = None) -> None:
    """Run the server and start it anew on every save of `mbaas.toml`, SQL and plugins.

    Safe changes of the schema are applied at the start. One that would lose data is not: the server stays down and
    says so until you run `mbaas migrate apply --allow-destructive`, or undo the change.

    Example: `mbaas dev --port 9000`
    """
    from watchfiles import watch

    command = [sys.executable, "-m", "mbaas_cli", "serve", "--config", str(config)]
    command += [] if host is None else ["--host", host]
    command += [] if port is None else ["--port", str(port)]
    with failures(json=False):
        root = configuration(config).root
    running = subprocess.Popen(command)  # noqa: S603 - ourselves
    try:
        for _ in watch(root, watch_filter=lambda _, path: is_source(root, Path(path)), raise_interrupt=False):
            if is_loadable(config):
                err.print("[dim]changed; starting anew[/]")
                stop(running)
                running = subprocess.Popen(command)  # noqa: S603 - ourselves
    finally:
        code = stop(running)
    raise typer.Exit(code)


def is_source(root: Path, path: Path) -> bool:
    """Whether a file is part of the project; data and hidden folders are not."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
    return path.suffix in SUFFIXES and not any(part.startswith((".", "_")) and part != "__init__.py" for part in parts)


def is_loadable(config: Path) -> bool:
    """Whether the configuration can be used. The server that runs goes on while it cannot."""
    try:
        configuration(config)
    except ConfigError as error:
        err.print(f"[red]not reloaded:[/] {escape(error.message)}")
        return False
    return True


def stop(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
