"""Requests of a shape that is prepared (``mbaas.modules.records.prepared``), without ASGI (``mbaas.http.exchange``).

What is short by itself is answered from a callback: a record by its key, one new record, a change of one by its key.
Other reads are waited for. What comes again with other literals is only bound and sent.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec.structs import replace

from mbaas.adapters.postgres.coalesce import Row
from mbaas.config.settings import RestSettings
from mbaas.core.errors import DatabaseError, QueryError, SchemaChanged
from mbaas.core.identity import Identity
from mbaas.core.query.body import parse_insert, parse_update
from mbaas.core.query.errors import NotSingular
from mbaas.core.query.headers import parse_content_type
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import parse_parameters, split_query
from mbaas.core.query.shape import cut, shape_of
from mbaas.core.query.types import InsertQuery, Media, Payload, Preferences
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.sql.fragment import Bindable
from mbaas.http.exchange import Admitted, Again
from mbaas.http.heads import head_of
from mbaas.http.idempotency import HEADER
from mbaas.http.respond import Message, Receive, Reply, Scope
from mbaas.modules.records.answers import inserted, listed, named, next_page, updated
from mbaas.modules.records.asked import Asked, read_head
from mbaas.modules.records.prepared import Prepared, Shapes
from mbaas.modules.records.results import page_of, written_of
from mbaas.modules.records.service import Records, in_our_words

Anew: TypeAlias = Callable[[Asked, RuleSet, DatabaseError | SchemaChanged], Awaitable[Reply]]
"""The answer after a statement, planned by that snapshot, failed like that. Raises the error when it stands."""

Shape: TypeAlias = tuple[bytes, ...]

_MOST_BOUND = 100


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
        asked = self.read(scope, request.body, identity)
        if len(asked.names) != 1 or asked.media.explain is not None or asked.method not in _KINDS:
            return False
        key = (self, asked.method, asked.names[0])
        again: _Same | None = head.memo.get(key)
        if again is None:
            again = head.memo[key] = _KINDS[asked.method](self, asked, asked.names[0])
        return again if again.first(request, asked, identity) else False

    def failed(self, error: BaseException, request: Admitted, identity: Identity, rules: RuleSet) -> None:
        """Settles a request whose statement failed, perhaps by doing it again."""
        if not isinstance(error, DatabaseError | SchemaChanged):
            request.settle(error)
            return
        asked = self.read(request.scope, request.body, identity)

        def done(task: asyncio.Future[Reply]) -> None:
            self._waiting.discard(task)
            failure = SchemaChanged() if task.cancelled() else task.exception()
            request.settle(named(task.result(), asked.said.profile) if failure is None else failure)

        task = asyncio.ensure_future(self.anew(asked, rules, error))
        self._waiting.add(task)
        task.add_done_callback(done)

    def read(self, scope: Scope, body: bytes, identity: Identity) -> Asked:
        return read_head(scope, _all_of(body), identity, self._prefix, self._rest)


class _Kept:
    """A shape by the bytes of its query string. places: which argument is which literal."""

    __slots__ = ("places", "prepared")

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.places = [(place, source) for place, source in enumerate(prepared.template.sources) if type(source) is int]


class _Same(abc.ABC):
    """Requests of one method to one collection, with one head."""

    def __init__(self, way: ShortWay, asked: Asked, name: str) -> None:
        self._way = way
        self._records = way.records
        self._name = name
        self._said = asked.said
        self._group = _group(asked.method, name, asked.preferences, asked.media)
        self._identity: Identity | None = None
        self._bound: dict[_Kept, list[Any]] = {}

    @abc.abstractmethod
    def first(self, request: Admitted, asked: Asked, identity: Identity) -> bool:
        """Begins to answer it, and remembers what was prepared for it."""

    @abc.abstractmethod
    def __call__(self, request: Admitted, identity: Identity) -> bool:
        """Begins to answer it when its shape was prepared before (``mbaas.http.exchange.Again``)."""

    def _args(self, kept: _Kept, identity: Identity, literals: list[str]) -> list[Any]:
        if identity is not self._identity or len(self._bound) > _MOST_BOUND:
            self._identity, self._bound = identity, {}
        bound = self._bound.get(kept)
        if bound is None:
            values = kept.prepared.template.bind(tuple(literals), identity)
            bound = self._bound[kept] = [list(value) if isinstance(value, tuple) else value for value in values]
        args = bound.copy()
        for place, number in kept.places:
            args[place] = literals[number]
        return args

    def _literals(self, query: bytes) -> tuple[Shape, list[str]] | None:
        """A query string cut; ``None`` when the literals are not all of its shape's."""
        shaped = shape_of(split_query(query, self._way.limits), self._way.limits)
        shape, found = cut(query)
        literals = [literal.decode() for literal in found]
        return None if shaped is None or list(shaped[1]) != literals else (shape, literals)


