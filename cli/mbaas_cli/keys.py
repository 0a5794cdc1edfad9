"""``mbaas keys``: the keys of the project. A running server takes a change up by itself within seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from mbaas_cli.output import DEFAULT, Json, Project, configuration, failures, out, result

app = typer.Typer(no_args_is_help=True, help="API keys and signing keys.")
Grace = Annotated[int, typer.Option(min=0, help="Seconds for which the old API keys still count.")]
Sealing = Annotated[
    bool, typer.Option("--sealing", help="The key that seals secrets in the database, instead of the API keys.")
]
Signing = Annotated[bool, typer.Option("--signing", help="The key that signs users' tokens, instead of the API keys.")]


@app.command("list")
def list_keys(config: Project = DEFAULT, json: Json = False) -> None:
    """Show the API keys and the ids of the signing keys.

    Example: `mbaas keys list --json | jq -r .anon_key`
    """
    from mbaas.adapters import secrets

    with failures(json):
        found = secrets.load_or_create(configuration(config).data / "secrets.toml")
    shown = {
        "anon_key": found.anon_key,
        "service_key": found.service_key,
        "publishable_key": found.publishable_key,
        "secret_key": found.secret_key,
    }
    signing = [{"kid": key.kid, "retired_at": key.retired_at} for key in found.signing_keys]
    if json:
        result({**shown, "signing_keys": signing}, json=True)
        return
    table = Table.grid(padding=(0, 2))
    for name, value in shown.items():
        table.add_row(f"[dim]{name}[/]", value)
    for key in found.signing_keys:
        until = "" if key.retired_at is None else f" (verifies until {datetime.fromtimestamp(key.retired_at, UTC):%c})"
        table.add_row("[dim]signing key[/]", key.kid + until)
    out.print(table, soft_wrap=True)


@app.command("rotate")
def rotate(
    config: Project = DEFAULT, signing: Signing = False, sealing: Sealing = False, grace: Grace = 0, json: Json = False
) -> None:
    """Replace the API keys, or the key that signs users' tokens (`--signing`), or the one that seals (`--sealing`).

    Old API keys are refused after `--grace` seconds. Tokens signed with the old signing key stay valid until they
    expire. What the old sealing key sealed still opens.

    Example: `mbaas keys rotate --grace 3600`
    """
    from mbaas.adapters import secrets

    now = datetime.now(UTC)
    with failures(json):
        loaded = configuration(config)
        path = loaded.data / "secrets.toml"
        secrets.load_or_create(path)
        if signing:
            found = secrets.rotate_signing_key(path, now=now, keep_s=loaded.auth.access_token_lifetime_s)
            result({"kid": found.signing_keys[0].kid}, json=json, text=f"signing now: {found.signing_keys[0].kid}")
            return
        if sealing:
            secrets.rotate_sealing_key(path)
            result({"sealing": "rotated"}, json=json, text="secrets are sealed with a new key from now on")
            return
        secrets.rotate_api_keys(path, now=now, grace_s=grace)
    list_keys(config, json)
