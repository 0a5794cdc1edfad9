"""``/rest/v1`` as a raw ASGI app: requests become queries, results become answers. PostgREST's dialect.

It stands inside the edge, which found out who is asking and words whatever is raised here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import quote, unquote

import msgspec

from mbaas.config.settings import LimitSettings
from mbaas.core.errors import DatabaseError, UnknownCollection
from mbaas.core.expr.types import FALSE
from mbaas.core.identity import Identity
from mbaas.core.plan.names import perhaps
from mbaas.core.query.body import parse_call, parse_insert, parse_update
from mbaas.core.query.errors import (
    CallMethodNotAllowed,
    MethodNotAllowed,
    NotAcceptable,
    RangeInvalid,
    UnknownPath,
    UnknownSchema,
)
from mbaas.core.query.headers import applied, content_type, parse_accept, parse_content_type, parse_prefer
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import parse_parameters
from mbaas.core.query.ranges import apply_range
from mbaas.core.query.types import (
    CallQuery,
    DeleteQuery,
    InsertQuery,
    Media,
    Preferences,
    ReadQuery,
    UpdateQuery,
    Window,
)
from mbaas.core.schema.catalog import Operation
from mbaas.http.caller import caller
from mbaas.http.respond import ASGIApp, Header, Receive, Reply, Scope, Send, send_reply
from mbaas.modules.records.csv import as_csv
from mbaas.modules.records.dialect import note_readable
from mbaas.modules.records.results import Page, Written
from mbaas.modules.records.service import Records

SCHEMA = "public"

Root: TypeAlias = Callable[[Scope, Identity], Awaitable[Reply]]
"""Answers GET of ``/`` itself: the description of everything there is."""


def records_app(
    records: Records, *, limits: LimitSettings | None = None, prefix: str = "/rest/v1", root: Root | None = None
) -> ASGIApp:
    """The app, to be mounted at ``prefix``; the scope's path may or may not still carry it."""
    settings = limits or LimitSettings()
    parsing = Limits(
        max_url=settings.max_url,
        max_body=settings.max_body,
        json_depth=settings.json_depth,
        filter_terms=settings.filter_terms,
        filter_depth=settings.filter_depth,
        embed_depth=settings.embed_depth,
    )
    return _App(records, parsing, prefix, root)


class _Asked(msgspec.Struct):
    """One request, its headers read."""

    scope: Scope
    receive: Receive
    method: str
    head: dict[bytes, bytes]
    identity: Identity
    preferences: Preferences
    media: Media
    profile: str | None = None

    @property
    def query(self) -> bytes:
        found: bytes = self.scope["query_string"]
        return found


