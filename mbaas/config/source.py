"""Reading ``mbaas.toml`` and what it includes, remembering where each key stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from mbaas.core.errors import ConfigError

KeyPath: TypeAlias = tuple[str, ...]

_TABLE = re.compile(r"^\s*\[(?P<array>\[)?(?P<keys>[^\]]+)\]")
_KEY = re.compile(
    r"""^\s*(?P<keys>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


class Source(msgspec.Struct, frozen=True):
    """The merged tables and, for every key, the file and line that set it."""

    values: dict[str, Any]
    places: dict[KeyPath, tuple[Path, int]]

    def place(self, path: KeyPath) -> str:
        """``mbaas.toml:12`` for a key, or for the nearest key above it that has a line of its own."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                file, line = self.places[path[:length]]
                return f"{file.name}:{line}"
        return "mbaas.toml"

    def error(self, path: KeyPath, message: str, *, hint: str | None = None) -> ConfigError:
        """A ConfigError that names file, line and key."""
        return ConfigError(f"{self.place(path)}: {'.'.join(path)}: {message}", hint=hint)


def read_source(path: Path) -> Source:
    """The file and everything under its ``include`` patterns. A key that two files set is an error."""
    values, places = _read(path)
    source = Source(values, places)
    patterns = values.pop("include", [])
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise source.error(("include",), "is a list of file patterns", hint='include = ["collections/*.toml"]')
    for pattern in patterns:
        found = sorted(path.parent.glob(pattern))
        if not found and "*" not in pattern:
            raise source.error(("include",), f"there is no file {pattern!r}", hint="paths are relative to mbaas.toml")
        for part in found:
            more, more_places = _read(part)
            _merge(source, values, more, more_places, ())
            for key, place in more_places.items():
                places.setdefault(key, place)
    return source


def _read(path: Path) -> tuple[dict[str, Any], dict[KeyPath, tuple[Path, int]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}", hint="`mbaas init` writes one to begin with") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}") from error
    try:
        return tomllib.loads(text), {key: (path, line) for key, line in _lines(text).items()}
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: {error}", hint="see https://toml.io for the syntax") from error


def _lines(text: str) -> dict[KeyPath, int]:
    """The line of each key, 1-based. Keys inside an inline table have the line of the table."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _parts(header["keys"])
            if header["array"]:
                index = counts.get(table, 0)
                counts[table] = index + 1
                lines.setdefault(table, number)
                table = (*table, str(index))
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key["keys"])), number)
    return lines


def _parts(keys: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(keys))


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
            raise source.error(path, f"is set again in {file.name}:{line}", hint="keep one of the two")


def resolve_environment(source: Source, environ: Mapping[str, str]) -> None:
    """``env:NAME`` values become the variable's; ``MBAAS_SECTION__KEY`` variables override keys, as TOML or text."""

    def resolved(value: Any, path: KeyPath) -> Any:
        if isinstance(value, str) and value.startswith("env:"):
            name = value.removeprefix("env:")
            if name not in environ:
                raise source.error(path, f"needs the environment variable {name}", hint=f"export {name}=...")
            return environ[name]
        if isinstance(value, dict):
            return {key: resolved(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [resolved(item, path) for item in value]
        return value

    for key in list(source.values):
        source.values[key] = resolved(source.values[key], (key,))
    for name, text in sorted(environ.items()):
        if name.startswith("MBAAS_") and "__" in name:
            path = tuple(part.lower() for part in name.removeprefix("MBAAS_").split("__"))
            _override(source, path, name, text)


def _override(source: Source, path: KeyPath, name: str, text: str) -> None:
    table = source.values
    for depth, part in enumerate(path[:-1], start=1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{name}: {'.'.join(path[:depth])} is no section")
    table[path[-1]] = _literal(text)
    source.places[path] = (Path(f"environment variable {name}"), 0)


def _literal(text: str) -> Any:
    """The text as a TOML value when it is one, else as it stands: ``9000``, ``["a"]``, ``hello``."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
