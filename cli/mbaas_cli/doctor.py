"""``mbaas doctor``: what an operator should know before others find out."""

from __future__ import annotations

import stat

import msgspec
import typer

from mbaas.config.settings import Config
from mbaas.core.errors import MbaasError
from mbaas.core.expr import types as t
from mbaas.core.expr.walk import walk
from mbaas.core.rules.ruleset import RuleSet, compile_rules
from mbaas.core.schema.catalog import Collection
from mbaas_cli.output import DEFAULT, FAILED, Json, Project, configuration, failures, out, result

WRITES = ("insert", "update", "delete")


class Finding(msgspec.Struct, frozen=True):
    """level: ``error``, ``warning`` or ``note``."""

    level: str
    what: str
    hint: str


def doctor(config: Project = DEFAULT, json: Json = False) -> None:
    """Look over configuration, rules, secrets and settings. Exits with 1 when something is wrong.

    Example: `mbaas doctor --json`
    """
    with failures(json):
        loaded = configuration(config)
        rules = compile_rules(loaded.catalog)
    found = [*_rules(rules), *_settings(loaded), *_secrets(loaded)]
    if json:
        result({"findings": found}, json=True)
    for finding in () if json else found:
        colour = {"error": "red", "warning": "yellow", "note": "dim"}[finding.level]
        out.print(f"[{colour}]{finding.level}[/] {finding.what}\n        [dim]{finding.hint}[/]")
    if not found and not json:
        out.print("Nothing to complain about.")
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(FAILED)


def _rules(rules: RuleSet) -> list[Finding]:
    found = []
    for collection in rules.catalog.collections.values():
        name = collection.name
        if not any(collection.rules.of(operation) for operation in ("select", *WRITES)):  # type: ignore[arg-type]
            hint = f"[collections.{name}.rules] says who may"
            found.append(Finding("note", f"{name} has no rules: only the service key reaches it", hint))
        for operation in WRITES:
            rule = rules.row(name, operation)  # type: ignore[arg-type]
            if rule != t.FALSE and not _asks_who(rule):
                what = f"{name}: anyone with the public key may {operation}"
                found.append(Finding("warning", what, f"rules.{operation} does not ask who the caller is"))
        found += [
            Finding("note", f"{name}.{column} is in a rule and has no index", "list queries read the whole table")
            for column in sorted(_compared(rules.row(name, "select")) - _indexed(collection))
        ]
    return found


def _asks_who(rule: t.Expr) -> bool:
    return any(isinstance(part, t.Claim) for part in walk(rule))


def _compared(rule: t.Expr) -> set[str]:
    """Own columns that a rule compares with the caller."""
    return {
        side.name
        for part in walk(rule)
        if isinstance(part, t.Binary)
        and part.op == "="
        and any(isinstance(s, t.Claim) for s in (part.left, part.right))
        for side in (part.left, part.right)
        if isinstance(side, t.Column) and side.scope == ""
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
