"""``/graphql/v1`` as a raw ASGI app: GraphQL over HTTP, one operation a request.

Answers are JSON with status 200 whatever became of the operation, as Supabase's clients expect; who accepts
``application/graphql-response+json`` gets that type, and 400 for what is no operation (GraphQL over HTTP, section 6.4).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.errors import is_of_another_schema
from mbaas.config.settings import GraphQLSettings, LimitSettings
from mbaas.core.errors import BodyInvalid, DatabaseError, QueryError, SchemaChanged
from mbaas.core.identity import Identity
from mbaas.core.query.errors import UnknownPath
from mbaas.core.query.headers import parse_content_type
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import split_query
from mbaas.core.rules.ruleset import RuleSet
from mbaas.http.arriving import FirstUse
from mbaas.http.caller import caller
from mbaas.http.errors import MethodNotAllowed
from mbaas.http.heads import head_of
from mbaas.http.idempotency import HEADER
from mbaas.http.respond import JSON, Receive, Reply, Scope, Send, send_reply
from mbaas.modules.records.asked import read_body
from mbaas.modules.records.dialect import may_read_fault
from mbaas.modules.records.errors import refuse
from mbaas.modules.records.graphql.asked import Asked
from mbaas.modules.records.graphql.errors import FieldFailed, OperationInvalid, invalid, told
from mbaas.modules.records.service import Records

if TYPE_CHECKING:
    from mbaas.modules.records.graphql.operations import Operations

PREFIX = "/graphql/v1"
RESPONSE = "application/graphql-response+json"
NewerThan: TypeAlias = Callable[[RuleSet], Awaitable[bool]]
Count: TypeAlias = Callable[[str, Identity, str | None, float, int], None]
"""Counts further operations of an address, a caller and a key at a time. Raises RateLimited."""


class _Body(msgspec.Struct, rename="camel"):
    """``extensions`` and what else a client adds is passed over."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


_BODY = msgspec.json.Decoder(_Body)
_VARIABLES = msgspec.json.Decoder(dict[str, Any] | None)


class GraphQLApp:
    """count: counts each root field beyond the first as a request of its own.

    newer_than: asked when a statement met another schema; the operation is then answered anew.
    """

    def __init__(
        self,
        records: Records,
        database: Database,
        settings: GraphQLSettings,
        limits: LimitSettings,
        *,
        count: Count,
        newer_than: NewerThan | None = None,
    ) -> None:
        self._limits = Limits(
            max_url=limits.max_url,
            max_body=limits.max_body,
            json_depth=limits.json_depth,
            filter_terms=limits.filter_terms,
            filter_depth=limits.filter_depth,
        )
        self._records = records
        self._database = database
        self._settings = settings
        self._max_rows = limits.max_rows
        self._newer_than = newer_than
        self._count = count
        self._operations: Operations
        self._library = FirstUse(self._load)

    def _load(self) -> None:
        from mbaas.modules.records.graphql.operations import Operations  # and graphql-core with it

        self._operations = Operations(
            self._records, self._database, self._settings, self._limits, max_rows=self._max_rows
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_reply(send, await self.reply(scope, receive))

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        """The answer. Raises what no operation is to blame for."""
        identity = caller(scope)
        if scope["state"]["path"].rstrip("/") != PREFIX:
            raise UnknownPath()
        asked = await self._asked(scope, receive)
        accepts = head_of(scope).fields.get(b"accept", b"").decode("latin-1")
        kind = f"{RESPONSE}; charset=utf-8".encode() if RESPONSE in accepts else JSON
        try:
            data = await self._run(asked, identity, scope)
        except OperationInvalid as error:
            return Reply(200 if kind is JSON else 400, _encoded({"errors": invalid(error)}), content_type=kind)
        except FieldFailed as failed:
            return Reply(200, _encoded(self._failed(failed, identity)), content_type=kind)
        except QueryError as error:
            refusal = refuse(error, role=identity.role)
            return Reply(200 if kind is JSON else 400, _encoded({"errors": [told(refusal, error)]}), content_type=kind)
        return Reply(200, _encoded({"data": data}), content_type=kind)

    async def _run(self, asked: Asked, identity: Identity, scope: Scope) -> dict[str, Any]:
        def charge(operations: int) -> None:
            key = head_of(scope).fields.get(b"apikey")
            named = None if key is None else key.decode("latin-1")
            self._count(scope["state"]["client_ip"], identity, named, time.monotonic(), max(0, operations - 1))

        if not self._library.done:
            await self._library()
        rules = self._records.snapshot()[0]
        try:
            return await self._operations.run(asked, identity, charge)
        except FieldFailed as failed:
            cause = failed.cause
            if self._newer_than is None or not isinstance(cause, DatabaseError | SchemaChanged):
                raise
            if not is_of_another_schema(cause):
                raise
            if not await self._newer_than(rules) and not isinstance(cause, SchemaChanged):
                raise
        return await self._operations.run(asked, identity, lambda _: None)

    def _failed(self, failed: FieldFailed, identity: Identity) -> dict[str, Any]:
        """A root field that failed takes the others with it: they were one statement. Raises what is ours to mend."""
        cause = failed.cause
        readable = False
        if isinstance(cause, DatabaseError):
            written = "" if failed.node is None else _collection(failed.node.name.value)
            readable = may_read_fault(cause, identity, self._records.snapshot()[0], written)
        refusal = refuse(cause, role=identity.role, readable=readable)
        if refusal.status >= 500:
            raise cause
        return {"data": None, "errors": [failed.place | told(refusal, cause)]}

    async def _asked(self, scope: Scope, receive: Receive) -> Asked:
        """Raises BodyInvalid, MethodNotAllowed."""
        if scope["method"] == "GET":
            pairs = dict(split_query(scope["query_string"], self._limits))
            variables = _decoded(_VARIABLES, pairs.get("variables", "null").encode())
            body = _Body(pairs.get("query"), variables, pairs.get("operationName"))
        elif scope["method"] == "POST":
            kind = head_of(scope).fields.get(b"content-type")
            if parse_content_type(None if kind is None else kind.decode("latin-1")) != "json":
                raise BodyInvalid("the body is JSON", hint="send it as application/json")
            text = await read_body(receive)
            if text.lstrip()[:1] == b"[":
                raise BodyInvalid("one operation a request", hint="select several fields in one operation")
            body = _decoded(_BODY, text)
        else:
            raise MethodNotAllowed("this route takes POST, and GET for queries")
        if not body.query:
            raise BodyInvalid("query is missing", hint='{"query": "{ ... }", "variables": {}}')
        return Asked(
            body.query,
            body.variables or {},
            body.operation_name,
            read_only=scope["method"] == "GET",
            keyed=HEADER in head_of(scope).fields,
        )


def _collection(field: str) -> str:
    """Which one a mutation writes to.

    >>> _collection("insertIntopostsCollection"), _collection("deleteFrompostsCollection")
    ('posts', 'posts')
    """
    for verb in ("insertInto", "update", "deleteFrom"):
        field = field.removeprefix(verb)
    return field.removesuffix("Collection")


def _decoded(decoder: msgspec.json.Decoder[Any], text: bytes) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyInvalid("the request is no GraphQL request", details=str(error)) from error


def _encoded(body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body)
