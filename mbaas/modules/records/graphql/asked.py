"""What a request asks of GraphQL, before anything of it is read."""

from __future__ import annotations

from typing import Any

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """What a request says. read_only: it may not write, whatever it says. keyed: it came with an Idempotency-Key."""

    query: str
    variables: dict[str, Any]
    operation: str | None = None
    read_only: bool = False
    keyed: bool = False
