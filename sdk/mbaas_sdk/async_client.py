"""The asynchronous client: drives the flows of ``_flow`` with httpx."""

from __future__ import annotations

import time
from typing import Any, Self, TypeVar

import httpx

from mbaas_sdk import _flow
from mbaas_sdk.errors import Unavailable
from mbaas_sdk.types import Operation, Page, Record, Result, Session, User

T = TypeVar("T")


class AsyncClient:
    """A server, seen with one key. Safe to share between requests, not between threads.

    transport: an httpx transport, for tests. timeout_s: of one request.
    """

    def __init__(
        self, url: str, key: str, *, timeout_s: float = 10.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s, transport=transport)
        self._state = _flow.State(key, time.time)
        self.auth = AsyncAuth(self)

    def collection(self, name: str) -> AsyncQuery:
        """The records of one collection, to be narrowed, read and written."""
        return AsyncQuery(self, _flow.Query(collection=name))

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """What a SQL function of the server gives."""
        return await self._drive(_flow.call(self._state, function, arguments))

    async def batch(self, *operations: Operation, key: str | None = None) -> list[Result]:
        """What each answered, all in one transaction. key: the same batch sent again with it is done once.

        Raises the error of the first that failed; then nothing was done.
        """
        return await self._drive(_flow.batch(self._state, operations, key))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _drive(self, flow: _flow.Flow[T]) -> T:
        try:
            request = next(flow)
            while True:
                request = flow.send(await self._send(request))
        except StopIteration as done:
            result: T = done.value
            return result

    async def _send(self, request: _flow.Request) -> _flow.Answer:
        try:
            answer = await self._http.request(
                request.method,
                request.path,
                params=list(request.params),
                headers=request.headers,
                content=request.json,
            )
        except httpx.TransportError as error:
            raise Unavailable(f"no answer: {error}") from error
        return _flow.Answer(answer.status_code, answer.headers, answer.content)


class AsyncAuth:
    """Signing up, in and out. The session is kept in the client and refreshed when it is about to end."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @property
    def session(self) -> Session | None:
        return self._client._state.session

    async def sign_up(self, *, email: str, password: str, data: Record | None = None) -> Session | User:
        """A session, or the user alone while the address waits for confirmation."""
        return await self._client._drive(_flow.sign_up(self._client._state, email, password, data))

    async def sign_in(self, *, email: str, password: str) -> Session:
        return await self._client._drive(_flow.sign_in(self._client._state, email, password))

    async def refresh(self) -> Session:
        return await self._client._drive(_flow.refresh(self._client._state))

    async def sign_out(self, *, scope: str = "local") -> None:
        """scope: ``local`` this session, ``others`` all but this, ``global`` all."""
        await self._client._drive(_flow.sign_out(self._client._state, scope))

    async def user(self) -> User:
        return await self._client._drive(_flow.get_user(self._client._state))

    async def create_user(self, **fields: Any) -> User:
        """With the service key: a new user. fields: email, password, email_confirm, user_metadata, app_metadata ..."""
        return await self._client._drive(_flow.create_user(self._client._state, fields))

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        """With the service key: any route below ``/auth/v1/admin``, for what has no call of its own."""
        return await self._client._drive(_flow.admin(self._client._state, method, path, body))


class AsyncQuery:
    """Some records of one collection. Every narrowing gives a new query; nothing is sent before the last call."""

    def __init__(self, client: AsyncClient, query: _flow.Query) -> None:
        self._client = client
        self._query = query

    def where(self, field: str, operator: str, value: Any) -> AsyncQuery:
        """operator: the wire's word: eq, neq, gt, gte, lt, lte, like, ilike, is, in, cs, cd, ov ... or ``not.`` one."""
        return AsyncQuery(self._client, self._query.with_param(field, _flow.literal(operator, value)))

    def select(self, *items: str) -> AsyncQuery:
        """Fields, renamings, casts and embedded collections: ``select("title", "author:profiles(username)")``."""
        return AsyncQuery(self._client, self._query.with_param("select", ",".join(items)))

    def once(self, key: str) -> AsyncQuery:
        """For a write: the same one sent again with that key is done once, and answered as it was. A random UUID."""
        return AsyncQuery(self._client, self._query.with_key(key))

    def order(self, *terms: str) -> AsyncQuery:
        """``order("published", "created_at.desc")``."""
        return AsyncQuery(self._client, self._query.with_param("order", ",".join(terms)))

    def limit(self, count: int, *, offset: int = 0) -> AsyncQuery:
        query = self._query.with_param("limit", str(count))
        return AsyncQuery(self._client, query.with_param("offset", str(offset)) if offset else query)

    async def fetch(self, *, count: bool = False) -> Page:
        """The records. count: ask for the number of all that match as well."""
        return await self._client._drive(_flow.fetch(self._client._state, self._query, count=count))

    async def first(self) -> Record | None:
        """The first record, ``None`` when there is none."""
        records = (await self.limit(1).fetch()).records
        return records[0] if records else None

    async def insert(self, *records: Record) -> list[Record]:
        return await self._write("POST", list(records))

    async def upsert(self, *records: Record, on: str | None = None) -> list[Record]:
        """on: the columns that tell a record, comma separated; the primary key when left out."""
        query = self._query if on is None else self._query.with_param("on_conflict", on)
        prefer = ("resolution=merge-duplicates",)
        return await self._client._drive(_flow.write(self._client._state, "POST", query, list(records), prefer))

    async def update(self, **changes: Any) -> list[Record]:
        """The changed records. Raises ValueError when nothing says which ones."""
        return await self._write("PATCH", changes)

    async def delete(self) -> list[Record]:
        """The deleted records. Raises ValueError when nothing says which ones."""
        return await self._write("DELETE", None)

    async def _write(self, method: str, body: Any) -> list[Record]:
        return await self._client._drive(_flow.write(self._client._state, method, self._query, body))
