"""``mbaas migrate``: what the configuration would change, and doing it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from mbaas_cli.output import DEFAULT, Json, Project, configuration, failures, out, result

if TYPE_CHECKING:
    from mbaas.schema import Migrator

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="From a changed `mbaas.toml` to a changed schema, without losing a row.")
AllowDestructive = Annotated[
    bool, typer.Option("--allow-destructive", help="Do steps that take data away; it is put aside for `down`.")
]
Steps = Annotated[int, typer.Option(min=1, help="How many migrations to take back.")]


@app.command("plan")
def plan(config: Project = DEFAULT, json: Json = False) -> None:
    """Show the steps with their SQL, locks and dangers. Changes nothing.

    Example: `mbaas migrate plan`
    """
    found = _with(config, json, lambda migrator: migrator.plan())
    if json:
        result({"hash": found.hash, "steps": found.steps}, json=True)
        return
    from rich.syntax import Syntax  # with pygments behind it: only here

    if not found.steps:
        out.print("Nothing to do: the database is what `mbaas.toml` says.")
    for number, step in enumerate(found.steps, start=1):
        out.print(
            f"[bold]{number}. {escape(step.title)}[/]" + (f"  [dim]lock: {step.lock}[/]" if step.lock != "none" else "")
        )
        if step.destructive:
            out.print(f"   [bold red]loses data:[/] {escape(step.destructive)}")
        if step.heavy:
            out.print(f"   [yellow]others wait:[/] {escape(step.heavy)}")
        out.print(Syntax(";\n".join(text.strip() for text in step.sql) + ";", "sql", background_color="default"))


@app.command("apply")
def apply(config: Project = DEFAULT, allow_destructive: AllowDestructive = False, json: Json = False) -> None:
    """Do what `plan` shows. Killed in the middle, the next one goes on.

    Example: `mbaas migrate apply --allow-destructive`
    """
    done = _with(config, json, lambda migrator: migrator.apply(allow_destructive=allow_destructive))
    steps = sum(applied.steps for applied in done)
    result({"migrations": done, "steps": steps}, json=json, text=f"{steps} steps done." if steps else "Nothing to do.")


@app.command("status")
def status(config: Project = DEFAULT, json: Json = False) -> None:
    """List the migrations of this database, the oldest first."""
    found = _with(config, json, lambda migrator: migrator.status())
    if json:
        result({"migrations": found}, json=True)
        return
    table = Table("id", "kind", "state", "steps", "started", "what")
    for row in found:
        titles = "; ".join(row.titles or ())
        what = titles if len(titles) < 80 else titles[:77] + "..."
        done = f"{row.done}/{row.steps}"
        table.add_row(str(row.id), row.kind, row.state, done, row.started_at.isoformat(timespec="seconds"), what)
    out.print(table)


@app.command("down")
def down(config: Project = DEFAULT, steps: Steps = 1, json: Json = False) -> None:
    """Take the latest migrations back, with the data they put aside.

    `mbaas.toml` is not changed: put it back yourself, or the next start applies it again.
    """
    done = _with(config, json, lambda migrator: migrator.down(steps))
    result({"migrations": done}, json=json, text=f"{len(done)} migrations taken back.")


def _with(config: Path, json: bool, do: Callable[[Migrator], Awaitable[T]]) -> Any:
    async def run() -> T:
        from mbaas.schema import open_migrator

        async with open_migrator(configuration(config)) as migrator:
            return await do(migrator)

    with failures(json):
        return asyncio.run(run())
