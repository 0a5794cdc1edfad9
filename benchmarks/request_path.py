"""What a request costs in Python, stage by stage, in µs: no socket, and a database that answers at once.

    python -m benchmarks.request_path

CPU time, so that other work on the machine counts little. The figures are for comparing two versions on one machine,
the best of several rounds each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from mbaas.adapters.postgres.database import Database
from mbaas.core.identity import Identity, Role
from mbaas.core.plan.authorize import authorize
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.query.parse import parse_parameters
from mbaas.core.query.types import ReadQuery
from mbaas.core.rules.compile import compile_rules
from mbaas.core.sql.read import render_list
from mbaas.hooks.dispatch import Hooks
from mbaas.http.respond import Message, Scope
from mbaas.modules.records.routes import records_app
from mbaas.modules.records.service import Records
from tests.sample import ANA, CATALOG

RULES = compile_rules(CATALOG)
NAMES = Names(CATALOG, RULES.defaults)
ME = Identity(role="authenticated", claims={"sub": ANA, "role": "authenticated"})
GET = f"id=eq.{ANA}".encode()
LIST = b"select=id,title,views&published=eq.true&views=gte.5&order=created_at.desc&limit=30"
EMBED = b"select=id,title,author:profiles!posts_author_fkey(username),comments(body)&order=created_at.desc&limit=30"


class AtOnce(Database):
    """A database that is not connected: every statement has the same answer."""

    def __init__(self) -> None:
        super().__init__("", coalesce=False)

    async def _run(self, method: str, text: str, args: list[Any], role: Role, *, patient: bool = False) -> Any:
        return ('[{"id":1}]', "1", None)


def best(run: Callable[[], Any], *, rounds: int = 20, times: int = 200) -> float:
    """µs of one call, the best round."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            run()
        found.append((time.process_time() - began) / times)
    return min(found) * 1e6


def stages(query_string: bytes) -> dict[str, float]:
    parts = parse_parameters(query_string).parts
    query = ReadQuery(collection="posts", parts=parts)

    def resolve() -> Any:
        return resolve_list(query, Resolver(NAMES, privileged=False, max_rows=1000))

    plan = resolve()
    authorized = authorize(plan, ME, RULES)
    return {
        "parse": best(lambda: parse_parameters(query_string).parts),
        "resolve": best(resolve),
        "authorize": best(lambda: authorize(plan, ME, RULES)),
        "render": best(lambda: render_list(authorized)),
        "whole app": asyncio.run(whole(query_string)),
    }


async def whole(query_string: bytes) -> float:
    app = records_app(Records(AtOnce(), lambda: RULES, Hooks()))

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        return None

    found = []
    for _ in range(20):
        began = time.process_time()
        for _ in range(200):
            scope: Scope = {
                "type": "http",
                "method": "GET",
                "path": "/rest/v1/posts",
                "raw_path": b"/rest/v1/posts",
                "query_string": query_string,
                "headers": [(b"apikey", b"x"), (b"accept-profile", b"public"), (b"accept", b"*/*")],
                "state": {"caller": ME},
            }
            await app(scope, receive, send)
        found.append((time.process_time() - began) / 200)
    return min(found) * 1e6


if __name__ == "__main__":
    for name, query_string in (("get by id", GET), ("list", LIST), ("list with embeds", EMBED)):
        figures = "  ".join(f"{stage} {µs:.1f}" for stage, µs in stages(query_string).items())
        print(f"{name:18}{figures}")
