"""Reading the grammar of names and JSON paths from left to right, once.

Every pattern here is possessive (``++``, ``*+``): it never gives a character back, so hostile text costs linear time.
"""

from __future__ import annotations

import re

from mbaas.core.query.errors import QuerySyntax, QueryTooComplex
from mbaas.core.query.limits import Limits
from mbaas.core.query.types import Path

_SPACE = re.compile(r"[ \t\r\n]*+")
_NAME = re.compile(r"[\w $]++(?:-(?!>)[\w $]++)*")
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_KEY = re.compile(r"(?:[^\-:.,>()]++|-(?!>)|:(?!:))+")
_INDEX = re.compile(r"-?[0-9]++", re.ASCII)

_LARGEST_INDEX = 2**31 - 1  # PostgreSQL takes an integer there


def unescape(text: str) -> str:
    """The inside of a quoted text, each backslash taken off.

    >>> unescape('a\\\\"b')
    'a"b'
    """
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


class Scanner:
    """A text and how far it is read. ``what``: how an error calls the text. ``shift``: columns to add in errors."""

    __slots__ = ("at", "limits", "shift", "text", "what")

    def __init__(self, text: str, what: str, limits: Limits, *, shift: int = 0) -> None:
        self.text = text
        self.what = what
        self.limits = limits
        self.shift = shift
        self.at = 0

    def fail(self, expecting: str, at: int | None = None) -> QuerySyntax:
        """The error for what stands at ``at``, or here."""
        position = self.at if at is None else at
        mark = "'" if "end of input" in expecting else '"'  # as PostgREST's parser happens to say it
        found = mark + self.text[position] + mark if position < len(self.text) else "end of input"
        return QuerySyntax(
            self.what, self.text, position, f"unexpected {found} expecting {expecting}", shift=self.shift
        )

    def skip(self) -> None:
        """Past white space."""
        found = _SPACE.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def sees(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def take(self, text: str) -> bool:
        """Past ``text``, if it stands here."""
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def quoted(self) -> str | None:
        """A quoted text if a whole one stands here."""
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return unescape(found[1])

    def closed(self) -> str:
        """A quoted text, which must have its end."""
        text = self.quoted()
        if text is None:
            raise self.fail('"\\""', len(self.text))
        return text

    def name(self, expecting: str = "field name (* or [a..z0..9_$])") -> str:
        """A name: quoted, or letters, digits, ``_ $``, spaces and dashes inside."""
        start = self.at
        if self.sees('"'):
            name = self.closed()
        else:
            found = _NAME.match(self.text, start)
            name = found[0].strip() if found is not None else ""
            if found is not None:
                self.at = found.end()
            if "-" in name and " " in name:
                name = "-".join(part.strip() for part in name.split("-"))
        if not name:
            raise self.fail(expecting, start)
        return name

    def path(self) -> Path:
        """A name and the JSON steps after it: ``data->a->0->>b``."""
        name = self.name()
        return Path(name, self.steps()) if self.sees("->") else Path(name)

    def steps(self) -> tuple[tuple[str | int, bool], ...]:
        steps: list[tuple[str | int, bool]] = []
        while self.take("->"):
            if steps and steps[-1][1]:
                raise self.fail('"->>" only as the last step', self.at - 2)
            as_text = self.take(">")
            steps.append((self._operand(), as_text))
            if len(steps) > self.limits.json_depth:
                raise QueryTooComplex(f"a JSON path has more than {self.limits.json_depth} steps")
        return tuple(steps)

    def _operand(self) -> str | int:
        """What an arrow points at: a quoted key, an index (``-?`` and digits, nothing else) or a key."""
        start = self.at
        if self.sees('"'):
            return self.closed()
        found = _KEY.match(self.text, start)
        key = found[0].strip() if found is not None else ""
        if found is None or not key:
            raise self.fail('"-", digit or any non reserved character different from: .,>()', start)
        self.at = found.end()
        if _INDEX.fullmatch(key):
            if len(key) > 11 or abs(int(key)) > _LARGEST_INDEX:
                raise self.fail("an index below 2147483648", start)
            return int(key)
        if key.startswith("-"):
            raise self.fail("digit", start + found[0].index("-") + 1)
        return key
