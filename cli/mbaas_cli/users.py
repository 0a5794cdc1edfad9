"""``mbaas users``: the users of a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mbaas.adapters.secrets import load_or_create
from mbaas.core import errors
from mbaas_cli.output import DEFAULT, Json, Project, configuration, failures, result

if TYPE_CHECKING:
    from mbaas_sdk import User

app = typer.Typer(no_args_is_help=True, help="Users of a running server.")
Email = Annotated[str, typer.Argument(help="Address of the new user.")]
Password = Annotated[
    str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked if left out.")
]
Editor = Annotated[list[str] | None, typer.Option("--role", help="A role in the user's app metadata; repeatable.")]
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
        loaded = configuration(config)
        key = load_or_create(loaded.data / "secrets.toml").service_key
        base = url or loaded.server.public_url or f"http://{loaded.server.host}:{loaded.server.port}"
        metadata = {"roles": role} if role else {}
        user = _create(base, key, email=email, password=password, email_confirm=True, app_metadata=metadata)
        result(user, json=json, text=f"{user.email} is {user.id}")


def _create(url: str, key: str, **fields: Any) -> User:
    from mbaas_sdk import Client, MbaasError  # here: every other command starts faster without an HTTP client

    try:
        with Client(url, key) as client:
            return client.auth.create_user(**fields)
    except MbaasError as error:
        raise Refused(error.message, hint=error.hint or f"{url} said {error.code or error.status}") from error


class Refused(errors.MbaasError):
    """The server said no, or did not answer."""

    code = "refused"


@app.callback()
def users() -> None:
    """Users of a running server."""
