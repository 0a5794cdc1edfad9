"""``mbaas outbox``: what waits to leave, and what could not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.table import Table

from mbaas.core.errors import NotFound
from mbaas_cli.output import DEFAULT, Json, Project, configuration, failures, out, result

if TYPE_CHECKING:
    from mbaas.adapters.outbox.rows import Rows

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Mails, SMS and all else that leaves: what waits, what is dead.")
State = Annotated[str | None, typer.Option(help="Only those: waiting, dead.", show_default=False)]
Channel = Annotated[str | None, typer.Option(help="Only those of a channel: mail, sms, auth.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the oldest first.")]
ItemId = Annotated[str, typer.Argument(help="As `list` shows it.")]


@app.command("list")
def list_items(
    state: State = None, channel: Channel = None, limit: Limit = 100, config: Project = DEFAULT, json: Json = False
) -> None:
    """Show what is there, the oldest first. What was sent is not kept.

    Example: `mbaas outbox list --state dead`
    """
    found = _with(config, json, lambda rows: rows.list(state=state, channel=channel, limit=limit))
    if json:
        result({"items": found}, json=True)
        return
    table = Table("id", "channel", "kind", "to", "state", "tries", "put", "last error")
    for entry in found:
        state_of = "sending" if entry.held else entry.state
        put = entry.created_at.isoformat(timespec="seconds")
        error = entry.last_error or ""
        table.add_row(entry.id, entry.channel, entry.kind, entry.destination, state_of, str(entry.attempts), put, error)
    out.print(table if found else "The outbox is empty.")


@app.command("show")
def show(item: ItemId, config: Project = DEFAULT, json: Json = False) -> None:
    """Show all of one but its content, which stays sealed."""
    found = _with(config, json, lambda rows: rows.show(_id(item)))
    if json:
        result(found, json=True)
        return
    table = Table.grid(padding=(0, 2))
    for name in found.__struct_fields__:
        table.add_row(f"[dim]{name}[/]", str(getattr(found, name)))
    out.print(table)


@app.command("replay")
def replay(item: ItemId, config: Project = DEFAULT, json: Json = False) -> None:
    """Have a dead letter tried anew, under the same id.

    Example: `mbaas outbox list --state dead --json | jq -r '.items[].id' | xargs -n1 mbaas outbox replay`
    """
    _with(config, json, lambda rows: rows.replay(_id(item)))
    result({"replayed": item}, json=json, text=f"{item} will be tried again.")


@app.command("drop")
def drop(item: ItemId, config: Project = DEFAULT, json: Json = False) -> None:
    """Forget one for good, whether it is dead or waits."""
    _with(config, json, lambda rows: rows.drop(_id(item)))
    result({"dropped": item}, json=json, text=f"{item} is gone.")


def _id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise NotFound(f"the outbox has no {text}", hint="`mbaas outbox list` shows the ids") from None


def _with(config: Path, json: bool, do: Callable[[Rows], Awaitable[T]]) -> Any:
    async def run() -> T:
        from mbaas.outgoing import open_outbox_rows

        async with open_outbox_rows(configuration(config)) as rows:
            return await do(rows)

    with failures(json):
        return asyncio.run(run())
