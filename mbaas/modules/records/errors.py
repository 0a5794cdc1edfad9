"""Our errors in the words of the REST dialect: PostgREST's codes, statuses and the body of four keys.

The one table of ``/rest/v1``. A class without a line takes its parent's; a code of ``None`` is the class's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from mbaas.core import errors
from mbaas.core.errors import DatabaseError, MbaasError, RateLimited, Unavailable
from mbaas.core.identity import Role
from mbaas.core.plan import errors as plan
from mbaas.core.query import errors as query
from mbaas.core.schema.catalog import Collection
from mbaas.http.errors import MethodNotAllowed
from mbaas.http.errors import status_of as http_status
from mbaas.http.step_up import StepUpRequired
from mbaas.modules.records.sqlstates import Raised, raised_by_author, status_of

TABLE: dict[type[MbaasError], tuple[int, str | None]] = {
    errors.QueryError: (400, "PGRST100"),
    query.CallMethodNotAllowed: (405, "PGRST101"),
    errors.BodyInvalid: (400, "PGRST102"),
    query.RangeInvalid: (416, "PGRST103"),
    query.PutInvalid: (405, "PGRST105"),
    query.UnknownSchema: (406, "PGRST106"),
    query.NotAcceptable: (406, "PGRST107"),
    query.NotEmbedded: (400, "PGRST108"),
    query.PutWindow: (400, "PGRST114"),
    query.PutMismatch: (400, "PGRST115"),
    query.NotSingular: (406, "PGRST116"),
    query.MethodNotAllowed: (405, "PGRST117"),
    MethodNotAllowed: (405, "PGRST117"),
    query.OrderNotToOne: (400, "PGRST118"),
    query.EmbedFilterInvalid: (400, "PGRST120"),
    query.PreferenceInvalid: (400, "PGRST122"),
    query.AggregatesOff: (400, "PGRST123"),
    query.MaxAffectedExceeded: (400, "PGRST124"),
    query.UnknownPath: (404, "PGRST125"),
    query.Unsupported: (400, "PGRST127"),
    query.MaxAffectedUnsupported: (400, "PGRST128"),
    query.ReferenceInvalid: (400, None),
    query.NoRelationship: (400, "PGRST200"),
    query.AmbiguousRelationship: (300, "PGRST201"),
    query.UnknownFunction: (404, "PGRST202"),
    query.AmbiguousFunction: (300, "PGRST203"),
    errors.UnknownPayloadField: (400, "PGRST204"),
    errors.UnknownCollection: (404, "PGRST205"),
    errors.TokenInvalid: (401, "PGRST301"),
    errors.Unauthenticated: (401, "PGRST302"),
    errors.TokenExpired: (401, "PGRST303"),
    errors.UnknownField: (400, "42703"),
    plan.UnknownType: (400, "42704"),
    plan.NoUniqueTarget: (400, "42P10"),
    errors.InvalidValue: (400, "22P02"),
    errors.Forbidden: (403, "42501"),
    errors.IdempotencyKeyInvalid: (400, None),
    errors.IdempotencyKeyReused: (422, None),
    errors.NotFound: (404, None),
    errors.Conflict: (409, None),
    errors.TooLarge: (413, None),
    errors.RateLimited: (429, None),
    errors.Unavailable: (503, "PGRST000"),
    errors.Timeout: (500, "57014"),
}

_INTERNAL = "Something went wrong on the server"
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_FROM_CONSTRAINT_ON = re.compile(r' constraint ".*', re.DOTALL)
_NULL_IN_COLUMN = re.compile(r'null value in column "([^"]*+)" of relation "[^"]*+" violates not-null constraint')


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is an error. headers: beside length and type of the body."""

    status: int
    code: str
    message: str
    details: Any = None
    hint: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """All four keys, always: clients read a missing one as another protocol."""
        return msgspec.json.encode(
            {"code": self.code, "message": self.message, "details": self.details, "hint": self.hint}
        )

    def answer(self) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, all headers and body, as ASGI wants them."""
        body = self.body
        pairs = (
            ("content-type", "application/json; charset=utf-8"),
            ("content-length", str(len(body))),
            ("proxy-status", f"PostgREST; error={self.code if _TOKEN.fullmatch(self.code) else 'PGRST121'}"),
            *self.headers,
        )
        return (
            self.status,
            [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs],
            body,
        )


def refuse(error: Exception, *, role: Role, readable: bool = False) -> Refusal:
    """What a caller is told of an error; of one that is none of ours, nothing but that there was one.

    role: the caller's; what an anonymous one may not do is 401, not 403. readable: the caller may read the fields that
    a broken constraint is about, see ``fields_at_fault``; else neither values nor names of them go out.
    """
    if isinstance(error, DatabaseError):
        return _from_database(error, role, readable)
    status, code = _line(error)
    if not isinstance(error, MbaasError) or (status == 500 and not isinstance(error, errors.Timeout)):
        return Refusal(status=500, code="PGRSTX00", message=_INTERNAL)
    known = isinstance(error, StepUpRequired)  # who it is was found out, and is not told here
    if isinstance(error, errors.Forbidden) and code == "42501" and role == "anon" and not known:
        status = 401
    return Refusal(
        status=status,
        code=code or error.code,
        message=error.message,
        details=error.details,
        hint=error.hint,
        headers=_headers(error, status),
    )


def _line(error: Exception) -> tuple[int, str | None]:
    """Status and code. What the table has not, a plugin's refusal first of all, is what it is everywhere."""
    if isinstance(error, errors.HookRefused):
        return http_status(error), None
    for ancestor in type(error).__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    return (http_status(error), None) if isinstance(error, MbaasError) else (500, "PGRSTX00")


