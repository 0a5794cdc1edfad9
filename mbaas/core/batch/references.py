"""References to earlier results: ``{"$ref": "post.0.id"}`` in a body, ``{post.0.id}`` as a filter's value in a path.

The first word names an operation, the others lead into the body of its answer. What is put in a path is encoded and,
where the grammar has separators, quoted, so that a value never becomes syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import msgspec

from mbaas.core.errors import BodyInvalid, TooLarge
from mbaas.core.query.errors import ReferenceInvalid, shorten

Steps: TypeAlias = tuple[str, ...]
"""The operation, then keys and positions."""

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[^.{}]{1,200})*+")
_TEMPLATE = re.compile(r"\{([A-Za-z0-9_-]{1,64}(?:\.[^.{}&=]{1,200})++)\}")
_SCALAR = r"(?:eq|neq|gt|gte|lt|lte)\."
_WHOLE = re.compile(rf"(?:not\.)?{_SCALAR}")  # what stands before a value that goes on to the end
_BEFORE = re.compile(rf"(?:\A|[.,(])(?:{_SCALAR}|in\.\((?:[^(),]*+,)*+)\Z")  # and before one that ends at a separator
_LIST = re.compile(r"(?:not\.)?in\.\(.*\)", re.DOTALL)
# What is no name of a field at the end of a key. A filter could be called so in quotes, which a template rules out.
_TREES = frozenset({"and", "or"})
_WORDS = frozenset("select columns on_conflict order limit offset cursor search near within distance having".split())
_LARGEST_INDEX_DIGITS = 9
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SPACE = b" \t\r\n"
_REF, _RAW = "$ref", "$raw"


class Results:
    """The bodies of the answers so far, by operation. What is looked into is taken apart once."""

    def __init__(self) -> None:
        self._known: dict[Steps, bytes] = {}
        self._inside: dict[Steps, Any] = {}

    def add(self, operation: str, body: bytes) -> None:
        """body: JSON, or nothing."""
        self._known[operation,] = body

    def value(self, steps: Steps) -> bytes:
        """What stands there, as JSON, spelled as the answer spells it. Raises ReferenceInvalid."""
        found = self._known.get(steps)
        if found is None:
            found = self._known[steps] = self._step(steps)
        return found

    def _step(self, steps: Steps) -> bytes:
        if len(steps) == 1:
            raise ReferenceInvalid(f"there is no operation '{steps[0]}'")
        outer, step = steps[:-1], steps[-1]
        if outer not in self._inside:
            self._inside[outer] = _apart(self.value(outer))
        inside = self._inside[outer]
        found: msgspec.Raw | None = None
        if isinstance(inside, dict):
            found = inside.get(step)
        elif isinstance(inside, list) and step.isdecimal() and step.isascii() and len(step) <= _LARGEST_INDEX_DIGITS:
            found = inside[int(step)] if int(step) < len(inside) else None
        if found is None:
            raise ReferenceInvalid(
                f"the answer of '{steps[0]}' has nothing at '{shorten('.'.join(steps[1:]))}'",
                hint="a write answers with its rows when asked by Prefer: return=representation",
            )
        return bytes(found)


def _apart(body: bytes) -> Any:
    first = body.lstrip(_SPACE)[:1]
    if first == b"{":
        return _FIELDS.decode(body)
    return _ITEMS.decode(body) if first == b"[" else None


def parse_reference(text: str) -> Steps:
    """Raises ReferenceInvalid.

    >>> parse_reference("post.0.id")
    ('post', '0', 'id')
    """
    if not _REFERENCE.fullmatch(text):
        raise ReferenceInvalid(f"'{shorten(text)}' is no reference", hint='one looks like "post.0.id"')
    return tuple(text.split("."))


# --- in bodies -------------------------------------------------------------------------------------------------------


def references(body: bytes, *, depth: int) -> Iterator[Steps]:
    """All references of a body. depth: levels it may have. Raises ReferenceInvalid, BodyInvalid."""
    if _has_some(body):
        _refuse_doubles(body)
        yield from _found(body, depth)


def _has_some(body: bytes) -> bool:
    return b'"$r' in body


def _found(raw: bytes, depth: int) -> Iterator[Steps]:
    inside = _opened(raw, depth)
    if isinstance(inside, dict):
        named = _reference(inside)
        if named is not None:
            yield named
        elif inside.keys() != {_RAW}:
            for value in inside.values():
                yield from _found(bytes(value), depth - 1)
    elif inside is not None:
        for value in inside:
            yield from _found(bytes(value), depth - 1)


def fill_body(body: bytes, results: Results, *, max_bytes: int, depth: int) -> bytes:
    """The body with the values that it refers to. What it does not refer to is spelled as it came.

    ``{"$raw": …}`` stands for what is in it, untouched. Raises ReferenceInvalid, TooLarge.

    >>> results = Results()
    >>> results.add("post", b'[{"id":1.50}]')
    >>> fill_body(b'{"post":{"$ref":"post.0.id"},"meta":{"$raw":{"$ref":1}}}', results, max_bytes=99, depth=9)
    b'{"post":1.50,"meta":{"$ref":1}}'
    """
    if not _has_some(body):
        return body
    parts: list[bytes] = []
    left = max_bytes
    for part in _filled(body, results, depth):
        left -= len(part)
        if left < 0:
            raise TooLarge(f"The body, with what it refers to, is longer than {max_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


def _filled(raw: bytes, results: Results, depth: int) -> Iterator[bytes]:
    inside = _opened(raw, depth)
    if inside is None:
        yield raw
    elif isinstance(inside, list):
        for number, value in enumerate(inside):
            yield b"," if number else b"["
            yield from _filled(bytes(value), results, depth - 1)
        yield b"]" if inside else b"[]"
    elif (named := _reference(inside)) is not None:
        yield results.value(named)
    elif inside.keys() == {_RAW}:
        yield bytes(inside[_RAW])
    else:
        for number, (name, value) in enumerate(inside.items()):
            yield b"," if number else b"{"
            yield msgspec.json.encode(name) + b":"
            yield from _filled(bytes(value), results, depth - 1)
        yield b"}" if inside else b"{}"


def _opened(raw: bytes, depth: int) -> Any:
    """Its fields or items, when it is one that may hold a reference."""
    if not _has_some(raw) or raw.lstrip(_SPACE)[:1] not in (b"{", b"["):
        return None
    if depth <= 0:
        raise BodyInvalid("Empty or invalid json", details="nested too deep")
    return _apart(raw)


def _reference(fields: dict[str, msgspec.Raw]) -> Steps | None:
    if fields.keys() != {_REF}:
        return None
    text = msgspec.json.decode(fields[_REF])
    if not isinstance(text, str):
        raise ReferenceInvalid("a $ref is a text", hint='one looks like "post.0.id"')
    return parse_reference(text)


def _refuse_doubles(body: bytes) -> None:
    def once(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) != len(pairs):
            raise BodyInvalid("Empty or invalid json", details="an object has a key twice")

    try:
        json.loads(body, object_pairs_hook=once, parse_float=str, parse_int=str)
    except (RecursionError, ValueError) as error:
        raise BodyInvalid("Empty or invalid json", details="nested too deep, or no JSON") from error


# --- in paths --------------------------------------------------------------------------------------------------------


class Template(msgspec.Struct, frozen=True):
    """A query string with places for values. parts: literal text and references in turn. quoted: of each reference."""

    parts: tuple[str | Steps, ...]
    quoted: tuple[bool, ...] = ()

    @property
    def references(self) -> tuple[Steps, ...]:
        return tuple(part for part in self.parts if isinstance(part, tuple))

    def fill(self, results: Results) -> str:
        """Raises ReferenceInvalid for what is no single value."""
        quoted = iter(self.quoted)
        return "".join(
            part if isinstance(part, str) else _as_literal(results.value(part), part, quoted=next(quoted))
            for part in self.parts
        )


def parse_template(query: str) -> Template:
    """A query string, not decoded yet. A percent-encoded brace is never the start of a reference.

    Only a single value of ``eq neq gt gte lt lte`` or an element of ``in`` may be one. Raises ReferenceInvalid.

    >>> parse_template("id=eq.{post.0.id}&limit=1").parts
    ('id=eq.', ('post', '0', 'id'), '&limit=1')
    """
    parts: list[str | Steps] = []
    quoted: list[bool] = []
    literal_from = start = 0
    for pair in query.split("&") if "{" in query else ():
        key, equals, value = pair.partition("=")
        value_at = start + len(key) + len(equals)
        for found in _TEMPLATE.finditer(value):
            place = _place(key, value, found)
            if place is not None:
                parts += (query[literal_from : value_at + found.start()], _steps(found))
                quoted.append(place)
                literal_from = value_at + found.end()
        start += len(pair) + 1
    return Template((*parts, query[literal_from:]), tuple(quoted))


def misplaced(query: str) -> Iterator[Steps]:
    """What looks like a reference where none may stand. It is one only if there is such an operation."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        for found in _TEMPLATE.finditer(value):
            if _place(key, value, found) is None:
                yield _steps(found)


def _steps(found: re.Match[str]) -> Steps:
    return tuple(map(unquote, parse_reference(found[1])))


def _place(key: str, value: str, found: re.Match[str]) -> bool | None:
    """Whether the value has to be quoted there, ``None``: none may stand there."""
    before, after = value[: found.start()], value[found.end() :]
    last = key.rpartition(".")[2]
    if last in _WORDS or "%" in key or '"' in key:
        return None
    if last not in _TREES and not after and _WHOLE.fullmatch(before):
        return False
    separated = last in _TREES or _LIST.fullmatch(value) is not None
    in_quotes = '"' in value or "%22" in value
    if separated and not in_quotes and after[:1] in (",", ")") and _BEFORE.search(before):
        return True
    return None


def _as_literal(raw: bytes, steps: Steps, *, quoted: bool) -> str:
    value = msgspec.json.decode(raw)
    if value is None or isinstance(value, dict | list):
        kind = "null" if value is None else "no single value"
        raise ReferenceInvalid(f"'{shorten('.'.join(steps))}' is {kind}, so it cannot be compared with")
    text = value if isinstance(value, str) else raw.decode().strip()
    if quoted:
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return quote(text, safe="")
