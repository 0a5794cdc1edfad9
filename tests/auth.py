"""Auth to test with: the real app behind the real edge on a real database; time and the folder of mails in reach."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import functools
import io
import re
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from litestar import Litestar, asgi
from litestar.types import Receive as LitestarReceive
from litestar.types import Scope as LitestarScope
from litestar.types import Send as LitestarSend

from mbaas.adapters.clock import Clock
from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.adapters.secrets import SecretsFile
from mbaas.config.settings import (
    AppSettings,
    AuthSettings,
    Config,
    LimitSettings,
    LogSettings,
    MailSettings,
    OutboxSettings,
    RateSettings,
    ServerSettings,
    SmsSettings,
)
from mbaas.core.identity import Identity
from mbaas.core.observe import Observation
from mbaas.core.schema.catalog import Catalog
from mbaas.hooks.dispatch import Hooks
from mbaas.http.edge import Edge, Surface
from mbaas.http.health import Health
from mbaas.http.identity import Authenticator, auth_url
from mbaas.http.logs import LineWriter, make_log
from mbaas.http.metrics import Metrics
from mbaas.http.respond import ASGIApp
from mbaas.http.step_up import with_step_up
from mbaas.modules.auth.app import AuthApp, auth_app
from mbaas.modules.auth.errors import auth_dialect
from mbaas.modules.auth.revocations import Revocations
from mbaas.outgoing import outbox_rows
from mbaas.router import open_messages

PASSWORD = "correct horse battery"
SITE = "http://localhost:3000"


class ShiftedClock(Clock):
    """The wall clock, set ahead as far as a test wants."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, **amount: float) -> None:
        self._ahead += timedelta(**amount)


async def database_answers() -> None: ...


