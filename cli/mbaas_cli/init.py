"""``mbaas init``: a project to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbaas.core.errors import ConfigError
from mbaas_cli.output import Json, failures, result

Directory = Annotated[Path, typer.Argument(help="Where; made when it is not there.")]

TOML = """\
# The backend of {name}. `mbaas serve` runs it; every key is explained in the reference of settings.
[app]
name = "{name}"
site_url = "http://localhost:3000"          # where links in mails lead

[auth]
autoconfirm = true                          # for development: set to false once mails are sent ([mail] host)

# A collection is a table with an API. id, created_at and updated_at come by themselves.
[collections.notes.fields]
owner = {{ references = "auth.users", required = true, default = "auth.uid()", on_delete = "cascade" }}
text  = {{ type = "text", required = true, max_length = 10000 }}
done  = {{ type = "bool", default = false }}

# Who may do what with which rows. Without a rule: nobody but the service key.
[collections.notes.rules]
select = "owner = auth.uid()"
insert = "owner = auth.uid()"
update = "owner = auth.uid()"
delete = "owner = auth.uid()"
"""
IGNORE = ".mbaas/\n"


def init(directory: Directory = Path(), json: Json = False) -> None:
    """Write a small `mbaas.toml` to begin with. Never overwrites anything.

    Example: `mbaas init notes && cd notes && mbaas serve`
    """
    with failures(json):
        file = directory / "mbaas.toml"
        if file.exists():
            raise ConfigError(f"{file} is there already", hint="choose another directory")
        (directory / "plugins").mkdir(parents=True, exist_ok=True)
        file.write_text(TOML.format(name=directory.resolve().name or "app"), encoding="utf-8")
        if not (directory / ".gitignore").exists():
            (directory / ".gitignore").write_text(IGNORE, encoding="utf-8")
    result({"config": str(file)}, json=json, text=f"{file} is written. Next: [bold]mbaas serve[/]")
