"""``/rest/v1`` as a raw ASGI app: requests become queries, results become answers. PostgREST's dialect.

It stands inside the edge, which found out who is asking and words whatever is raised here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from msgspec.structs import replace

from mbaas.adapters.postgres.enlisted import Enlisted
from mbaas.adapters.postgres.errors import is_of_another_schema
from mbaas.config.settings import LimitSettings, RestSettings
from mbaas.core.errors import DatabaseError, SchemaChanged, UnknownCollection
from mbaas.core.expr.types import FALSE
from mbaas.core.identity import Identity
from mbaas.core.plan.names import perhaps
from mbaas.core.query.body import parse_call, parse_insert, parse_update
from mbaas.core.query.errors import (
    CallMethodNotAllowed,
    MethodNotAllowed,
    UnknownFunction,
    UnknownPath,
)
from mbaas.core.query.headers import parse_content_type
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import parse_parameters
from mbaas.core.query.ranges import apply_range
from mbaas.core.query.types import (
    CallQuery,
    DeleteQuery,
    InsertQuery,
    Parameters,
    Payload,
    ReadParts,
    ReadQuery,
    UpdateQuery,
    Window,
)
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.schema.catalog import Operation
from mbaas.hooks.events import Done
from mbaas.http.caller import caller
from mbaas.http.idempotency import HEADER, WRITES, Idempotency
from mbaas.http.respond import Receive, Reply, Scope, Send, send_reply
from mbaas.modules.records.answers import (
    bare,
    content_range,
    formatted,
    inserted,
    listed,
    named,
    next_page,
    represented,
    send_head,
    updated,
)
from mbaas.modules.records.asked import Asked, read_head
from mbaas.modules.records.dialect import note_readable
from mbaas.modules.records.explain import Query
from mbaas.modules.records.prepared import Found
from mbaas.modules.records.put import check_put, put_query
from mbaas.modules.records.results import Page
from mbaas.modules.records.service import Records
from mbaas.modules.records.short import ShortWay

NewerThan: TypeAlias = Callable[[RuleSet], Awaitable[bool]]
"""Whether another snapshot than that one holds by now."""
Root: TypeAlias = Callable[[Scope, Identity], Awaitable[Reply]]
"""Answers GET of ``/`` itself: the description of everything there is."""

_WHOLE = Window()


def records_app(
    records: Records,
    *,
    limits: LimitSettings | None = None,
    rest: RestSettings | None = None,
    prefix: str = "/rest/v1",
    root: Root | None = None,
    newer_than: NewerThan | None = None,
    idempotency: Idempotency | None = None,
) -> RecordsApp:
    """The app, to be mounted at ``prefix``; the scope's path may or may not still carry it.

    newer_than: asked when a statement met another schema; a request is then answered anew by the snapshot that holds.
    idempotency: answers writes that have a key; ``None``: keys mean nothing.
    """
    return RecordsApp(
        records,
        parsing_limits(limits or LimitSettings()),
        rest or RestSettings(),
        prefix,
        root,
        newer_than,
        idempotency,
    )


def parsing_limits(settings: LimitSettings) -> Limits:
    """What of the settings the parsers keep to."""
    return Limits(
        max_url=settings.max_url,
        max_body=settings.max_body,
        json_depth=settings.json_depth,
        filter_terms=settings.filter_terms,
        filter_depth=settings.filter_depth,
        embed_depth=settings.embed_depth,
    )


class RecordsApp:
    """An ASGI app that gives its answer as a value to whoever asks for that."""

    def __init__(
        self,
        records: Records,
        limits: Limits,
        rest: RestSettings,
        prefix: str,
        root: Root | None,
        newer_than: NewerThan | None,
        idempotency: Idempotency | None,
    ) -> None:
        self._records = records
        self._limits = limits
        self._rest = rest
        self._prefix = prefix
        self._root = root
        self._newer_than = newer_than
        self._idempotency = idempotency
        self.begin = ShortWay(records, limits, rest, prefix, self._anew).begin
        self._verbs: dict[str, Callable[[Asked, str], Awaitable[Reply]]] = {
            "GET": self._read,
            "HEAD": self._read,
            "POST": self._insert,
            "PUT": self._put,
            "PATCH": self._update,
            "DELETE": self._delete,
            "OPTIONS": self._options,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self.reply(scope, receive)
        if scope["method"] == "HEAD":
            await send_head(send, reply)
        else:
            await send_reply(send, reply)

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        """The answer, with the schema when the caller named it."""
        identity = caller(scope)
        asked = read_head(scope, receive, identity, self._prefix, self._rest)
        rules = self._records.snapshot()[0]
        try:
            reply = await self._answer(asked)
        except (DatabaseError, SchemaChanged) as error:
            reply = await self._anew(asked, rules, error)
        return named(reply, asked.said.profile)

    async def _anew(self, asked: Asked, rules: RuleSet, error: DatabaseError | SchemaChanged) -> Reply:
        """The answer by another snapshot, when a statement planned by ``rules`` met another schema. Else the error.

        Nothing was written: the statement failed, and it was all of the transaction or rolled it back.
        """
        try:
            if not is_of_another_schema(error) or self._newer_than is None:
                raise error
            newer = await self._newer_than(rules)
            if not newer and not isinstance(error, SchemaChanged):  # which comes of the connection's own statement
                raise error
            rules = self._records.snapshot()[0]
            return await self._answer(asked)
        except DatabaseError as failed:
            note_readable(asked.scope, failed, asked.identity, rules, asked.names[0])
            raise

    def within(self, records: Records) -> RecordsApp:
        """For requests that are part of something larger, which starts anew and is sent again as a whole. No root."""
        return RecordsApp(records, self._limits, self._rest, self._prefix, None, None, None)

    def _answer(self, asked: Asked) -> Awaitable[Reply]:
        if HEADER in asked.head and self._idempotency is not None and asked.method in WRITES:
            return self._once(asked, self._idempotency)
        return self._do(asked)

    async def _once(self, asked: Asked, idempotency: Idempotency) -> Reply:
        told: list[Done] = []

        async def work(door: Enlisted) -> Reply:
            return await self.within(self._records.within(door, told))._do(asked)

        reply = await idempotency.once(asked.scope, await asked.body(), asked.identity, work)
        await self._records.tell(told)
        return reply

    def _do(self, asked: Asked) -> Awaitable[Reply]:
        names = asked.names
        if len(names) == 1:
            verb = self._verbs.get(asked.method)
            if verb is None:
                raise MethodNotAllowed(asked.method)
            return verb(asked, names[0])
        if len(names) == 2 and names[0] == "rpc":
            return self._function(asked, names[1])
        if not names and self._root is not None and asked.method in ("GET", "HEAD"):
            return self._root(asked.scope, asked.identity)
        raise UnknownPath()

    # --- collections -------------------------------------------------------------------------------------------------

    async def _read(self, asked: Asked, name: str) -> Reply:
        found = self._shaped(asked, name)
        if found is not None:
            page = await self._records.read_prepared(found, asked.identity.role)
            return self._listed(asked, page, found[0].offset)
        parts = parse_parameters(asked.query, self._limits).parts
        if asked.method == "GET" and b"range" in asked.head:
            parts = apply_range(parts, asked.text(b"range"), asked.text(b"range-unit"))
        query = ReadQuery(collection=name, parts=parts, preferences=asked.preferences, media=asked.media)
        if asked.media.explain is not None:
            return await self._explain(asked, query)
        page = await self._records.read(query, asked.identity, body=asked.method == "GET")
        return self._listed(asked, page, parts.windows.get((), _WHOLE).offset)

    def _listed(self, asked: Asked, page: Page, offset: int) -> Reply:
        reply = listed(asked.said, page, offset)
        if page.after is not None:
            reply = replace(reply, headers=(*reply.headers, next_page(asked.query, page.after)))
        return replace(reply, body=b"") if asked.method == "HEAD" else reply

    def _shaped(self, asked: Asked, name: str) -> Found | None:
        if asked.method != "GET" or b"range" in asked.head or asked.media.explain is not None:
            return None
        return self._records.shapes.read(
            name, asked.query, asked.identity, preferences=asked.preferences, media=asked.media, limits=self._limits
        )

    async def _insert(self, asked: Asked, name: str) -> Reply:
        query, payload = self._insertion(asked, name, await asked.body())
        if asked.media.explain is not None:
            return await self._explain(asked, query)
        found = self._records.shapes.insert(query, payload, asked.query, asked.identity)
        if found is not None:
            written = await self._records.write_prepared(found, asked.identity.role)
        else:
            written = await self._records.insert(query, asked.identity)
        return inserted(asked.said, name, written, payload)

    def _insertion(self, asked: Asked, name: str, body: bytes) -> tuple[InsertQuery, Payload]:
        parameters, payload = self._taken(asked, body, parse_insert)
        query = InsertQuery(
            collection=name,
            payload=payload.text,
            columns=payload.columns,
            on_conflict=parameters.on_conflict,
            **_outward(asked, parameters.parts),
        )
        return query, payload

    async def _put(self, asked: Asked, name: str) -> Reply:
        """One whole record by its key, inserted or overwritten."""
        parameters, payload = await self._body(asked, parse_insert)
        collection = self._records.snapshot()[1].collection(name)
        if collection is not None:
            check_put(collection, parameters.parts, payload)
        query = put_query(name, payload, **_outward(asked, parameters.parts))
        if asked.media.explain is not None:
            return await self._explain(asked, query)
        written = await self._records.insert(query, asked.identity)
        headers = ((b"content-range", content_range(0, 0, written.affected if asked.said.counts else None)),)
        if written.inserted:
            return represented(asked.said, written, headers, given=201, silent=201)
        return represented(asked.said, written, headers, given=200, silent=204)

    async def _update(self, asked: Asked, name: str) -> Reply:
        parameters, payload = await self._body(asked, parse_update)
        found = None if asked.media.explain is not None else self._changing(asked, name, payload)
        if found is not None:
            written = await self._records.write_prepared(found, asked.identity.role)
        else:
            query = UpdateQuery(
                collection=name, payload=payload.text, columns=payload.columns, **_outward(asked, parameters.parts)
            )
            if asked.media.explain is not None:
                return await self._explain(asked, query)
            written = await self._records.update(query, asked.identity)
        return updated(asked.said, written, payload)

    def _changing(self, asked: Asked, name: str, payload: Payload) -> Found | None:
        return self._records.shapes.update(
            name, asked.query, payload, asked.identity, preferences=asked.preferences, media=asked.media,
            limits=self._limits,
        )  # fmt: skip

    async def _delete(self, asked: Asked, name: str) -> Reply:
        parameters = parse_parameters(asked.query, self._limits)
        query = DeleteQuery(collection=name, **_outward(asked, parameters.parts))
        if asked.media.explain is not None:
            return await self._explain(asked, query)
        written = await self._records.delete(query, asked.identity)
        headers = ((b"content-range", content_range(0, 0, written.affected if asked.said.counts else None)),)
        return represented(asked.said, written, headers, given=200, silent=204)

    async def _options(self, asked: Asked, name: str) -> Reply:
        """The methods that some rule could let this caller use."""
        rules, names = self._records.snapshot()
        collection = names.collection(name)
        if collection is None:
            raise UnknownCollection.of(name, perhaps(name, rules.catalog.collections))

        def some(operation: Operation) -> bool:
            if collection.adopted:
                return not collection.view  # the database says, when it is asked
            return not collection.view and (asked.identity.bypasses_rules or rules.row(name, operation) != FALSE)

        methods = ["OPTIONS", "GET", "HEAD"]
        methods += ["POST"] if some("insert") else []
        methods += ["PUT"] if some("insert") and some("update") else []
        methods += ["PATCH"] if some("update") else []
        methods += ["DELETE"] if some("delete") else []
        return Reply(200, headers=((b"allow", ",".join(methods).encode()),))

    async def _explain(self, asked: Asked, query: Query) -> Reply:
        """The plan instead of the rows. HEAD gets the headers of it."""
        plan = await self._records.explain(query, asked.identity)
        return Reply(200, plan.encode(), content_type=asked.said.content_type)

    async def _body(self, asked: Asked, parse: Callable[..., Payload]) -> tuple[Parameters, Payload]:
        return self._taken(asked, await asked.body(), parse)

    def _taken(self, asked: Asked, body: bytes, parse: Callable[..., Payload]) -> tuple[Parameters, Payload]:
        parameters = parse_parameters(asked.query, self._limits)
        kind = parse_content_type(asked.text(b"content-type"))
        return parameters, parse(body, kind, columns=parameters.columns, limits=self._limits)

    # --- functions ---------------------------------------------------------------------------------------------------

    async def _function(self, asked: Asked, name: str) -> Reply:
        method = asked.method
        if method == "OPTIONS":
            return self._ways_to_call(name)
        if method == "POST":
            query = await self._posted_call(asked, name)
        elif method in ("GET", "HEAD"):
            query = self._got_call(asked, name)
        else:
            raise CallMethodNotAllowed(method)
        if asked.media.explain is not None:
            return await self._explain(asked, query)
        called = await self._records.call(query, asked.identity)
        page = called.page
        if called.function.returns == "void":
            return Reply(204, headers=asked.said.applied)
        if called.function.returns_set:
            reply = self._listed(asked, page, query.parts.windows.get((), _WHOLE).offset)
        else:
            body = formatted(asked.media, page, single=True) if page.keys else bare(asked.media, page)
            headers = ((b"content-range", content_range(0, page.rows, page.total)), *asked.said.applied)
            reply = Reply(200, body, headers, asked.said.content_type)
        if method == "POST" and asked.preferences.representation == "minimal":
            return Reply(204, headers=reply.headers)
        return reply

    def _ways_to_call(self, name: str) -> Reply:
        """Not by GET when none of that name only reads. Raises UnknownFunction."""
        known = [function for function in self._records.snapshot()[1].catalog.functions if function.of is None]
        found = [function for function in known if function.name == name]
        if not found:
            raise UnknownFunction(name, (), perhaps=perhaps(name, {function.name for function in known}))
        reads = any(function.volatility != "volatile" for function in found)
        return Reply(200, headers=((b"allow", b"OPTIONS,GET,HEAD,POST" if reads else b"OPTIONS,POST"),))

    async def _posted_call(self, asked: Asked, name: str) -> CallQuery:
        kind = parse_content_type(asked.text(b"content-type"))
        payload = parse_call(await asked.body(), kind, limits=self._limits)
        unnamed = None if payload.rows is not None else kind if kind in ("text", "bytes") else "json"
        return CallQuery(
            function=name,
            arguments=payload.columns,
            payload=payload.text,
            unnamed=unnamed,
            **_outward(asked, parse_parameters(asked.query, self._limits).parts),
        )

    def _got_call(self, asked: Asked, name: str) -> CallQuery:
        catalog = self._records.snapshot()[0].catalog
        taken = [one for function in catalog.functions if function.name == name for one in function.arguments]
        parameters = parse_parameters(
            asked.query,
            self._limits,
            arguments={argument.name for argument in taken},
            variadic={argument.name for argument in taken if argument.variadic},
        )
        return CallQuery(
            function=name,
            arguments=tuple(dict.fromkeys(key for key, _ in parameters.arguments)),
            parameters=parameters.arguments,
            read_only=True,
            **_outward(asked, parameters.parts),
        )


def _outward(asked: Asked, parts: ReadParts) -> dict[str, Any]:
    """What every query says about its answer."""
    return {"parts": parts, "preferences": asked.preferences, "media": asked.media}