class _App:
    def __init__(self, records: Records, limits: Limits, prefix: str, root: Root | None) -> None:
        self._records = records
        self._limits = limits
        self._prefix = prefix
        self._root = root
        self._writes = {"POST": self._insert, "PATCH": self._update, "DELETE": self._delete}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = caller(scope)
        names = _names(scope, self._prefix)
        asked = _asked(scope, receive, identity)
        try:
            reply = await self._answer(asked, names)
        except DatabaseError as error:
            note_readable(scope, error, identity, self._records.snapshot()[0])
            raise
        await _send(send, asked, reply)

    async def _answer(self, asked: _Asked, names: list[str]) -> Reply:
        if len(names) == 1:
            return await self._collection(asked, names[0])
        if len(names) == 2 and names[0] == "rpc":
            return await self._function(asked, names[1])
        if not names and self._root is not None and asked.method in ("GET", "HEAD"):
            return await self._root(asked.scope, asked.identity)
        raise UnknownPath()

    # --- collections -------------------------------------------------------------------------------------------------

    async def _collection(self, asked: _Asked, name: str) -> Reply:
        method = asked.method
        if method in ("GET", "HEAD"):
            return await self._read(asked, name)
        if method == "OPTIONS":
            return Reply(200, headers=((b"allow", self._allowed(name, asked.identity)),))
        write = self._writes.get(method)
        if write is None:
            raise MethodNotAllowed(method)
        return await write(asked, name)

    async def _read(self, asked: _Asked, name: str) -> Reply:
        parts = parse_parameters(asked.query, self._limits).parts
        if asked.method == "GET" and b"range" in asked.head:
            parts = apply_range(parts, _text(asked, b"range"), _text(asked, b"range-unit"))
        query = ReadQuery(collection=name, parts=parts, preferences=asked.preferences, media=asked.media)
        page = await self._records.read(query, asked.identity, body=asked.method == "GET")
        return _listed(asked, page, parts.windows.get((), _FROM_START).offset)

    async def _insert(self, asked: _Asked, name: str) -> Reply:
        parameters = parse_parameters(asked.query, self._limits)
        kind = parse_content_type(_text(asked, b"content-type"))
        payload = parse_insert(await _body(asked), kind, columns=parameters.columns, limits=self._limits)
        query = InsertQuery(
            collection=name,
            payload=payload.text,
            columns=payload.columns,
            on_conflict=parameters.on_conflict,
            parts=parameters.parts,
            preferences=asked.preferences,
            media=asked.media,
        )
        written = await self._records.insert(query, asked.identity)
        total = str(written.affected) if asked.preferences.count is not None else "*"
        headers = [(b"content-range", f"*/{total}".encode())]
        merged = asked.preferences.resolution == "merge-duplicates" and written.inserted == 0 and payload.rows != 0
        if asked.preferences.representation == "headers-only" and written.page is not None:
            location = _location(name, written.page)
            headers += [] if location is None else [(b"location", location)]
            return Reply(200 if merged else 201, headers=(*headers, *_applied(asked)))
        return _represented(asked, written, headers, 200 if merged else 201, 200 if merged else 201)

    async def _update(self, asked: _Asked, name: str) -> Reply:
        parameters = parse_parameters(asked.query, self._limits)
        kind = parse_content_type(_text(asked, b"content-type"))
        payload = parse_update(await _body(asked), kind, columns=parameters.columns, limits=self._limits)
        query = UpdateQuery(
            collection=name,
            payload=payload.text,
            columns=payload.columns,
            parts=parameters.parts,
            preferences=asked.preferences,
            media=asked.media,
        )
        written = await self._records.update(query, asked.identity)
        total = written.affected if asked.preferences.count is not None and payload.columns else None
        headers = [(b"content-range", _content_range(0, written.affected, total))]
        return _represented(asked, written, headers, 200, 204)

    async def _delete(self, asked: _Asked, name: str) -> Reply:
        parameters = parse_parameters(asked.query, self._limits)
        query = DeleteQuery(collection=name, parts=parameters.parts, preferences=asked.preferences, media=asked.media)
        written = await self._records.delete(query, asked.identity)
        total = str(written.affected) if asked.preferences.count is not None else "*"
        return _represented(asked, written, [(b"content-range", f"*/{total}".encode())], 200, 204)

    def _allowed(self, name: str, identity: Identity) -> bytes:
        """The methods that some rule could let this caller use."""
        rules, names = self._records.snapshot()
        if names.collection(name) is None:
            raise UnknownCollection.of(name, perhaps(name, rules.catalog.collections))

        def open_for(operation: Operation) -> bool:
            return identity.bypasses_rules or rules.row(name, operation) != FALSE

        methods = ["OPTIONS", "GET", "HEAD"]
        methods += ["POST"] if open_for("insert") else []
        methods += ["PATCH"] if open_for("update") else []
        methods += ["DELETE"] if open_for("delete") else []
        return ",".join(methods).encode()

    # --- functions ---------------------------------------------------------------------------------------------------

    async def _function(self, asked: _Asked, name: str) -> Reply:
        method = asked.method
        if method == "OPTIONS":
            return Reply(200, headers=((b"allow", b"OPTIONS,GET,HEAD,POST"),))
        if method == "POST":
            query = await self._posted_call(asked, name)
        elif method in ("GET", "HEAD"):
            query = self._got_call(asked, name)
        else:
            raise CallMethodNotAllowed(method)
        called = await self._records.call(query, asked.identity)
        page = called.page
        if called.function.returns == "void":
            return Reply(204, headers=_applied(asked))
        if called.function.returns_set:
            reply = _listed(asked, page, query.parts.windows.get((), _FROM_START).offset)
        else:
            body = _formatted(asked.media, page, single=True) if page.keys else _bare(asked.media, page)
            headers = ((b"content-range", _content_range(0, page.rows, page.total)), *_applied(asked))
            reply = Reply(200, body, headers, content_type(asked.media).encode())
        if method == "POST" and asked.preferences.representation == "minimal":
            return Reply(204, headers=reply.headers)
        return reply

    async def _posted_call(self, asked: _Asked, name: str) -> CallQuery:
        kind = parse_content_type(_text(asked, b"content-type"))
        payload = parse_call(await _body(asked), kind, limits=self._limits)
        unnamed = None if payload.rows is not None else kind if kind in ("text", "bytes") else "json"
        return CallQuery(
            function=name,
            arguments=payload.columns,
            payload=payload.text,
            unnamed=unnamed,
            parts=parse_parameters(asked.query, self._limits).parts,
            preferences=asked.preferences,
            media=asked.media,
        )

    def _got_call(self, asked: _Asked, name: str) -> CallQuery:
        rules, _ = self._records.snapshot()
        taken = [
            argument for function in rules.catalog.functions if function.name == name for argument in function.arguments
        ]
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
            parts=parameters.parts,
            preferences=asked.preferences,
            media=asked.media,
        )


_FROM_START = Window()


