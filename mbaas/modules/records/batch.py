"""``POST /batch/v1``: several requests of the REST dialect in one transaction, all or nothing.

Each runs as it would by itself, by the same code under the same rules and hooks, on the one connection of the
transaction. The first that fails ends it, and is what the caller is told.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.enlisted import Enlisted, enlisting
from mbaas.adapters.postgres.errors import is_of_another_schema
from mbaas.config.settings import LimitSettings
from mbaas.core.batch.operations import Operation, parse_batch
from mbaas.core.batch.references import Results
from mbaas.core.errors import MbaasError, SchemaChanged, TransactionConflict
from mbaas.core.identity import Identity
from mbaas.core.query.errors import MethodNotAllowed, UnknownPath
from mbaas.core.rules.ruleset import RuleSet
from mbaas.hooks.events import Done
from mbaas.http.caller import caller
from mbaas.http.heads import head_of
from mbaas.http.idempotency import HEADER, Idempotency
from mbaas.http.limits import canonical_path, check_url
from mbaas.http.respond import Message, Receive, Reply, Scope, Send, send_reply
from mbaas.modules.records.answers import send_head
from mbaas.modules.records.asked import read_body
from mbaas.modules.records.dialect import rest_dialect
from mbaas.modules.records.routes import NewerThan, RecordsApp, parsing_limits
from mbaas.modules.records.service import Records

PREFIX = "/batch/v1"
_TRIES = 3
Count: TypeAlias = Callable[[str, Identity, str | None, float, int], None]
"""Counts further operations of an address, a caller and a key at a time. Raises RateLimited."""


class _Asked(msgspec.Struct, frozen=True):
    """An operation as the request that it is."""

    operation: Operation
    index: int
    scope: Scope


class OperationFailed(MbaasError):
    """One operation failed, so nothing was done."""

    def __init__(self, asked: _Asked, cause: Exception) -> None:
        super().__init__(f"operation {asked.index} of the batch failed")
        self.asked = asked
        self.cause = cause


class BatchApp:
    """An ASGI app that gives its answer as a value to whoever asks for that."""

    def __init__(
        self,
        records: Records,
        rest: RecordsApp,
        database: Database,
        idempotency: Idempotency,
        *,
        limits: LimitSettings,
        count: Count,
        newer_than: NewerThan | None = None,
    ) -> None:
        """newer_than: as for ``records_app``."""
        self._records = records
        self._rest = rest
        self._database = database
        self._idempotency = idempotency
        self._most = limits.batch_operations
        self._limits = parsing_limits(limits)
        self._count = count
        self._newer_than = newer_than

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self.reply(scope, receive)
        if scope["method"] == "HEAD":
            await send_head(send, reply)
        else:
            await send_reply(send, reply)

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        """Every answer. Raises OperationFailed, and what is wrong with the batch itself."""
        identity = caller(scope)
        state = scope["state"]
        if state.get("path", PREFIX) != PREFIX:
            raise UnknownPath()
        if scope["method"] == "OPTIONS":
            return Reply(200, headers=((b"allow", b"OPTIONS,POST"),))
        if scope["method"] != "POST":
            raise MethodNotAllowed(scope["method"])
        body = await read_body(receive)
        operations = parse_batch(body, most=self._most, limits=self._limits)
        key = head_of(scope).fields.get(b"apikey")
        known = None if key is None else key.decode("latin-1")
        self._count(state["client_ip"], identity, known, time.monotonic(), len(operations) - 1)
        for attempt in itertools.count(1):
            rules = self._records.snapshot()[0]
            try:
                return await self._answer(scope, body, identity, operations)
            except OperationFailed as failed:
                if attempt == _TRIES or not await self._may_pass(failed.cause, rules):
                    raise
        raise AssertionError("counting does not end")

    async def _may_pass(self, cause: Exception, rules: RuleSet) -> bool:
        """Whether the batch is worth another try from its beginning: nothing of it was done."""
        if isinstance(cause, TransactionConflict):
            await asyncio.sleep(random.uniform(0.0, 0.05))  # noqa: S311 - no secret
            return True
        if self._newer_than is None or not isinstance(cause, MbaasError) or not is_of_another_schema(cause):
            return False
        return await self._newer_than(rules) or isinstance(cause, SchemaChanged)

    async def _answer(self, scope: Scope, body: bytes, identity: Identity, operations: tuple[Operation, ...]) -> Reply:
        told: list[Done] = []
        under_way: list[_Asked] = []

        async def work(door: Enlisted) -> Reply:
            rest = self._rest.within(self._records.within(door, told))
            return await self._run(rest, scope, operations, under_way)

        try:
            if HEADER in head_of(scope).fields:
                reply = await self._idempotency.once(scope, body, identity, work)
            else:
                async with enlisting(self._database, identity) as door:
                    reply = await work(door)
        except Exception as error:
            # Only here, so that the database meets its own errors on the way: it replaces connections for some.
            if under_way:
                raise OperationFailed(under_way[0], error) from error
            raise
        await self._records.tell(told)
        return reply

    async def _run(
        self, rest: RecordsApp, scope: Scope, operations: tuple[Operation, ...], under_way: list[_Asked]
    ) -> Reply:
        """under_way: has the operation that is being done."""
        results = Results()
        answers = []
        for index, operation in enumerate(operations):
            inner = _scope(operation, scope)
            under_way[:] = [_Asked(operation, index, inner)]
            inner["query_string"], body = operation.fill(results, self._limits)
            canonical_path(inner)
            check_url(inner, max_url=self._limits.max_url)
            reply = await rest.reply(inner, _receiving(body))
            results.add(operation.id, reply.body if _is_json(reply) else msgspec.json.encode(reply.body.decode()))
            answers.append(_answer(operation, reply))
        under_way.clear()
        return Reply(200, msgspec.json.encode({"results": answers}))


def batch_dialect(error: MbaasError, scope: Scope) -> Reply:
    """As the REST dialect words it, and of which operation."""
    if not isinstance(error, OperationFailed):
        return rest_dialect(error, scope)
    asked = error.asked
    reply = rest_dialect(error.cause if isinstance(error.cause, MbaasError) else error, asked.scope)
    said = msgspec.json.decode(reply.body)
    said["operation"] = {"index": asked.index, "id": asked.operation.id}
    return msgspec.structs.replace(reply, body=msgspec.json.encode(said))


def _scope(operation: Operation, outer: Scope) -> Scope:
    """The request that an operation is, as the edge would have let it in: by the same caller."""
    state = outer["state"]
    kept = {name: state[name] for name in ("caller", "client_ip", "request_id") if name in state}
    headers = [(name.encode(), value.encode()) for name, value in operation.headers]
    if operation.body:
        headers.append((b"content-type", b"application/json"))
    return {
        "type": "http",
        "method": operation.method,
        "path": unquote(operation.path),
        "raw_path": operation.path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "state": kept,
    }


def _receiving(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _is_json(reply: Reply) -> bool:
    return not reply.body or b"json" in reply.content_type.partition(b";")[0]


def _answer(operation: Operation, reply: Reply) -> dict[str, Any]:
    """One answer. body: JSON as it is, anything else as a text, ``null`` for none."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    body: Any = None
    if reply.body:
        headers["content-type"] = reply.content_type.decode("latin-1")
        body = msgspec.Raw(reply.body) if _is_json(reply) else reply.body.decode()
    return {"id": operation.id, "status": reply.status, "headers": headers, "body": body}
