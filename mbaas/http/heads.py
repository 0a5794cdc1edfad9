"""The headers of a request, with what was found out from them alone.

A client sends the same headers with every request. So their bytes are looked up, and a head that came before brings
along what the edge and the modules concluded from it then: nothing that depends on the time, the method or the path.
"""

from __future__ import annotations

from typing import Any

from mbaas.http.respond import Header, Scope

MAX_KNOWN = 1000
MAX_BYTES = 4096  # of one head that is worth keeping


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
    found = state.get("head")
    if found is None:
        found = state["head"] = Head(scope["headers"])
    return found  # type: ignore[no-any-return]


class KnownHeads:
    """Heads by their bytes, from the end of the request line to the empty line."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self._with_body: dict[tuple[Header, ...], Head] = {}

    def get(self, block: bytes) -> Head | None:
        return self._known.get(block)

    def of(self, headers: list[Header]) -> Head:
        """The head of a request with a body: known by its fields, but for the length of the body, which it lacks."""
        fields = tuple([header for header in headers if header[0] != b"content-length"])
        found = self._with_body.get(fields)
        if found is None:
            found = Head(list(fields))
            if sum(len(name) + len(value) for name, value in fields) <= MAX_BYTES:
                if len(self._with_body) >= MAX_KNOWN:
                    self._with_body = dict(list(self._with_body.items())[MAX_KNOWN // 2 :])
                self._with_body[fields] = found
        return found

    def add(self, block: bytes, head: Head) -> None:
        """Keeps what a parser read from these bytes."""
        if len(block) <= MAX_BYTES:
            if len(self._known) >= MAX_KNOWN:  # the older half goes
                self._known = dict(list(self._known.items())[MAX_KNOWN // 2 :])
            self._known[block] = head
