"""The composition root: what a server is made of, once its database stands. Reads like a table of contents."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from litestar import Litestar, asgi
from litestar.types import Receive as LitestarReceive
from litestar.types import Scope as LitestarScope
from litestar.types import Send as LitestarSend

from mbaas.adapters.config_file import watch_config
from mbaas.adapters.live import Live
from mbaas.adapters.loop_watch import watched_loop
from mbaas.adapters.mail.deliver import choose_mailer
from mbaas.adapters.messages.compose import Composer
from mbaas.adapters.messages.outgoing import Messages
from mbaas.adapters.messages.stored import StoredTemplates
from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.postgres.as_caller import transactions_as_caller
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.kept_answers import sweep_forever
from mbaas.adapters.secrets import SecretsFile
from mbaas.adapters.sms.choose import choose_sms
from mbaas.begun import Begun
from mbaas.config.settings import Config
from mbaas.core.errors import ConfigError, MbaasError
from mbaas.core.identity import Identity, Role
from mbaas.core.later import load_all
from mbaas.core.observe import Observe, ignore
from mbaas.core.plan.authorize import Grants
from mbaas.core.rules.ruleset import RuleSet
from mbaas.hooks.dispatch import Hooks
from mbaas.http.access import access_log
from mbaas.http.edge import Edge, Surface
from mbaas.http.health import Health
from mbaas.http.idempotency import Idempotency
from mbaas.http.identity import Authenticator, auth_url
from mbaas.http.logs import LineWriter, Log
from mbaas.http.metrics import Metrics
from mbaas.http.plugin_routes import PREFIX as PLUGINS
from mbaas.http.plugin_routes import plugin_routes
from mbaas.http.ratelimit import RateLimiter
from mbaas.http.respond import ASGIApp, Receive, Reply, Scope, Send
from mbaas.http.routed import Routed
from mbaas.http.server import server
from mbaas.http.step_up import with_step_up
from mbaas.http.uncaught import EXCEPTION_HANDLERS
from mbaas.modules.admin.routes import PREFIX as ADMIN
from mbaas.modules.admin.routes import admin_router
from mbaas.modules.admin.service import RulesTold
from mbaas.modules.auth.app import MAX_BODY as AUTH_MAX_BODY
from mbaas.modules.auth.app import auth_app
from mbaas.modules.auth.errors import auth_dialect
from mbaas.modules.records.batch import PREFIX as BATCH
from mbaas.modules.records.batch import BatchApp, batch_dialect
from mbaas.modules.records.dialect import rest_dialect
from mbaas.modules.records.docs import DocsPage, send_document
from mbaas.modules.records.graphql.app import PREFIX as GRAPHQL
from mbaas.modules.records.graphql.app import GraphQLApp
from mbaas.modules.records.graphql.errors import graphql_dialect
from mbaas.modules.records.openapi import Info, openapi_bytes
from mbaas.modules.records.routes import RecordsApp, records_app
from mbaas.modules.records.service import Records
from mbaas.modules.records.swagger import swagger_bytes
from mbaas.schema import outbox_rows

SECRETS_EVERY_S = 2.0
COLLECT_AFTER = (20_000, 10, 10)
LOAD_AFTER_S = 5.0


async def run(begun: Begun, *, reload: Callable[[], Config] | None, on_ready: Callable[[], None]) -> None:
    """Serve until told to stop, then put everything away that was made here.

    reload: reads the configuration anew. Raises ConfigError when nobody can listen there.
    """
    config, database, live, hooks = begun.config, begun.database, begun.live, begun.hooks
    secrets, observe, log = begun.secrets, begun.observe, begun.log
    async with contextlib.AsyncExitStack() as stack:
        health = Health(database.ping)
        outbox = Outbox(outbox_rows(database, secrets), config.outbox, observe=observe)
        messages = open_messages(config, database, outbox, observe=observe)
        stack.push_async_callback(messages.close)
        auth = auth_app(
            config=config,
            secrets=secrets,
            database=database,
            outbox=outbox,
            messages=messages,
            hooks=hooks,
            observe=observe,
        )
        stack.push_async_callback(auth.close)
        stack.push_async_callback(hooks.settle)
        outbox.start()
        stack.push_async_callback(outbox.close)
        authenticator = Authenticator(lambda: secrets.current, issuer=auth_url(config.server))
        revocations = await auth.revocations(lambda changed: authenticator.revoke(changed, now=time.time()))
        app = edge(
            routes(config, live, database, hooks, auth, observe),
            config=config,
            authenticator=authenticator,
            health=health,
            metrics=begun.metrics,
            log=log,
            writer=begun.writer,
        )
        followed = [
            _follow(secrets, log),
            live.follow(),
            sweep_forever(database),
            revocations.follow(),
            auth.keep_up(revocations),
            _load_the_rest(),
        ]
        if reload is not None:
            followed.append(watch_config(config, reload, live, observe))
        for following in [asyncio.create_task(forever) for forever in followed]:
            stack.callback(following.cancel)

        def started() -> None:
            spare_the_collector()
            on_ready()

        stack.enter_context(watched_loop(observe))
        running = server(
            app, config.server, health=health, quick=app.quick, admission=app.admission, on_started=started
        )
        try:
            await running.serve()
        except SystemExit:  # uvicorn's word for a port that cannot be had
            raise ConfigError(
                f"cannot listen on {config.server.host}:{config.server.port}",
                hint="another program may have the port; choose one with --port",
            ) from None


class Routes(NamedTuple):
    """records, batch, graphql: are asked past the router, which mounts them all the same.

    graphql: when it is served. rates: what operations are counted with, several of which may be in one request.
    """

    app: Litestar
    records: RecordsApp
    batch: BatchApp
    graphql: GraphQLApp | None
    rates: RateLimiter


def routes(config: Config, live: Live, database: Database, hooks: Hooks, auth: ASGIApp, observe: Observe) -> Routes:
    """Every route. Hot prefixes are raw ASGI apps; nothing stands between the edge and them."""
    grants = Grants(aggregates=frozenset(("service_role", *config.rest.aggregates)))
    records = Records(database, live, hooks, max_rows=config.limits.max_rows, grants=grants)
    described = described_for(config, live, openapi_bytes)
    described_v2 = described_for(config, live, swagger_bytes)

    async def root(_: Scope, identity: Identity) -> Reply:
        """In the version that PostgREST gives there."""
        return Reply(200, described_v2(identity.role), content_type=b"application/openapi+json; charset=utf-8")

    async def document(scope: Scope, _: Receive, send: Send) -> None:
        found = scope["state"]["caller"]
        await send_document(described(found.role if isinstance(found, Identity) else "anon"), scope, send)

    plugins = plugin_routes(
        hooks.provided,
        begin=transactions_as_caller(database),
        timeout_s=config.limits.request_timeout_s,
        observe=observe,
    )
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
    app = Routed(
        route_handlers=[
            mount("/rest/v1", rest),
            mount(BATCH, batch),
            *([] if graphql is None else [mount(GRAPHQL, graphql)]),
            mount("/auth/v1", auth),
            mount(PLUGINS, plugins),
            admin_router(RulesTold(database, live)),
            *([mount("/openapi.json", document), mount("/docs", DocsPage())] if config.server.docs else []),
        ],
        exception_handlers=cast(Any, EXCEPTION_HANDLERS),
        openapi_config=None,
        logging_config=None,
    )
    return Routes(app, rest, batch, graphql, rates)


def described_for(
    config: Config, live: Callable[[], RuleSet], describe: Callable[..., bytes]
) -> Callable[[Role], bytes]:
    """The OpenAPI document of a role, made once a snapshot. Who has no key sees what the anon key may reach."""
    info = Info(title=config.app.name, server=(config.server.public_url or "").rstrip("/") + "/rest/v1")

    made_for: RuleSet | None = None
    made: dict[Role, bytes] = {}

    def described(role: Role) -> bytes:
        nonlocal made_for
        rules = live()
        if rules is not made_for:
            made_for = rules
            made.clear()
        if role not in made:
            made[role] = describe(rules.catalog, info=info, role=role)
        return made[role]

    return described


def mount(prefix: str, app: ASGIApp) -> Any:
    """A raw ASGI app below a prefix of Litestar."""

    @asgi(prefix, is_mount=True, copy_scope=True)
    async def mounted(scope: LitestarScope, receive: LitestarReceive, send: LitestarSend) -> None:
        await app(cast(Any, scope), cast(Any, receive), cast(Any, send))

    return mounted


def edge(
    routes: Routes,
    *,
    config: Config,
    authenticator: Authenticator,
    health: Health,
    metrics: Metrics,
    log: Log,
    writer: LineWriter,
) -> Edge:
    """Everything that holds for every request, around the routes."""
    graphql = routes.graphql
    direct = () if graphql is None else (Surface(prefix=GRAPHQL, direct=graphql.reply, dialect=graphql_dialect),)
    return Edge(
        cast(ASGIApp, routes.app),
        server=config.server,
        limits=config.limits,
        identify=with_step_up(authenticator.identify, config.auth),
        health=health,
        metrics=metrics,
        log=log,
        access_log=access_log(config.log, writer=writer, log=log),
        surfaces=(
            Surface(prefix="/rest/v1", direct=routes.records.reply, begin=routes.records.begin, dialect=rest_dialect),
            Surface(prefix=BATCH, direct=routes.batch.reply, dialect=batch_dialect, max_body=config.limits.batch_body),
            *direct,
            Surface(prefix="/auth/v1", dialect=auth_dialect, max_body=AUTH_MAX_BODY),
            Surface(prefix=PLUGINS),
            Surface(prefix=ADMIN),
        ),
        rates=routes.rates,
    )


def open_messages(config: Config, database: Database, outbox: Outbox, *, observe: Observe = ignore) -> Messages:
    """Mails and SMS, as configured. Raises ConfigError for a template beside ``mbaas.toml`` that cannot be used."""
    composer = composer_of(config, observe=observe)
    composer.check_directory()
    return Messages(
        outbox,
        composer=composer,
        stored=StoredTemplates(database),
        mailer=choose_mailer(config.mail, config.data),
        sms=choose_sms(config.sms, config.data),
    )


def composer_of(config: Config, *, observe: Observe = ignore) -> Composer:
    """The texts of messages, those beside ``mbaas.toml`` before ours."""
    return Composer(
        app=config.app.name,
        site_url=config.app.site_url,
        directory=config.root / config.auth.messages.directory,
        default_locale=config.auth.messages.default_locale,
        observe=observe,
    )


def spare_the_collector() -> None:
    """What the server is made of stays for good, and a request makes few cycles: so Python looks for them less often.

    Measured, the collector took 8 of 25 µs of the edge before.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


async def _load_the_rest() -> None:
    """The libraries that the start did without, in a quiet moment: a first request would wait for them."""
    await asyncio.sleep(LOAD_AFTER_S)
    await asyncio.to_thread(load_all)
    gc.freeze()


async def _follow(secrets: SecretsFile, log: Log) -> None:
    """Takes a rotated key up. The secrets in force stay when the file cannot be used."""
    while True:
        await asyncio.sleep(SECRETS_EVERY_S)
        try:
            if secrets.reload():
                log.info("secrets_reloaded")
        except MbaasError as error:
            log.error("secrets_not_reloaded", reason=error.message)
