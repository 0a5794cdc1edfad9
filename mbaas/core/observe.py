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


class PostgresExited(msgspec.Struct, frozen=True):
    """Our own PostgreSQL ended without being asked to, or could not be started again."""

    reason: str


class PostgresStarted(msgspec.Struct, frozen=True):
    """It runs again. ``duration_ms``: from the attempt that succeeded until it took connections."""

    duration_ms: float


class HookFailed(msgspec.Struct, frozen=True):
    """A hook raised something other than a refusal, or took too long. trace: the stack, where no error carries it."""

    hook: str
    event: str
    error: str
    trace: str = ""


class HookRested(msgspec.Struct, frozen=True):
    """A hook failed several times in a row and is left alone for a while. ``rest_s``: seconds until the next try."""

    hook: str
    event: str
    rest_s: float


class LoopBlocked(msgspec.Struct, frozen=True):
    """One callback held everything up. held_ms: so far, when it was noticed. where: the stack, innermost first."""

    held_ms: float
    where: str


class SendFailed(msgspec.Struct, frozen=True):
    """Something in the outbox was not taken by its destination; it is tried again. kind: what; never to whom."""

    channel: str
    kind: str
    reason: str
    attempt: int


class SendGivenUp(msgspec.Struct, frozen=True):
    """Something in the outbox will not be sent: refused for good, tried too often, or stale by now."""

    channel: str
    kind: str
    reason: str


class TemplateFailed(msgspec.Struct, frozen=True):
    """A message's template could not be used; the next one in line was."""

    kind: str
    locale: str
    reason: str


class SecurityEvent(msgspec.Struct, frozen=True):
    """Something an operator wants to see: a replayed refresh token, a refused key."""

    kind: str
    subject: str
    detail: str = ""


class SignInFailed(msgspec.Struct, frozen=True):
    """A password or a code was wrong, or nobody's. purpose: which of them. network: where it came from; never whose."""

    purpose: str
    network: str


class CatalogInForce(msgspec.Struct, frozen=True):
    """A migration was applied somewhere, and this server answers by it from now on."""

    revision: int


class CatalogNotTaken(msgspec.Struct, frozen=True):
    """What was applied cannot be understood here; the former catalog is served on."""

    revision: int
    reason: str


class ConfigNotTaken(msgspec.Struct, frozen=True):
    """``mbaas.toml`` was changed and cannot be used. Names file, line and key; nothing of it is in force."""

    reason: str
    hint: str | None = None


class ConfigWaits(msgspec.Struct, frozen=True):
    """``mbaas.toml`` was changed. unapplied: ``mbaas migrate apply`` is to come. restart: sections that need one."""

    unapplied: bool
    restart: tuple[str, ...] = ()


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
    QueryRan
    | DatabaseLost
    | DatabaseBack
    | PostgresExited
    | PostgresStarted
    | HookFailed
    | HookRested
    | LoopBlocked
    | SendFailed
    | SendGivenUp
    | TemplateFailed
    | SecurityEvent
    | SignInFailed
    | CatalogInForce
    | CatalogNotTaken
    | ConfigNotTaken
    | ConfigWaits
    | MigrationStepBegan
    | MigrationWaits
)
Observe: TypeAlias = Callable[[Observation], None]


class Held:
    """An ``Observe`` for while there is nobody to tell: keeps what it hears until there is."""

    def __init__(self) -> None:
        self._observe: Observe | None = None
        self.kept: list[Observation] = []

    def __call__(self, observation: Observation) -> None:
        (self._observe or self.kept.append)(observation)

    def tell(self, observe: Observe) -> None:
        """What was kept, and from now on everything at once."""
        self._observe = observe
        kept, self.kept = self.kept, []
        for observation in kept:
            observe(observation)


def ignore(_: Observation) -> None:
    """An ``Observe`` that tells nobody."""
