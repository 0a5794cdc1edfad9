"""What every command shares: where the project is, how a result and a failure are shown."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from mbaas.config.load import load
from mbaas.config.settings import Config
from mbaas.core.errors import ConfigError, DestructiveChange, MbaasError
from mbaas_cli.serving import DEFAULT as DEFAULT

if TYPE_CHECKING:
    from mbaas.serve import Ready

FAILED, USAGE, DESTRUCTIVE = 1, 2, 3

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Project = Annotated[
    Path, typer.Option("--config", "-c", envvar="MBAAS_CONFIG", help="The project's `mbaas.toml`.", show_default=True)
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def configuration(path: Path, overrides: Mapping[str, str] | None = None) -> Config:
    """The project's configuration, environment included."""
    return load(path, {**os.environ, **(overrides or {})})


def result(value: Any, *, json: bool, text: str | None = None) -> None:
    """A command's outcome: one JSON value a line, or the text."""
    if json:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
        sys.stdout.flush()
    elif text is not None:
        out.print(text, markup=True)


@contextlib.contextmanager
def failures(json: bool) -> Iterator[None]:
    """Shows what went wrong and ends with its exit code."""
    try:
        yield
    except MbaasError as error:
        raise typer.Exit(tell(error, json=json)) from None


def tell(error: MbaasError, *, json: bool) -> int:
    """Shows what went wrong. The exit code."""
    if json:
        told = {"error": error.code, "message": error.message, "hint": error.hint, "details": error.details}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        err.print("[bold red]error[/]", end=" ")
        err.print(error.message, markup=False)
        if error.hint:
            err.print("[dim]hint[/]", end="  ")
            err.print(error.hint, markup=False)
    if isinstance(error, ConfigError):
        return USAGE
    return DESTRUCTIVE if isinstance(error, DestructiveChange) else FAILED


def banner(ready: Ready) -> None:
    """Where it is, the keys, what to try."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("URL", f"[bold]{ready.url}[/]")
    table.add_row("API", f"{ready.url}/docs" if ready.docs else "docs are off (server.docs)")
    if ready.plugins:
        table.add_row("plugins", ", ".join(ready.plugins))
    if ready.mail:
        table.add_row("mails", f"{ready.mail} [dim](no mail.host: they are files there)[/]")
    out.print(
        Panel(table, title=f"mbaas is ready in {ready.started_s:.1f} s", title_align="left", border_style="green")
    )
    # On lines of their own, unbroken: they are there to be copied.
    out.print(f"anon key     {ready.anon_key}", soft_wrap=True)
    out.print(f"service key  {ready.service_key}  [dim](all rights: never in an app)[/]\n", soft_wrap=True)
    out.print(f"Try:  curl '{ready.url}/rest/v1/' -H 'apikey: {ready.publishable_key}'", soft_wrap=True)
    out.print("      Ctrl-C stops the server and its PostgreSQL.\n")
