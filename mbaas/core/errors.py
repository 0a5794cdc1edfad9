"""One tree of everything we raise on purpose. HTTP and the wire's own codes are decided elsewhere, at the edge.

A message says what was wrong with which input; a hint says what to do. Both are for the caller, so neither holds SQL,
paths, hosts or data of rows the caller may not read.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

Revoked: TypeAlias = Literal["ended", "banned", "deleted"]


class MbaasError(Exception):
    """Base of everything we raise on purpose."""

    code: ClassVar[str] = "internal"  # public and stable; a retired code is never used again

    def __init__(self, message: str, *, hint: str | None = None, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class ConfigError(MbaasError):
    """The configuration cannot be used. Names file, line and key, and how to mend it."""

    code = "config_invalid"


class MigrationError(MbaasError):
    """The schema could not be planned or applied."""

    code = "migration_failed"


class DestructiveChange(MigrationError):
    """The plan would lose data and was not allowed to."""

    code = "migration_destructive"


class QueryError(MbaasError):
    """The request cannot be understood."""

    code = "query_invalid"


class UnknownField(QueryError):
    code = "query_unknown_field"

    @classmethod
    def of(cls, collection: str, field: str) -> UnknownField:
        """In PostgreSQL's own words."""
        return cls(f"column {collection}.{field} does not exist")


class UnknownPayloadField(UnknownField):
    """A body or its ``columns`` name a field that is not there."""

    code = "payload_unknown_field"

    @classmethod
    def of(cls, collection: str, field: str) -> UnknownPayloadField:
        return cls(f"Could not find the '{field}' column of '{collection}' in the schema cache")


class UnknownCollection(MbaasError):
    """No collection of that name is exposed."""

    code = "collection_unknown"

    @classmethod
    def of(cls, name: str, perhaps: str | None = None, *, schema: str = "public") -> UnknownCollection:
        """perhaps: a name so near to it that it may have been meant."""
        hint = None if perhaps is None else f"Perhaps you meant the table '{schema}.{perhaps}'"
        return cls(f"Could not find the table '{schema}.{name}' in the schema cache", hint=hint)


class InvalidValue(QueryError):
    """A value does not fit its type, range or constraint."""

    code = "value_invalid"


class BodyInvalid(QueryError):
    """The body is not what the route takes."""

    code = "body_invalid"


class Unauthenticated(MbaasError):
    """No key or token, or one that does not hold."""

    code = "unauthenticated"


class TokenInvalid(Unauthenticated):
    code = "token_invalid"


class TokenExpired(Unauthenticated):
    code = "token_expired"


class TokenRevoked(TokenInvalid):
    """The token holds and is not good any more. reason: its session has ended, its user is banned or deleted."""

    def __init__(self, reason: Revoked) -> None:
        super().__init__("the token was revoked", hint="sign in again")
        self.reason = reason


class Forbidden(MbaasError):
    """The caller is known and may not do this."""

    code = "forbidden"


class RuleRefused(Forbidden):
    """A row or field rule does not hold for what the caller wanted to write."""

    code = "rule_refused"


class HookRefused(Forbidden):
    """A plugin said no. status: 400 to 499, what the plugin would like HTTP to say."""

    code = "hook_refused"

    def __init__(self, message: str, *, status: int = 400, hint: str | None = None, details: Any = None) -> None:
        if not 400 <= status <= 499:
            raise ValueError(f"a refusal's status is 400 to 499, not {status}")
        super().__init__(message, hint=hint, details=details)
        self.status = status


class HookBroken(MbaasError):
    """A plugin failed where nothing may go on without it. What failed is observed, not told to the caller."""

    code = "hook_failed"


class NotFound(MbaasError):
    """There is no such thing, or none that the caller may see."""

    code = "not_found"


class Conflict(MbaasError):
    """What is there already stands against it."""

    code = "conflict"


class TooLarge(MbaasError):
    """Beyond a size, depth or count limit."""

    code = "too_large"


class IdempotencyKeyInvalid(QueryError):
    code = "idempotency_key_invalid"


class IdempotencyKeyReused(MbaasError):
    """The key came before, with another request."""

    code = "idempotency_key_reused"


class IdempotencyInProgress(Conflict):
    """A request with the same key is being answered."""

    code = "idempotency_in_progress"
    retry_after_s = 1


class RateLimited(MbaasError):
    """Too many requests. ``retry_after_s``: seconds until the next may pass."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Unavailable(MbaasError):
    """The database or another part we need does not answer now; the same request may pass later."""

    code = "unavailable"
    retry_after_s = 1


class SchemaChanged(Unavailable):
    """The schema changed while the request ran; the same request finds the new one."""

    code = "schema_changed"

    def __init__(self) -> None:
        super().__init__("the schema changed while the request ran", hint="try again")


class Overloaded(Unavailable):
    """All that would serve the request is busy, and stayed so for as long as a request may wait."""

    code = "overloaded"


class Undeliverable(MbaasError):
    """A message or call was refused for good: the same again would be refused again."""

    code = "undeliverable"


class Timeout(MbaasError):
    """It took longer than allowed and was cancelled."""

    code = "timeout"


class DatabaseError(MbaasError):
    """PostgreSQL refused a statement.

    sqlstate: five characters (PostgreSQL appendix A). The classes that callers tell apart are its subclasses.
    """

    code = "database_error"

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str,
        details: str | None = None,
        hint: str | None = None,
        table: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.sqlstate = sqlstate
        self.table = table
        self.constraint = constraint


class TransactionConflict(DatabaseError):
    """Another transaction stood in the way: deadlock, serialisation failure, lock not had in time.

    The same request may pass when it is tried again.
    """

    code = "transaction_conflict"
    retry_after_s = 1


class RuleError(ConfigError):
    """A rule's text cannot be understood. ``position``: 1-based column in it, 0 for the whole."""

    code = "rule_invalid"

    def __init__(self, message: str, *, hint: str | None = None, details: Any = None, position: int = 0) -> None:
        super().__init__(message, hint=hint, details=details)
        self.position = position
