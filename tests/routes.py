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

Access = Literal["public", "key", "user", "service"]
ACTORS = ("nobody", "anon", "user", "service")
"""From who may least to who may most: no key, the public key, a signed-in user, the service key."""

_FIRST_ALLOWED = {"public": 0, "key": 1, "user": 2, "service": 3}

Ask = Callable[[str, str, str], Awaitable[int]]
"""Method, path and actor to the status of the answer."""


class Policy(msgspec.Struct, frozen=True):
    """Who may call. path: as declared, ``/admin/v1/users/{id:str}``; ``/rest/v1/**`` stands for all below a mount.

    sample: what to ask for a mount, below it. own_check: the route decides by itself and its own tests show it; then
    only that nobody gets in without a key is asked.
    """

    path: str
    access: Access
    methods: frozenset[str] | None = None
    sample: str = ""
    own_check: bool = False


def routes_of(app: Litestar, mounts: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Every method and path, OPTIONS left out. mounts: prefixes served past the router."""
    found = [("*", f"{prefix}/**") for prefix in mounts]
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            found += [(method, route.path) for method in route.methods if method != "OPTIONS"]
        elif isinstance(route, ASGIRoute):
            found.append(("*", f"{route.path.rstrip('/')}/**"))
        else:
            found.append(("WEBSOCKET", route.path))
    return sorted(set(found))


async def check(routes: Sequence[tuple[str, str]], policies: Iterable[Policy], ask: Ask) -> list[str]:
    """What is wrong, a sentence each: routes without a policy, policies without a route, doors that stand open."""
    wrong: list[str] = []
    by_path: dict[str, list[Policy]] = {}
    for policy in policies:
        by_path.setdefault(policy.path, []).append(policy)
    used: set[Policy] = set()
    for method, path in routes:
        policy = next((one for one in by_path.get(path, ()) if one.methods is None or method in one.methods), None)
        if policy is None:
            wrong.append(f"{method} {path} has no policy")
            continue
        used.add(policy)
        target = path.removesuffix("/**") + policy.sample if path.endswith("/**") else filled(path)
        first = 1 if policy.own_check and policy.access != "public" else _FIRST_ALLOWED[policy.access]
        for number, actor in enumerate(ACTORS):
            for verb in ("GET", "POST", "PATCH", "DELETE") if method == "*" else (method,):
                status = await ask(verb, target, actor)
                if number < first and status not in (401, 403):
                    wrong.append(f"{verb} {target} lets {actor} in: {status}")
                if number >= _FIRST_ALLOWED[policy.access] and not policy.own_check and status in (401, 403):
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
