"""``mbaas.toml`` and the environment in, one frozen Config out, or one error that tells everything that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mbaas.config.collections import Builder
from mbaas.config.inputs import CollectionInput, FunctionInput
from mbaas.config.settings import (
    AppSettings,
    AuthSettings,
    Config,
    DatabaseSettings,
    LimitSettings,
    LogSettings,
    MailSettings,
    PluginSettings,
    ServerSettings,
)
from mbaas.config.source import KeyPath, Source, read_source, resolve_environment
from mbaas.core.errors import ConfigError, RuleError
from mbaas.core.rules.ruleset import compile_rules
from mbaas.core.schema.catalog import Catalog, Function

T = TypeVar("T")

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "app": AppSettings,
    "server": ServerSettings,
    "limits": LimitSettings,
    "database": DatabaseSettings,
    "mail": MailSettings,
    "auth": AuthSettings,
    "log": LogSettings,
    "plugins": PluginSettings,
}
_ROLES = {"anon", "authenticated"}
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>[^`]+)`")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in ``path`` and ``environ``. Raises ConfigError naming file, line and key of every fault."""
    source = read_source(path)
    resolve_environment(source, environ)
    errors: list[ConfigError] = []
    known = {*SECTIONS, "collections", "functions"}
    errors += [
        source.error((name,), "unknown section", hint=_nearest(name, known))
        for name in source.values
        if name not in known
    ]
    sections: dict[str, Any] = {
        name: _section(source, (name,), source.values.get(name, {}), kind, errors) for name, kind in SECTIONS.items()
    }
    collections = _tables(source, "collections", CollectionInput, errors)
    builder = Builder(collections, source.error)
    built = builder.build()
    errors += builder.errors
    functions, functions_sql = _functions(source, path.parent, errors)
    catalog = Catalog(collections=built, functions=functions)
    if not errors:
        errors += _rule_faults(source, catalog)
    if errors:
        raise _together(errors)
    root = path.resolve().parent
    return Config(
        root=root,
        data=root / ".mbaas",
        catalog=catalog,
        functions_sql=functions_sql,
        places={".".join(key): source.place(key) for key in source.places if key[0] == "collections"},
        **{name: value for name, value in sections.items() if value is not None},
    )


def _rule_faults(source: Source, catalog: Catalog) -> list[ConfigError]:
    try:
        compile_rules(catalog)
    except RuleError as error:
        return [source.error(fault.key, fault.message, hint=fault.hint) for fault in error.details]
    return []


def _tables(source: Source, name: str, kind: type[T], errors: list[ConfigError]) -> dict[str, T]:
    tables = source.values.get(name, {})
    if not isinstance(tables, dict):
        errors.append(source.error((name,), "is a table of tables", hint=f"[{name}.<name>]"))
        return {}
    made = {key: _section(source, (name, key), value, kind, errors) for key, value in tables.items()}
    return {key: value for key, value in made.items() if value is not None}


def _section(source: Source, path: KeyPath, value: Any, kind: type[T], errors: list[ConfigError]) -> T | None:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        errors.append(_explained(source, path, str(error), kind))
        return None


def _explained(source: Source, path: KeyPath, message: str, kind: Any) -> ConfigError:
    """msgspec's words with our place: ``mbaas.toml:12: limits.rate.per_ip: Expected `float`, got `str```."""
    at = _AT.search(message)
    if at is not None:
        message = message[: at.start()]
        path = (*path, *(part for part in re.split(r"\.|\[(\d+)\]|\[\.\.\.\]", at["path"]) if part))
    unknown = _UNKNOWN.match(message)
    if unknown is None:
        return source.error(path, message)
    names = sorted(_names(kind))
    return source.error((*path, unknown["name"]), "unknown key", hint=_nearest(unknown["name"], names))


def _names(kind: Any) -> set[str]:
    """Every key that the struct or one inside of it knows, for suggestions."""
    names: set[str] = set()
    for field in msgspec.structs.fields(kind):
        names.add(field.name)
        for inner in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                names |= _names(inner)
    return names


def _functions(source: Source, root: Path, errors: list[ConfigError]) -> tuple[tuple[Function, ...], dict[str, str]]:
    functions, texts = [], {}
    for name, given in _tables(source, "functions", FunctionInput, errors).items():
        path = ("functions", name)
        if unknown := set(given.execute) - _ROLES:
            message = f"execute names {sorted(unknown)[0]!r}"
            errors.append(
                source.error((*path, "execute"), message, hint="anon, authenticated; the service key may always")
            )
        try:
            texts[name] = (root / given.sql).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            errors.append(source.error((*path, "sql"), f"cannot read {given.sql!r}", hint="relative to mbaas.toml"))
        functions.append(Function(name=name, execute=given.execute))
    return tuple(functions), texts


def _together(errors: list[ConfigError]) -> ConfigError:
    if len(errors) == 1:
        return errors[0]
    lines = [f"{error.message}" + (f" ({error.hint})" if error.hint else "") for error in errors]
    return ConfigError(f"{len(errors)} faults in the configuration\n  " + "\n  ".join(lines))


def _nearest(name: str, known: Any) -> str | None:
    found = get_close_matches(name, list(known), n=1)
    return f"did you mean {found[0]!r}?" if found else None
