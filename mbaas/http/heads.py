"""The headers of a request, with what was found out from them alone.

A client sends the same headers with every request. So their bytes are looked up, and a head that came before brings
along what the edge and the modules concluded from it then: nothing that depends on the time, the method or the path.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

from mbaas.http.respond import Header, Scope

_K = TypeVar("_K")
_T = TypeVar("_T")

MAX_KNOWN = 1000
MAX_BYTES = 4096  # of one head that is worth keeping, and of one request line
MAX_LINES = 2000

_LENGTHS = (b"\r\ncontent-length: ", b"\r\nContent-Length: ")  # as clients write it

Shape: TypeAlias = tuple[bytes, ...]
"""A request line without its literals (``mbaas.core.query.shape.cut``)."""


class Head:
    """headers: in order, as ASGI has them; not to be changed. fields: the last of each name. memo: by who concluded."""

    __slots__ = ("fields", "headers", "memo")

    def __init__(self, headers: list[Header]) -> None:
        self.headers = headers
        self.fields: dict[bytes, bytes] = dict(headers)
        self.memo: dict[Any, Any] = {}


def head_of(scope: Scope) -> Head:
    """The head of this request, made when the server did not know it yet."""
    state = scope.setdefault("state", {})
    found: Head | None = state.get("head")
    if found is None:
        found = state["head"] = Head(scope["headers"])
    return found


class KnownHeads:
    """Heads by their bytes, from the end of the request line to the empty line."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self._with_body: dict[tuple[Header, ...], Head] = {}
        self._blocks: dict[bytes, Head] = {}  # of those, without the digits of their length
        self.lines: dict[tuple[Head, Shape], Any] = {}
        """What was kept of requests with that head whose lines leave that shape."""

    def get(self, block: bytes) -> Head | None:
        return self._known.get(block)

    def keep(self, head: Head, shape: Shape, known: Any) -> None:
        self.lines = _kept(self.lines, (head, shape), known, size=sum(map(len, shape)), most=MAX_LINES)

    def of(self, headers: list[Header]) -> Head:
        """The head of a request with a body: known by its fields, but for the length of the body, which it lacks."""
        fields = tuple([header for header in headers if header[0] != b"content-length"])
        found = self._with_body.get(fields)
        if found is None:
            found = Head(list(fields))
            size = sum(len(name) + len(value) for name, value in fields)
            self._with_body = _kept(self._with_body, fields, found, size=size)
        return found

    def add(self, block: bytes, head: Head) -> None:
        """Keeps what a parser read from these bytes."""
        self._known = _kept(self._known, block, head, size=len(block))

    def with_body(self, data: bytes, end: int) -> tuple[Head, bytes] | None:
        """The head of a request that is here as a whole, known but for the length of its body, and that body.

        end: of the request line in the data.
        """
        cut = _cut(data, end)
        if cut is None:
            return None
        head = self._blocks.get(cut[0])
        return None if head is None else (head, data[cut[1] :])

    def add_with_body(self, data: bytes, end: int, head: Head) -> None:
        """Keeps what a parser read from the head in these bytes, when they are one whole request."""
        cut = _cut(data, end)
        if cut is not None:
            self._blocks = _kept(self._blocks, cut[0], head, size=len(cut[0]))


def _cut(data: bytes, end: int) -> tuple[bytes, int] | None:
    """A head without the digits of its length, and where it ends; ``None`` when the body is not that long."""
    head_end = data.find(b"\r\n\r\n", end) + 4
    for said in _LENGTHS:
        first = data.find(said, end, head_end)
        if first >= 0:
            first += len(said)
            last = data.find(b"\r", first, first + 6)
            digits = data[first:last]
            if last < 0 or not digits.isdigit() or len(data) - head_end != int(digits):
                return None
            return data[end:first] + data[last:head_end], head_end
    return None


def _kept(known: dict[_K, _T], key: _K, value: _T, *, size: int, most: int = MAX_KNOWN) -> dict[_K, _T]:
    """With one more, unless it is too large. size: bytes."""
    if size <= MAX_BYTES:
        if len(known) >= most:  # the older half goes
            known = dict(list(known.items())[most // 2 :])
        known[key] = value
    return known
