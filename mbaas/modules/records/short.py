"""Requests of a shape that is prepared (``mbaas.modules.records.prepared``), without ASGI (``mbaas.http.exchange``).

What is short by itself is answered from a callback: a record by its key, one new record, a change of one by its key.
Other reads are waited for. What comes again with other literals is only bound and sent.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from msgspec.structs import replace

from mbaas.adapters.postgres.coalesce import Row, Told, encoded
from mbaas.config.settings import RestSettings
from mbaas.core.errors import DatabaseError, QueryError, SchemaChanged
from mbaas.core.identity import Identity
from mbaas.core.query.body import parse_insert, parse_update
from mbaas.core.query.errors import NotSingular
from mbaas.core.query.headers import parse_content_type
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import parse_parameters, split_query
from mbaas.core.query.shape import shape_of
from mbaas.core.query.types import InsertQuery, Payload
from mbaas.core.rules.ruleset import RuleSet
from mbaas.http.exchange import Admitted, Again
from mbaas.http.heads import Shape, head_of
from mbaas.http.idempotency import HEADER
from mbaas.http.respond import Message, Receive, Reply, Scope
from mbaas.modules.records.answers import inserted, listed, named, next_page, updated
from mbaas.modules.records.asked import Asked, read_head
from mbaas.modules.records.prepared import Prepared, Shapes
from mbaas.modules.records.results import page_of, written_of
from mbaas.modules.records.service import Records, in_our_words

Anew: TypeAlias = Callable[[Asked, RuleSet, DatabaseError | SchemaChanged], Awaitable[Reply]]
"""The answer after a statement, planned by that snapshot, failed like that. Raises the error when it stands."""

_MOST_REPLIES = 16  # of one shape, that are kept
_MOST_BODIES = 100  # of one shape; and shapes of writes with one head


class ShortWay:
    """Of one records app."""

    def __init__(self, records: Records, limits: Limits, rest: RestSettings, prefix: str, anew: Anew) -> None:
        self.records = records
        self.limits = limits
        self._rest = rest
        self._prefix = prefix
        self.anew = anew
        self._waiting: set[asyncio.Future[Reply]] = set()

    def begin(self, request: Admitted) -> bool | Again:
        """See ``mbaas.http.exchange.Begin``."""
        scope = request.scope
        identity = scope["state"].get("caller")
        head = head_of(scope)
        if not isinstance(identity, Identity) or HEADER in head.fields:
            return False
        asked = self.read(scope, request.exchange.body, identity)
        if len(asked.names) != 1 or asked.media.explain is not None or asked.method not in _KINDS:
            return False
        key = (self, asked.method, asked.names[0])
        same: _Same | None = head.memo.get(key)
        if same is None:
            same = head.memo[key] = _KINDS[asked.method](self, asked, asked.names[0])
        return same.first(request, asked, identity)

    def failed(self, error: BaseException, request: Admitted, rules: RuleSet) -> None:
        """Settles a request whose statement failed, perhaps by doing it again."""
        if not isinstance(error, DatabaseError | SchemaChanged):
            request.settle(error)
            return
        scope = request.scope
        asked = self.read(scope, request.exchange.body, scope["state"]["caller"])

        def done(task: asyncio.Future[Reply]) -> None:
            self._waiting.discard(task)
            failure = SchemaChanged() if task.cancelled() else task.exception()
            request.settle(named(task.result(), asked.said.profile) if failure is None else failure)

        task = asyncio.ensure_future(self.anew(asked, rules, error))
        self._waiting.add(task)
        task.add_done_callback(done)

    def read(self, scope: Scope, body: bytes, identity: Identity) -> Asked:
        return read_head(scope, _all_of(body), identity, self._prefix, self._rest)


class _Line:
    """Requests of one head whose lines have one shape: what was prepared for them, by whom it was asked for.

    payload: what is the same of their bodies, ``None`` for reads. ask: for the row that answers one, with
    ``args``, ``told`` and the request, which is settled then.
    """

    __slots__ = ("_args", "_identity", "_places", "_replies", "_role", "ask", "payload", "prepared", "same", "shapes")

    def __init__(
        self, same: _Same, shapes: Shapes, prepared: Prepared, identity: Identity, payload: Payload | None = None
    ) -> None:
        self.same = same
        self.shapes = shapes
        self.prepared = prepared
        self.payload = payload
        self._role = identity.role
        self.ask = same.records.asking(prepared, identity.role) or _not_possible
        self._identity: Identity | None = None
        self._args: list[Any] = []
        sources = enumerate(prepared.template.sources)
        self._places = [(place, source) for place, source in sources if type(source) is int]
        # To those whose rows differ in nothing but the body.
        self._replies: dict[tuple[str | None, ...], Reply] | None = {} if same.repeats(prepared) else None

    def args(self, identity: Identity, literals: list[bytes], body: str | None = None) -> list[Any] | None:
        """What is bound for one of these requests; ``None`` when it is asked for in another role."""
        if identity is not self._identity:
            if identity.role != self._role:
                return None
            count = len(literals) + (body is not None)
            self._args = encoded(self.prepared.template.bind(("",) * count, identity))
            self._identity = identity
        args = self._args.copy()
        for place, number in self._places:
            args[place] = literals[number].decode() if number < len(literals) else body
        return args

    def told(self, request: Admitted, row: Row | None, error: BaseException | None) -> None:
        if error is not None:
            self.same.failed(error, request, self.shapes.rules)
            return
        assert row is not None, "one or the other"  # noqa: S101
        try:
            reply = self.reply(row, request)
        except QueryError as refused:
            request.settle(refused)
        else:
            request.settle(reply)

    def reply(self, row: Row, request: Admitted) -> Reply:
        """Raises NotSingular, RangeInvalid."""
        replies = self._replies
        like = None if replies is None else replies.get(row[1:])
        if like is not None:
            if not like.body:
                return like
            if row[0] is not None:
                return Reply(like.status, row[0].encode(), like.headers, like.content_type)
        reply = self.same.reply(self, row, request)
        if self.same.said.profile is not None:
            reply = named(reply, self.same.said.profile)
        if replies is not None and len(replies) < _MOST_REPLIES:
            replies[row[1:]] = replace(reply, body=reply.body[:1])
        return reply


class _Same(abc.ABC):
    """Requests of one method to one collection, with one head."""

    def __init__(self, way: ShortWay, asked: Asked, name: str) -> None:
        self.way = way
        self.records = way.records
        self.name = name
        self.said = asked.said

    @abc.abstractmethod
    def first(self, request: Admitted, asked: Asked, identity: Identity) -> bool | Again:
        """Begins to answer it, with what can be said of others like it."""

    @abc.abstractmethod
    def repeats(self, prepared: Prepared) -> bool:
        """Whether a body is the text in the row, and the rest of a reply depends on the rest of the row alone."""

    @abc.abstractmethod
    def reply(self, line: _Line, row: Row, request: Admitted) -> Reply: ...

    def failed(self, error: BaseException, request: Admitted, rules: RuleSet) -> None:
        self.way.failed(error, request, rules)

    def is_cut(self, request: Admitted) -> bool:
        """Whether the literals of the line are those of its shape, all of them."""
        exchange, limits = request.exchange, self.way.limits
        shaped = shape_of(split_query(exchange.query, limits), limits)
        return shaped is not None and list(shaped[1]) == [literal.decode() for literal in exchange.literals]


class _Reads(_Same):
    """GET."""

    def first(self, request: Admitted, asked: Asked, identity: Identity) -> bool | Again:
        shapes, found = self.records.shapes, None
        if b"range" not in asked.head:
            found = shapes.read(
                self.name, asked.query, identity, preferences=asked.preferences, media=asked.media,
                limits=self.way.limits,
            )  # fmt: skip
        if found is None:
            return False
        read = _Read(self, shapes, found[0], identity)
        read.send(encoded(found[1]), request, identity)
        return read if self.is_cut(request) else True

    def repeats(self, prepared: Prepared) -> bool:
        return prepared.cut is None and self.said.media.kind == "json"

    def reply(self, line: _Line, row: Row, request: Admitted) -> Reply:
        prepared = line.prepared
        page = page_of(row, prepared.keys or (), prepared.cut)
        if prepared.answer.singular and page.rows != 1:
            raise NotSingular(page.rows)
        reply = listed(self.said, page, prepared.offset)
        if page.after is None:
            return reply
        return replace(reply, headers=(*reply.headers, next_page(request.exchange.query, page.after)))


class _Read(_Line):
    """Reads of one shape."""

    __slots__ = ()

    def __call__(self, request: Admitted, identity: Identity) -> bool:
        """See ``mbaas.http.exchange.Again``."""
        args = self.args(identity, request.exchange.literals)
        if args is None or self.same.records.shapes is not self.shapes:  # other rules hold by now
            return False
        self.send(args, request, identity)
        return True

    def send(self, args: list[Any], request: Admitted, identity: Identity) -> None:
        if not self.ask(args, self.told, request):
            request.wait(self._waited(args, request, identity))

    async def _waited(self, args: list[Any], request: Admitted, identity: Identity) -> Reply:
        same = self.same
        try:
            row = await same.records.fetch(self.prepared, args, identity.role)
        except (DatabaseError, SchemaChanged) as error:
            asked = same.way.read(request.scope, request.exchange.body, identity)
            return named(await same.way.anew(asked, self.shapes.rules, error), asked.said.profile)
        return self.reply(row, request)


class _Writes(_Same):
    """POST and PATCH."""

    def __init__(self, way: ShortWay, asked: Asked, name: str) -> None:
        super().__init__(way, asked, name)
        self.content = parse_content_type(asked.text(b"content-type"))
        self.inserts = asked.method == "POST"
        self._writes: dict[Shape, _Write] = {}

    def first(self, request: Admitted, asked: Asked, identity: Identity) -> bool | Again:
        shapes, way, exchange = self.records.shapes, self.way, request.exchange
        parameters = parse_parameters(exchange.query, way.limits)
        payload = self.payload(exchange.body, parameters.columns)
        if self.inserts:
            query = InsertQuery(
                collection=self.name,
                payload=payload.text,
                columns=payload.columns,
                on_conflict=parameters.on_conflict,
                parts=parameters.parts,
                preferences=asked.preferences,
                media=asked.media,
            )
            found = shapes.insert(query, payload, exchange.query, identity)
        else:
            found = shapes.update(
                self.name, exchange.query, payload, identity, preferences=asked.preferences, media=asked.media,
                limits=way.limits,
            )  # fmt: skip
        if found is None or not found[0].short:
            return False
        line = _Line(self, shapes, found[0], identity, replace(payload, text=""))
        if not line.ask(encoded(found[1]), line.told, request):
            return False
        if not self.is_cut(request) or (self.inserts and exchange.literals):
            return True
        write = self._writes.get(exchange.shape)
        if write is None:
            if len(self._writes) >= _MOST_BODIES:
                self._writes.clear()
            write = self._writes[exchange.shape] = _Write(self, parameters.columns or None)
        write.add(payload, line)
        return write

    def payload(self, body: bytes, columns: Sequence[str] | None) -> Payload:
        parse = parse_insert if self.inserts else parse_update
        return parse(body, self.content, columns=columns, limits=self.way.limits)

    def repeats(self, prepared: Prepared) -> bool:
        return self.said.media.kind == "json" and self.said.preferences.representation != "headers-only"

    def reply(self, line: _Line, row: Row, request: Admitted) -> Reply:
        assert line.payload is not None, "of a write"  # noqa: S101
        written = written_of(row, line.prepared.keys)
        if self.inserts:
            return inserted(self.said, self.name, written, line.payload)
        return updated(self.said, written, line.payload)

    def failed(self, error: BaseException, request: Admitted, rules: RuleSet) -> None:
        super().failed(in_our_words(error) if isinstance(error, DatabaseError) else error, request, rules)


class _Write:
    """Writes of one shape: a line for each of the sets of fields that came."""

    __slots__ = ("_columns", "_lines", "_writes")

    def __init__(self, writes: _Writes, columns: Sequence[str] | None) -> None:
        self._writes = writes
        self._columns = columns
        self._lines: dict[tuple[tuple[str, ...], int | None], _Line] = {}

    def add(self, payload: Payload, line: _Line) -> None:
        if len(self._lines) >= _MOST_BODIES:
            self._lines.clear()
        self._lines[payload.columns, payload.rows] = line

    def __call__(self, request: Admitted, identity: Identity) -> bool:
        """See ``mbaas.http.exchange.Again``."""
        exchange = request.exchange
        payload = self._writes.payload(exchange.body, self._columns)
        line = self._lines.get((payload.columns, payload.rows))
        if line is None or line.shapes is not self._writes.records.shapes:  # other rules hold by now
            return False
        args = line.args(identity, exchange.literals, payload.text)
        return args is not None and line.ask(args, line.told, request)


_KINDS: dict[str, type[_Same]] = {"GET": _Reads, "POST": _Writes, "PATCH": _Writes}


def _not_possible(_: list[Any], __: Told, ___: object) -> bool:
    return False


def _all_of(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
