"""What every command shares: where the project is, how a result and a failure are shown."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from mbaas.config.load import load
from mbaas.config.settings import Config
from mbaas.core.errors import ConfigError, DestructiveChange, MbaasError

FAILED, USAGE, DESTRUCTIVE = 1, 2, 3

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Project = Annotated[
    Path, typer.Option("--config", "-c", envvar="MBAAS_CONFIG", help="The project's `mbaas.toml`.", show_default=True)
]
DEFAULT = Path("mbaas.toml")

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
        code = FAILED
        if isinstance(error, ConfigError):
            code = USAGE
        elif isinstance(error, DestructiveChange):
            code = DESTRUCTIVE
        if json:
            told = {"error": error.code, "message": error.message, "hint": error.hint, "details": error.details}
            sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        else:
            err.print("[bold red]error[/]", end=" ")
            err.print(error.message, markup=False)
            if error.hint:
                err.print("[dim]hint[/]", end="  ")
                err.print(error.hint, markup=False)
        raise typer.Exit(code) from None