class _Reads(_Same):
    """GET."""

    def first(self, request: Admitted, asked: Asked, identity: Identity) -> bool:
        shapes = self._records.shapes
        found = None
        if b"range" not in asked.head:
            found = shapes.read(
                self._name, asked.query, identity, preferences=asked.preferences, media=asked.media,
                limits=self._way.limits,
            )  # fmt: skip
        if found is None or not self._send(shapes, *found, request, identity):
            return False
        same = self._literals(request.query)
        if same is not None:
            shapes.keep((self._group, identity.role, same[0]), _Kept(found[0]))
        return True

    def __call__(self, request: Admitted, identity: Identity) -> bool:
        shapes = self._records.shapes
        shape, literals = cut(request.query)
        kept = shapes.kept.get((self._group, identity.role, shape))
        if kept is None:
            return False
        args = self._args(kept, identity, [literal.decode() for literal in literals])
        return self._send(shapes, kept.prepared, args, request, identity)

    def _send(
        self, shapes: Shapes, prepared: Prepared, args: Sequence[Bindable], request: Admitted, identity: Identity
    ) -> bool:
        def told(row: Row | None, error: BaseException | None) -> None:
            if error is not None:
                self._way.failed(error, request, identity, shapes.rules)
                return
            try:
                request.settle(self._reply(row, prepared, request))
            except QueryError as refused:
                request.settle(refused)

        if not self._records.submit(prepared, args, identity.role, told):
            request.wait(self._waited(shapes, prepared, args, request, identity))
        return True

    async def _waited(
        self, shapes: Shapes, prepared: Prepared, args: Sequence[Bindable], request: Admitted, identity: Identity
    ) -> Reply:
        try:
            row = await self._records.fetch(prepared, args, identity.role)
        except (DatabaseError, SchemaChanged) as error:
            asked = self._way.read(request.scope, request.body, identity)
            return named(await self._way.anew(asked, shapes.rules, error), asked.said.profile)
        return self._reply(row, prepared, request)

    def _reply(self, row: Row | None, prepared: Prepared, request: Admitted) -> Reply:
        """Raises NotSingular, RangeInvalid."""
        said = self._said
        page = page_of(row, prepared.keys or (), prepared.cut)
        if prepared.answer.singular and page.rows != 1:
            raise NotSingular(page.rows)
        reply = listed(said, page, prepared.offset)
        if page.after is not None:
            reply = replace(reply, headers=(*reply.headers, next_page(request.query, page.after)))
        return reply if said.profile is None else named(reply, said.profile)


class _Writes(_Same):
    """POST and PATCH."""

    def __init__(self, way: ShortWay, asked: Asked, name: str) -> None:
        super().__init__(way, asked, name)
        self._content = parse_content_type(asked.text(b"content-type"))
        self._inserts = asked.method == "POST"

    def first(self, request: Admitted, asked: Asked, identity: Identity) -> bool:
        shapes, way = self._records.shapes, self._way
        parameters = parse_parameters(request.query, way.limits)
        payload = self._payload(request.body, parameters.columns)
        if self._inserts:
            query = InsertQuery(
                collection=self._name,
                payload=payload.text,
                columns=payload.columns,
                on_conflict=parameters.on_conflict,
                parts=parameters.parts,
                preferences=asked.preferences,
                media=asked.media,
            )
            found = shapes.insert(query, payload, request.query, identity)
        else:
            found = shapes.update(
                self._name, request.query, payload, identity, preferences=asked.preferences, media=asked.media,
                limits=way.limits,
            )  # fmt: skip
        if found is None or not self._send(shapes, *found, payload, request, identity):
            return False
        same = self._literals(request.query)
        if same is not None and not (self._inserts and same[1]):
            key = (self._group, identity.role, same[0])
            shapes.keep(key, parameters.columns or ())
            shapes.keep((*key, payload.columns, payload.rows), _Kept(found[0]))
        return True

    def __call__(self, request: Admitted, identity: Identity) -> bool:
        shape, literals = cut(request.query)
        key = (self._group, identity.role, shape)
        shapes = self._records.shapes
        columns = shapes.kept.get(key)
        if columns is None:
            return False
        payload = self._payload(request.body, columns or None)
        kept = shapes.kept.get((*key, payload.columns, payload.rows))
        if kept is None:
            return False
        values = [*[literal.decode() for literal in literals], payload.text]
        return self._send(shapes, kept.prepared, self._args(kept, identity, values), payload, request, identity)

    def _payload(self, body: bytes, columns: Sequence[str] | None) -> Payload:
        parse = parse_insert if self._inserts else parse_update
        return parse(body, self._content, columns=columns, limits=self._way.limits)

    def _send(
        self, shapes: Shapes, prepared: Prepared, args: Sequence[Bindable], payload: Payload, request: Admitted,
        identity: Identity,
    ) -> bool:  # fmt: skip
        said = self._said

        def told(row: Row | None, error: BaseException | None) -> None:
            if error is not None:
                error = in_our_words(error) if isinstance(error, DatabaseError) else error
                self._way.failed(error, request, identity, shapes.rules)
                return
            written = written_of(row, prepared.keys)
            reply = inserted(said, self._name, written, payload) if self._inserts else updated(said, written, payload)
            request.settle(reply if said.profile is None else named(reply, said.profile))

        return self._records.submit(prepared, args, identity.role, told)


_KINDS: dict[str, type[_Same]] = {"GET": _Reads, "POST": _Writes, "PATCH": _Writes}


@lru_cache(maxsize=1000)
def _group(method: str, name: str, preferences: Preferences, media: Media) -> object:
    """Stands for these four in keys: it is looked up much faster."""
    return object()


def _all_of(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
