"""``mbaas adopt``: an existing database served as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from mbaas.core.errors import MbaasError
from mbaas_cli.output import DEFAULT, FAILED, Json, Project, configuration, failures, out, result

Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 when the file is not up to date.")]


def adopt(config: Project = DEFAULT, check: Check = False, json: Json = False) -> None:
    """Serve what the database holds already: tables, views and functions that `mbaas.toml` does not declare.

    Writes `adopted.toml` beside `mbaas.toml` and includes it there. What is adopted is never made, changed or dropped
    by mbaas; its own grants and policies decide who may do what. Run it again when the database has changed.

    Example: `MBAAS_DATABASE__URL=postgresql://... mbaas adopt`
    """
    with failures(json):
        from mbaas.config.adopted import NAME, adopted_text, choose
        from mbaas.schema import adoptable

        loaded = configuration(config)
        own = {name for name, collection in loaded.catalog.collections.items() if not collection.adopted}
        called = {function.name for function in loaded.catalog.functions if not function.adopted}
        adoption = choose(asyncio.run(adoptable(loaded)), declared=own, functions=called)
        path, text = loaded.root / NAME, adopted_text(adoption)
        stale = not path.exists() or path.read_text(encoding="utf-8") != text
        if not check:
            _write(path, text, config)
    told: dict[str, Any] = {
        "file": str(path),
        "changed": stale,
        "tables": [found.table.name for found in adoption.tables],
        "views": [view.name for view in adoption.views],
        "functions": [function.name for function in adoption.functions],
        "left_out": adoption.left_out,
    }
    if json:
        result(told, json=True)
    else:
        for kind in ("tables", "views", "functions"):
            out.print(f"[bold]{kind}[/]  {escape(', '.join(map(str, told[kind])) or 'none')}")
        for left in adoption.left_out:
            out.print(f"[yellow]left out[/]  {left.kind} {escape(left.name)}: {escape(left.why)}")
            out.print(f"          [dim]{escape(left.hint)}[/]")
        state = "is up to date" if not stale else "is not up to date" if check else "is written"
        out.print(f"{escape(path.name)} {state}.")
    if check and stale:
        raise typer.Exit(FAILED)


def _write(path: Path, text: str, config: Path) -> None:
    """The file and then what includes it; each is whole or as it was. What cannot be loaded is taken back."""
    from mbaas.config.adopted import with_include

    before = path.read_text(encoding="utf-8") if path.exists() else None
    _replace(path, text)
    main = config.read_text(encoding="utf-8")
    including = with_include(main)
    try:
        if including is not None:
            _replace(config, including)
        configuration(config)
    except MbaasError:
        if including is not None:
            _replace(config, main)
        if before is None:
            path.unlink()
        else:
            _replace(path, before)
        raise


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
