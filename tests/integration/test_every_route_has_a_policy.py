"""The finished app: every route there is, and who may call it. A route without a line here fails."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import cast

import httpx

from mbaas.adapters.outbox.engine import Outbox
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.adapters.secrets import SecretsFile
from mbaas.app import edge, records_served
from mbaas.config.load import load
from mbaas.core.observe import ignore
from mbaas.hooks.dispatch import Hooks
from mbaas.http.health import Health
from mbaas.http.identity import Authenticator, auth_url
from mbaas.http.logs import LineWriter, make_log
from mbaas.http.metrics import Metrics
from mbaas.http.plugin_routes import PREFIX
from mbaas.http.respond import ASGIApp
from mbaas.modules.auth.app import auth_app
from mbaas.outgoing import outbox_rows
from mbaas.plugin import Request, Response, Route
from mbaas.router import open_messages, routes
from mbaas.schema import migrated
from tests.routes import Policy, check, routes_of

APP = """
[auth]
autoconfirm = true
[limits.rate]
enabled = false
[collections.posts.fields]
title = { type = "text" }
"""
READ = frozenset(("GET", "HEAD"))

POLICIES = [
    # What a caller may see and do below these is for rules and for the auth of each route; a key is asked of everyone.
    Policy("/rest/v1/**", "key", sample="/posts", own_check=True),
    Policy("/graphql/v1/**", "key", own_check=True),
    Policy("/batch/v1/**", "key", own_check=True),
    Policy("/auth/v1/**", "key", sample="/settings", own_check=True),
    Policy(f"{PREFIX}/**", "key", sample="/greeter/hello", own_check=True),
    Policy("/auth/v1/.well-known/jwks.json", "public"),
    Policy("/auth/v1/.well-known/openid-configuration", "public"),
    Policy("/auth/v1/health", "key"),
    Policy("/auth/v1/settings", "key"),
    Policy("/auth/v1/signup", "key"),
    Policy("/auth/v1/token", "key"),
    Policy("/auth/v1/otp", "key"),
    Policy("/auth/v1/magiclink", "key"),
    Policy("/auth/v1/recover", "key"),
    Policy("/auth/v1/resend", "key"),
    Policy("/auth/v1/verify", "public", own_check=True),
    Policy("/auth/v1/authorize", "public"),
    Policy("/auth/v1/callback", "public"),
    Policy("/auth/v1/user", "signed_in"),
    Policy("/auth/v1/user/identities/authorize", "signed_in"),
    Policy("/auth/v1/user/identities/{identity_id:str}", "signed_in"),
    Policy("/auth/v1/reauthenticate", "signed_in"),
    Policy("/auth/v1/logout", "signed_in"),
    Policy("/auth/v1/factors", "signed_in"),
    Policy("/auth/v1/factors/{factor_id:str}", "signed_in"),
    Policy("/auth/v1/factors/{factor_id:str}/challenge", "signed_in"),
    Policy("/auth/v1/factors/{factor_id:str}/verify", "signed_in"),
    Policy("/auth/v1/factors/recovery-codes", "signed_in"),
    Policy("/auth/v1/factors/recovery-codes/regenerate", "signed_in"),
    Policy("/auth/v1/factors/recovery-codes/verify", "signed_in"),
    Policy("/auth/v1/passkeys", "signed_in"),
    Policy("/auth/v1/passkeys/{passkey_id:str}", "signed_in"),
    Policy("/auth/v1/passkeys/registration/options", "signed_in"),
    Policy("/auth/v1/passkeys/registration/verify", "signed_in"),
    Policy("/auth/v1/passkeys/authentication/options", "key"),
    Policy("/auth/v1/passkeys/authentication/verify", "key"),
    Policy("/auth/v1/invite", "service"),
    Policy("/auth/v1/admin/users/{user_id:str}/factors", "service"),
    Policy("/auth/v1/admin/users/{user_id:str}/factors/{factor_id:str}", "service"),
    Policy("/auth/v1/admin/users/{user_id:str}/passkeys", "service"),
    Policy("/auth/v1/admin/users/{user_id:str}/passkeys/{passkey_id:str}", "service"),
    Policy("/auth/v1/admin/messages", "service"),
    Policy("/auth/v1/admin/messages/{kind:str}/{locale:str}", "service"),
    Policy("/auth/v1/admin/messages/{kind:str}/{locale:str}/preview", "service"),
    Policy("/auth/v1/admin/users", "service"),
    Policy("/auth/v1/admin/users/import", "service"),
    Policy("/auth/v1/admin/users/{user_id:str}/sessions", "service"),
    Policy("/auth/v1/admin/users/{user_id:str}/sessions/{session_id:str}", "service"),
    Policy("/auth/v1/admin/audit", "service"),
    Policy("/auth/v1/user/sessions", "signed_in"),
    Policy("/auth/v1/user/sessions/{session_id:str}", "signed_in", own_check=True),
    Policy("/auth/v1/admin/users/{user_id:str}", "service"),
    Policy("/auth/v1/admin/generate_link", "service"),
    Policy("/admin/v1/rules", "service"),
    Policy("/admin/v1/rules/explain", "service"),
    Policy("/openapi.json/**", "public"),
    Policy("/docs/**", "public"),
    Policy("/health/live", "public"),
    Policy("/health/ready", "public"),
    Policy("/metrics", "service"),
]
"""Access by route. ``/auth/v1/**`` is the mount as the router of the whole app sees it; its routes follow."""

OWN = [("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/metrics")]
"""What the edge answers by itself."""


async def hello(request: Request) -> Response:
    return Response(body=b"{}")


async def test_every_route_lets_in_whom_it_is_for_and_nobody_else(database: Database, tmp_path: Path) -> None:
    (tmp_path / "mbaas.toml").write_text(APP)
    config = load(tmp_path / "mbaas.toml", {})
    await apply_system_schema(database)
    live = await migrated(database, config)
    secrets = SecretsFile(config.data / "secrets.toml")
    hooks = Hooks()
    hooks.owned_by("greeter").provide(Route(method="GET", path="/hello", access="key", handler=hello))
    outbox = Outbox(outbox_rows(database, secrets), config.outbox)
    messages = open_messages(config, database, outbox)
    auth = auth_app(config=config, secrets=secrets, database=database, outbox=outbox, messages=messages, hooks=hooks)
    served = records_served(config, live, database, hooks)
    behind = routes(config, live, database, hooks, served, auth, ignore)
    writer = LineWriter(io.StringIO())
    made = edge(
        cast(ASGIApp, behind),
        served,
        config=config,
        authenticator=Authenticator(lambda: secrets.current, issuer=auth_url(config.server)),
        health=Health(database.ping),
        metrics=Metrics(),
        log=make_log(config.log, writer),
        writer=writer,
    )
    numbers = itertools.count()
    keys = {"nobody": None, "service": secrets.current.service_key}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://test") as client:

        async def signed_in() -> str:
            person = {"email": f"person{next(numbers)}@example.org", "password": "correct horse battery"}
            anon = {"apikey": secrets.current.anon_key}
            answer = await client.post("/auth/v1/signup", json=person, headers=anon)
            return str(answer.json()["access_token"])

        async def ask(method: str, path: str, actor: str) -> int:
            key = keys.get(actor, secrets.current.anon_key)
            headers = {"apikey": key} if key else {}
            if actor == "user":
                headers["authorization"] = f"Bearer {await signed_in()}"
            content = b"" if method in READ else b"{}"
            if content:
                headers["content-type"] = "application/json"
            return (await client.request(method, path, headers=headers, content=content)).status_code

        everything = [*routes_of(behind), *routes_of(auth.litestar, prefix="/auth/v1"), *OWN]
        assert await check(everything, POLICIES, ask) == []
    await auth.close()
    writer.close()
