"""Where each key of a TOML text stands. ``tomllib`` has read the text before, so it is known to be valid."""

from __future__ import annotations

import re
import tomllib
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str, ...]

_TOKEN = re.compile(
    r"""
      (?P<skip>[ \t\r]+|\#[^\n]*)
    | (?P<string>\"{3}(?:[^\\]|\\.)*?\"{3,5} | '{3}.*?'{3,5} | "(?:[^"\\\n]|\\.)*" | '[^'\n]*')
    | (?P<mark>[\n\[\]{},=.])
    | (?P<bare>[^\s\[\]{},=."'\#]+)
    """,
    re.VERBOSE | re.DOTALL,
)


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line of each key, 1-based; elements of lists are ``("indexes", "0")``.

    >>> lines_of("[server]\\nport = 1\\ncors_origins = [\\n  'a',\\n]")[("server", "cors_origins", "0")]
    4
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []  # kind, text, line
        line = 1
        for found in _TOKEN.finditer(text):
            if found.lastgroup != "skip":
                self._tokens.append((found.lastgroup or "", found[0], line))
            line += found[0].count("\n")
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}  # of [[tables]]

    def read(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._at < len(self._tokens):
            _, text, line = self._tokens[self._at]
            if text == "\n":
                self._at += 1
            elif text == "[":
                table = self._header(line)
            else:
                self._pair(table)
        return self._lines

    def _header(self, line: int) -> KeyPath:
        several = self._tokens[self._at + 1][1] == "["
        self._at += 2 if several else 1
        keys = self._keys("]")
        self._at += 1 if several else 0
        table: KeyPath = ()
        for number, key in enumerate(keys, start=1):
            table = (*table, key)
            if several and number == len(keys):
                self._counts[table] = self._counts.get(table, -1) + 1
                self._lines.setdefault(table, line)
            if table in self._counts:
                table = (*table, str(self._counts[table]))
        for length in range(1, len(table) + 1):
            self._lines.setdefault(table[:length], line)
        return table

    def _pair(self, table: KeyPath) -> None:
        line = self._tokens[self._at][2]
        path = (*table, *self._keys("="))
        for length in range(len(table) + 1, len(path) + 1):
            self._lines.setdefault(path[:length], line)
        self._value(path)

    def _keys(self, end: str) -> KeyPath:
        """The parts of a dotted key, up to and with the mark ``end``."""
        keys: list[str] = []
        while True:
            kind, text, _ = self._tokens[self._at]
            self._at += 1
            if kind == "mark" and text == end:
                return tuple(keys)
            if kind == "string":
                keys.append(tomllib.loads(f"key = {text}")["key"])
            elif kind == "bare":
                keys.append(text)

    def _value(self, path: KeyPath) -> None:
        kind, text, line = self._tokens[self._at]
        self._lines.setdefault(path, line)
        if kind == "mark" and text in "[{":
            self._at += 1
            self._inside(path, "]" if text == "[" else "}")
            return
        # One scalar may be several tokens: 1.5, 1979-05-27 07:32:00.
        while self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind == "mark" and text in "\n,]}":
                return
            self._at += 1

    def _inside(self, path: KeyPath, end: str) -> None:
        index = 0
        while True:
            kind, text, _ = self._tokens[self._at]
            if kind == "mark" and text in {end, ",", "\n"}:
                self._at += 1
                if text == end:
                    return
            elif end == "]":
                self._value((*path, str(index)))
                index += 1
            else:
                self._pair(path)
