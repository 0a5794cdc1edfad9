"""TOML values into structs. Every fault is told with its own file, line and key, and a way to mend it."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from mbaas.config.places import KeyPath
from mbaas.config.source import Source, Variable, literal
from mbaas.core.errors import ConfigError

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
_FIXES = {
    "int": "digits without quotes: 8000",
    "float": "a number without quotes: 2.5",
    "str": 'text stands in quotes: "..."',
    "bool": "true or false, without quotes",
}
_EXPECTED = re.compile(r"^Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`$")
_RANGE = re.compile(r"^Expected `\w+` (?P<bound>[<>]=? .+)$")


class Shape:
    """One source being turned into structs; ``errors`` has what was wrong, in the order of the files."""

    def __init__(self, source: Source, errors: list[ConfigError]) -> None:
        self._source = source
        self._errors = errors

    def struct(self, path: KeyPath, value: Any, kind: type[Any]) -> Any:
        """An instance of ``kind``, or None when something in it was wrong."""
        if isinstance(value, Variable):
            value = literal(value.text)
        if not isinstance(value, dict):
            return self._wrong(
                path, f"is a table, not {_word(value)}", f"{path[-1]} = {{ ... }}, or [{'.'.join(path)}]"
            )
        before = len(self._errors)
        known = {field.name: field for field in msgspec.structs.fields(kind)}
        made = {}
        for key, item in value.items():
            if key in known:
                made[key] = self.value((*path, key), item, known[key].type)
            else:
                self._wrong((*path, key), "unknown key", nearest(key, known))
        for field in known.values():
            if field.required and field.name not in value:
                self._wrong(path, f"needs `{field.name}`", f"{field.name} = ...")
        return kind(**made) if len(self._errors) == before else None

    def table(self, path: KeyPath, value: Any, kind: Any) -> dict[str, Any]:
        """A table of things of one kind, without those that were wrong."""
        if isinstance(value, Variable):
            value = literal(value.text)
        if not isinstance(value, dict):
            self._wrong(path, f"is a table of tables, not {_word(value)}", f"[{'.'.join(path)}.<name>]")
            return {}
        made = {key: self.value((*path, key), item, kind) for key, item in value.items()}
        return {key: item for key, item in made.items() if item is not None}

    def value(self, path: KeyPath, value: Any, kind: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(path, value, kind)
        if get_origin(kind) is dict:
            return self.table(path, value, get_args(kind)[1])
        if get_origin(kind) is tuple:
            return self._list(path, value, get_args(kind)[0])
        return self._scalar(path, value, kind)

    def _list(self, path: KeyPath, value: Any, kind: Any) -> tuple[Any, ...]:
        if isinstance(value, Variable):
            value = literal(value.text)
        if not isinstance(value, list):
            self._wrong(path, f"needs a list, not {_word(value)}", f'{path[-1]} = ["...", "..."]')
            return ()
        return tuple(self.value((*path, str(number)), item, kind) for number, item in enumerate(value))

    def _scalar(self, path: KeyPath, value: Any, kind: Any) -> Any:
        if kind is Any:
            return _plain(value)
        names, choices = _scalars(kind)
        given = isinstance(value, Variable)
        if isinstance(value, Variable):
            # Text is taken as it stands, so a password of digits, or in quotes, stays what it is.
            value = value.text if "str" in names or choices else literal(value.text)
        if choices and value not in choices:
            return self._wrong(path, "is none of its values", nearest("" if given else str(value), choices))
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            fix = next((_FIXES[name] for name in names if name in _FIXES), None)
            message = str(error)
            if found := _EXPECTED.match(message):
                wanted = " or ".join(_WORDS.get(name, name) for name in found["wanted"].split(" | ") if name != "null")
                message = f"needs {wanted}, not {_word(value)}"
            elif found := _RANGE.match(message):
                message, fix = "is out of range", f"a number {found['bound']}"
            return self._wrong(path, message, fix)

    def _wrong(self, path: KeyPath, message: str, hint: str | None) -> None:
        self._errors.append(self._source.error(path, message, hint=hint))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """``did you mean ...?`` when one of the names is near, else what there is."""
    names = list(known)
    found = get_close_matches(name, names, n=1)
    if found:
        return f"did you mean {found[0]!r}?"
    return "one of " + ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else None


def _plain(value: Any) -> Any:
    """A value of any kind, with the texts of variables inside of it."""
    if isinstance(value, Variable):
        return literal(value.text) if value.override else value.text
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _scalars(kind: Any) -> tuple[list[str], tuple[Any, ...]]:
    """The scalar types that a kind takes, by name, and the values when it is a choice."""
    if get_origin(kind) is Annotated:
        return _scalars(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return [], get_args(kind)
    if get_origin(kind) in {Union, types.UnionType}:
        names = [name for part in get_args(kind) for name in _scalars(part)[0]]
        return [name for name in names if name != "NoneType"], ()
    return [getattr(kind, "__name__", "")], ()


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return _WORDS.get(type(value).__name__, "a date or time")
