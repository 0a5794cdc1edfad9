"""Reading ``mbaas.toml`` and what it includes, remembering where each key stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from mbaas.config.places import KeyPath, lines_of
from mbaas.core.errors import ConfigError

_INCLUDE = 'include = ["collections/*.toml"], relative to mbaas.toml'
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


class Variable(msgspec.Struct, frozen=True):
    """A value that an environment variable gives: it is used, and never shown.

    override: by the variable's own name, ``MBAAS_SECTION__KEY``; else by ``env:NAME`` in a file.
    """

    name: str
    text: str
    override: bool


class Source(msgspec.Struct, frozen=True):
    """The merged tables; for every key the file and line that set it; for those from the environment, the variable."""

    values: dict[str, Any]
    places: dict[KeyPath, tuple[Path, int]]
    variables: dict[KeyPath, Variable] = {}
    includes: tuple[str, ...] = ()

    def place(self, path: KeyPath) -> str:
        """``mbaas.toml:12`` for a key, or for the nearest key above it that has a line of its own."""
        for length in range(len(path), 0, -1):
            variable = self.variables.get(path[:length])
            if variable is not None and variable.override:
                return f"environment variable {variable.name}"
            if path[:length] in self.places:
                file, line = self.places[path[:length]]
                return f"{file.as_posix()}:{line}"
        return "mbaas.toml"

    def error(self, path: KeyPath, message: str, *, hint: str | None = None) -> ConfigError:
        """A ConfigError that names file, line and key, without what environment variables hold."""
        for at, variable in self.variables.items():
            near = min(len(at), len(path), 2)  # a field's fault may tell of another key, or another field
            if at[:near] == path[:near]:
                message = _without(message, variable)
                hint = None if hint is None else _without(hint, variable)
                if not variable.override and at == path[: len(at)]:
                    message = f"{message} (from the environment variable {variable.name})"
        return ConfigError(f"{self.place(path)}: {'.'.join(path)}: {message}", hint=hint)


def _without(text: str, variable: Variable) -> str:
    """The text with the variable's name where its value, or a dotted part of it, stood."""
    for part in (variable.text, *(part for part in variable.text.split(".") if len(part) > 3)):
        text = text.replace(repr(part), variable.name)
        if len(part) > 3:  # shorter ones are in many a word
            text = text.replace(part, variable.name)
    return text


def read_source(path: Path) -> Source:
    """The file and everything under its ``include`` patterns. A key that two files set is an error."""
    values, places = _read(path, Path(path.name))
    patterns = values.pop("include", [])
    source = Source(values, places, {}, tuple(map(str, patterns)) if isinstance(patterns, list) else ())
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise source.error(("include",), "is a list of file patterns", hint=_INCLUDE)
    for pattern in patterns:
        try:
            found = sorted(path.parent.glob(pattern))
        except (NotImplementedError, ValueError):
            raise source.error(("include",), f"{pattern!r} is no relative pattern", hint=_INCLUDE) from None
        if not found and "*" not in pattern:
            raise source.error(("include",), f"there is no file {pattern!r}", hint="paths are relative to mbaas.toml")
        for part in found:
            if part.samefile(path):
                continue  # include = ["*.toml"] beside mbaas.toml
            label = part.relative_to(path.parent) if part.is_relative_to(path.parent) else part
            more, more_places = _read(part, label)
            if "include" in more:
                message = f"{label.as_posix()}:{more_places['include',][1]}: include: stands in {path.name} alone"
                raise ConfigError(message, hint="name every file there, or use a pattern")
            _merge(source, values, more, more_places, ())
            for key, place in more_places.items():
                places.setdefault(key, place)
    return source


def _read(path: Path, label: Path) -> tuple[dict[str, Any], dict[KeyPath, tuple[Path, int]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}", hint="`mbaas init` writes one to begin with") from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{label.as_posix()} cannot be read: {error}"
        raise ConfigError(message, hint="it must be a readable file of UTF-8 text") from error
    values: dict[str, Any]
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _AT_LINE.search(str(error))
        place = f"{label.as_posix()}:{line[1]}" if line else label.as_posix()
        message = _AT_LINE.sub("", str(error))
        raise ConfigError(f"{place}: {message}", hint="see https://toml.io for the syntax") from error
    return values, {key: (label, line) for key, line in lines_of(text).items()}


def _merge(
    source: Source,
    into: dict[str, Any],
    more: Mapping[str, Any],
    places: Mapping[KeyPath, tuple[Path, int]],
    above: KeyPath,
) -> None:
    for key, value in more.items():
        path = (*above, key)
        if key not in into:
            into[key] = value
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(source, into[key], value, places, path)
        else:
            file, line = places.get(path, (Path("an included file"), 0))
            raise source.error(path, f"is set again in {file.as_posix()}:{line}", hint="keep one of the two")


def resolve_environment(source: Source, environ: Mapping[str, str], sections: Iterable[str]) -> list[ConfigError]:
    """``env:NAME`` values and ``MBAAS_SECTION__KEY`` variables become Variables in the tables.

    Returns what was wrong. A variable without ``__`` is not ours to read: ``MBAAS_CONFIG`` is the command line's.
    """
    errors: list[ConfigError] = []

    def resolved(value: Any, path: KeyPath) -> Any:
        if isinstance(value, str) and value.startswith("env:"):
            name = value.removeprefix("env:")
            if name not in environ:
                message = f"needs the environment variable {name}"
                errors.append(source.error(path, message, hint=f"export {name}=... before the start"))
                return value
            source.variables[path] = Variable(name, environ[name], override=False)
            return source.variables[path]
        if isinstance(value, dict):
            return {key: resolved(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [resolved(item, (*path, str(number))) for number, item in enumerate(value)]
        return value

    overrides = {}
    for name, text in sorted(environ.items()):
        if name.startswith("MBAAS_") and "__" in name:
            path = tuple(part.lower() for part in name.removeprefix("MBAAS_").split("__"))
            if path[0] in sections and not all(path):
                message = f"environment variable {name}: names no key of {path[0]!r}"
                errors.append(ConfigError(message, hint=f"MBAAS_{path[0].upper()}__KEY"))
            elif path[0] in sections:
                overrides[path] = Variable(name, text, override=True)
            else:
                errors.append(_unknown(name, path, sections))
    for path, variable in overrides.items():
        if not _override(source, path, variable):
            message = "one key above it is no table"
            errors.append(ConfigError(f"environment variable {variable.name}: {message}", hint="set the whole key"))
    for key in list(source.values):
        source.values[key] = resolved(source.values[key], (key,))
    return errors


def _unknown(name: str, path: KeyPath, sections: Iterable[str]) -> ConfigError:
    near = get_close_matches(path[0], list(sections), n=1)
    if near:
        hint = "did you mean " + "__".join(("MBAAS_" + near[0].upper(), *(part.upper() for part in path[1:]))) + "?"
    else:
        hint = "MBAAS_SECTION__KEY, such as MBAAS_SERVER__PORT"
    return ConfigError(f"environment variable {name}: there is no section {path[0]!r}", hint=hint)


def _override(source: Source, path: KeyPath, variable: Variable) -> bool:
    table: Any = source.values
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return False
    table[path[-1]] = variable
    source.variables[path] = variable
    return True


def literal(text: str) -> Any:
    """The text as a TOML value when it is one, else as it stands: ``9000``, ``["a"]``, ``hello``."""
    values: dict[str, Any]
    try:
        values = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return values["value"] if len(values) == 1 else text
