"""``mbaas.toml`` and the environment in, one frozen Config out, or one error that tells everything that is wrong."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mbaas.config.collections import NAME_HINT, Builder, is_name
from mbaas.config.inputs import CollectionInput, FunctionInput
from mbaas.config.kept_rules import compiled_rules
from mbaas.config.settings import (
    AppSettings,
    AuthSettings,
    Config,
    DatabaseSettings,
    GraphQLSettings,
    IdempotencySettings,
    LimitSettings,
    LogSettings,
    MailSettings,
    OutboxSettings,
    PluginSettings,
    RestSettings,
    ServerSettings,
    SmsSettings,
)
from mbaas.config.shape import Shape, nearest
from mbaas.config.source import Source, read_source, resolve_environment
from mbaas.core.errors import ConfigError, RuleError
from mbaas.core.schema.catalog import Catalog, Collection, Function

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "app": AppSettings,
    "server": ServerSettings,
    "limits": LimitSettings,
    "rest": RestSettings,
    "idempotency": IdempotencySettings,
    "database": DatabaseSettings,
    "mail": MailSettings,
    "sms": SmsSettings,
    "outbox": OutboxSettings,
    "auth": AuthSettings,
    "log": LogSettings,
    "plugins": PluginSettings,
    "graphql": GraphQLSettings,
}
_ROLES = {"anon", "authenticated"}


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in ``path`` and ``environ``. Raises ConfigError naming file, line and key of every fault."""
    source = read_source(path)
    known = (*SECTIONS, "collections", "functions")
    errors = resolve_environment(source, environ, known)
    errors += [
        source.error((name,), "unknown section", hint=nearest(name, known))
        for name in source.values
        if name not in known
    ]
    shape = Shape(source, errors)
    sections = {name: shape.struct((name,), source.values.get(name, {}), kind) for name, kind in SECTIONS.items()}
    before = len(errors)
    collections = shape.table(("collections",), source.values.get("collections", {}), CollectionInput)
    built: dict[str, Collection] = {}
    if len(errors) == before:  # else a name may only seem to be missing
        builder = Builder(collections, source.error)
        built = builder.build()
        errors += builder.errors
    functions, functions_sql, functions_files = _functions(source, shape, path.parent, errors)
    catalog = Catalog(collections=built, functions=functions)
    root = path.resolve().parent
    data = root / ".mbaas"
    if not errors:
        errors += _rule_faults(source, catalog, data)
    if errors:
        raise _together(errors)
    return Config(
        root=root,
        data=data,
        catalog=catalog,
        functions_sql=functions_sql,
        files=(glob.escape(path.name), *source.includes, *map(glob.escape, functions_files)),
        places={".".join(key): source.place(key) for key in source.places if key[0] == "collections"},
        **sections,
    )


def _rule_faults(source: Source, catalog: Catalog, data: Path) -> list[ConfigError]:
    try:
        compiled_rules(catalog, data)
    except RuleError as error:
        return [source.error(fault.key, fault.message, hint=fault.hint) for fault in error.details]
    return []


def _functions(
    source: Source, shape: Shape, root: Path, errors: list[ConfigError]
) -> tuple[tuple[Function, ...], dict[str, str], tuple[str, ...]]:
    functions, texts = [], {}
    given_functions = shape.table(("functions",), source.values.get("functions", {}), FunctionInput)
    for name, given in given_functions.items():
        path = ("functions", name)
        if not is_name(name) and not given.adopted:
            errors.append(source.error(path, f"{name!r} cannot be a name", hint=NAME_HINT))
        if unknown := set(given.execute) - _ROLES:
            message = f"execute names {sorted(unknown)[0]!r}"
            errors.append(
                source.error((*path, "execute"), message, hint="anon, authenticated; the service key may always")
            )
        if given.adopted is (given.sql is not None):
            message = "is made by a file, or is there already"
            errors.append(source.error(path, message, hint='sql = "..." or adopted = true'))
        try:
            if given.sql is not None:
                texts[name] = (root / given.sql).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            errors.append(source.error((*path, "sql"), f"cannot read {given.sql!r}", hint="relative to mbaas.toml"))
        functions.append(Function(name=name, execute=given.execute, adopted=given.adopted))
    files = tuple(given.sql for given in given_functions.values() if given.sql is not None)
    return tuple(functions), texts, files


def _together(errors: list[ConfigError]) -> ConfigError:
    if len(errors) == 1:
        return errors[0]
    lines = [f"{error.message}" + (f" ({error.hint})" if error.hint else "") for error in errors]
    return ConfigError(f"{len(errors)} faults in the configuration\n  " + "\n  ".join(lines))
