"""One line of the REST dialect at a time, asked by supabase-js and by supabase-py, and held against one expectation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import Client, ClientOptions, create_client

if TYPE_CHECKING:
    from tests.contract.conftest import Js, Server, World

Who = Literal["anon", "owner", "other", "service"]
ANY: Any = object()

# `c` is the caller's client; what the server said to it stands in `seen`.
_JS = """
const seen = [];
const watched = async (input, init) => {
  const answer = await fetch(input, init);
  seen.push({status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.clone().text(),
             url: String(input), sent: Object.fromEntries(new Headers(init?.headers))});
  return answer;
};
const headers = args.token ? {Authorization: 'Bearer ' + args.token} : {};
const c = createClient(args.key, {global: {fetch: watched, headers}});
const answer = await (async () => {%s})();
return {answer, seen};
"""


@dataclass(frozen=True)
class Scene:
    """What a case may name: the shared world, and things of its own.

    row: a post of the owner that this test may change, made when it is named: title "Row", views 1, its id for a slug.
    service: with the service key. tokens: some that do not hold. new: an id nobody has.
    """

    server: Server
    world: World
    service: httpx.Client
    tokens: dict[str, str]
    new: str = field(default_factory=lambda: str(uuid.uuid4()))

    @cached_property
    def row(self) -> str:
        row = str(uuid.uuid4())
        post = {"id": row, "title": "Row", "slug": row, "views": 1, "author": self.world.owner.id}
        made = self.service.post("/posts", json=post)
        assert made.status_code == 201, made.text
        return row

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def token(self, who: Who) -> str | None:
        return {"owner": self.world.owner.token, "other": self.world.other.token}.get(who)

    def key(self, who: Who) -> str:
        return self.server.service_key if who == "service" else self.server.anon_key


@dataclass(frozen=True)
class Seen:
    """One exchange that a client had with the server."""

    status: int
    headers: dict[str, str]
    body: str
    url: str
    sent: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What a client gave to its caller, the same for both. data: ``None`` when the answer had no body."""

    status: int
    data: Any
    count: int | None
    error: dict[str, Any] | None
    seen: list[Seen]

    @property
    def headers(self) -> dict[str, str]:
        return self.seen[-1].headers


@dataclass(frozen=True)
class Case:
    """A line that clients rely on, as both spell it.

    js: what follows the client (``from('posts').select()``), or statements with a ``return``. py: from client and scene
    to the request, not yet executed. ``None``: this client has no such call. What is left out is not compared; data,
    error and headers may be functions of the scene, and an expected header of ``None`` must be absent. keys: those of the
    one object that was given, sorted.
    """

    line: str
    js: str | None
    py: Callable[[Client, Any], Any] | None
    data: Any = ANY
    who: Who = "owner"
    status: int = 200
    count: Any = ANY
    error: Any = None
    headers: Any = field(default_factory=dict)
    keys: tuple[str, ...] | None = None

    def check(self, outcome: Outcome, scene: Scene) -> None:
        def settled(value: Any) -> Any:
            return value(scene) if callable(value) else value

        wanted = settled(self.error)
        if wanted is None:
            assert outcome.error is None, outcome.error
        else:
            assert outcome.error is not None, outcome.data
            assert {key: outcome.error[key] for key in wanted} == wanted
        assert outcome.status == self.status
        if self.data is not ANY:
            assert outcome.data == settled(self.data)
        if self.keys is not None:
            assert sorted(outcome.data) == list(self.keys)
        if self.count is not ANY:
            assert outcome.count == self.count
        wanted = settled(self.headers)
        assert {name: outcome.headers.get(name) for name in wanted} == wanted


def js_cases(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("case", [case for case in cases if case.js is not None], ids=lambda case: case.line)


def py_cases(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("case", [case for case in cases if case.py is not None], ids=lambda case: case.line)


async def by_js(js: Js, case: Case, scene: Scene) -> Outcome:
    assert case.js is not None
    code = case.js if "return " in case.js else f"return await c.{case.js}"
    args = asdict(scene.world) | {"new": scene.new, "tokens": scene.tokens}
    if "args.row" in code:
        args["row"] = scene.row
    said = await js(_JS % code, key=scene.key(case.who), token=scene.token(case.who), **args)
    answer = said["answer"]
    seen = [Seen(**one) for one in said["seen"]]
    return Outcome(answer["status"], answer["data"], answer["count"], answer["error"], seen)


class Python:
    """supabase-py, which leaves what the server said in ``seen``."""

    def __init__(self, server: Server) -> None:
        self.seen: list[Seen] = []
        self._http = httpx.Client(event_hooks={"response": [self._note]}, timeout=30)
        self._server = server
        self._clients: dict[tuple[str, str | None], Client] = {}

    def _note(self, response: httpx.Response) -> None:
        response.read()
        sent = dict(response.request.headers)
        headers = dict(response.headers)
        self.seen.append(Seen(response.status_code, headers, response.text, str(response.request.url), sent))

    def client(self, key: str, token: str | None) -> Client:
        found = self._clients.get((key, token))
        if found is None:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            options = ClientOptions(headers=headers, auto_refresh_token=False, httpx_client=self._http)
            found = self._clients[key, token] = create_client(self._server.url, key, options)
        return found

    def ask(self, case: Case, scene: Scene) -> Outcome:
        assert case.py is not None
        client = self.client(scene.key(case.who), scene.token(case.who))
        self.seen.clear()
        try:
            request = case.py(client, scene)
            answer = request.execute()
        except APIError as error:
            said = {"code": error.code, "message": error.message, "details": error.details, "hint": error.hint}
            return Outcome(self.seen[-1].status, None, None, said, list(self.seen))
        last = self.seen[-1]
        data = None if answer is None or not last.body else answer.data
        return Outcome(last.status, data, None if answer is None else answer.count, None, list(self.seen))

    def close(self) -> None:
        self._http.close()


def titles(*names: str) -> list[dict[str, str]]:
    return [{"title": name} for name in names]
