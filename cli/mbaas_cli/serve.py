"""``mbaas serve``: the server, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.table import Table

from mbaas_cli.output import DEFAULT, Json, Project, configuration, failures, out, result

if TYPE_CHECKING:
    from mbaas.serve import Ready

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
    overrides = {}
    if host is not None:
        overrides["MBAAS_SERVER__HOST"] = host
    if port is not None:
        overrides["MBAAS_SERVER__PORT"] = str(port)
    with failures(json):
        loaded = configuration(config, overrides)
        from mbaas.serve import serve as run  # the server: only this command loads it

        raise typer.Exit(
            run(
                loaded,
                reload=lambda: configuration(config, overrides),
                on_ready=lambda ready: result(ready, json=True) if json else banner(ready),
                safe_mode=safe_mode,
                unsafe_dev=unsafe_dev,
            )
        )


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
    # What is no terminal is a log, and the service key is in none.
    service = ready.service_key if out.is_terminal else "mbaas keys list"
    out.print(f"service key  {service}  [dim](all rights: never in an app)[/]\n", soft_wrap=True)
    out.print(f"Try:  curl '{ready.url}/rest/v1/' -H 'apikey: {ready.publishable_key}'", soft_wrap=True)
    out.print("      Ctrl-C stops the server and its PostgreSQL.\n")
    out.file.flush()
