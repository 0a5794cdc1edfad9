"""``mbaas messages``: the texts of mails and SMS."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from mbaas.core.errors import ConfigError
from mbaas_cli.output import DEFAULT, Json, Project, configuration, failures, out, result

app = typer.Typer(no_args_is_help=True, help="The texts of mails and SMS, ours and those beside `mbaas.toml`.")
Kind = Annotated[str, typer.Argument(help="As `list` shows it.")]
Locale = Annotated[str | None, typer.Option(help="The language wanted.  [default: the project's]", show_default=False)]
Html = Annotated[bool, typer.Option("--html", help="The HTML alone, to open in a browser.")]


@app.command("list")
def list_messages(config: Project = DEFAULT, json: Json = False) -> None:
    """Show every kind of message, its languages and what its template may say."""
    from mbaas.adapters.messages.kinds import KINDS
    from mbaas.router import composer_of

    with failures(json):
        composer = composer_of(configuration(config))
    listed = [
        {"kind": name, "medium": kind.medium, "locales": composer.locales(name), "variables": kind.variables}
        for name, kind in KINDS.items()
    ]
    if json:
        result({"messages": listed}, json=True)
        return
    table = Table("kind", "medium", "languages", "variables")
    for name, kind in KINDS.items():
        table.add_row(name, kind.medium, " ".join(composer.locales(name)), " ".join(kind.variables))
    out.print(table)


@app.command("preview")
def preview(
    kind: Kind, locale: Locale = None, html: Html = False, config: Project = DEFAULT, json: Json = False
) -> None:
    """Show a message with sample values, as the files have it.

    Example: `mbaas messages preview recovery --locale de --html > /tmp/mail.html`
    """
    from mbaas.adapters.messages.kinds import KINDS
    from mbaas.router import composer_of

    with failures(json):
        if kind not in KINDS:
            raise ConfigError(f"there is no message {kind!r}", hint="one of " + ", ".join(KINDS))
        composer = composer_of(configuration(config))
        composer.check_directory()
        composed = composer.preview(kind, locale)
    if json:
        result(composed, json=True)
    elif html:
        sys.stdout.write(composed.html or "")
    else:
        subject = f"Subject: {composed.subject}\n\n" if composed.subject else ""
        sys.stdout.write(subject + composed.text)
