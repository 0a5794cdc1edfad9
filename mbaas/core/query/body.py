"""A request's body: checked here, read by PostgreSQL.

The caller's own bytes travel on as they are, so numbers keep every digit and nothing is built that nobody reads: only
the keys of the rows become Python objects. CSV and forms become JSON first.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from mbaas.core.errors import BodyInvalid, QueryError, TooLarge
from mbaas.core.query.headers import BodyKind
from mbaas.core.query.limits import DEFAULT_LIMITS, Limits
from mbaas.core.query.parse import split_query
from mbaas.core.query.types import Payload

_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)

_MOST_COLUMNS = 1600  # a PostgreSQL table has no more
_SHORT_BODY = 4096  # bytes; the keys of a longer one are not worth keeping
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*"', re.DOTALL)
_BRACKET, _BRACE = b"[{"  # as numbers they are counted twice as fast
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

_Row = dict[str, msgspec.Raw]


def parse_insert(
    body: bytes,
    kind: BodyKind = "json",
    *,
    columns: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Payload:
    """The rows of a POST or PUT as a JSON array.

    columns: of the query string; then rows may differ in their keys and other keys are left out. Raises BodyInvalid,
    TooLarge.

    >>> parse_insert(b'{"a":1e400}')
    Payload(text='[{"a":1e400}]', columns=('a',), rows=1)
    """
    text = _rows_as_json(body, kind, limits)
    decoded, rows, single, shared = _decode_rows(text, limits)
    named = _columns(shared) if columns is None else _distinct(columns)
    return Payload(f"[{decoded}]" if single else decoded, named, len(rows))


def parse_update(
    body: bytes,
    kind: BodyKind = "json",
    *,
    columns: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Payload:
    """The one object of a PATCH. ``{}``, ``[]`` and ``[{}]`` set nothing. Raises BodyInvalid, TooLarge.

    >>> parse_update(b'[{"b":2,"a":1}]')
    Payload(text='{"b":2,"a":1}', columns=('a', 'b'), rows=1)
    """
    text = _rows_as_json(body, kind, limits)
    decoded, rows, single, shared = _decode_rows(text, limits)
    if len(rows) > 1:
        raise BodyInvalid("An update takes one object, not an array of several")
    if not rows:
        return Payload("{}", (), 0)
    named = _columns(shared) if columns is None else _distinct(columns)
    return Payload(decoded if single else bytes(_ELEMENTS.decode(text)[0]).decode(), named, 1)


def parse_call(body: bytes, kind: BodyKind = "json", *, limits: Limits = DEFAULT_LIMITS) -> Payload:
    """The arguments of a function called by POST; no body is no argument.

    A text, bytes (in PostgreSQL's hexadecimal form) or JSON that is no object comes back without names: only a function
    of one unnamed argument can take it. Raises BodyInvalid, TooLarge.

    >>> parse_call(b'{"b":1,"a":2}').columns
    ('a', 'b')
    """
    _check_size(body, limits)
    if kind == "text":
        return Payload(_text(body))
    if kind == "bytes":
        return Payload("\\x" + body.hex())
    if kind == "form":
        body = _form_as_json(body, limits)
    elif kind == "csv":
        raise BodyInvalid("Content-Type not acceptable: text/csv")
    if not body.strip():
        return Payload("{}", (), 1)
    if body.lstrip()[:1] == b"{":
        decoded, _, _, shared = _decode_rows(body, limits)
        return Payload(decoded, _columns(shared), 1)
    return Payload(_check_text(body, _ANY, limits))


# --- JSON ------------------------------------------------------------------------------------------------------------


def _decode_rows(body: bytes, limits: Limits) -> tuple[str, list[_Row], bool, tuple[str, ...] | None]:
    """A JSON text, its objects, whether it was a single one, not an array, and what ``_check_rows`` gives."""
    single = not body.startswith(b"[") and body.lstrip()[:1] != b"["
    decoded = _check_text(body, None, limits)
    try:
        rows = [_ROW.decode(body)] if single else _ROWS.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise _invalid(error, single) from error
    return decoded, rows, single, _check_rows(body, rows, limits, single)


def _check_text(body: bytes, decoder: msgspec.json.Decoder[Any] | None, limits: Limits) -> str:
    """What holds for any JSON: UTF-8, no NUL, no half of a surrogate pair; with a decoder, that it is JSON at all."""
    try:
        decoded = body.decode()
    except UnicodeDecodeError as error:
        raise BodyInvalid("Empty or invalid json", details="it is not UTF-8") from error
    if "\\" in decoded and _SUSPECT.search(body):
        _check_escapes(body)
    if decoder is not None:
        try:
            decoder.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _invalid(error, True) from error
        if _deeper(body, limits.json_depth):
            raise _too_deep(limits)
    return decoded


def _check_escapes(body: bytes) -> None:
    """PostgreSQL's text holds neither U+0000 nor half a surrogate pair, so JSON may not spell them either."""
    expected_at = None  # where the second half of a pair must stand
    for found in _ESCAPE.finditer(body):
        code = int(found[1], 16) if found[1] is not None else -1
        if code == 0:
            raise BodyInvalid("Empty or invalid json", details="\\u0000 cannot be stored as text")
        second = 0xDC00 <= code <= 0xDFFF
        if second != (found.start() == expected_at) or (expected_at is not None and not second):
            raise _half_a_pair()
        expected_at = found.end() if 0xD800 <= code <= 0xDBFF else None
    if expected_at is not None:
        raise _half_a_pair()


def _half_a_pair() -> BodyInvalid:
    return BodyInvalid("Empty or invalid json", details="half of a surrogate pair is no character")


def _check_rows(body: bytes, rows: list[_Row], limits: Limits, single: bool) -> tuple[str, ...] | None:
    """How deep the values are, and that no row names a key twice. Gives the keys that all have, ``None`` when they
    differ.

    A key given twice is gone once decoded, but it took room: where the decoded parts, written without a space, are as
    long as the body, there was none. Nor where they are the body when they are written with spaces, as ``json.dumps``
    does it. Only what is written in another way is read again by ``json``. Inside a value a double is PostgreSQL's to
    judge: jsonb keeps the last.
    """
    if single:
        keys, values = _keys_of(rows[0], body), rows[0].values()
        shared: tuple[str, ...] | None = keys.named
        plain = keys.room + sum(map(len, values)) == len(body) or keys.spaced % tuple(values) == body
    else:
        shared, plain = _plain_rows(body, rows)
    if not plain:
        _refuse_doubles(body, single)
    allowed = limits.json_depth - 1  # the row itself is one
    if body.count(_BRACKET) + body.count(_BRACE) - len(rows) - (not single) > allowed:
        inner = 2 * allowed  # a value as deep as is allowed has this many brackets
        for row in rows:
            if row and max(map(len, row.values())) > inner:
                for value in row.values():
                    if len(value) > inner and _deeper(bytes(value), allowed):
                        raise _too_deep(limits)
    return shared


def _plain_rows(body: bytes, rows: list[_Row]) -> tuple[tuple[str, ...] | None, bool]:
    """Of an array: see ``_check_rows``, and whether it is written in one of the two ways."""
    length = len(rows) + 1
    names: Any = None
    keys = _NO_KEYS
    of_each = []
    alike = True
    for row in rows:
        if row.keys() != names:
            alike = names is None
            names = row.keys()
            keys = _keys_of(row, body)
        of_each.append(keys)
        length += keys.room + sum(map(len, row.values()))
    plain = length == len(body)
    if not plain:
        spaced = [keys.spaced % tuple(row.values()) for keys, row in zip(of_each, rows, strict=True)]
        plain = b"[%b]" % b", ".join(spaced) == body
    return keys.named if alike else None, plain


class _Keys(msgspec.Struct, frozen=True):
    """Of a row. named: sorted. room: what they take of it, written without a space. spaced: the row, to be filled."""

    named: tuple[str, ...]
    room: int
    spaced: bytes


_NO_KEYS = _Keys((), 0, b"{}")


def _keys_of(row: _Row, body: bytes) -> _Keys:
    return _kept_keys(tuple(row)) if len(body) <= _SHORT_BODY else _new_keys(tuple(row))


def _new_keys(names: tuple[str, ...]) -> _Keys:
    written = [name.encode() for name in names]
    room = sum(map(len, written)) + 4 * len(names) + 1 + (not names)
    spaced = b"{%b}" % b", ".join([b'"%b": %%b' % name.replace(b"%", b"%%") for name in written])
    return _Keys(tuple(sorted(names)), room, spaced)


_kept_keys = functools.lru_cache(maxsize=500)(_new_keys)  # clients send the same ones again and again


def _refuse_doubles(body: bytes, single: bool) -> None:
    try:
        rows = json.loads(body, object_pairs_hook=list, parse_float=str, parse_int=str)
    except RecursionError as error:
        raise BodyInvalid("Empty or invalid json", details="nested too deep") from error
    for pairs in [rows] if single else rows:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BodyInvalid("Empty or invalid json", details=f"an object has the key '{name[:63]}' twice")
            seen.add(name)


def _deeper(text: bytes, limit: int) -> bool:
    """Whether arrays and objects of a JSON text stand in each other more than ``limit`` deep."""
    if text.count(b"[") + text.count(b"{") <= limit:
        return False
    depth = 0
    for byte in _STRING.sub(b"", text).translate(None, _NO_BRACKETS):
        if byte in b"[{":
            depth += 1
            if depth > limit:
                return True
        else:
            depth -= 1
    return False


def _columns(shared: tuple[str, ...] | None) -> tuple[str, ...]:
    """The keys that all rows have; they must have the same ones."""
    if shared is None:
        raise BodyInvalid("All object keys must match")
    return _few(shared)


def _distinct(names: Any) -> tuple[str, ...]:
    """Sorted, each once: equal sets of keys give equal statements."""
    return _few(tuple(sorted(set(names))))


def _few(named: tuple[str, ...]) -> tuple[str, ...]:
    if len(named) > _MOST_COLUMNS:
        raise BodyInvalid(f"An object has more than {_MOST_COLUMNS} keys")
    return named


def _invalid(error: Exception, single: bool) -> BodyInvalid:
    if isinstance(error, msgspec.ValidationError) and not single:
        return BodyInvalid("All object keys must match", details=str(error))
    return BodyInvalid("Empty or invalid json", details=str(error))


def _too_deep(limits: Limits) -> BodyInvalid:
    return BodyInvalid("Empty or invalid json", details=f"nested deeper than {limits.json_depth}")


# --- other kinds -----------------------------------------------------------------------------------------------------


def _rows_as_json(body: bytes, kind: BodyKind, limits: Limits) -> bytes:
    _check_size(body, limits)
    if kind == "json":
        return body
    if kind == "csv":
        return _csv_as_json(body)
    if kind == "form":
        return _form_as_json(body, limits)
    raise BodyInvalid(f"Content-Type not acceptable: {'text/plain' if kind == 'text' else 'application/octet-stream'}")


def _check_size(body: bytes, limits: Limits) -> None:
    if len(body) > limits.max_body:
        raise TooLarge(f"The body is longer than {limits.max_body} bytes")


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BodyInvalid("The body is not UTF-8") from error
    if "\0" in text:
        raise BodyInvalid("The body holds a NUL character")
    return text


def _csv_as_json(body: bytes) -> bytes:
    """RFC 4180 with a header line. ``NULL`` is null, all else a text that PostgreSQL reads by the field's type."""
    try:
        header, *lines = [line for line in csv.reader(io.StringIO(_text(body), newline=""), strict=True) if line]
    except (csv.Error, ValueError) as error:
        raise BodyInvalid(
            "Empty or invalid csv", details=str(error) if isinstance(error, csv.Error) else None
        ) from error
    if len(set(header)) != len(header):
        raise BodyInvalid("Empty or invalid csv", details="two columns have one name")
    if any(len(line) != len(header) for line in lines):
        raise BodyInvalid("All lines must have same number of fields")
    rows = [
        {name: None if value == "NULL" else value for name, value in zip(header, line, strict=True)} for line in lines
    ]
    return msgspec.json.encode(rows)


def _form_as_json(body: bytes, limits: Limits) -> bytes:
    """``application/x-www-form-urlencoded`` (WHATWG URL section 5) as one object of texts."""
    try:
        pairs = split_query(body, msgspec.structs.replace(limits, max_url=limits.max_body))
    except QueryError as error:
        raise BodyInvalid("Empty or invalid form", details=error.details) from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BodyInvalid("Empty or invalid form", details="a field is given twice")
    return msgspec.json.encode(fields)
