"""What is worth telling, as values. One ``Observe`` takes them all; logs and metrics choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec


class QueryRan(msgspec.Struct, frozen=True):
    """One statement was answered. ``duration_ms`` counts from the call to the last byte, waiting included."""

    sql: str
    duration_ms: float


class DatabaseLost(msgspec.Struct, frozen=True):
    """A connection, or the whole server, went away."""

    reason: str


class DatabaseBack(msgspec.Struct, frozen=True):
    """The first connection after a loss stands. ``down_ms``: how long there was none."""

    down_ms: float


class HookFailed(msgspec.Struct, frozen=True):
    """A hook raised where its failure does not change the answer."""

    hook: str
    event: str
    error: str


class SecurityEvent(msgspec.Struct, frozen=True):
    """Something an operator wants to see: a replayed refresh token, a refused key."""

    kind: str
    subject: str
    detail: str = ""


class MigrationStepBegan(msgspec.Struct, frozen=True):
    """A migration comes to its next step. ``number`` counts from 1 to ``of``."""

    title: str
    number: int
    of: int


class MigrationWaits(msgspec.Struct, frozen=True):
    """Somebody holds what a migration needs; it lets everyone pass and tries again."""

    title: str
    attempt: int


Observation: TypeAlias = (
    QueryRan | DatabaseLost | DatabaseBack | HookFailed | SecurityEvent | MigrationStepBegan | MigrationWaits
)
Observe: TypeAlias = Callable[[Observation], None]


def ignore(_: Observation) -> None:
    """An ``Observe`` that tells nobody."""
