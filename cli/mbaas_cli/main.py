"""``mbaas``: one file a noun; each parses, calls and prints."""

from __future__ import annotations

import typer

from mbaas_cli import adopt, dev, doctor, init, keys, messages, migrate, outbox, rules, serve, users
from mbaas_cli.output import Json, result

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="A mobile backend from one file: collections, rules, auth, realtime, plugins.\n\n"
    "Begin with `mbaas init`, then `mbaas serve`. Every command takes `--json`.\n\n"
    "Exit codes: 0 done · 1 failed · 2 wrong use or configuration · 3 refused, because data would be lost.",
)
app.command()(init.init)
app.command()(serve.serve)
app.command()(dev.dev)
app.command()(doctor.doctor)
app.command()(adopt.adopt)
app.add_typer(migrate.app, name="migrate")
app.add_typer(rules.app, name="rules")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(messages.app, name="messages")
app.add_typer(outbox.app, name="outbox")


@app.command()
def version(json: Json = False) -> None:
    """The version of this program."""
    from importlib.metadata import version as version_of  # slow, and only this command asks

    result({"version": version_of("mbaas")}, json=json, text=version_of("mbaas"))
