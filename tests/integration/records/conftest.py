"""The sample app behind its own ``/rest/v1``, on a database of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec.structs import replace

from mbaas.adapters.postgres.database import Database, Timeouts
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.pool import Link
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.config.settings import GraphQLSettings, IdempotencySettings, LimitSettings, RateSettings
from mbaas.core.errors import MbaasError
from mbaas.core.identity import ANON, SERVICE, Identity
from mbaas.core.rules.compile import compile_rules
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.sql.policy import render_policies
from mbaas.hooks.dispatch import Hooks
from mbaas.http.idempotency import Idempotency
from mbaas.http.ratelimit import RateLimiter
from mbaas.http.respond import ASGIApp, Receive, Scope, Send, send_reply
from mbaas.modules.records.batch import BatchApp, batch_dialect
from mbaas.modules.records.dialect import rest_dialect
from mbaas.modules.records.graphql.app import PREFIX as GRAPHQL
from mbaas.modules.records.graphql.app import GraphQLApp
from mbaas.modules.records.graphql.errors import graphql_dialect
from mbaas.modules.records.routes import records_app
from mbaas.modules.records.service import Records
from tests.sample import ANA, BEN, CAT, CATALOG, DDL, SEED

_numbers = itertools.count(1)
COALESCE = os.environ.get("MBAAS_DATABASE__COALESCE", "true") != "false"


def user(user_id: str) -> Identity:
    return Identity(role="authenticated", claims={"sub": user_id, "role": "authenticated"})


RULES = compile_rules(CATALOG)
CALLERS = {"anon": ANON, "service": SERVICE, "ana": user(ANA), "ben": user(BEN), "cat": user(CAT)}


class Api:
    """The app as clients meet it. Each call says as whom it comes."""

    def __init__(self, database: Database, rules: RuleSet, hooks: Hooks) -> None:
        self.database = database
        self.rules = rules
        self.hooks = hooks
        self.graphql_settings = GraphQLSettings()
        self.kept = IdempotencySettings()
        self.limits = LimitSettings()
        self.rates = RateLimiter(RateSettings(enabled=False))
        self.cap(1000)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(self._serve), base_url="http://test")

    def cap(self, max_rows: int) -> None:
        """The longest list from now on."""
        records = Records(self.database, lambda: self.rules, self.hooks, max_rows=max_rows)
        idempotency = Idempotency(self.database, self.kept)
        self._app = records_app(records, idempotency=idempotency)
        self._batch = BatchApp(
            records, self._app, self.database, idempotency, limits=self.limits, count=self.rates.further
        )
        self._graphql = GraphQLApp(
            records, self.database, self.graphql_settings, LimitSettings(max_rows=max_rows), count=self.rates.further
        )

    def links(self) -> list[Link]:
        """Every connection to the database."""
        shared = self.database._shared
        return [*self.database._pool._links, *([] if shared is None else shared._links)]

    def rule(self, collection: str, operation: str, text: str) -> None:
        """Another rule from now on, for what the server itself asks."""
        catalog = self.rules.catalog
        known = catalog.collections[collection]
        changed = replace(known, rules=replace(known.rules, **{operation: text}))
        self.rules = compile_rules(replace(catalog, collections={**catalog.collections, collection: changed}))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the edge does, without what it is not about here."""
        headers = dict(scope["headers"])
        scope["state"] = {"caller": CALLERS[headers[b"x-as"].decode()], "request_id": "r1", "client_ip": "::1"}
        scope["state"]["path"] = scope["path"]
        app: ASGIApp = self._app
        dialect = rest_dialect
        if scope["path"].startswith("/batch/v1"):
            app, dialect = self._batch, batch_dialect
        elif scope["path"].startswith(GRAPHQL):
            app, dialect = self._graphql, graphql_dialect
        try:
            await app(scope, receive, send)
        except MbaasError as error:
            await send_reply(send, dialect(error, scope))

    async def __call__(
        self, method: str, path: str, by: str = "anon", *, body: Any = None, prefer: str | None = None, **headers: str
    ) -> httpx.Response:
        """headers: names with ``_`` for ``-``."""
        sent = {"x-as": by} | {name.replace("_", "-"): value for name, value in headers.items()}
        if prefer is not None:
            sent["prefer"] = prefer
        content = {"content": body} if isinstance(body, str | bytes) else {} if body is None else {"json": body}
        prefix = "" if path.startswith("/batch/v1") else "/rest/v1"
        return await self._client.request(method, f"{prefix}{path}", headers=sent, **content)

    async def batch(self, by: str, *operations: dict[str, Any], **headers: str) -> httpx.Response:
        return await self("POST", "/batch/v1", by, body={"operations": operations}, **headers)

    async def graphql(self, query: str, by: str = "anon", **variables: Any) -> Any:
        """The whole answer of an operation."""
        body = {"query": query, "variables": variables}
        response = await self._client.post(GRAPHQL, headers={"x-as": by}, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    async def data(self, query: str, by: str = "anon", **variables: Any) -> Any:
        """The data of an operation that succeeds."""
        answer = await self.graphql(query, by, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def refusal(self, query: str, by: str = "anon", **variables: Any) -> Any:
        """The one error of an operation that is refused whole."""
        answer = await self.graphql(query, by, **variables)
        assert answer.get("data") is None
        (error,) = answer["errors"]
        return error

    async def get(self, path: str, by: str = "anon", **more: str) -> Any:
        """The body of a GET that succeeds."""
        response = await self("GET", path, by, **more)
        assert response.status_code in (200, 206), response.text
        return response.json()

    async def post(self, path: str, by: str, body: Any, prefer: str = "return=representation", **more: str) -> Any:
        response = await self("POST", path, by, body=body, prefer=prefer, **more)
        assert response.status_code in (200, 201), response.text
        return response.json()

    async def patch(self, path: str, by: str, body: Any, prefer: str = "return=representation", **more: str) -> Any:
        response = await self("PATCH", path, by, body=body, prefer=prefer, **more)
        assert response.status_code == 200, response.text
        return response.json()

    async def delete(self, path: str, by: str, prefer: str = "return=representation", **more: str) -> Any:
        response = await self("DELETE", path, by, prefer=prefer, **more)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="session")
def sample_template(cluster: EmbeddedPostgres) -> str:
    """A database with the sample app, to be cloned."""
    name = f"sample_{os.getpid()}_{next(_numbers)}"

    async def make() -> None:
        admin = await asyncpg.connect(cluster.url("postgres"))
        await admin.execute(f"create database {name}")
        await admin.close()
        database = Database(cluster.url(name), connections=1, unsafe_dev=True)
        await database.open()
        await apply_system_schema(database)
        await database.execute(DDL)
        await database.execute(SEED)
        for collection in CATALOG.collections:
            for script in render_policies(RULES, collection):
                await database.execute(script)
        for function in CATALOG.functions:
            roles = ", ".join(("service_role", *function.execute))
            await database.execute(f"grant execute on function public.{function.name} to {roles}")
        await database.close()

    asyncio.run(make())
    return name


@pytest.fixture
async def api(cluster: EmbeddedPostgres, sample_template: str) -> AsyncIterator[Api]:
    """On a database of the test's own."""
    async with cloned(cluster, sample_template) as served:
        yield served


@pytest.fixture
async def twin(cluster: EmbeddedPostgres, sample_template: str) -> AsyncIterator[Api]:
    """Another one, to compare with."""
    async with cloned(cluster, sample_template) as served:
        yield served


@contextlib.asynccontextmanager
async def cloned(cluster: EmbeddedPostgres, template: str) -> AsyncIterator[Api]:
    name = f"{template}_{next(_numbers)}"
    admin = await asyncpg.connect(cluster.url("postgres"))
    await admin.execute(f"create database {name} template {template} strategy file_copy")
    async with serving(cluster.url(name)) as served:
        yield served
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
async def reading(cluster: EmbeddedPostgres, shared_sample: str) -> AsyncIterator[Api]:
    """On a database that all tests share that only read."""
    async with serving(cluster.url(shared_sample), 1) as served:
        yield served


@pytest.fixture(scope="session")
def shared_sample(cluster: EmbeddedPostgres, sample_template: str) -> str:
    async def make() -> None:
        admin = await asyncpg.connect(cluster.url("postgres"))
        await admin.execute(f"create database {sample_template}_shared template {sample_template} strategy file_copy")
        await admin.close()

    asyncio.run(make())
    return f"{sample_template}_shared"


@contextlib.asynccontextmanager
async def serving(url: str, connections: int = 2, timeouts: Timeouts | None = None) -> AsyncIterator[Api]:
    limits = timeouts or Timeouts()
    database = Database(url, connections=connections, timeouts=limits, unsafe_dev=True, coalesce=COALESCE)
    await database.open()
    try:
        yield Api(database, RULES, Hooks())
    finally:
        await database.close()
