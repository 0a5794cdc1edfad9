"""Our errors in GraphQL's form (specification, section 7.1.2), with our codes in ``extensions``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mbaas.core.errors import Conflict, DatabaseError, InvalidValue, MbaasError, QueryError, RuleRefused, Timeout
from mbaas.core.identity import Identity
from mbaas.http.errors import MethodNotAllowed
from mbaas.http.respond import Reply, Scope
from mbaas.modules.records.errors import Refusal, refuse

if TYPE_CHECKING:
    from graphql import FieldNode, GraphQLError

LEFT_TO_ASGI = ("content-length", "content-type")


class OperationInvalid(QueryError):
    """The document, the choice of an operation or a variable does not fit the schema. errors: each of them."""

    code = "graphql_invalid"

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = tuple(errors)


class IntrospectionOff(QueryError):
    code = "graphql_introspection_off"

    def __init__(self) -> None:
        super().__init__("the schema is not shown to this key", hint="see introspection in [graphql]")


class FieldFailed(MbaasError):
    """An operation that could not be carried out. cause: why. key, node: the root field at fault, when it is one."""

    def __init__(self, cause: MbaasError, key: str | None, node: FieldNode | None) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.key = key
        self.node = node

    @property
    def place(self) -> dict[str, Any]:
        """``path`` and ``locations`` of its error."""
        if self.key is None or self.node is None:
            return {}
        token = None if self.node.loc is None else self.node.loc.start_token
        at = {} if token is None else {"locations": [{"line": token.line, "column": token.column}]}
        return {"path": [self.key], **at}


def told(refusal: Refusal, error: MbaasError) -> dict[str, Any]:
    """One error of ours. What PostgreSQL said carries its SQLSTATE as well."""
    extensions: dict[str, Any] = {"code": error.code}
    if isinstance(error, DatabaseError):
        extensions = {"code": _code_of(error), "sqlstate": refusal.code}
    elif refusal.status == 500 and not isinstance(error, Timeout):
        extensions["code"] = MbaasError.code
    if refusal.hint is not None:
        extensions["hint"] = refusal.hint
    if refusal.details is not None:
        extensions["details"] = refusal.details
    return {"message": refusal.message, "extensions": extensions}


def _code_of(error: DatabaseError) -> str:
    """Our word for what PostgreSQL refused, by its SQLSTATE (PostgreSQL appendix A)."""
    for length in (5, 2):
        code = _BY_SQLSTATE.get(error.sqlstate[:length])
        if code is not None:
            return code
    return error.code


_BY_SQLSTATE = {
    "42501": RuleRefused.code,
    "23503": Conflict.code,
    "23505": Conflict.code,
    "23P01": Conflict.code,
    "23": InvalidValue.code,
    "22": InvalidValue.code,
}


def invalid(error: OperationInvalid) -> list[dict[str, Any]]:
    """What graphql-core found, each with its place in the document."""
    return [dict(one.formatted) | {"extensions": {"code": error.code}} for one in error.errors]


def graphql_dialect(error: MbaasError, scope: Scope) -> Reply:
    """For the edge: who was refused before or beside any operation, and what is ours to mend."""
    caller = scope.get("state", {}).get("caller")
    refusal = refuse(error, role=caller.role if isinstance(caller, Identity) else "anon")
    headers = tuple(
        (name.encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in refusal.headers
        if name not in LEFT_TO_ASGI
    )
    return Reply(refusal.status, msgspec.json.encode({"errors": [told(refusal, error)]}), headers)


class QueryOnly(MethodNotAllowed):
    code = "graphql_query_only"

    def __init__(self) -> None:
        super().__init__("GET takes queries only", hint="send a mutation by POST")


class KeyNotTaken(QueryError):
    """Better than to let somebody believe that a repeated mutation would be known."""

    code = "graphql_idempotency_key"

    def __init__(self) -> None:
        super().__init__("a mutation takes no Idempotency-Key", hint="write by /rest/v1 or /batch/v1 with that key")