def _names(scope: Scope, prefix: str) -> list[str]:
    """The parts of the path behind the prefix, each decoded by itself: an encoded slash is part of a name."""
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.decode("latin-1")
    if root := scope.get("root_path"):
        path = path.removeprefix(quote(root))
    names = path.removeprefix(prefix).strip("/").split("/")
    if "%" in path:
        names = [unquote(name) for name in names]
    return names if names != [""] else []


def _asked(scope: Scope, receive: Receive, identity: Identity) -> _Asked:
    """Raises UnknownSchema, NotAcceptable, PreferenceInvalid."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    head = dict(headers)
    method: str = scope["method"]
    preferences = Preferences()
    if b"prefer" in head:
        preferences = parse_prefer([value.decode("latin-1") for name, value in headers if name == b"prefer"])
    accept = head.get(b"accept")
    media = _JSON if accept is None else parse_accept(accept.decode("latin-1"))
    profile = head.get(b"accept-profile" if method in ("GET", "HEAD") else b"content-profile")
    asked = _Asked(scope, receive, method, head, identity, preferences, media)
    if profile is not None:
        asked.profile = profile.decode("latin-1").strip()
        if asked.profile != SCHEMA:
            raise UnknownSchema(asked.profile)
    return asked


_JSON = Media()


async def _body(asked: _Asked) -> bytes:
    """The whole body. The edge has counted it."""
    message = await asked.receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await asked.receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _text(asked: _Asked, name: bytes) -> str | None:
    found = asked.head.get(name)
    return None if found is None else found.decode("latin-1")


# --- answers ---------------------------------------------------------------------------------------------------------


def _listed(asked: _Asked, page: Page, offset: int) -> Reply:
    """Rows with their place among all. 206: there are more. Raises RangeInvalid for a window behind the last row."""
    if page.total is not None and offset > page.total:
        raise RangeInvalid.beyond(offset, page.total)
    partial = page.total is not None and page.rows < page.total
    headers = ((b"content-range", _content_range(offset, page.rows, page.total)), *_applied(asked))
    body = b"" if asked.method == "HEAD" else _formatted(asked.media, page)
    return Reply(206 if partial else 200, body, headers, content_type(asked.media).encode())


def _represented(
    asked: _Asked, written: Written, headers: list[Header], status_with: int, status_without: int
) -> Reply:
    if written.page is None:
        return Reply(status_without, headers=(*headers, *_applied(asked)))
    body = _formatted(asked.media, written.page)
    return Reply(status_with, body, (*headers, *_applied(asked)), content_type(asked.media).encode())


def _formatted(media: Media, page: Page, *, single: bool = False) -> bytes:
    """Rows in the form that was asked for. single: there is one at most, ``null`` when there is none."""
    if media.kind == "csv":
        return as_csv(page)
    if media.kind == "object" or single:
        return page.body[1:-1].encode() if page.rows else b"null"
    return page.body.encode()


def _bare(media: Media, page: Page) -> bytes:
    """A function's value that has no columns. Raises NotAcceptable for CSV."""
    if media.kind == "csv":
        raise NotAcceptable(("text/csv",))
    return page.body.encode()


def _content_range(offset: int, rows: int, total: int | None) -> bytes:
    """``0-9/100``, ``*`` for no rows and for a total that was not asked for (PostgREST, RFC 9110 section 14.4)."""
    where = f"{offset}-{offset + rows - 1}" if rows else "*"
    return f"{where}/{'*' if total is None else total}".encode()


def _applied(asked: _Asked) -> tuple[Header, ...]:
    found = None
    if asked.preferences is not _NO_PREFERENCES:
        found = applied(msgspec.structs.replace(asked.preferences, transaction=None))
    return () if found is None else ((b"preference-applied", found.encode()),)


_NO_PREFERENCES = Preferences()


def _location(name: str, page: Page) -> bytes | None:
    """``/posts?id=eq.1``: where the first new record is."""
    records = msgspec.json.decode(page.body)
    if not records:
        return None
    pairs = (f"{quote(key)}={_key_filter(value)}" for key, value in records[0].items())
    return f"/{quote(name)}?{'&'.join(pairs)}".encode()


def _key_filter(value: object) -> str:
    if value is None:
        return "is.null"
    return "eq." + quote(value if isinstance(value, str) else msgspec.json.encode(value).decode(), safe="")


async def _send(send: Send, asked: _Asked, reply: Reply) -> None:
    headers = reply.headers
    if asked.profile is not None:
        headers = (*headers, (b"content-profile", asked.profile.encode()))
    if asked.method == "HEAD":
        lines = [*headers, (b"content-type", reply.content_type)]
        await send({"type": "http.response.start", "status": reply.status, "headers": lines})
        await send({"type": "http.response.body", "body": b""})
        return
    await send_reply(send, msgspec.structs.replace(reply, headers=headers) if headers is not reply.headers else reply)
