"""``mbaas rules``: what the rules let whom do, asked of a running server."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mbaas.core.errors import BodyInvalid, MbaasError
from mbaas_cli.output import DEFAULT, FAILED, Json, Project, configuration, failures, out, result

app = typer.Typer(no_args_is_help=True, help="What the rules let whom do.")
Collection = Annotated[str, typer.Argument(help="The collection.")]
Wanted = Annotated[str, typer.Argument(help="`select`, `insert`, `update` or `delete`.")]
Key = Annotated[str | None, typer.Option(help="The record's key; of several fields as JSON.")]
Row = Annotated[str | None, typer.Option(help="JSON: of an insert the record, of an update the fields that are set.")]
User = Annotated[str | None, typer.Option(help="A user's id.")]
AsRole = Annotated[str | None, typer.Option("--role", help="`anon`, `authenticated` or `service_role`.")]
Claims = Annotated[str | None, typer.Option(help="JSON: claims of the token, on top of the user's.")]
Returning = Annotated[bool, typer.Option("--returning", help="The record is to be given back too.")]
Url = Annotated[str | None, typer.Option(help="The server.  [default: server.public_url]", show_default=False)]


@app.command("explain")
def explain(
    collection: Collection,
    operation: Wanted = "select",
    key: Key = None,
    row: Row = None,
    user: User = None,
    role: AsRole = None,
    claims: Claims = None,
    returning: Returning = False,
    config: Project = DEFAULT,
    url: Url = None,
    json: Json = False,
) -> None:
    """Say why somebody may or may not do something to a record: each part of the rule with its value.

    Exits with 1 when it is not allowed.

    Example: `mbaas rules explain posts update --key 0198... --user 0197...`
    """
    with failures(json):
        question: dict[str, Any] = {
            "collection": collection,
            "operation": operation,
            "user": user,
            "role": role,
            "claims": {} if claims is None else _object("--claims", claims),
            "key": _key(key),
            "row": None if row is None else _object("--row", row),
            "returning": returning,
        }
        found = _ask(config, url, "POST", "/admin/v1/rules/explain", question)
    if json:
        result(found, json=True)
    else:
        _show(found)
    if found["allowed"] is False:
        raise typer.Exit(FAILED)


@app.command("list")
def list_rules(config: Project = DEFAULT, url: Url = None, json: Json = False) -> None:
    """List what each role can reach: every row, those that meet the rule, or none.

    Example: `mbaas rules list`
    """
    with failures(json):
        found = _ask(config, url, "GET", "/admin/v1/rules")
    if json:
        result(found, json=True)
        return
    colours = {"all": "bold yellow", "some": "cyan", "none": "dim"}
    table = Table("collection", "operation", "anon", "authenticated", "rule", box=None, padding=(0, 2, 0, 0))
    before = None
    for row in found["rows"]:
        name, before = row["collection"] if row["collection"] != before else "", row["collection"]
        cells = [f"[{colours[row['reach'][r]]}]{row['reach'][r]}[/]" for r in ("anon", "authenticated")]
        table.add_row(escape(name), row["operation"], *cells, escape(row["rule"] or ""))
    out.print(table)
    for field in found["fields"]:
        said = ["hidden"] if field["hidden"] else []
        said += [f"{kind} where {field[kind]}" for kind in ("read", "write") if field[kind] is not None]
        out.print(f"[dim]field[/] {field['collection']}.{field['field']}: {escape(', '.join(said))}")
    for function in found["functions"]:
        out.print(f"[dim]function[/] {function['function']}: {', '.join(function['execute'])}")


def _show(found: dict[str, Any]) -> None:
    verdict = {True: "[bold green]allowed[/]", False: "[bold red]not allowed[/]", None: "[yellow]depends[/]"}
    who = found["role"] + (f" {found['user']}" if found["user"] else "")
    out.print(f"{verdict[found['allowed']]}  {found['operation']} on {found['collection']} as {who}")
    for reason in found["reasons"]:
        out.print(f"  {escape(reason)}")
    for check in (*found["checks"], *found["fields"]):
        of = "" if check["of"] == "row" else f" of {check['of']}"
        title = f"[bold]{check['rule']}{of}[/] [dim]on the {check['on']} record[/]"
        if check["part"] is None:
            out.print(f"{title}  [red]no rule[/]")
            continue
        tree = Tree(title)
        _grow(tree, check["part"])
        out.print(tree)
    if found["hidden"]:
        out.print(f"[dim]hidden fields[/] {', '.join(found['hidden'])}")


def _grow(tree: Tree, part: dict[str, Any]) -> None:
    value = part.get("value", ...)
    shown = "[dim]depends on the record[/]" if value is ... else _coloured(value)
    branch = tree.add(f"{escape(part['text'])}  [dim]=[/] {shown}")
    if part.get("fault"):
        branch.add(f"[red]cannot be computed:[/] {escape(part['fault'])}")
    evidence = part.get("evidence")
    if evidence is not None:
        for row in evidence["rows"]:
            branch.add(f"[dim]found[/] {escape(msgspec.json.encode(row).decode())}")
        if not evidence["rows"]:
            branch.add("[dim]found no row[/]")
        for text, met in evidence["conditions"].items():
            branch.add(f"[dim]{'some rows have' if met else 'no row has'}[/] {escape(text)}")
    for inner in part.get("parts", ()):
        _grow(branch, inner)


def _coloured(value: Any) -> str:
    text = escape(msgspec.json.encode(value).decode())
    colour = {True: "green", False: "red", None: "yellow"}.get(value) if isinstance(value, bool | None) else None
    return text if colour is None else f"[{colour}]{text}[/]"


def _object(option: str, text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BodyInvalid(f"{option} is no JSON object: {error}", hint='{"field": "value"}') from error


def _key(text: str | None) -> Any:
    return _object("--key", text) if text is not None and text.startswith("{") else text


def _ask(config: Any, url: str | None, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Raises Refused with the server's words, or when none answers."""
    # Here: other commands start faster without them.
    import httpx

    from mbaas.adapters.secrets import load_or_create

    loaded = configuration(config)
    key = load_or_create(loaded.data / "secrets.toml").service_key
    base = url or loaded.server.public_url or f"http://{loaded.server.host}:{loaded.server.port}"
    try:
        answer = httpx.request(method, f"{base.rstrip('/')}{path}", json=body, headers={"apikey": key}, timeout=60)
    except httpx.HTTPError as error:
        raise Refused(f"{base} does not answer", hint="is `mbaas serve` running? --url says where") from error
    found = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    if answer.status_code != 200:
        raise Refused(found.get("message") or f"{base} said {answer.status_code}", hint=found.get("hint"))
    return dict(found)


class Refused(MbaasError):
    """The server said no, or did not answer."""

    code = "refused"