class Auth:
    """One project: ask it with ``post``, ``get``, ``put``, ``delete``; read its mails; turn its clock."""

    def __init__(self, app: AuthApp, edge: Edge, config: Config, secrets: SecretsFile, clock: ShiftedClock) -> None:
        self.app = app
        self.edge = edge
        self.config = config
        self.secrets = secrets
        self.clock = clock
        self.observed: list[Observation] = []
        self.hooks: Hooks
        self.database: Database
        self.revocations: Revocations  # looks when it is told to
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(edge, raise_app_exceptions=False), base_url="http://auth.test/auth/v1"
        )

    @property
    def anon_key(self) -> str:
        return self.secrets.current.anon_key

    @property
    def service_key(self) -> str:
        return self.secrets.current.service_key

    def headers(self, token: str | None = None, key: str | None = None) -> dict[str, str]:
        return {"apikey": key or self.anon_key, "authorization": f"Bearer {token or key or self.anon_key}"}

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        sent = {**self.headers(token, key), **(headers or {})}
        content = b"" if body is None else msgspec.json.encode(body)
        if content:
            sent["content-type"] = "application/json;charset=UTF-8"
        return await self.client.request(method, path, content=content, headers=sent)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.ask("POST", path, body, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", path, **options)

    async def put(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return await self.ask("PUT", path, body, **options)

    async def delete(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.ask("DELETE", path, body, **options)

    async def sign_up(self, address: str, password: str = PASSWORD, **fields: Any) -> Any:
        answer = await self.post("/signup", {"email": address, "password": password, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sign_in(self, address: str, password: str = PASSWORD, **options: Any) -> httpx.Response:
        return await self.post("/token?grant_type=password", {"email": address, "password": password}, **options)

    async def refresh(self, token: str) -> httpx.Response:
        return await self.post("/token?grant_type=refresh_token", {"refresh_token": token})

    async def settle(self) -> None:
        """Wait for what goes on after answers."""
        await self.app.services.outbox.settle()

    async def mails(self, to: str | None = None) -> list[Letter]:
        """The mails so far, oldest first."""
        await self.settle()
        return read_mails(self.config.data / "mail", to)

    async def mail(self, to: str) -> Letter:
        """The newest mail to an address."""
        return (await self.mails(to))[-1]

    async def open(self, link: str) -> Landed:
        """Follow a link as a browser would, one step."""
        parts = urlsplit(link)
        answer = await self.client.get(f"/verify?{parts.query}")
        assert answer.status_code == 303, answer.text
        return Landed(answer.headers["location"])


class Letter(msgspec.Struct, frozen=True):
    """A mail as its reader sees it."""

    to: str
    subject: str
    text: str
    html: str

    @property
    def link(self) -> str:
        found = re.search(r"https?://\S+/auth/v1/verify\S+", self.text)
        assert found, self.text
        return found[0]

    @property
    def code(self) -> str:
        found = re.search(r"\b\d{6}\b", self.text)
        assert found, self.text
        return found[0]

    @property
    def token_hash(self) -> str:
        return parse_qs(urlsplit(self.link).query)["token"][0]


class Landed(msgspec.Struct, frozen=True):
    """Where a link led."""

    url: str

    @property
    def base(self) -> str:
        return self.url.partition("#")[0].partition("?")[0]

    @property
    def fragment(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).fragment).items()}

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}


def read_mails(folder: Path, to: str | None = None) -> list[Letter]:
    """What was left in a folder for a developer, oldest first."""
    letters = [_letter(path) for path in sorted(folder.glob("*.eml"))]
    return [letter for letter in letters if to is None or letter.to == to]


@functools.cache
def _letter(path: Path) -> Letter:
    """A file is there whole or not at all, and stays as it is."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return Letter(message["to"], message["subject"], text.get_content(), html.get_content())


def make_config(
    root: Path,
    *,
    mail: MailSettings | None = None,
    sms: SmsSettings | None = None,
    outbox: OutboxSettings | None = None,
    port: int = 8000,
    proxies: tuple[str, ...] = (),
    **auth: Any,
) -> Config:
    """A project with confirmation of addresses unless told otherwise. proxies: believed when they say whose request it
    is: a test client is at 127.0.0.1."""
    return Config(
        root=root,
        data=root / ".mbaas",
        catalog=Catalog(),
        app=AppSettings(name="Fieldnotes", site_url=SITE, redirect_urls=(f"{SITE}/**", "fieldnotes://callback")),
        server=ServerSettings(port=port, trusted_proxies=proxies),
        limits=LimitSettings(rate=RateSettings(enabled=False)),
        mail=mail or MailSettings(),
        sms=sms or SmsSettings(),
        outbox=outbox or OutboxSettings(retry_s=0.02),
        auth=AuthSettings(**{"max_frequency_s": 0, "anonymous": True, **auth}),
    )


def mounted(app: AuthApp) -> ASGIApp:
    """The app under its prefix, as the server mounts it."""

    @asgi("/auth/v1", is_mount=True, copy_scope=True)
    async def auth(scope: LitestarScope, receive: LitestarReceive, send: LitestarSend) -> None:
        await app(scope, receive, send)  # type: ignore[arg-type]

    return Litestar([auth], openapi_config=None, logging_config=None)  # type: ignore[return-value]


@contextlib.asynccontextmanager
async def open_auth(database_url: str, config: Config | None = None, *, connections: int = 4) -> AsyncIterator[Auth]:
    """Auth on a database of its own, its schema applied."""
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        config = config or make_config(Path(name))
        clock, hooks = ShiftedClock(), Hooks()
        secrets = SecretsFile(config.data / "secrets.toml", now=clock.now())
        database = Database(database_url, connections=connections)
        await database.open()
        await apply_system_schema(database)
        observed: list[Observation] = []
        outbox = Outbox(outbox_rows(database, secrets), config.outbox, observe=observed.append)
        messages = open_messages(config, database, outbox, observe=observed.append)
        app = auth_app(
            config=config,
            secrets=secrets,
            database=database,
            outbox=outbox,
            messages=messages,
            hooks=hooks,
            observe=observed.append,
            clock=clock,
        )
        authenticator = Authenticator(lambda: secrets.current, issuer=auth_url(config.server))

        def identify(apikey: str | None, bearer: str | None, *, now: float) -> Identity:
            return authenticator.identify(apikey, bearer, now=clock.now().timestamp())

        writer = LineWriter(io.StringIO())
        edge = Edge(
            mounted(app),
            server=config.server,
            limits=config.limits,
            identify=with_step_up(identify, config.auth),
            health=Health(database_answers),
            metrics=Metrics(),
            log=make_log(LogSettings(format="json"), writer),
            surfaces=[Surface(prefix="/auth/v1", dialect=auth_dialect)],
        )
        auth = Auth(app, edge, config, secrets, clock)
        auth.observed, auth.hooks, auth.database = observed, hooks, database
        auth.revocations = Revocations(
            database,
            lifetime_s=config.auth.access_token_lifetime_s,
            tell=lambda changed: authenticator.revoke(changed, now=clock.now().timestamp()),
        )
        await auth.revocations.look()
        outbox.start()
        try:
            yield auth
        finally:
            await auth.client.aclose()
            await outbox.close(timeout_s=1)
            await app.close()
            await hooks.settle()
            await messages.close()
            await asyncio.to_thread(writer.close)
            await database.close()
