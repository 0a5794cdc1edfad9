"""What is behind the router, and what works beside requests: auth, the admin API, plugins, documents, messages.

Loaded while records are served already (``mbaas.app``): with Litestar and Piccolo it is half of a start's time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

from litestar import Litestar, asgi
from litestar.types import Receive as LitestarReceive
from litestar.types import Scope as LitestarScope
from litestar.types import Send as LitestarSend

from mbaas.adapters.live import Live
from mbaas.adapters.mail.deliver import choose_mailer
from mbaas.adapters.messages.compose import Composer
from mbaas.adapters.messages.outgoing import Messages
from mbaas.adapters.messages.stored import StoredTemplates
from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.postgres.as_caller import transactions_as_caller
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.sms.choose import choose_sms
from mbaas.app import ADMIN, Served
from mbaas.begun import Begun
from mbaas.config.settings import Config
from mbaas.core.identity import Identity
from mbaas.core.observe import Observe, ignore
from mbaas.hooks.dispatch import Hooks
from mbaas.http.plugin_routes import PREFIX as PLUGINS
from mbaas.http.plugin_routes import plugin_routes
from mbaas.http.respond import ASGIApp, Receive, Scope, Send
from mbaas.http.routed import Routed
from mbaas.http.uncaught import EXCEPTION_HANDLERS
from mbaas.modules.admin.routes import admin_router
from mbaas.modules.admin.service import RulesTold
from mbaas.modules.auth.app import auth_app
from mbaas.modules.auth.revocations import Revocations
from mbaas.modules.records.batch import PREFIX as BATCH
from mbaas.modules.records.docs import DocsPage, send_document
from mbaas.modules.records.graphql.app import PREFIX as GRAPHQL
from mbaas.outgoing import outbox_rows


@contextlib.asynccontextmanager
async def router(begun: Begun, served: Served, revocations: Revocations) -> AsyncIterator[ASGIApp]:
    """All of it at work. Raises ConfigError for a template beside ``mbaas.toml`` that cannot be used."""
    config, database, hooks, observe = begun.config, begun.database, begun.hooks, begun.telling.observe
    async with contextlib.AsyncExitStack() as stack:
        outbox = Outbox(outbox_rows(database, begun.secrets), config.outbox, observe=observe)
        messages = open_messages(config, database, outbox, observe=observe)
        stack.push_async_callback(messages.close)
        auth = auth_app(
            config=config,
            secrets=begun.secrets,
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
        upkeep = asyncio.create_task(auth.keep_up(revocations))
        stack.callback(upkeep.cancel)
        yield cast(ASGIApp, routes(config, begun.live, database, hooks, served, auth, observe))


def routes(
    config: Config, live: Live, database: Database, hooks: Hooks, served: Served, auth: ASGIApp, observe: Observe
) -> Litestar:
    """Every route."""

    async def document(scope: Scope, _: Receive, send: Send) -> None:
        found = scope["state"]["caller"]
        role = found.role if isinstance(found, Identity) else "anon"
        await send_document(served.described.v3(role), scope, send)

    plugins = plugin_routes(
        hooks.provided,
        begin=transactions_as_caller(database),
        timeout_s=config.limits.request_timeout_s,
        observe=observe,
    )
    return Routed(
        route_handlers=[
            mount("/rest/v1", served.records),
            mount(BATCH, served.batch),
            *([] if served.graphql is None else [mount(GRAPHQL, served.graphql)]),
            mount("/auth/v1", auth),
            mount(PLUGINS, plugins),
            admin_router(ADMIN, RulesTold(database, live)),
            *([mount("/openapi.json", document), mount("/docs", DocsPage())] if config.server.docs else []),
        ],
        exception_handlers=cast(Any, EXCEPTION_HANDLERS),
        openapi_config=None,
        logging_config=None,
    )


def mount(prefix: str, app: ASGIApp) -> Any:
    """A raw ASGI app below a prefix of Litestar."""

    @asgi(prefix, is_mount=True, copy_scope=True)
    async def mounted(scope: LitestarScope, receive: LitestarReceive, send: LitestarSend) -> None:
        await app(cast(Any, scope), cast(Any, receive), cast(Any, send))

    return mounted


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
