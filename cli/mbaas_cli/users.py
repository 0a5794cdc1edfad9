"""``mbaas users``: the users of a running server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from mbaas.core import errors
from mbaas.core.errors import QueryError
from mbaas_cli.output import DEFAULT, FAILED, Json, Project, configuration, failures, out, result
from mbaas_cli.user_files import batches, read_firebase_hashes, read_users

app = typer.Typer(no_args_is_help=True, help="Users of a running server.")
Email = Annotated[str, typer.Argument(help="Address of the new user.")]
Password = Annotated[
    str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked if left out.")
]
Editor = Annotated[list[str] | None, typer.Option("--role", help="A role in the user's app metadata; repeatable.")]
File = Annotated[Path, typer.Argument(help="`.json`, `.jsonl` or `.csv`, with the names of the admin API.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would come of it, and change nothing.")]
FirebaseFile = Annotated[
    Path | None,
    typer.Option(help="The hash parameters of a Firebase project, as its console shows them.", show_default=False),
]
Url = Annotated[str | None, typer.Option(help="The server.  [default: server.public_url]", show_default=False)]


@app.command("create")
def create(
    email: Email,
    password: Password,
    role: Editor = None,
    config: Project = DEFAULT,
    url: Url = None,
    json: Json = False,
) -> None:
    """Make a user whose address counts as confirmed.

    Example: `mbaas users create ada@example.com --role editor`
    """
    with failures(json):
        metadata = {"roles": role} if role else {}
        body = {"email": email, "password": password, "email_confirm": True, "app_metadata": metadata}
        with _admin(config, url) as admin:
            user = admin("POST", "users", body)
        result(user, json=json, text=f"{user['email']} is {user['id']}")


@app.command("import")
def import_users(
    file: File,
    dry_run: DryRun = False,
    firebase_hashes: FirebaseFile = None,
    config: Project = DEFAULT,
    url: Url = None,
    json: Json = False,
) -> None:
    """Bring users from elsewhere, with the hashes of their passwords; whoever is here already is left alone.

    Exits with 1 when some could not be taken; the others are in. Example: `mbaas users import users.csv --dry-run`
    """
    with failures(json):
        hashes = read_firebase_hashes(firebase_hashes) if firebase_hashes else None
        users = read_users(file, hashes)
        created = existing = done = 0
        rejected: list[dict[str, Any]] = []
        with _admin(config, url) as admin:
            for batch in batches(users):
                told = admin("POST", "users/import", {"users": batch, "dry_run": dry_run})
                created += told["created"]
                existing += told["existing"]
                rejected += [{**one, "index": one["index"] + done} for one in told["rejected"]]
                done += len(batch)
    lines = [f"user {one['index'] + 1} ({one['email'] or one['phone']}): {one['message']}" for one in rejected]
    verb = "would be imported" if dry_run else "imported"
    text = "\n".join([*lines, f"{created} {verb}, {existing} here already, {len(rejected)} rejected."])
    result({"created": created, "existing": existing, "rejected": rejected, "dry_run": dry_run}, json=json, text=text)
    if rejected:
        raise typer.Exit(FAILED)


sessions = typer.Typer(no_args_is_help=True, help="Where users are signed in.")
app.add_typer(sessions, name="sessions")
Who = Annotated[str, typer.Argument(help="The user's id.")]
Which = Annotated[str | None, typer.Argument(help="The session's id, as `list` shows it.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All sessions of the user.")]


@sessions.command("list")
def list_sessions(user: Who, config: Project = DEFAULT, url: Url = None, json: Json = False) -> None:
    """Show where a user is signed in, the last used first."""
    with failures(json), _admin(config, url) as admin:
        found = admin("GET", f"users/{quote(user, safe='')}/sessions")["sessions"]
    if json:
        result({"sessions": found}, json=True)
        return
    table = Table("id", "last used", "from", "with", "level", "opened")
    for one in found:
        used, opened = str(one["last_used_at"])[:19], str(one["created_at"])[:19]
        table.add_row(one["id"], used, one["ip"] or "", escape(one["user_agent"] or ""), one["aal"], opened)
    out.print(table if found else "Nowhere.")


@sessions.command("revoke")
def revoke_sessions(
    user: Who,
    session: Which = None,
    everything: All = False,
    config: Project = DEFAULT,
    url: Url = None,
    json: Json = False,
) -> None:
    """Sign a user out of one session, or of all; their access tokens are refused within seconds.

    Example: `mbaas users sessions revoke 7f1b2c5e-0000-4000-8000-000000000001 --all`
    """
    with failures(json), _admin(config, url) as admin:
        if (session is None) is not everything:
            raise QueryError("which session?", hint="name one, or say --all")
        path = f"users/{quote(user, safe='')}/sessions"
        if session is None:
            ended = admin("DELETE", path)["ended"]
        else:
            admin("DELETE", f"{path}/{quote(session, safe='')}")
            ended = 1
    result({"ended": ended}, json=json, text=f"{ended} ended.")


@contextlib.contextmanager
def _admin(config: Path, url: str | None) -> Iterator[Callable[..., Any]]:
    """Asks the admin API of the running server: method, path, body. Raises Refused."""
    # Here: every other command starts faster without them.
    from mbaas.adapters.secrets import load_or_create
    from mbaas_sdk import Client, MbaasError

    loaded = configuration(config)
    key = load_or_create(loaded.data / "secrets.toml").service_key
    base = url or loaded.server.public_url or f"http://{loaded.server.host}:{loaded.server.port}"
    try:
        with Client(base, key) as client:
            yield client.auth.admin
    except MbaasError as error:
        raise Refused(error.message, hint=error.hint or f"{base} said {error.code or error.status}") from error


class Refused(errors.MbaasError):
    """The server said no, or did not answer."""

    code = "refused"


@app.callback()
def users() -> None:
    """Users of a running server."""
