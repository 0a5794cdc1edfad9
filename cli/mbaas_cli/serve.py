"""``mbaas serve``: the server, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from mbaas_cli.output import DEFAULT, Json, Project
from mbaas_cli.serving import Start, run

Host = Annotated[str | None, typer.Option(help="Address to listen on.  [default: server.host]", show_default=False)]
Port = Annotated[int | None, typer.Option(help="Port to listen on.  [default: server.port]", show_default=False)]
SafeMode = Annotated[bool, typer.Option("--safe-mode", help="Start without plugins.")]
UnsafeDev = Annotated[
    bool, typer.Option("--unsafe-dev", help="Accept PostgreSQL settings that may lose acknowledged writes.")
]


def serve(
    config: Project = DEFAULT,
    host: Host = None,
    port: Port = None,
    safe_mode: SafeMode = False,
    unsafe_dev: UnsafeDev = False,
    json: Json = False,
) -> None:
    """Run the server: PostgreSQL, schema, API. Ctrl-C stops everything.

    Example: `mbaas serve --port 9000`
    """
    told = Start(config=config, host=host, port=port, safe_mode=safe_mode, unsafe_dev=unsafe_dev, json=json)
    raise typer.Exit(run(told))
