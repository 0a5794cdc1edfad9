"""``/admin/v1``: what the service key may ask for about the project itself."""

from __future__ import annotations

from typing import Any, cast

from litestar import Router, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody

from mbaas.core.errors import Forbidden
from mbaas.http.caller import caller
from mbaas.http.respond import Scope
from mbaas.modules.admin.service import RulesTold
from mbaas.modules.admin.told import Explained, Question, Reached

Injected = NamedDependency[RulesTold]


@get("/rules")
async def read_reach(rules: Injected) -> Reached:
    """What each role can reach."""
    return await rules.reached()


@post("/rules/explain", status_code=200)
async def explain(rules: Injected, data: JSONBody[Question]) -> Explained:
    """Why somebody may or may not do something to a record."""
    return await rules.explain(data)


def require_service(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A Litestar guard: the service key, and nobody else."""
    if not caller(cast(Scope, connection.scope)).bypasses_rules:
        raise Forbidden("this route is for the service key")


def admin_router(prefix: str, rules: RulesTold) -> Router:
    """Routes for the app, behind the edge. They raise what the edge words."""
    return Router(
        path=prefix,
        route_handlers=[read_reach, explain],
        guards=[require_service],
        dependencies={"rules": Provide(lambda: rules, sync_to_thread=False)},
    )
