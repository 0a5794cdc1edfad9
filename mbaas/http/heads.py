"""The headers of a request, with what was found out from them alone.

A client sends the same headers with every request. So their bytes are looked up, and a head that came before brings
along what the edge and the modules concluded from it then: nothing that depends on the time, the method or the path.
"""

from __future__ import annotations

from typing import Any

from mbaas.http.respond import Header, Scope

MAX_KNOWN = 2000
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

    def get(self, block: bytes) -> Head | None:
        return self._known.get(block)

    def add(self, block: bytes, head: Head) -> None:
        """Keeps what a parser read from these bytes."""
        if len(block) <= MAX_BYTES:
            if len(self._known) >= MAX_KNOWN:  # the older half goes
                self._known = dict(list(self._known.items())[MAX_KNOWN // 2 :])
            self._known[block] = head
