"""``mbaas doctor``: what an operator should know before others find out."""

from __future__ import annotations

import asyncio
import stat
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.markup import escape

from mbaas.config.settings import Config
from mbaas.core.errors import MbaasError
from mbaas.core.schema.catalog import Catalog, Collection, Operation
from mbaas_cli.output import DEFAULT, FAILED, Json, Project, configuration, failures, out, result

if TYPE_CHECKING:
    from mbaas.core.expr import types as t

WRITES: tuple[Operation, ...] = ("insert", "update", "delete")


class Finding(msgspec.Struct, frozen=True):
    """level: ``error``, ``warning`` or ``note``."""

    level: str
    what: str
    hint: str


def doctor(config: Project = DEFAULT, json: Json = False) -> None:
    """Look over configuration, rules, secrets, settings, and the database and the server when they run.

    Lists what the public may write, and what of the database runs with its owner's rights: views, functions, triggers.
    Exits with 1 when something is wrong.

    Example: `mbaas doctor --json`
    """
    with failures(json):
        loaded = configuration(config)
        found = [*_rules(loaded.catalog), *_settings(loaded), *_secrets(loaded), *_database(loaded), *_server(loaded)]
    if json:
        result({"findings": found}, json=True)
    for finding in () if json else found:
        colour = {"error": "red", "warning": "yellow", "note": "dim"}[finding.level]
        out.print(f"[{colour}]{finding.level}[/] {escape(finding.what)}\n        [dim]{escape(finding.hint)}[/]")
    if not found and not json:
        out.print("Nothing to complain about.")
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(FAILED)


def _rules(catalog: Catalog) -> list[Finding]:
    from mbaas.core.rules.compile import compile_rules
    from mbaas.core.rules.reach import reach
    from mbaas.core.rules.ruleset import OPERATIONS

    rules = compile_rules(catalog)
    found = []
    for collection in catalog.collections.values():
        name = collection.name
        if collection.adopted:
            continue  # its policies are its owner's
        if not any(collection.rules.of(operation) for operation in OPERATIONS):
            hint = f"[collections.{name}.rules] says who may"
            found.append(Finding("note", f"{name} has no rules: only the service key reaches it", hint))
        for operation in WRITES:
            rule = rules.row(name, operation)
            if reach(rule, "anon") != "none":
                what = f"{name}: anyone with the public key may {operation}"
                found.append(Finding("warning", what, f"rules.{operation} holds for callers who are not signed in"))
        found += [
            Finding(
                "warning",
                f"{name}.{column} is compared in the select rule and no index begins with it: lists read everything",
                f'[[collections.{name}.indexes]] fields = ["{column}"]',
            )
            for column in sorted(_compared(rules.row(name, "select")) - _indexed(collection))
            if not collection.view
        ]
    return found


def _compared(rule: t.Expr) -> set[str]:
    """Own columns that a rule holds against the caller or against what a sub-select finds."""
    from mbaas.core.expr import types as t
    from mbaas.core.expr.walk import walk

    pairs: list[tuple[t.Expr, t.Expr]] = []
    for part in walk(rule):
        if isinstance(part, t.Binary | t.Quantified) and part.op == "=":
            pairs += [(part.left, part.right), (part.right, part.left)]
        elif isinstance(part, t.InSelect):
            pairs.append((part.item, t.ScalarSelect(part.select)))
    return {
        side.name
        for side, other in pairs
        if isinstance(side, t.Column) and side.scope == "" and any(isinstance(inner, t.Claim) for inner in walk(other))
    }


def _indexed(collection: Collection) -> set[str]:
    led = {columns[0] for columns in collection.unique_sets if columns}
    return led | {index.fields[0].name for index in collection.indexes if index.where is None}


def _settings(config: Config) -> list[Finding]:
    found = []
    url = config.server.public_url
    if config.server.host not in {"127.0.0.1", "localhost", "::1"} and not (url or "").startswith("https://"):
        found.append(
            Finding("warning", "the server listens to the world without TLS", "server.public_url = https://...")
        )
    if config.auth.autoconfirm and config.mail.host is not None:
        found.append(Finding("warning", "addresses are not confirmed", "auth.autoconfirm = false"))
    if config.mail.host is None:
        found.append(Finding("note", "mails are files in the data directory", "[mail] host sends them"))
    elif config.mail.tls == "none" and config.mail.host not in {"127.0.0.1", "localhost", "::1"}:
        found.append(Finding("warning", "mails go to their server without TLS", 'mail.tls = "starttls"'))
    if config.sms.provider == "console":
        found.append(Finding("note", "messages to phones are files in the data directory", "[sms] provider sends them"))
    if not config.limits.rate.enabled:
        found.append(Finding("warning", "rate limits are off", "limits.rate.enabled = true"))
    return found


def _secrets(config: Config) -> list[Finding]:
    path = config.data / "secrets.toml"
    if not path.exists():
        return []
    from mbaas.adapters.secrets import load

    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        load(path)
    except MbaasError as error:
        return [Finding("error", error.message, error.hint or f"mode is {mode:04o}")]
    return []


_PAST_RULES = {
    "view": ("error", "alter view ... set (security_invoker = true)"),
    "materialized view": ("error", "revoke what was granted on it"),
    "table without row security": ("error", "declare it as a collection, or revoke what was granted on it"),
    "definer function": ("warning", "it sees every row: who may call it is who may see what it shows"),
    "trigger": ("note", "it runs with the rights of the server when a request writes, and sees every row"),
    "rewrite rule": ("note", "what it adds runs with the rights of the table's owner"),
}


def _database(config: Config) -> list[Finding]:
    """What runs with its owner's rights."""
    from mbaas.adapters.postgres.embedded import running_url
    from mbaas.adapters.postgres.owner_rights import read_owner_rights

    url = config.database.url or running_url(config.data / "postgres")
    if url is None:
        return [Finding("note", "the database does not run and was not looked at", "do it again beside `mbaas serve`")]
    try:
        rights = asyncio.run(read_owner_rights(url))
    except MbaasError as error:
        return [Finding("warning", f"the database was not looked at: {error.message}", error.hint or "is it running?")]
    found = []
    for right in rights:
        level, hint = _PAST_RULES[right.kind]
        reached = f", for {' and '.join(right.callers)}" if right.callers else ""
        if right.kind == "definer function" and not right.callers:
            level, hint = "note", "no client may call it"
        found.append(Finding(level, f"past the rules: {right.kind} {right.name}{reached}", hint))
    return found


def _server(config: Config) -> list[Finding]:
    """What the running server has seen since it started; nothing when none answers."""
    path = config.data / "secrets.toml"
    if not path.exists():
        return []
    from mbaas.adapters.secrets import load

    base = config.server.public_url or f"http://{config.server.host}:{config.server.port}"
    try:
        headers = {"apikey": load(path).secret_key}
        request = urllib.request.Request(f"{base.rstrip('/')}/metrics", headers=headers)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            lines = answer.read().decode().splitlines()
    except (MbaasError, OSError, ValueError):
        return []
    seen = [line for line in lines if line.startswith('mbaas_events_total{event="service_key_in_browser"')]
    if not seen:
        return []
    times = round(sum(float(line.rpartition(" ")[2]) for line in seen))
    what = f"a browser has used the service key, {times} times since the server started"
    hint = "whoever opens that page has the key: take it out, then `mbaas keys rotate`; the log names the page's origin"
    return [Finding("error", what, hint)]