def _headers(error: MbaasError, status: int) -> tuple[tuple[str, str], ...]:
    if isinstance(error, errors.TokenInvalid | errors.TokenExpired):
        description = re.sub(r"[^ !#-\[\]-~]", "", error.message)  # RFC 6750 section 3
        return (("www-authenticate", f'Bearer error="invalid_token", error_description="{description}"'),)
    if status == 401:
        return (("www-authenticate", "Bearer"),)
    if isinstance(error, query.RangeInvalid) and error.total is not None:
        return (("content-range", f"*/{error.total}"),)
    if isinstance(error, errors.IdempotencyInProgress | RateLimited | Unavailable):
        return (("retry-after", str(error.retry_after_s)),)
    return ()


# --- what PostgreSQL refused -----------------------------------------------------------------------------------------


def _from_database(error: DatabaseError, role: Role, readable: bool) -> Refusal:
    """SQLSTATE and message are kept where they are about the caller's own request; what may show a row is not."""
    said = raised_by_author(error)
    if said is not None:
        return _as_author_said(said)
    state = error.sqlstate
    status = status_of(state, error.message, role)
    headers = (("www-authenticate", "Bearer"),) if status == 401 else ()
    if status >= 500:
        return Refusal(status=status, code=state, message=_INTERNAL, headers=headers)
    message, details, hint = error.message, error.details, error.hint
    if state.startswith("23"):
        hint = None
        if state not in ("23503", "23505") or not readable:
            details = None  # "Failing row contains (...)", "Key (email)=(...) already exists."
        if not readable:
            message = _FROM_CONSTRAINT_ON.sub(" constraint", message)
            message = _NULL_IN_COLUMN.sub("null value in a column violates not-null constraint", message)
    elif state.startswith("42"):
        details = None
        hint = hint if state == "42883" else None  # the others suggest names the caller may not know
    return Refusal(status=status, code=state, message=message, details=details, hint=hint, headers=headers)


def _as_author_said(said: Raised) -> Refusal:
    headers = (("www-authenticate", "Bearer"),) if said.status == 401 and not said.headers else said.headers
    return Refusal(
        status=said.status, code=said.code, message=said.message, details=said.details, hint=said.hint, headers=headers
    )


def fields_at_fault(collection: Collection, error: DatabaseError) -> tuple[str, ...] | None:
    """The fields that a broken constraint of class 23 is about; ``None`` when nobody can say.

    Constraints are named as PostgreSQL names them: ``posts_pkey``, ``posts_slug_key``, ``posts_title_check``.
    """
    column = _NULL_IN_COLUMN.match(error.message)
    if column is not None:
        return (column[1],)
    name, constraint = collection.name, error.constraint
    if constraint == f"{name}_pkey":
        return collection.key
    for key in collection.foreign_keys:
        if key.name == constraint:
            return key.columns
    for index in collection.indexes:
        if index.name == constraint:
            return tuple(field.name for field in index.fields)
    for field in collection.fields:
        if constraint in (f"{name}_{field.name}_key", f"{name}_{field.name}_check"):
            return (field.name,)
    return None


def is_readable(collection: Collection | None, error: DatabaseError, may_read: Callable[[str], bool]) -> bool:
    """Whether a caller who may read the fields for which ``may_read`` holds may be told what a constraint is about."""
    fields = fields_at_fault(collection, error) if collection is not None else None
    return fields is not None and all(map(may_read, fields))
