"""Who may call which route, asked of every route there is.

``check`` takes the routes from the application itself, so that a route nobody wrote a policy for fails the build.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal

import msgspec
from litestar import Litestar
from litestar.routes import ASGIRoute, HTTPRoute

Access = Literal["public", "key", "user", "signed_in", "service"]
ALLOWED: dict[Access, frozenset[str]] = {
    "public": frozenset(("nobody", "anon", "user", "service")),
    "key": frozenset(("anon", "user", "service")),
    "user": frozenset(("user", "service")),
    "signed_in": frozenset(("user",)),
    "service": frozenset(("service",)),
}
"""Without any key; with the public key; as a signed-in user; with the service key."""

REFUSED = (401, 403)
NOTHING_THERE = (401, 403, 404, 405)
"""Of a mount nobody knows which methods it has."""

Ask = Callable[[str, str, str], Awaitable[int]]
"""Method, path and actor to the status of the answer."""


class Policy(msgspec.Struct, frozen=True):
    """Who may call. path: as declared, ``/admin/v1/users/{id:str}``; ``/rest/v1/**`` stands for all below a mount.

    sample: what to ask for a mount, below it. own_check: the route refuses some of those it is for, by rules that have
    tests of their own; then only the others are asked.
    """

    path: str
    access: Access
    methods: frozenset[str] | None = None
    sample: str = ""
    own_check: bool = False


def routes_of(app: Litestar, *, prefix: str = "", mounts: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Every method and path, OPTIONS left out. prefix: where the app is mounted. mounts: served past the router."""
    found = [("*", f"{mount}/**") for mount in mounts]
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            found += [(method, prefix + route.path) for method in route.methods if method != "OPTIONS"]
        elif isinstance(route, ASGIRoute):
            found.append(("*", f"{prefix}{route.path.rstrip('/')}/**"))
        else:
            found.append(("WEBSOCKET", prefix + route.path))
    return sorted(set(found))


async def check(routes: Sequence[tuple[str, str]], policies: Iterable[Policy], ask: Ask) -> list[str]:
    """What is wrong, a sentence each: routes without a policy, policies without a route, doors that stand open."""
    wrong: list[str] = []
    by_path: dict[str, list[Policy]] = {}
    for policy in policies:
        by_path.setdefault(policy.path, []).append(policy)
    for method, path in routes:
        policy = next((one for one in by_path.get(path, ()) if one.methods is None or method in one.methods), None)
        if policy is None:
            wrong.append(f"{method} {path} has no policy")
            continue
        target = path.removesuffix("/**") + policy.sample if path.endswith("/**") else filled(path)
        for verb in ("GET", "POST", "PATCH", "DELETE") if method == "*" else (method,):
            for actor in ("nobody", "anon", "user", "service"):
                allowed = actor in ALLOWED[policy.access]
                if allowed and policy.own_check:
                    continue
                status = await ask(verb, target, actor)
                if not allowed and status not in (NOTHING_THERE if method == "*" else REFUSED):
                    wrong.append(f"{verb} {target} lets {actor} in: {status}")
                if allowed and status in REFUSED:
                    wrong.append(f"{verb} {target} keeps {actor} out: {status}")
    known = {path for _, path in routes}
    wrong += [f"a policy speaks of {path}, which is no route" for path in by_path if path not in known]
    return wrong


def filled(path: str) -> str:
    """A path with something in the place of its parameters.

    >>> filled("/admin/v1/users/{id:uuid}/{page:int}")
    '/admin/v1/users/00000000-0000-4000-8000-000000000000/1'
    """
    samples = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "1", "float": "1.0", "path": "/x"}
    return re.sub(r"\{[^:}]+(?::(\w+))?\}", lambda found: samples.get(found.group(1) or "str", "x"), path)
