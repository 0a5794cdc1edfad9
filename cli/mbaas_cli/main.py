"""``mbaas``: one file a noun, each parses, calls and prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True)
console = Console()


@app.callback()
def cli() -> None:
    """mbaas."""


@app.command()
def serve(port: Annotated[int | None, typer.Option()] = None) -> None:
    from mbaas.app import serve as run
    from mbaas.config.load import load
    from mbaas.core.errors import MbaasError

    environ = dict(os.environ)
    if port is not None:
        environ["MBAAS_SERVER__PORT"] = str(port)
    try:
        raise typer.Exit(run(load(Path("mbaas.toml"), environ), on_ready=lambda ready: console.print(ready)))
    except MbaasError as error:
        console.print(error.message, error.hint)
        raise typer.Exit(1) from None


def main() -> None:
    app()


if __name__ == "__main__":
    main()
