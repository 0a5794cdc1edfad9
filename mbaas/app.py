"""The composition root: what a server is made of, once its database stands. Reads like a table of contents.

Records are served at once. What is behind the router is loaded meanwhile (``mbaas.router``, docs/adr/0100).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, NamedTuple

from mbaas.adapters.config_file import watch_config
from mbaas.adapters.live import Live
from mbaas.adapters.loop_watch import watched_loop
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.kept_answers import sweep_forever
from mbaas.adapters.secrets import SecretsFile
from mbaas.begun import Begun
from mbaas.config.settings import Config
from mbaas.core.errors import MbaasError
from mbaas.core.identity import Identity
from mbaas.core.plan.authorize import Grants
from mbaas.hooks.dispatch import Hooks
from mbaas.http.access import access_log
from mbaas.http.arriving import Arriving
from mbaas.http.edge import Edge, Surface
from mbaas.http.health import Health
from mbaas.http.idempotency import Idempotency
from mbaas.http.identity import Authenticator, auth_url
from mbaas.http.logs import LineWriter, Log
from mbaas.http.metrics import Metrics
from mbaas.http.plugin_routes import PREFIX as PLUGINS
from mbaas.http.ratelimit import RateLimiter
from mbaas.http.respond import ASGIApp, Reply, Scope
from mbaas.http.server import server
from mbaas.http.step_up import with_step_up
from mbaas.modules.auth.errors import MAX_BODY as AUTH_MAX_BODY
from mbaas.modules.auth.errors import auth_dialect
from mbaas.modules.auth.revocations import Revocations
from mbaas.modules.records.batch import PREFIX as BATCH
from mbaas.modules.records.batch import BatchApp, batch_dialect
from mbaas.modules.records.described import Described
from mbaas.modules.records.dialect import rest_dialect
from mbaas.modules.records.graphql.app import PREFIX as GRAPHQL
from mbaas.modules.records.graphql.app import GraphQLApp
from mbaas.modules.records.graphql.errors import graphql_dialect
from mbaas.modules.records.routes import RecordsApp, records_app
from mbaas.modules.records.service import Records

ADMIN = "/admin/v1"
SECRETS_EVERY_S = 2.0
COLLECT_AFTER = (20_000, 10, 10)


async def run(begun: Begun, *, reload: Callable[[], Config] | None, on_ready: Callable[[], None]) -> None:
    """Serve until told to stop, then put everything away that was made here.

    reload: reads the configuration anew. on_ready: called when all is loaded. Raises ConfigError when nobody can listen
    there, or when what is loaded last cannot use its part of the configuration.
    """
    config, database, live, secrets = begun.config, begun.database, begun.live, begun.secrets
    metrics, writer, log, observe = begun.telling
    async with contextlib.AsyncExitStack() as stack:
        authenticator = Authenticator(lambda: secrets.current, issuer=auth_url(config.server))
        revocations = Revocations(
            database,
            lifetime_s=config.auth.access_token_lifetime_s,
            tell=lambda changed: authenticator.revoke(changed, now=time.time()),
        )
        await revocations.look()
        health, behind = Health(database.ping, begun=False), Arriving()
        served = records_served(config, live, database, begun.hooks)
        app = edge(
            behind,
            served,
            config=config,
            authenticator=authenticator,
            health=health,
            metrics=metrics,
            log=log,
            writer=writer,
        )
        running = server(app, config.server, health=health, quick=app.quick, admission=app.admission)

        async def load() -> None:
            router = await asyncio.to_thread(import_module, "mbaas.router")
            behind.arrived(await stack.enter_async_context(router.router(begun, served, revocations)))
            spare_the_collector()
            health.begin()
            on_ready()

        followed = [_follow(secrets, log), live.follow(), sweep_forever(database), revocations.follow()]
        if reload is not None:
            followed.append(watch_config(config, reload, live, observe))
        for number, forever in enumerate(followed):
            # Who asks the database every second does so at a moment of its own: one connection then does for all.
            following = asyncio.create_task(_later(number / len(followed), forever))
            stack.callback(following.cancel)
        stack.enter_context(watched_loop(observe))
        await running.serve_while(load)


class Served(NamedTuple):
    """What the edge asks past the router, which mounts it all the same.

    graphql: when it is served. rates: what operations are counted with, several of which may be in one request.
    """

    records: RecordsApp
    batch: BatchApp
    graphql: GraphQLApp | None
    rates: RateLimiter
    described: Described


def records_served(config: Config, live: Live, database: Database, hooks: Hooks) -> Served:
    """Everything that speaks of records. Raw ASGI apps; nothing stands between the edge and them."""
    grants = Grants(aggregates=frozenset(("service_role", *config.rest.aggregates)))
    records = Records(database, live, hooks, max_rows=config.limits.max_rows, grants=grants)
    described = Described(config, live)

    async def root(_: Scope, identity: Identity) -> Reply:
        """In the version that PostgREST gives there."""
        return Reply(200, described.v2(identity.role), content_type=b"application/openapi+json; charset=utf-8")

    idempotency = Idempotency(database, config.idempotency)
    rest = records_app(
        records,
        limits=config.limits,
        rest=config.rest,
        root=root,
        newer_than=live.newer_than,
        idempotency=idempotency,
    )
    rates = RateLimiter(config.limits.rate)
    batch = BatchApp(
        records,
        rest,
        database,
        idempotency,
        limits=config.limits,
        count=rates.further,
        newer_than=live.newer_than,
    )
    graphql = None
    if config.graphql.enabled:
        graphql = GraphQLApp(
            records, database, config.graphql, config.limits, count=rates.further, newer_than=live.newer_than
        )
    return Served(rest, batch, graphql, rates, described)


def edge(
    behind: ASGIApp,
    served: Served,
    *,
    config: Config,
    authenticator: Authenticator,
    health: Health,
    metrics: Metrics,
    log: Log,
    writer: LineWriter,
) -> Edge:
    """Everything that holds for every request, around what is served and the router behind it."""
    graphql = served.graphql
    direct = () if graphql is None else (Surface(prefix=GRAPHQL, direct=graphql.reply, dialect=graphql_dialect),)
    return Edge(
        behind,
        server=config.server,
        limits=config.limits,
        identify=with_step_up(authenticator.identify, config.auth),
        health=health,
        metrics=metrics,
        log=log,
        access_log=access_log(config.log, writer=writer, log=log),
        surfaces=(
            Surface(prefix="/rest/v1", direct=served.records.reply, begin=served.records.begin, dialect=rest_dialect),
            Surface(prefix=BATCH, direct=served.batch.reply, dialect=batch_dialect, max_body=config.limits.batch_body),
            *direct,
            Surface(prefix="/auth/v1", dialect=auth_dialect, max_body=AUTH_MAX_BODY),
            Surface(prefix=PLUGINS),
            Surface(prefix=ADMIN),
        ),
        rates=served.rates,
    )


def spare_the_collector() -> None:
    """What the server is made of stays for good, and a request makes few cycles: so Python looks for them less often.

    Measured, the collector took 8 of 25 µs of the edge before.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


async def _later(delay_s: float, forever: Coroutine[Any, Any, None]) -> None:
    try:
        await asyncio.sleep(delay_s)
    except BaseException:
        forever.close()
        raise
    await forever


async def _follow(secrets: SecretsFile, log: Log) -> None:
    """Takes a rotated key up. The secrets in force stay when the file cannot be used."""
    while True:
        await asyncio.sleep(SECRETS_EVERY_S)
        try:
            if secrets.reload():
                log.info("secrets_reloaded")
        except MbaasError as error:
            log.error("secrets_not_reloaded", reason=error.message)
