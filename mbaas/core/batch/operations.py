"""The body of a batch: operations in order, each a request of the REST dialect, whose references all point back."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

import msgspec

from mbaas.core.batch.references import Results, Steps, Template, fill_body, misplaced, parse_template, references
from mbaas.core.errors import BodyInvalid, TooLarge
from mbaas.core.query.errors import ReferenceInvalid
from mbaas.core.query.limits import DEFAULT_LIMITS, Limits

HEADERS = frozenset({"accept", "accept-profile", "content-profile", "prefer", "range", "range-unit"})
"""What an operation may say by a header. Who asks, and whether for the first time, is said once for all of them."""

_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}")
_IN_A_PATH = "/%:@!$&'()*+,;=-._~"


class _Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    id: str | None = None
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw()


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    operations: list[_Given]


_DECODER = msgspec.json.Decoder(_Batch)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One request. id: as given, else its position. path: below ``/rest/v1``, encoded. body: JSON, or nothing."""

    id: str
    method: str
    path: str
    query: Template
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def fill(self, results: Results, limits: Limits) -> tuple[bytes, bytes]:
        """Query string and body with the values that they refer to. Raises ReferenceInvalid, TooLarge."""
        body = fill_body(self.body, results, max_bytes=limits.max_body, depth=limits.json_depth + 1)
        return self.query.fill(results).encode(), body


def parse_batch(body: bytes, *, most: int, limits: Limits = DEFAULT_LIMITS) -> tuple[Operation, ...]:
    """All operations. most: as many there may be. Raises BodyInvalid, TooLarge, ReferenceInvalid.

    >>> parse_batch(b'{"operations":[{"method":"DELETE","path":"/posts?id=eq.1"}]}', most=1)[0].path
    '/posts'
    """
    try:
        body.decode()
        given = _DECODER.decode(body).operations
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        form = 'it looks like {"operations": [{"method": "POST", "path": "/posts", "body": {}}]}'
        raise BodyInvalid("The body is no batch", details=str(error)[:500], hint=form) from error
    if not given:
        raise BodyInvalid("The batch has no operations")
    if len(given) > most:
        raise TooLarge(f"A batch has at most {most} operations", hint="send it in smaller parts")
    known: set[str] = set()
    operations = []
    for index, one in enumerate(given):
        operation = _operation(one, index, limits)
        if operation.id in known:
            raise BodyInvalid(f"Two operations have the id '{operation.id}'")
        _check_references(one, operation, known, index, limits)
        known.add(operation.id)
        operations.append(operation)
    return tuple(operations)


def _operation(given: _Given, index: int, limits: Limits) -> Operation:
    where = f"operations[{index}]"
    if given.id is not None and not _ID.fullmatch(given.id):
        hint = "at most 64 letters, digits, _ and -, the first a letter"
        raise BodyInvalid(f"{where}.id cannot be used as one", hint=hint)
    path, _, query = given.path.partition("?")
    if not path.startswith("/") or "#" in given.path:
        raise BodyInvalid(f"{where}.path is no path below /rest/v1", hint="like /posts?id=eq.1 or /rpc/add")
    if len(given.path) > limits.max_url:
        raise TooLarge(f"{where}.path is longer than {limits.max_url} bytes")
    headers = {name.lower(): value for name, value in given.headers.items()}
    for name, value in headers.items():
        if name not in HEADERS:
            raise BodyInvalid(f"{where}.headers: '{name[:64]}' means nothing there", hint="one of " + _listed())
        if not _HEADER_VALUE.fullmatch(value):
            raise BodyInvalid(f"{where}.headers: the value of '{name}' is no header's")
    if given.method in ("GET", "DELETE") and bytes(given.body):
        raise BodyInvalid(f"{where}: {given.method} takes no body")
    return Operation(
        id=given.id if given.id is not None else str(index),
        method=given.method,
        path=quote(path, safe=_IN_A_PATH),
        query=parse_template(query),
        headers=tuple(headers.items()),
        body=bytes(given.body),
    )


def _check_references(given: _Given, operation: Operation, earlier: set[str], index: int, limits: Limits) -> None:
    query = given.path.partition("?")[2]
    for steps in misplaced(query):
        if steps[0] in earlier:
            raise ReferenceInvalid(
                f"operations[{index}].path: '{'.'.join(steps)}' stands where no value does",
                hint="a reference is the whole value of eq, neq, gt, gte, lt or lte, or an element of in",
            )
    wanted: list[Steps] = [*operation.query.references, *references(operation.body, depth=limits.json_depth + 1)]
    for steps in wanted:
        if steps[0] not in earlier:
            raise ReferenceInvalid(
                f"operations[{index}] refers to '{steps[0][:64]}', which is no earlier operation",
                hint="only results of operations before it are there; a literal brace in a path is written %7B",
            )


def _listed() -> str:
    return ", ".join(sorted(HEADERS))
